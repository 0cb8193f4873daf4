"""Figures of a load: what was served, how fast, and at what cost."""

from bench.load import Executions, summarize
from bench.soak_meter import Sample


def rows_of(found: Executions, rate_per_s: float | None = None) -> dict[str, tuple[float, bool]]:
    before = Sample(0.0, 1, {}, {"node0-app": 1.0, "relayer": 2.0}, {}, {})
    after = Sample(1.0, 2, {}, {"node0-app": 1.5, "relayer": 2.0, "router1": 1.0}, {}, {})
    rows = summarize("burst", found, 4, 1, rate_per_s, before, after)
    return {row.name.removeprefix("burst: "): (row.value, row.ok) for row in rows}


def test_a_phase_is_judged_by_what_was_executed_fast_and_when() -> None:
    sent = {bytes([number]): 100 + number for number in range(4)}
    found = Executions(sent, {bytes([0]): 104, bytes([1]): 106, bytes([9]): 107}, 1, 600_000, 2)
    rows = rows_of(found)
    assert rows["executed fast"] == (3, False) and rows["on the slow path at the end"] == (1, False)
    assert rows["from first xcall to last execution"][0] == 7
    assert rows["origin to execution, median"][0] in (4, 5) and rows["origin to execution, p95"][0] == 5
    assert rows["gas a transfer"] == (200_000, False) and rows["transfers a transaction"][0] == 1.5
    assert rows["CPU of node0-app"][0] == round(500 / 3, 1) and rows["CPU of router"][0] == round(1000 / 3, 1)
    assert rows["CPU of relayer"][0] == 0.0


def test_only_a_steady_stream_is_judged_by_its_delays() -> None:
    found = Executions({b"a": 100}, {b"a": 190}, 0, 100_000, 1)
    assert rows_of(found)["origin to execution, p95"][1]
    assert not rows_of(found, 25.0)["origin to execution, p95"][1]


def test_nothing_executed_is_no_division_by_nothing() -> None:
    rows = rows_of(Executions({}, {}, 0, 0, 0))
    assert rows["executed fast"] == (0, False) and rows["gas a transfer"] == (0, True)
