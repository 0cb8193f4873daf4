"""``routerd tx``: submit a bid, a withdraw, or the TransferInfo of a transfer that is known by hash only."""

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from abci_app.cli.failure import Failure
from abci_app.cli.nodes import NODE, connected
from abci_app.cli.tables import parse_hex, print_fields

if TYPE_CHECKING:
    from abci_app.client.submissions import SubmissionAnswer
    from abci_app.router.config import RouterHome

INFO_BYTES_MAX = 96 * 1024


class WaitFor(StrEnum):
    """What a submission waits for."""

    NONE = "none"
    CHECKED = "checked"
    COMMITTED = "committed"


TRANSFER_ID = Annotated[str, typer.Argument(help="transferId, 32 bytes in hex.")]
HOME = Annotated[Path, typer.Option(help="The router's home: its key signs, its nodes are asked.")]
WAIT = Annotated[WaitFor, typer.Option(help="none: on its way; checked: in the mempool; committed: in a block.")]
HOME_NODE = Annotated[list[str] | None, typer.Option(
    "--node", help="host:port of a node's gRPC; may be repeated, tried in order. Default: those of the home.",
    show_default=False,
)]
JSON = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def register(app: typer.Typer, summary: str) -> None:
    """Add the group."""
    group = typer.Typer(help=summary)
    group.command("bid")(bid)
    group.command("withdraw")(withdraw)
    group.command("transfer-info")(transfer_info)
    app.add_typer(group, name="tx")


def bid(
    transfer_id: TRANSFER_ID, home: HOME,
    path_length: Annotated[list[int] | None, typer.Option(
        help="Routers in the path: 1, 2 or 4; several may be given. Default: those of the home.",
    )] = None,
    wait: WAIT = WaitFor.COMMITTED, node: HOME_NODE = None, as_json: JSON = False,
) -> None:
    """Sign and submit the router's bid for a transfer, without any check of chains or liquidity."""
    from abci_app.client.submissions import Wait, sign_bid
    from abci_app.machine.params import PATH_LENGTHS
    from abci_app.machine.state.codec import TransferId

    raw, loaded = TransferId(parse_hex(transfer_id, 32, "transfer id")), load(home)
    lengths = sorted(set(path_length or loaded.config.path_lengths))
    for length in lengths:
        if length not in PATH_LENGTHS:
            raise Failure(f"--path-length {length}: must be one of {', '.join(map(str, PATH_LENGTHS))}")
    signatures = sign_bid(loaded.account.private_key, raw, lengths)
    with connected(node or loaded.config.nodes) as client:
        signed = list(zip(lengths, signatures, strict=True))
        show(client.submit_bid(raw, loaded.account.address, signed, Wait[wait.name]), as_json)


def withdraw(
    transfer_id: TRANSFER_ID, home: HOME, wait: WAIT = WaitFor.COMMITTED, node: HOME_NODE = None, as_json: JSON = False,
) -> None:
    """Take the router's bid back for all future attempts of a transfer. Final."""
    from abci_app.client.submissions import Wait, make_withdraw
    from abci_app.machine.state.codec import TransferId

    raw, loaded = TransferId(parse_hex(transfer_id, 32, "transfer id")), load(home)
    with connected(node or loaded.config.nodes) as client:
        chain_id = client.status().chain_id
        signed = make_withdraw(loaded.account.private_key, loaded.account.address, chain_id, raw)
        show(client.submit(signed, Wait[wait.name]), as_json)


def transfer_info(
    info: Annotated[str, typer.Argument(
        help="abi.encode(TransferInfo): 0x hex, a file that holds it, or - for standard input.", metavar="HEX|FILE|-",
    )],
    wait: WAIT = WaitFor.COMMITTED, node: NODE = None, as_json: JSON = False,
) -> None:
    """Submit the TransferInfo of a transfer that the network knows by hash only. Anyone may."""
    from abci_app.client.submissions import Wait
    from abci_app.machine.codes import Rejected
    from abci_app.machine.transactions.tx import decode_transfer_info, encode_info_submission

    try:
        raw = encode_info_submission(decode_transfer_info(read_info(info)))
    except Rejected as rejection:
        raise Failure(str(rejection)) from rejection
    with connected(node) as client:
        show(client.submit(raw, Wait[wait.name]), as_json)


def read_info(text: str) -> bytes:
    """Return the bytes that an argument gives. Raises Failure."""
    limit = 2 * INFO_BYTES_MAX + 4
    if not text.startswith("0x"):
        try:
            if text == "-":
                text = sys.stdin.read(limit)
            else:
                with Path(text).open() as file:
                    text = file.read(limit)
        except (OSError, UnicodeDecodeError) as error:
            raise Failure(f"transfer info {text[:80]!r}: {error}") from error
    try:
        data = bytes.fromhex(text.strip().removeprefix("0x"))
    except ValueError as error:
        raise Failure("transfer info is not hex") from error
    if not 0 < len(data) <= INFO_BYTES_MAX:
        raise Failure(f"transfer info has {len(data)} bytes, must be 1 to {INFO_BYTES_MAX}")
    return data


def load(home: Path) -> "RouterHome":
    """Return a router's home. Raises Failure."""
    from abci_app.router.config import load_home
    from abci_app.router.errors import ConfigInvalid

    try:
        return load_home(home)
    except ConfigInvalid as error:
        raise Failure(str(error)) from error


def show(answer: "SubmissionAnswer", as_json: bool) -> None:
    """Print what became of a submission; Failure, for programs beside the same object, where it was refused."""
    if as_json:
        print(json.dumps(asdict(answer)))
    if answer.code:
        reason = answer.reason.removeprefix(f"{answer.code_name}: ")
        raise Failure(f"{answer.code_name}: {reason}" if reason else answer.code_name)
    if not as_json:
        print_fields([("code", answer.code_name), ("height", answer.height or "-")])
