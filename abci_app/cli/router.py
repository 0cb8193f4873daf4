"""``routerd router``: a router until SIGTERM; ``routerd router init``: its home."""

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from abci_app.cli.failure import Failure
from abci_app.daemon.log import logging_to

if TYPE_CHECKING:
    from abci_app.evm.account import Account
    from abci_app.router.config import WatchedChain

SIGNALS = (signal.SIGTERM, signal.SIGINT)
CHAIN_FORM = "DOMAIN,CHAIN_ID,URL[,CONFIRMATIONS[,CONNEXT]]"


class Stopped(BaseException):
    """The first signal; later ones find the router stopping and are ignored."""


def register(app: typer.Typer, summary: str) -> None:
    """Add the command with its subcommand."""
    group = typer.Typer(help=summary, invoke_without_command=True)
    group.callback()(run)
    group.command("init", help="Make a router's home: config.toml and its key. Never overwrites.")(init)
    app.add_typer(group, name="router")


def run(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="The router's home, made by routerd router init.")] = None,
) -> None:
    """Run the router of a home until SIGTERM; JSON lines go to standard output or to config.toml's file."""
    if context.invoked_subcommand is not None:
        return
    if home is None:
        raise Failure("router: --home is missing")
    try:
        _serve(home)
    except Stopped:
        pass


def _serve(home: Path) -> None:
    from abci_app.router.agent import Agent
    from abci_app.router.config import load_home, locked
    from abci_app.router.errors import ConfigInvalid, RouterError

    try:
        loaded = load_home(home)
        with locked(home), logging_to(loaded.log_path, loaded.config.log_level, ConfigInvalid):
            agent = Agent(loaded)
            for number in SIGNALS:
                signal.signal(number, _stop)
            try:
                agent.start()
                agent.wait()
            finally:
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_IGN)
                agent.stop()
    except RouterError as error:
        raise Failure(str(error)) from error


def _stop(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped


def init(
    home: Annotated[Path, typer.Option(help="Folder to make.")],
    node: Annotated[list[str], typer.Option(help="host:port of a node's gRPC; may be repeated, tried in order.")],
    chain: Annotated[list[str], typer.Option(
        help="A chain to watch and pay out on, may be repeated; CONFIRMATIONS 0: the chain's own finalized tag; "
             "without CONNEXT the first node's word for it is kept.",
        metavar=CHAIN_FORM,
    )],
    key_file: Annotated[Path | None, typer.Option(
        help="File with the router's key, readable by its owner only: hex, or JSON with private_key.",
    )] = None,
    generate: Annotated[bool, typer.Option("--generate", help="Make a new key instead.")] = False,
) -> None:
    """Make the home and print the router's address."""
    if generate == (key_file is not None):
        raise Failure("use either --key-file or --generate")
    from abci_app.router.config import RouterConfig, load_account, make_account, save_home
    from abci_app.router.errors import RouterError

    chains = tuple(map(parse_chain, chain))
    try:
        account: Account = make_account() if key_file is None else load_account(key_file)
        save_home(home, RouterConfig(tuple(node), chains), account)
    except RouterError as error:
        raise Failure(str(error)) from error
    print(f"0x{account.address.hex()}")


def parse_chain(text: str) -> "WatchedChain":
    """Return the chain that a text of ``CHAIN_FORM`` names."""
    from abci_app.evm.types import parse_address
    from abci_app.router.config import WatchedChain

    domain, chain_id, url, confirmations, connext = [*text.split(","), *[""] * 5][:5]
    try:
        if text.count(",") > 4 or not url:
            raise ValueError
        return WatchedChain(
            _read_number(domain), _read_number(chain_id), url, _read_number(confirmations or "0"),
            parse_address(connext) if connext else b"",
        )
    except ValueError as error:
        raise Failure(f"--chain {text!r}: use {CHAIN_FORM}, e.g. 1111,31337,http://127.0.0.1:8545") from error


def _read_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text)
