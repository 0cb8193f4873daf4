"""What every benchmark gives: rows, as a table for people and, with --json FILE, as a list for programs."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure. ``make_row`` judges it."""

    name: str
    value: float
    unit: str
    anchor: str = ""
    """What the figure stands beside."""
    target: float | None = None
    """None: there is none."""
    ok: bool = True
    """Whether it reaches its target; True without one."""
    more_is_better: bool = False


def make_row(
    name: str, value: float, unit: str, anchor: str = "", target: float | None = None, more_is_better: bool = False
) -> Row:
    """Return the row of a figure: at most the target is good, or at least that much where more is better."""
    ok = target is None or (value >= target if more_is_better else value <= target)
    return Row(name, value, unit, anchor, target, ok, more_is_better)


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add --json FILE."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to this file")


def publish(rows: Sequence[Row], json_file: Path | None) -> int:
    """Print the table, write the file where one is named; return the exit status, 1 where a target is missed."""
    print(render_table(rows))
    if json_file is not None:
        json_file.write_text(json.dumps([to_json(row) for row in rows], indent=1) + "\n")
    return 0 if all(row.ok for row in rows) else 1


def to_json(row: Row) -> dict[str, object]:
    """Return what programs get of a row."""
    return {name: getattr(row, name) for name in ("name", "value", "unit", "anchor", "target", "ok")}


def render_table(rows: Sequence[Row]) -> str:
    """Return one line a row: name, figure, target, whether it is reached, and what stands beside it."""
    cells = [
        (row.name, show_figure(row.value), row.unit, show_target(row), show_verdict(row), row.anchor) for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        f"{name:<{widths[0]}}  {figure:>{widths[1]}} {unit:<{widths[2]}}  {target:<{widths[3]}}  {verdict:<{widths[4]}}"
        f"  {anchor}".rstrip()
        for name, figure, unit, target, verdict, anchor in cells
    )


def show_target(row: Row) -> str:
    """Return a row's target with its direction, nothing where there is none."""
    return "" if row.target is None else f"{'≥' if row.more_is_better else '≤'} {show_figure(row.target)}"


def show_verdict(row: Row) -> str:
    """Return whether a row reaches its target, nothing where there is none."""
    if not row.ok:
        return "MISSED"
    return "" if row.target is None else "ok"


def show_figure(value: float) -> str:
    """Return a figure with three digits or all those before the point, thousands parted."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value below which ``percent`` of them lie."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]
