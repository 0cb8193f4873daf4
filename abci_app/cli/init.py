"""``routerd init``: a node's home."""

from pathlib import Path
from typing import Annotated

import typer

from abci_app.daemon.addresses import ABCI_ADDRESS, COMETBFT_RPC_URL, GRPC_ADDRESS
from abci_app.machine.state.codec import DomainId
from abci_app.node.config import Config, ObservedChain
from abci_app.node.errors import HomeError
from abci_app.node.home import init_home


def register(app: typer.Typer, summary: str) -> None:
    """Add the command."""
    app.command("init", help=summary)(init)


def init(
    home: Annotated[Path, typer.Option(help="Folder to make.")],
    chain_id: Annotated[str, typer.Option(help="Chain id of the network, as in CometBFT's genesis.")],
    abci: Annotated[str, typer.Option(help="Where CometBFT reaches the node; a relative path is below home.")] = (
        ABCI_ADDRESS
    ),
    grpc: Annotated[str, typer.Option(help="host:port for routers and relayers.")] = GRPC_ADDRESS,
    cometbft_rpc: Annotated[str, typer.Option(help="RPC of the CometBFT beside the node.")] = COMETBFT_RPC_URL,
    chain: Annotated[list[str] | None, typer.Option(
        help="A chain to observe, may be repeated; a majority of its URLs must agree.", metavar="DOMAIN=URL[,URL…]",
    )] = None,
) -> None:
    """Make the home and print the attestation address."""
    chains = tuple(map(parse_chain, chain or ()))
    config = Config(chain_id, abci, grpc, cometbft_rpc, chains=chains)
    address = init_home(home, config)
    print(f"0x{address.hex()}")


def parse_chain(text: str) -> ObservedChain:
    """Return the chain that ``DOMAIN=URL[,URL…]`` names."""
    domain, _, urls = text.partition("=")
    if not domain.isdecimal() or not urls:
        raise HomeError(f"--chain {text!r}: use DOMAIN=URL[,URL…], e.g. 1111=http://127.0.0.1:8545")
    split = tuple(urls.split(","))
    return ObservedChain(DomainId(int(domain)), split, len(split) // 2 + 1)
