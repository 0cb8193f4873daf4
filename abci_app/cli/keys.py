"""``routerd keys show``: what others need to know of a node's key, never the key."""

import json
from pathlib import Path
from typing import Annotated

import typer

from abci_app.node.errors import HomeError
from abci_app.node.home import load_home

CONSENSUS_KEY_BYTES = 32


def register(app: typer.Typer, summary: str) -> None:
    """Add the group."""
    group = typer.Typer(help=summary)
    group.callback()(lambda: None)
    group.command("show")(show)
    app.add_typer(group, name="keys")


def show(
    home: Annotated[Path, typer.Option(help="The node's home.")],
    consensus_key: Annotated[str, typer.Option(
        help="CometBFT's ed25519 public key in hex: adds the proof of possession that genesis wants.",
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


def parse_key(text: str) -> bytes:
    """Return the 32 bytes of a public key in hex."""
    try:
        key = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise HomeError("--consensus-key is not hex") from error
    if len(key) != CONSENSUS_KEY_BYTES:
        raise HomeError(f"--consensus-key has {len(key)} bytes, must be {CONSENSUS_KEY_BYTES}")
    return key
