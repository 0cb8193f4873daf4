"""``routerd start``: a node until SIGTERM."""

from pathlib import Path
from typing import Annotated

import typer

from abci_app.node.home import Home
from abci_app.node.run import PublishedReads, Service, run_node


def register(app: typer.Typer, summary: str) -> None:
    """Add the command."""
    app.command("start", help=summary)(start)


def start(home: Annotated[Path, typer.Option(help="The node's home, made by routerd init.")]) -> None:
    """Run the node: ABCI in this thread, observer and gRPC in theirs."""
    run_node(home, [make_gateway])


def make_gateway(home: Home, reads: PublishedReads) -> Service:
    """Return the gRPC server over what the node committed."""
    from abci_app.gateway.engine import CometBftEngine
    from abci_app.gateway.server import Gateway

    return Gateway(reads, home.config.grpc_address, CometBftEngine(home.config.cometbft_rpc_url))
