"""``routerd query``: what a node has committed."""

from typing import TYPE_CHECKING, Annotated

import typer

from abci_app.cli import answers
from abci_app.cli.failure import Failure
from abci_app.cli.nodes import JSON, NODE, ask
from abci_app.cli.tables import parse_hex
from abci_app.pb import query_pb2 as pb

if TYPE_CHECKING:
    from abci_app.client.nodes import NodeClient

TRANSFER_ID = Annotated[str, typer.Argument(help="transferId, 32 bytes in hex.")]
NUMBER_MAX = 2**63 - 1
LIST_MAX = 500
HEIGHT = Annotated[int, typer.Argument(help="Height at which the batch was decided.", min=0, max=NUMBER_MAX)]
FROM = Annotated[int, typer.Option("--from", help="First number to list.", min=0, max=NUMBER_MAX)]
LIMIT = Annotated[int, typer.Option(help=f"Rows, at most {LIST_MAX}.", min=1, max=LIST_MAX)]


def register(app: typer.Typer, summary: str) -> None:
    """Add the group."""
    group = typer.Typer(help=summary)
    for command in (status, domains, transfer, transfers, auction, router, decisions, batch, execution):
        group.command(command.__name__)(command)
    app.add_typer(group, name="query")


def status(node: NODE = None, as_json: JSON = False) -> None:
    """Show chain, height, validators, the node's own counters."""
    ask(node, as_json, lambda client: client.status(), answers.show_status)


def domains(node: NODE = None, as_json: JSON = False) -> None:
    """Show domains with their cursors, lanes, assets."""
    ask(node, as_json, lambda client: client.domains(), answers.show_domains)


def transfer(transfer_id: TRANSFER_ID, node: NODE = None, as_json: JSON = False) -> None:
    """Show one transfer: status, attempts, bids."""
    raw = parse_hex(transfer_id, 32, "transfer id")

    def question(client: "NodeClient") -> pb.TransferResponse:
        answer = client.transfer(raw)
        if answer is None:
            raise Failure(f"NOT_FOUND: no transfer 0x{raw.hex()}")
        return answer
    ask(node, as_json, question, answers.show_transfer)


def transfers(
    status: Annotated[str, typer.Option(
        help="Only this one: ACCEPTED, ASSIGNED, WAITING, SLOW, EXECUTED, RECONCILED or COMPLETED.",
    )] = "",
    first: FROM = 0, limit: LIMIT = 100, node: NODE = None, as_json: JSON = False,
) -> None:
    """Show transfers in the order in which they were accepted."""
    ask(node, as_json, lambda client: client.transfers(status.upper(), first, limit), answers.show_transfers)


def auction(
    transfer_id: TRANSFER_ID,
    attempt: Annotated[int, typer.Option(help="0: the newest, or the one not decided yet.", min=0, max=255)] = 0,
    node: NODE = None, as_json: JSON = False,
) -> None:
    """Show why each router won or lost a transfer."""
    raw = parse_hex(transfer_id, 32, "transfer id")
    ask(node, as_json, lambda client: client.auction(raw, attempt), answers.show_auction)


def router(
    address: Annotated[str, typer.Argument(help="Router address, 20 bytes in hex.")],
    node: NODE = None, as_json: JSON = False,
) -> None:
    """Show a router's standing and liquidity on every domain."""
    raw = parse_hex(address, 20, "router address")
    ask(node, as_json, lambda client: client.router(raw), answers.show_router)


def decisions(first: FROM = 1, limit: LIMIT = 100, node: NODE = None, as_json: JSON = False) -> None:
    """Show decisions from a global sequence on."""
    ask(node, as_json, lambda client: client.decisions(first, limit), answers.show_decisions)


def batch(height: HEIGHT, node: NODE = None, as_json: JSON = False) -> None:
    """Show the decisions of one height: root, leaves, who signed."""
    ask(node, as_json, lambda client: client.batch(height), answers.show_batch)


def execution(
    height: HEIGHT, leaf: Annotated[int, typer.Argument(help="Index of the leaf in its batch.", min=0, max=2**31)] = 0,
    node: NODE = None, as_json: JSON = False,
) -> None:
    """Show all that a relayer needs to execute one leaf of an attested batch."""
    ask(node, as_json, lambda client: client.execution(height, leaf), answers.show_execution)
