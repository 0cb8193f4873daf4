"""``routerd supervise``: a node and its CometBFT as a pair, until SIGTERM."""

import logging
import shutil
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from abci_app.cli.failure import Failure
from abci_app.daemon.log import JsonLinesHandler, logging_through
from abci_app.daemon.prefixed import PrefixedOutput
from abci_app.daemon.supervise import GRACE_S, Part, StartRefused, Supervisor
from abci_app.node.home import load_home

NODE, ENGINE, SUPERVISOR = "node", "cometbft", "supervisor"
GENESIS = Path("config") / "genesis.json"


def register(app: typer.Typer, summary: str) -> None:
    """Add the command."""
    app.command("supervise", help=summary)(supervise)


def supervise(
    home: Annotated[Path, typer.Option(help="The node's home, made by routerd init.")],
    engine_home: Annotated[Path, typer.Option(help="CometBFT's home, made by cometbft init validator.")],
    cometbft: Annotated[str, typer.Option(help="CometBFT's program: a path, or a name to look up.")] = "cometbft",
    grace_s: Annotated[float, typer.Option(
        min=0.1, help="Seconds that each of the two has to end before it is killed.",
    )] = GRACE_S,
) -> None:
    """Run routerd start, then cometbft start; whoever ends by itself starts again, a node together with its CometBFT.

    Each line of output begins with node, cometbft or supervisor. SIGTERM, SIGINT and SIGHUP end both, CometBFT first,
    with status 0; a node or CometBFT that refuses its first start ends both with status 1.
    """
    address = load_home(home).abci_address
    binary = find_program(cometbft)
    if not (engine_home / GENESIS).is_file():
        path = engine_home / GENESIS
        raise Failure(f"{path} is missing: cometbft init validator --home {engine_home} makes a home")
    output = PrefixedOutput(sys.stdout.buffer, sys.stderr.buffer)
    node = [sys.executable, "-P", "-m", "abci_app.cli.main", "start", "--home", str(home)]
    engine = [binary, "start", "--home", str(engine_home), "--proxy_app", address]

    supervisor = Supervisor(
        Part(NODE, lambda: output.start(NODE, node)), Part(ENGINE, lambda: output.start(ENGINE, engine)),
        address, grace_s=grace_s,
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.stopping.set())
    try:
        with logging_through(SupervisorLines(output), "info"):
            supervisor.run()
    except StartRefused as refusal:
        output.drain()
        raise Failure(f"{refusal}; its last words: {output.last_words(refusal.part)}") from refusal
    output.drain()


class SupervisorLines(JsonLinesHandler):
    """The supervisor's own log, between the lines of the two programs."""

    def __init__(self, output: PrefixedOutput) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        self._output.write(SUPERVISOR, self.format(record))


def find_program(name: str) -> str:
    """Return the path of a program. Raises Failure."""
    found = shutil.which(name)
    if found is None:
        raise Failure(f"{name}: no such program: name CometBFT's with --cometbft")
    return found
