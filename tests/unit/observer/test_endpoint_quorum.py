"""k-of-n agreement of endpoints."""

import pytest

from abci_app.machine.state.codec import DomainId, Hash, TransferId
from abci_app.observer.endpoint_quorum import agree_segments, agree_transfers
from abci_app.observer.snapshot import ObservedSegment, SeenTransfer


def view(text: str, first: int = 1) -> tuple[ObservedSegment, ...]:
    """`aab`: segments from `first` on; a letter is a digest of its number and of all before it."""
    return tuple(
        ObservedSegment(first + at, letter.encode(), Hash(letter.encode() * 32)) for at, letter in enumerate(text)
    )


TABLE: list[tuple[str, list[tuple[ObservedSegment, ...]], int, tuple[ObservedSegment, ...], bool]] = [
    ("one endpoint", [view("aaa")], 1, view("aaa"), False),
    ("nothing", [(), ()], 1, (), False),
    ("both alike", [view("aaa"), view("aaa")], 2, view("aaa"), False),
    ("one lags", [view("aaa"), view("a")], 2, view("a"), False),
    ("one is silent", [view("aaa"), ()], 2, (), False),
    ("one of two is enough", [view("aaa"), ()], 1, view("aaa"), False),
    ("two differ, both must agree", [view("aab"), view("aac")], 2, view("aa"), True),
    ("two differ, one is enough for either", [view("aab"), view("aac")], 1, view("aa"), True),
    ("two of three", [view("abb"), view("abb"), view("acc")], 2, view("abb"), True),
    ("three apart", [view("ab"), view("ac"), view("ad")], 2, view("a"), True),
    ("all apart", [view("b"), view("c")], 2, (), True),
    ("one is a cursor behind", [view("aaaa"), view("aaa", 2)], 2, view("aaaa"), False),
    ("a lie that lags", [view("abbb"), view("abb"), view("ac")], 2, view("abb"), True),
]


@pytest.mark.parametrize(
    ("views", "quorum", "agreed", "differ"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_agree_segments(
    views: list[tuple[ObservedSegment, ...]], quorum: int, agreed: tuple[ObservedSegment, ...], differ: bool
) -> None:
    for order in (views, list(reversed(views))):
        segments, error = agree_segments(order, quorum)
        assert segments == agreed
        assert (error is not None) is differ


def test_the_doubt_names_the_first_difference() -> None:
    _, error = agree_segments([view("abb"), view("abb"), view("acc")], 2)
    assert error is not None
    assert error.detail == "segment 2: 2 × 6262626262626262, 1 × 6363636363636363"


def test_agree_transfers() -> None:
    one, two, three = (TransferId(bytes([number]) * 32) for number in (1, 2, 3))
    seen, other = SeenTransfer(DomainId(1), DomainId(2)), SeenTransfer(DomainId(1), DomainId(3))
    views = [{one: seen, two: seen, three: seen}, {one: seen, three: other}]
    assert agree_transfers(views, 2) == {one: seen}
    assert agree_transfers([{one: seen, two: seen}], 1) == {one: seen, two: seen}
    assert agree_transfers([], 1) == {}
