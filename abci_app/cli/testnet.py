"""``routerd testnet``: a local network of real processes. Works from a checkout only; the wheel has no testnet."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, TypeVar

import typer

from abci_app.cli.failure import Failure

R = TypeVar("R")
HOME = Annotated[Path, typer.Option(help="Folder of the network.")]
BASE_PORT = Annotated[int | None, typer.Option(
    help="First of the ports on 127.0.0.1, best below 32768, where outgoing connections begin. Default: the network's "
    "own; of a new one 27600.",
)]
VALIDATORS = Annotated[int | None, typer.Option(
    help="Pairs of application and CometBFT. Default: the network's own; of a new one 4.",
)]
NAME = Annotated[str, typer.Argument(help="node0 …, router0 …, relayer, chain1111, chain2222.")]
JSON = Annotated[bool, typer.Option("--json", help="One JSON list, an object a part.")]
DEFAULT_HOME, DEMO_HOME = Path(".testnet"), Path("build/demo")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The first of SIGINT, SIGTERM, SIGHUP; later ones find the network being ended and are ignored."""


def register(app: typer.Typer, summary: str) -> None:
    """Add the group of commands."""
    group = typer.Typer(help=summary)
    for command in (up, status, down, stop, start, settle, demo):
        group.command(command.__name__)(command)
    app.add_typer(group, name="testnet")


def up(home: HOME = DEFAULT_HOME, base_port: BASE_PORT = None, validators: VALIDATORS = None) -> None:
    """Bring a network up, new or what is down of the one in HOME; returns once endpoints.json is written."""
    def work() -> None:
        from testnet.network import lifecycle
        lifecycle.up(home, base_port, validators, typer.echo)
    _run(work)


def status(
    home: HOME = DEFAULT_HOME, base_port: BASE_PORT = None, validators: VALIDATORS = None, as_json: JSON = False
) -> None:
    """Show what runs, heights and cursors. Exit status 1 where anything is down."""
    def work() -> list[dict[str, object]]:
        from testnet.network import network_status
        return network_status.read(home)
    rows = _run(_checked(work, home, base_port, validators))
    typer.echo(json.dumps(rows, indent=1) if as_json else _table(rows))
    if not all(row["running"] for row in rows):
        raise typer.Exit(1)


def down(home: HOME = DEFAULT_HOME, base_port: BASE_PORT = None, validators: VALIDATORS = None) -> None:
    """End every process of the network, and only those; chains are saved, so that `up` resumes."""
    def work() -> list[str]:
        from testnet.network import lifecycle
        return lifecycle.down(home)
    ended = _run(_checked(work, home, base_port, validators))
    typer.echo(f"down: {len(ended)} processes ended" if ended else "down: nothing was running")


def stop(name: NAME, home: HOME = DEFAULT_HOME, base_port: BASE_PORT = None, validators: VALIDATORS = None) -> None:
    """End one part."""
    def work() -> None:
        from testnet.network import lifecycle
        lifecycle.stop(home, name)
    _run(_checked(work, home, base_port, validators))
    typer.echo(f"{name} is down")


def start(name: NAME, home: HOME = DEFAULT_HOME, base_port: BASE_PORT = None, validators: VALIDATORS = None) -> None:
    """Start one part again; returns once it runs."""
    def work() -> None:
        from testnet.network import lifecycle
        lifecycle.start(home, name)
    _run(_checked(work, home, base_port, validators))
    typer.echo(f"{name} is up")


def settle(home: HOME = DEFAULT_HOME, base_port: BASE_PORT = None, validators: VALIDATORS = None) -> None:
    """Play the message layer with the real contracts until every pending Reconciled has happened."""
    def work() -> str:
        from testnet.connext import settling
        return settling.settle(home)
    typer.echo(_run(_checked(work, home, base_port, validators)))


def demo(
    home: Annotated[Path, typer.Option(help="Folder of the network; one that is there is made anew.")] = DEMO_HOME,
    base_port: BASE_PORT = None, validators: VALIDATORS = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the network running.")] = False,
) -> None:
    """Carry five real transfers between two real chains, decided by real validators, settled, checked, summed up."""
    def work() -> int:
        from testnet.demo import scenario
        return scenario.run(home, base_port, validators, keep)
    status_code = _run(work)
    raise typer.Exit(status_code)


def _table(rows: list[dict[str, object]]) -> str:
    """Return one line a part."""
    lines = [f"{'part':<12} {'state':<8} {'pid':>8}  at"]
    for row in rows:
        state = "running" if row["running"] else "down"
        lines.append(f"{row['name']:<12} {state:<8} {row['pid'] or '':>8}  {row['at']}")
    return "\n".join(lines)


def _checked(work: Callable[[], R], home: Path, base_port: int | None, validators: int | None) -> Callable[[], R]:
    """Return the work on a network that is there; numbers that are given and not its own are refused before."""
    def checked() -> R:
        from testnet.network.layout import load_layout, refuse_other
        refuse_other(load_layout(home), base_port, validators)
        return work()
    return checked


def _run(work: Callable[[], R]) -> R:
    """Do the work; what it cannot do becomes one line, and a signal ends it once, in order."""
    try:
        from testnet.errors import FAILURES
    except ModuleNotFoundError as error:
        raise Failure("testnet works from a checkout only: clone the repository and run ./scripts/demo") from error
    for number in SIGNALS:
        signal.signal(number, _once)
    try:
        return work()
    except FAILURES as error:
        raise Failure(str(error)) from error
    except Interrupted as interruption:
        raise Failure("interrupted") from interruption


def _once(number: int, frame: FrameType | None) -> None:
    """Interrupt the work; from here on signals are ignored, so that what ends the network is not cut off itself."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    from testnet.processes.spawn import interrupt
    interrupt(Interrupted())
