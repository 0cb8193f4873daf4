"""Events and alarms: each declared once with its attributes, emitted as declared, and counted by name."""

import ast
from pathlib import Path

import pytest

from abci_app.machine.block_events import ALARM_ATTRIBUTES, ATTRIBUTES, Alarm, EventKind
from abci_app.machine.codes import Code
from abci_app.machine.results import BlockEvent, BlockResult, TxResult
from abci_app.machine.state.tree import Tree
from abci_app.node.metrics import Metrics
from tests.kit.machine.driver import check_event

MACHINE = Path(__file__).resolve().parents[3] / "abci_app" / "machine"


def list_used(enumeration: str) -> set[str]:
    """Names of an enumeration's members that the state machine's code mentions, outside their own file."""
    return {
        node.attr
        for path in MACHINE.rglob("*.py") if path.name != "block_events.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == enumeration
    }


def test_every_kind_and_every_reason_is_emitted_somewhere() -> None:
    assert list_used("EventKind") == {kind.name for kind in EventKind}
    assert list_used("Alarm") == {reason.name for reason in Alarm}


def test_every_kind_and_every_reason_says_its_attributes() -> None:
    assert list(ATTRIBUTES) == list(EventKind) and list(ALARM_ATTRIBUTES) == list(Alarm)


@pytest.mark.parametrize(("kind", "attributes"), [
    (EventKind.WAITING, (("transfer_id", "00"),)),
    (EventKind.WAITING, (("attempt", "1"), ("transfer_id", "00"))),
    (EventKind.ALARM, (("reason", "nonce gap"), ("domain", "1"))),
])
def test_other_attributes_are_noticed(kind: EventKind, attributes: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(AssertionError):
        check_event(BlockEvent(kind, attributes))


def test_a_reason_that_is_not_listed_is_noticed() -> None:
    with pytest.raises(ValueError, match="is not a valid Alarm"):
        check_event(BlockEvent(EventKind.ALARM, (("reason", "something"),)))


def test_a_block_counts_by_name() -> None:
    waiting = BlockEvent(EventKind.WAITING, (("transfer_id", "00"), ("attempt", "1")))
    gap = BlockEvent(EventKind.ALARM, (("reason", "nonce gap"), ("domain", "1"), ("nonce", "7"), ("expected", "5")))
    metrics = Metrics()
    answer = TxResult(Code.OK, events=(gap,))
    metrics.count_events(BlockResult((answer,), None, {}, Tree(), Tree().root, (waiting, gap)).list_events())
    counters = metrics.counters()
    assert (counters["events_WAITING"], counters["events_ALARM"], counters["alarms_NONCE_GAP"]) == (1, 2, 2)
    assert "alarms_DIAMOND_CUT" not in counters
