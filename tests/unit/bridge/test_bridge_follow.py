"""Following: every attested leaf is found once, however pages, faults and changes of node fall."""

from pathlib import Path
from typing import Any

import pytest

from abci_app.bridge.follow import (
    FETCHES_PER_POLL,
    LATE_HEIGHTS,
    LATE_POLL_S,
    LISTED_MAX,
    REFUSED_PAUSE_S,
    RELIST_HEIGHTS,
    LeafFollower,
)
from abci_app.bridge.journal import Journal
from abci_app.bridge.leaves import LeafKey
from abci_app.bridge.nodes import BATCHES_PER_CALL
from abci_app.daemon.runner import Retryable
from tests.kit.bridge.fake_node import FakeNode
from tests.kit.bridge.relay_kit import (
    OTHER,
    PLACE,
    Clock,
    DirectNodes,
    make_follower,
    make_offer,
    make_test_quorum,
)


@pytest.fixture
def node() -> FakeNode:
    return FakeNode(make_test_quorum())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.open(tmp_path / "journal.sqlite", {})


@pytest.fixture
def follower(node: FakeNode, journal: Journal, clock: Clock) -> LeafFollower:
    return make_follower(DirectNodes(node), journal, clock)


def decide(node: FakeNode, **terms: Any) -> LeafKey:
    return LeafKey(node.decide((PLACE, [make_offer()]), **terms), 0)


def test_leaves_of_our_place_are_found_and_no_others(node: FakeNode, follower: LeafFollower) -> None:
    offer = make_offer()
    height = node.decide((OTHER, [offer]), (PLACE, [make_offer()]), (OTHER, [offer]), (PLACE, [make_offer()]))
    assert follower.poll() is True
    assert list(follower.leaves) == [LeafKey(height, 1), LeafKey(height, 3)]
    assert follower.poll() is False
    assert node.calls.count("Execution") == 2


def test_the_cursor_stands_below_what_is_not_settled(node: FakeNode, follower: LeafFollower) -> None:
    first, second = decide(node), decide(node)
    follower.poll()
    assert follower.cursor == first.height - 1
    follower.drop(first)
    assert follower.cursor == second.height - 1
    follower.drop(second)
    assert follower.cursor == node.height
    assert follower.poll() is False
    assert follower.leaves == {}


def test_one_that_is_attested_late_is_not_passed_over(node: FakeNode, follower: LeafFollower) -> None:
    late = decide(node, attested=False)
    early = decide(node)
    follower.poll()
    assert list(follower.leaves) == [early]
    follower.drop(early)
    assert follower.cursor == late.height - 1
    node.attest(late.height)
    follower.poll()
    assert list(follower.leaves) == [late]


def test_one_that_is_very_late_is_set_aside_and_still_found(
    node: FakeNode, follower: LeafFollower, clock: Clock
) -> None:
    late = decide(node, attested=False)
    node.height += LATE_HEIGHTS
    follower.poll()
    assert follower.cursor == late.height - 1
    node.calls.clear()
    for _ in range(5):
        follower.poll()
    assert "Batch" not in node.calls, "not at every poll"
    node.attest(late.height)
    clock.now_s += LATE_POLL_S + 0.1
    assert follower.poll() is True
    assert list(follower.leaves) == [late]
    follower.drop(late)
    assert follower.cursor >= late.height


def test_what_is_set_aside_and_pruned_is_forgotten(node: FakeNode, follower: LeafFollower, clock: Clock) -> None:
    late = decide(node, attested=False)
    node.height += LATE_HEIGHTS
    follower.poll()
    del node.stored[late.height]
    clock.now_s += LATE_POLL_S + 0.1
    follower.poll()
    assert follower.cursor == node.height


def test_many_are_fetched_a_few_at_a_time(node: FakeNode, follower: LeafFollower) -> None:
    keys = [decide(node) for _ in range(2 * FETCHES_PER_POLL + 3)]
    for polls in (1, 2, 3):
        assert follower.is_current is False
        follower.poll()
        assert len(follower.leaves) == min(polls * FETCHES_PER_POLL, len(keys))
    assert follower.is_current
    assert list(follower.leaves) == keys


def test_pages_are_walked_to_the_end(node: FakeNode, follower: LeafFollower) -> None:
    for _ in range(230):
        node.decide((OTHER, [make_offer()]))
    last = decide(node)
    follower.poll()
    assert (list(follower.leaves), follower.is_current) == ([last], True)


def test_what_is_settled_already_is_not_asked_for(node: FakeNode, journal: Journal, clock: Clock) -> None:
    settled, open_ = decide(node), decide(node)
    journal.settle(settled, "executed")
    follower = make_follower(DirectNodes(node), journal, clock)
    follower.poll()
    assert list(follower.leaves) == [open_]


def test_after_a_restart_it_asks_from_a_little_below_the_cursor(node: FakeNode, journal: Journal, clock: Clock) -> None:
    node.height = 5000
    near = decide(node)
    node.height = 5000 - RELIST_HEIGHTS - 50
    far = decide(node)
    node.height = 5100
    journal.move_cursor(5050)
    follower = make_follower(DirectNodes(node), journal, clock)
    follower.poll()
    assert list(follower.leaves) == [near]
    assert far.height < 5050 - RELIST_HEIGHTS


