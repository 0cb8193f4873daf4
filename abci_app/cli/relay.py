"""``routerd relay``: a relayer until SIGTERM."""

import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from abci_app.bridge.chain import EvmChain, check_once
from abci_app.bridge.config import RelayConfig, Stagger, check_config
from abci_app.bridge.errors import Fatal
from abci_app.bridge.home import RelayHome, load_home, locked
from abci_app.bridge.runner import Options, Relay
from abci_app.cli.failure import Failure
from abci_app.daemon.log import logging_to


def register(app: typer.Typer, summary: str) -> None:
    """Add the command."""
    app.command("relay", help=summary)(relay)


def relay(
    home: Annotated[Path, typer.Option(help="The relayer's folder: config.toml and its key.")],
    node: Annotated[list[str] | None, typer.Option(
        help="host:port of a node's gRPC, instead of those in config.toml; may be repeated: they take turns.",
    )] = None,
    rank_stagger: Annotated[float | None, typer.Option(
        help="Seconds that each relayer of stagger.relayers waits for the one before it, instead of config.toml's.",
    )] = None,
    once: Annotated[bool, typer.Option(
        "--once", help="Relay what is attested now, wait until it is settled, end.",
    )] = False,
    dry_run: Annotated[bool, typer.Option(
        "--dry-run", help="Send nothing and write nothing: say what would be sent.",
    )] = False,
) -> None:
    """Run the relayer; JSON lines go to standard output or to the file that config.toml names."""
    try:
        loaded = load_home(home)
        chosen = replace(loaded, config=choose(loaded.config, node, rank_stagger))
        with locked(home):
            run(chosen, Options(is_once=once, is_dry=dry_run))
    except Fatal as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"{home}: {error}") from error


def choose(config: RelayConfig, nodes: list[str] | None, rank_stagger_s: float | None) -> RelayConfig:
    """Return the configuration with what the command line says instead. Raises Fatal."""
    if nodes:
        config = replace(config, nodes=tuple(nodes))
    if rank_stagger_s is not None:
        if not math.isfinite(rank_stagger_s):
            raise Fatal(f"--rank-stagger {rank_stagger_s}: must be a number of seconds")
        config = replace(config, stagger=Stagger(round(rank_stagger_s * 1000), config.stagger.relayers))
    check_config(config)
    return config


def run(home: RelayHome, options: Options) -> None:
    """Relay until told to stop. Chains are checked before the log is opened: a wrong one leaves nothing behind."""
    for chain in home.config.chains:
        with EvmChain(chain.rpc_url, chain.place) as checked:
            check_once(checked, home.config.chain_id)
    relayer = Relay(home, options)
    with logging_to(None if options.is_dry else home.log_path, home.config.log_level, Fatal):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: relayer.stop())
        relayer.run()
