"""``routerd genesis``: the first state, from the chains; CometBFT's genesis with it; whether a node will take both."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from abci_app.cli.failure import Failure
from abci_app.cli.tables import print_fields, print_table
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import EvmBlock
from abci_app.operator.description import DescribedNetwork, by_domain, load_network
from abci_app.operator.errors import Cause, OperatorError
from abci_app.operator.genesis_assemble import BLOCK_BYTES_MAX, load_template
from abci_app.operator.genesis_assemble import assemble as assemble_genesis
from abci_app.operator.genesis_build import find_block, read_app_state
from abci_app.operator.genesis_check import (
    AcceptedGenesis,
    check_app_state,
    check_together,
    load_app_state,
    load_cometbft_genesis,
    parse_cometbft_genesis,
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def register(app: typer.Typer, summary: str) -> None:
    """Add the group."""
    group = typer.Typer(help=summary)
    group.callback()(lambda: None)
    group.command("build")(build)
    group.command("assemble")(assemble)
    group.command("check")(check)
    app.add_typer(group, name="genesis")


def build(
    config: Annotated[Path, typer.Option(help="Description of the network: TOML, or JSON where the name ends so.")],
    out: Annotated[Path, typer.Option(help="File to write app_state to; one that is there is left alone.")],
    as_json: AsJson = False,
) -> None:
    """Read app_state from the chains, each at one final block, check it and write it."""
    try:
        network = load_network(config)
        app_state = read(network)
        checked = check_app_state(app_state, network.chain_id)
        save(out, app_state)
    except OperatorError as error:
        raise Failure(str(error)) from error
    show(checked, app_state["domains"], as_json)


def assemble(
    file: Annotated[Path, typer.Argument(help="File with app_state, as build writes it.")],
    cometbft_genesis: Annotated[Path, typer.Option(
        help="genesis.json as cometbft init makes it; other consensus parameters are taken from it.",
    )],
    chain_id: Annotated[str, typer.Option(help="Chain id of the network.")],
    out: Annotated[Path, typer.Option(help="File to write the whole genesis to; one that is there is left alone.")],
    block_max_bytes: Annotated[int, typer.Option(help="Largest block, in bytes.")] = BLOCK_BYTES_MAX,
    genesis_time: Annotated[str, typer.Option(help="RFC 3339 in UTC; now, if not given.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put app_state, chain id, validators and consensus parameters into CometBFT's genesis: one file for all."""
    try:
        app_state = load_app_state(file)
        genesis = assemble_genesis(
            app_state, load_template(cometbft_genesis), chain_id,
            block_bytes_max=block_max_bytes, genesis_time=genesis_time,
        )
        checked = check_together(app_state, parse_cometbft_genesis(genesis))
        save(out, genesis)
    except OperatorError as error:
        raise Failure(str(error)) from error
    show(checked, app_state["domains"], as_json)


def check(
    file: Annotated[Path, typer.Argument(help="File with app_state, as build writes it.")],
    cometbft_genesis: Annotated[Path | None, typer.Option(
        help="CometBFT's genesis.json that carries it: its chain id, validators and parameters are checked too.",
    )] = None,
    chain_id: Annotated[str, typer.Option(help="Chain id of the network, where no genesis.json says it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Run every check that a node runs on its genesis."""
    if (cometbft_genesis is None) == (not chain_id):
        raise Failure("genesis check: use either --cometbft-genesis or --chain-id")
    try:
        app_state = load_app_state(file)
        if cometbft_genesis is None:
            checked = check_app_state(app_state, chain_id)
        else:
            checked = check_together(app_state, load_cometbft_genesis(cometbft_genesis))
    except OperatorError as error:
        raise Failure(str(error)) from error
    show(checked, app_state["domains"], as_json)


def read(network: DescribedNetwork) -> dict[str, Any]:
    """Return ``app_state`` as the chains have it. Raises OperatorError."""
    with ExitStack() as opened:
        rpcs = {domain: opened.enter_context(Rpc(url)) for domain, url in by_domain(network).items()}
        blocks: dict[int, EvmBlock] = {
            chain.domain: find_block(chain, rpcs[chain.domain]) for chain in network.description.chains
        }
        return read_app_state(network.chain_id, network.description, rpcs, blocks)


def save(path: Path, fields: dict[str, Any]) -> None:
    """Write a new file of JSON. Raises OperatorError where there is one already."""
    try:
        with path.open("x") as file:
            file.write(json.dumps(fields, indent=2) + "\n")
    except OSError as error:
        raise OperatorError(Cause.FILE_INVALID, f"{path}: {error.strerror}") from error


def show(checked: AcceptedGenesis, domains: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print what a genesis amounts to, and the block at which it has each chain."""
    if as_json:
        print(json.dumps(asdict(checked) | {
            "app_hash": f"0x{checked.app_hash.hex()}",
            "blocks": {str(domain["domain"]): domain["cursor"]["block"] for domain in domains},
        }))
        return
    print_fields((
        ("chain id", checked.chain_id), ("app hash", f"0x{checked.app_hash.hex()}"), ("assets", checked.assets),
        ("routers", checked.routers), ("validators", f"{checked.validators}, power {checked.power}"),
    ))
    print_table("domains", ("domain", "chain id", "block", "connext"), (
        (domain["domain"], domain["chain_id"], domain["cursor"]["block"], domain["connext"]) for domain in domains
    ))
