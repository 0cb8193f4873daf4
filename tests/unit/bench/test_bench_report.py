"""Rows of a benchmark: judged by their targets, as a table and as JSON."""

import json
from pathlib import Path

import pytest

from bench.report import make_row, percentile, publish, render_table


@pytest.mark.parametrize(("value", "target", "more_is_better", "ok"), [
    (3.0, None, False, True), (3.0, 3.0, False, True), (3.1, 3.0, False, False),
    (3.0, 3.0, True, True), (2.9, 3.0, True, False), (9.0, 3.0, True, True),
])
def test_a_row_is_good_up_to_its_target_or_from_it_on(
    value: float, target: float | None, more_is_better: bool, ok: bool
) -> None:
    assert make_row("name", value, "s", "", target, more_is_better).ok is ok


def test_a_missed_target_shows_in_table_file_and_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, missed = make_row("rate", 160_000.4, "1/s", "an anchor", 150_000, True), make_row("time", 1.256, "s", "", 1.0)
    assert publish([good], None) == 0 and publish([good, missed], tmp_path / "rows.json") == 1
    assert capsys.readouterr().out.count("MISSED") == 1
    assert render_table([good]) == "rate  160,000 1/s  ≥ 150,000  ok  an anchor"
    assert json.loads((tmp_path / "rows.json").read_text())[1] == {
        "name": "time", "value": 1.256, "unit": "s", "anchor": "", "target": 1.0, "ok": False,
    }


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, percent) for percent in (0, 50, 95, 100)] == [1.0, 51.0, 96.0, 100.0]
    assert percentile([7.0], 99) == 7.0
