"""State: reading through forks, scanning, undoing by forgetting (ORD-5), and what a block changed."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.machine.codes import InvariantBroken
from abci_app.machine.state.codec import U8, encode
from abci_app.machine.state.view import MemoryState, StateDelta


@dataclass(frozen=True)
class Item:
    value: U8


def world(**values: int) -> MemoryState:
    return MemoryState({b"item/%s" % name.encode(): encode(Item(value)) for name, value in values.items()})


def names(delta: StateDelta, prefix: bytes = b"item/") -> list[tuple[bytes, int]]:
    return [(key.removeprefix(prefix), record.value) for key, record in delta.scan(prefix, Item)]


def test_a_delta_reads_writes_and_deletes_over_its_base() -> None:
    """ORD-4: reads see the writes before them; the view below stays as it is."""
    view = world(a=1, b=2)
    delta = StateDelta(view)
    delta.write(b"item/c", Item(3))
    delta.write(b"item/a", Item(9))
    delta.delete(b"item/b")
    assert names(delta) == [(b"a", 9), (b"c", 3)]
    assert (delta.read(b"item/b", Item), delta.read(b"item/c", Item)) == (None, Item(3))
    assert names(StateDelta(view)) == [(b"a", 1), (b"b", 2)]
    assert delta.changes() == {b"item/a": b"\x09", b"item/b": None, b"item/c": b"\x03"}


def test_ord_5_a_forgotten_fork_leaves_no_trace() -> None:
    """ORD-5: undoing is not absorbing; what was absorbed counts."""
    delta = StateDelta(world(a=1))
    for keep in (False, True):
        fork = delta.fork()
        fork.write(b"item/b", Item(2))
        fork.delete(b"item/a")
        inner = fork.fork()
        inner.write(b"item/c", Item(3))
        assert names(inner) == [(b"b", 2), (b"c", 3)]
        assert names(delta) == [(b"a", 1)]
        if keep:
            fork.absorb(inner)
            delta.absorb(fork)
    assert names(delta) == [(b"b", 2), (b"c", 3)]
    assert delta.changes() == {b"item/a": None, b"item/b": b"\x02", b"item/c": b"\x03"}


def test_changes_leave_out_what_is_as_before() -> None:
    """TRE-3: rewriting a value and deleting what never was are no changes; the order is the keys'."""
    delta = StateDelta(world(a=1, b=2))
    delta.write(b"item/b", Item(2))
    delta.delete(b"item/x")
    delta.write(b"item/y", Item(1))
    delta.delete(b"item/y")
    assert delta.changes() == {}
    delta.write(b"item/b", Item(3))
    delta.delete(b"item/a")
    assert list(delta.changes()) == [b"item/a", b"item/b"]
    assert delta.changes() == {b"item/a": None, b"item/b": b"\x03"}


def test_a_scan_keeps_to_its_prefix() -> None:
    """COD-1: neither a neighbour's records nor those of a longer name."""
    view = world(a=1)
    view.values.update({b"item2/a": b"\x05", b"items": b"\x06"})
    delta = StateDelta(view)
    delta.write(b"item2/b", Item(7))
    assert names(delta) == [(b"a", 1)]
    assert names(delta, b"item2/") == [(b"a", 5), (b"b", 7)]


def test_a_scan_may_be_left_early_and_written_into() -> None:
    """ORD-1: own writes during a scan do not disturb it; deleted ones ahead are not shown."""
    delta = StateDelta(world(a=1, b=2, c=3))
    seen = []
    for key, record in delta.scan(b"item/", Item):
        seen.append((key, record.value))
        delta.write(b"item/d", Item(4))
        delta.delete(b"item/b")
    assert seen == [(b"item/a", 1), (b"item/c", 3)]
    assert names(delta) == [(b"a", 1), (b"c", 3), (b"d", 4)]


@pytest.mark.parametrize("misuse", [
    lambda delta: delta.must(b"item/absent", Item),
    lambda delta: delta.absorb(StateDelta(world())),
    lambda delta: delta.absorb(delta.fork().fork()),
    lambda delta: delta.fork().changes(),
])
def test_refuses_misuse_as_a_bug(misuse) -> None:
    """ORD-4: what cannot happen stops the node instead of letting it diverge."""
    with pytest.raises(InvariantBroken):
        misuse(StateDelta(world(a=1)))


KEYS = st.sampled_from([b"item/a", b"item/b", b"item/c", b"item/d/e", b"other/a"])
OPERATIONS = st.lists(st.tuples(st.sampled_from("wdfkx"), KEYS, st.integers(0, 255)), max_size=30)


@settings(max_examples=200, deadline=None)
@given(OPERATIONS)
def test_forks_behave_like_copies_of_a_dict(operations: list[tuple[str, bytes, int]]) -> None:
    """ORD-5: write, delete, fork, keep, drop in any order, against plain dicts."""
    view = MemoryState({b"item/a": b"\x01", b"other/a": b"\x02"})
    stack = [(StateDelta(view), {key: raw[0] for key, raw in view.values.items()})]
    for operation, key, value in operations:
        delta, model = stack[-1]
        if operation == "w":
            delta.write(key, Item(value))
            model[key] = value
        elif operation == "d":
            delta.delete(key)
            model.pop(key, None)
        elif operation == "f":
            stack.append((delta.fork(), dict(model)))
        elif len(stack) > 1:
            stack.pop()
            if operation == "k":
                stack[-1][0].absorb(delta)
                stack[-1] = (stack[-1][0], model)
        delta, model = stack[-1]
        for prefix in (b"item/", b"other/", b"item/d/"):
            shown = [(key, record.value) for key, record in delta.scan(prefix, Item)]
            assert shown == sorted(pair for pair in model.items() if pair[0].startswith(prefix))
        assert {key: record.value for key in model if (record := delta.read(key, Item))} == model
    bottom, model = stack[0]
    view.apply(bottom.changes())
    assert {key: raw[0] for key, raw in view.values.items()} == model
