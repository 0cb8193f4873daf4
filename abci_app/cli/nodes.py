"""What commands that talk to a node share: options, the client, one line for every failure."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from google.protobuf.message import Message

from abci_app.cli.failure import Failure
from abci_app.cli.tables import print_json
from abci_app.daemon.addresses import GRPC_ADDRESS

if TYPE_CHECKING:
    from abci_app.client.nodes import NodeClient

A = TypeVar("A", bound=Message)

NODE = Annotated[list[str] | None, typer.Option(
    help=f"host:port of a node's gRPC; may be repeated, tried in order. Default: {GRPC_ADDRESS}.", show_default=False,
)]
JSON = Annotated[bool, typer.Option("--json", help="One JSON object: every field, bytes as 0x hex.")]


@contextmanager
def connected(nodes: list[str] | tuple[str, ...] | None) -> "Iterator[NodeClient]":
    """Give a client of these nodes; what goes wrong becomes a Failure that starts with the code."""
    from abci_app.client.errors import ClientError
    from abci_app.client.nodes import NodeClient

    addresses = tuple(nodes or (GRPC_ADDRESS,))
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise Failure(f"--node {address!r} is not host:port")
    try:
        with NodeClient(addresses) as client:
            yield client
    except ClientError as error:
        raise Failure(str(error)) from error


def ask(
    nodes: list[str] | None, as_json: bool, question: "Callable[[NodeClient], A]", show: Callable[[A], None]
) -> None:
    """Ask one question and show the answer: every field with ``--json``, else ``show``'s tables."""
    with connected(nodes) as client:
        answer = question(client)
    if as_json:
        print_json(answer)
    else:
        show(answer)