@pytest.mark.parametrize("code", ["EXPIRED", "NOT_FOUND"])
def test_what_the_node_holds_for_over_is_passed_over_but_not_settled(
    node: FakeNode, journal: Journal, follower: LeafFollower, code: str
) -> None:
    node.refuse["Execution"] = (code, "no more")
    key = decide(node)
    follower.poll()
    assert (follower.leaves, journal.is_settled(key), follower.cursor) == ({}, False, node.height)


def test_another_node_may_know_better(node: FakeNode, journal: Journal, clock: Clock) -> None:
    good = FakeNode(make_test_quorum())
    good.stored = node.stored
    nodes = DirectNodes(node, good)
    follower = make_follower(nodes, journal, clock)
    node.refuse["Execution"] = ("EXPIRED", "says who")
    key = decide(node)
    good.height = node.height
    follower.poll()
    assert follower.leaves == {}
    nodes.rotate()
    follower.poll()
    assert list(follower.leaves) == [key]


def test_a_node_without_a_key_is_left(node: FakeNode, follower: LeafFollower) -> None:
    node.refuse["Execution"] = ("NO_KEY", "no validator")
    decide(node)
    with pytest.raises(Retryable, match=r"node-untrustworthy.*NO_KEY"):
        follower.poll()


def test_a_leaf_that_is_not_ready_is_asked_for_again_after_a_pause(
    node: FakeNode, follower: LeafFollower, clock: Clock
) -> None:
    node.refuse["Execution"] = ("NOT_ATTESTED", "a moment")
    key = decide(node)
    for _ in range(5):
        follower.poll()
    assert node.calls.count("Execution") == 1
    del node.refuse["Execution"]
    clock.now_s += REFUSED_PAUSE_S
    follower.poll()
    assert list(follower.leaves) == [key]


def out_of_order(answer: Any) -> Any:
    if hasattr(answer, "batches"):
        answer.batches.reverse()
    return answer


def above_itself(answer: Any) -> Any:
    if hasattr(answer, "batches"):
        answer.height = 3
    return answer


def too_high(answer: Any) -> Any:
    answer.height = 2**63
    return answer


def too_many(answer: Any) -> Any:
    if hasattr(answer, "batches"):
        del answer.batches[:]
        for height in range(1, BATCHES_PER_CALL + 2):
            answer.batches.add(height=height)
        answer.height = 1000
    return answer


def too_wide(answer: Any) -> Any:
    if hasattr(answer, "batches"):
        for _ in range(LISTED_MAX):
            answer.batches[0].leaves.add(destination=PLACE.domain)
    return answer


@pytest.mark.parametrize("lie", [out_of_order, above_itself, too_high, too_many, too_wide])
def test_a_list_that_cannot_be_is_a_lie(node: FakeNode, follower: LeafFollower, lie: Any) -> None:
    decide(node), decide(node)
    node.corrupt = lie
    with pytest.raises(Retryable, match="node-untrustworthy"):
        follower.poll()
    assert follower.leaves == {}


def test_invented_heights_are_forgotten_with_the_node(node: FakeNode, journal: Journal, clock: Clock) -> None:
    liar = FakeNode(make_test_quorum())
    liar.height = 2**40
    nodes = DirectNodes(liar, node)
    follower = make_follower(nodes, journal, clock)
    key = decide(node)
    follower.poll()
    nodes.rotate()
    for _ in range(3):
        follower.poll()
    assert list(follower.leaves) == [key]


def test_what_the_gate_refuses_is_fetched_from_another_node(node: FakeNode, journal: Journal, clock: Clock) -> None:
    nodes = DirectNodes(node, node)
    follower = make_follower(nodes, journal, clock)
    key = decide(node)
    follower.poll()
    with pytest.raises(Retryable, match=f"payload-refused: leaf {key} from node 0: QuorumMissing"):
        follower.refuse(key, "QuorumMissing")
    assert (follower.leaves, nodes.generation) == ({}, 1)
    follower.poll()
    assert list(follower.leaves) == [key]


def test_what_the_gate_refuses_is_fetched_again_however_far_back(
    node: FakeNode, journal: Journal, clock: Clock
) -> None:
    """The listing was long past it: the next node is asked from there, not only from a little below the newest."""
    nodes = DirectNodes(node, node)
    follower = make_follower(nodes, journal, clock)
    key = decide(node)
    node.height += 3 * RELIST_HEIGHTS
    follower.poll()
    with pytest.raises(Retryable, match="payload-refused"):
        follower.refuse(key, "QuorumMissing")
    assert follower.cursor == key.height - 1
    follower.poll()
    assert list(follower.leaves) == [key]


def test_what_nodes_call_over_fills_no_memory(
    node: FakeNode, follower: LeafFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abci_app.bridge.follow.CLOSED_MAX", 5)
    node.refuse["Execution"] = ("EXPIRED", "says who")
    for _ in range(40):
        decide(node)
        follower.poll()
    assert len(follower._closed) <= 6
