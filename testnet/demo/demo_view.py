"""What the demo shows: a live table on a terminal, one line an event in a pipe. Rows in, characters out."""

import sys
import time
from collections.abc import Iterable

from rich import box
from rich.console import Console, JustifyMethod
from rich.live import Live
from rich.table import Table

from testnet.demo.tracker import Progress

COLUMNS = ("transfer", "lane", "seq", "router", "seen", "sigs", "status", "gas", "secs")
STEP_WORDS = {
    "accepted": "accepted: > 2/3 report the same segment",
    "decided": "decided",
    "attested": "attested: > 2/3 signed",
    "executed": "executed",
    "completed": "completed: routers repaid",
}


class View:
    """A context manager; ``say`` and ``step`` print, ``draw`` renews the table where there is a terminal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self._live: Live | None = None
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._started = time.monotonic()

    def __enter__(self) -> "View":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """Print one line with the seconds since the start."""
        text = f"{time.monotonic() - self._started:6.1f} s  {line}"
        self._console.print(text, markup=False)
        if self._live is None:
            sys.stdout.flush()

    def print(self, line: str) -> None:
        """Print one line as it is."""
        self._console.print(line, markup=False)

    def step(self, progress: Progress, step: str, validators: int) -> None:
        """Say that a transfer reached a step."""
        detail = {
            "decided": f" #{progress.lane_sequence} on its lane: {name_routers(progress.routers)}",
            "attested": f" ({progress.signatures}/{validators} signatures)",
            "executed": f" by {name_routers(progress.routers)}, {progress.gas:,} gas",
        }.get(step, "")
        self.say(f"{name_transfer(progress)}  {STEP_WORDS[step]}{detail}")

    def draw(self, rows: Iterable[Progress], validators: int) -> None:
        """Renew the live table."""
        if self._live is not None:
            self._live.update(make_table(list(rows), validators), refresh=True)

    def show(self, table: Table) -> None:
        """Print a finished table."""
        self._console.print(table)


def plain_table() -> Table:
    """Return an empty table that wastes no column."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def make_table(rows: list[Progress], validators: int) -> Table:
    """Return the live table, at most 80 columns wide: routers of one transfer stand below each other."""
    table = plain_table()
    for heading in COLUMNS:
        justify: JustifyMethod = "right" if heading in ("seq", "gas", "secs") else "left"
        table.add_column(heading, justify=justify, no_wrap=True)
    for row in rows:
        order = row.sent.order
        reports = "agreed" if "accepted" in row.seen_s else f"{row.reports}/{validators}"
        table.add_row(
            name_transfer(row), f"{order.origin}→{order.destination}", str(row.lane_sequence or ""),
            "\n".join(router.hex()[:6] for router in row.routers), reports, f"{row.signatures}/{validators}",
            row.status.lower(), f"{row.gas:,}" if row.gas else "", str(row.executed_after_s or ""),
        )
    return table


def name_transfer(progress: Progress) -> str:
    """Return the demo's name of a transfer: its label and the start of its id."""
    return f"{progress.sent.order.label} {progress.sent.transfer_id.hex()[:6]}"


def name_routers(routers: Iterable[bytes]) -> str:
    """Return short addresses."""
    return " ".join(f"0x{router.hex()[:6]}" for router in routers)
