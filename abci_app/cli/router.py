"""``routerd router``: a router until SIGTERM; ``routerd router init``: its home."""

import json
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from abci_app.cli.failure import Failure

HOME = Annotated[Path, typer.Option(help="The router's home, made by routerd router init.")]


def register(app: typer.Typer) -> None:
    """Add the command with its subcommand."""
    group = typer.Typer(help="Run a router: watch, check, bid; or make its home.", invoke_without_command=True)
    group.callback()(run)
    group.command("init", help="Make a router's home: config.toml and a key of its own. Never overwrites.")(init)
    app.add_typer(group, name="router")


def run(context: typer.Context, home: Annotated[Path | None, typer.Option(help="The router's home.")] = None) -> None:
    """Run the router of a home: one JSON line an event on standard output, until SIGTERM or SIGINT."""
    if context.invoked_subcommand is not None:
        return
    if home is None:
        raise Failure("router: --home is missing")
    from abci_app.evm.errors import EvmError
    from abci_app.router.agent import Agent
    from abci_app.router.config import load_home
    from abci_app.router.errors import RouterError

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        agent = Agent(load_home(home), JsonLines())
        try:
            agent.start()
            stopping.wait()
        finally:
            agent.stop()
    except (RouterError, EvmError) as error:
        raise Failure(str(error)) from error


class JsonLines:
    """The log: one JSON line an event on standard output."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, event: str, **fields: object) -> None:
        """Write one line."""
        now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": now, "event": event, **fields})
        with self._lock:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def init() -> None:
    """Make a home."""
