"""REP-1 where several members report: bytes of the record, what a changed digest takes with it and what it leaves."""

import pytest

from abci_app.machine import keys
from abci_app.machine.extension import DomainReport
from abci_app.machine.records import Report, Reports
from abci_app.machine.reports import process_commit
from tests.unit.machine.driver import A, Network
from tests.unit.machine.test_reports import D1, D2, D3, D4, PARAMS, said

LOW, HIGH = sorted((D1, D2))


def test_digests_stand_in_order_whoever_came_first() -> None:
    """REP-1: a record's bytes are hashed; no order of votes may show in them."""
    for first, second in ((LOW, HIGH), (HIGH, LOW)):
        net = Network(PARAMS)
        state = net.delta
        process_commit(state, said(net, {0: [DomainReport(A, 1, (first,))], 1: [DomainReport(A, 1, (second,))]}))
        record = state.must(keys.reports(A, 1), Reports)
        assert [report.digest for report in record.reports] == [LOW, HIGH]


def test_a_record_without_reports_goes() -> None:
    """REP-1: the only reporter of a later segment changes its mind about an earlier one."""
    net = Network(PARAMS)
    state = net.delta
    process_commit(state, said(net, {0: [DomainReport(A, 1, (D1, D2))]}))
    net.state.apply(state.changes())
    assert keys.reports(A, 2) in net.state.values
    state = net.delta
    process_commit(state, said(net, {0: [DomainReport(A, 1, (D3,))]}))
    assert state.changes()[keys.reports(A, 2)] is None


@pytest.mark.parametrize("before, again, later", [
    ((2, (D2, D3)), (1, (D1,)), {2: D2, 3: D3}),
    ((1, (D1, D2, D3)), (1, (D1,)), {2: D2, 3: D3}),
    ((1, (D1, D2, D3)), (2, (D2,)), {2: D2, 3: D3}),
    ((1, (D1, D2, D3)), (2, (D4,)), {2: D4}),
])
def test_only_a_different_digest_takes_later_ones_with_it(
    before: tuple[int, tuple[bytes, ...]], again: tuple[int, tuple[bytes, ...]], later: dict[int, bytes]
) -> None:
    """REP-1: neither the same one again nor the first one for a segment does; other members' digests do not matter."""
    net = Network(PARAMS)
    state = net.delta
    others = [DomainReport(A, 1, (D4, D4, D4))]
    process_commit(state, said(net, {0: [DomainReport(A, *before)], 1: others}))  # type: ignore[arg-type]
    process_commit(state, said(net, {0: [DomainReport(A, *again)]}))  # type: ignore[arg-type]
    found = {
        number: report.digest
        for number in (2, 3) for report in state.must(keys.reports(A, number), Reports).reports if report.members & 1
    }
    assert found == later
    for number in (2, 3):
        record = state.must(keys.reports(A, number), Reports)
        assert [report for report in record.reports if report.members & 2] == [
            Report(D4, 0b11 if later.get(number) == D4 else 0b10)
        ]
