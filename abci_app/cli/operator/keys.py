"""``routerd keys show`` and ``new``: what others need to know of a node's key, never the key; a new key file."""

import base64
import json
from pathlib import Path
from typing import Annotated

import typer

from abci_app.cli.failure import Failure
from abci_app.daemon.files import create_file, make_private_folder
from abci_app.daemon.keys import render_key
from abci_app.node.errors import HomeError
from abci_app.node.home import load_home, new_private_key
from abci_app.node.signer import Signer

CONSENSUS_KEY_BYTES = 32


def register(app: typer.Typer, summary: str) -> None:
    """Add the group."""
    group = typer.Typer(help=summary)
    group.callback()(lambda: None)
    group.command("show")(show)
    group.command("new")(new)
    app.add_typer(group, name="keys")


def show(
    home: Annotated[Path, typer.Option(help="The node's home.")],
    consensus_key: Annotated[str, typer.Option(
        help="CometBFT's ed25519 public key, as cometbft show-validator prints it, in base64 or hex: "
             "adds the proof of possession that genesis wants.",
    )] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print the attestation address and, for a consensus key, the proof that its owner holds the attestation key."""
    loaded = load_home(home)
    shown = {"attestation": f"0x{loaded.signer.address.hex()}"}
    if consensus_key:
        key = parse_key(consensus_key)
        proof = loaded.signer.prove_possession(loaded.config.chain_id, key)
        shown |= {"consensus_key": f"0x{key.hex()}", "proof": f"0x{proof.hex()}"}
    if as_json:
        print(json.dumps(shown))
    else:
        for name, value in shown.items():
            print(f"{name:<13} {value}")


def new(
    out: Annotated[Path, typer.Option(help="File to make, for its owner only; nothing is overwritten.")],
) -> None:
    """Make a key file for an account that pays gas (a relayer, the deployer of a gate) and print its address."""
    key = new_private_key()
    address = Signer(key).address
    try:
        if not out.parent.exists():
            make_private_folder(out.parent)
        create_file(out, render_key(key, address))
    except FileExistsError as error:
        raise Failure(f"{out} exists already") from error
    except OSError as error:
        raise Failure(f"{error.filename or out}: {error.strerror or error}") from error
    print(f"0x{address.hex()}")


def parse_key(text: str) -> bytes:
    """Return the 32 bytes of a public key in hex, in base64, or in CometBFT's JSON around the latter."""
    try:
        if text.startswith("{"):
            text = json.loads(text)["value"]
        is_base64 = text.endswith("=")
        key = base64.b64decode(text, validate=True) if is_base64 else bytes.fromhex(text.removeprefix("0x"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HomeError("--consensus-key is neither hex nor what cometbft show-validator prints") from error
    if len(key) != CONSENSUS_KEY_BYTES:
        raise HomeError(f"--consensus-key has {len(key)} bytes, must be {CONSENSUS_KEY_BYTES}")
    return key
