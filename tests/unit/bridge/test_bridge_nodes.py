"""The gRPC client: one node at a time, the next one when it fails, and never longer than a deadline."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from abci_app.bridge.nodes import RETRY_AFTER_S, STALL_S, TURN_S, Nodes
from abci_app.client.connection import CALL_S
from abci_app.client.errors import NodeRefused
from abci_app.daemon.runner import Retryable
from bench.quorum import make_quorum
from tests.kit.bridge.fake_node import FakeNode
from tests.kit.bridge.relay_kit import CHAIN_ID, PLACE, Clock, make_offer, make_test_quorum


@pytest.fixture
def first() -> Iterator[FakeNode]:
    with FakeNode(make_test_quorum()) as node:
        yield node


@pytest.fixture
def second() -> Iterator[FakeNode]:
    with FakeNode(make_test_quorum()) as node:
        yield node


def test_answers_come_from_the_first_node(first: FakeNode, second: FakeNode) -> None:
    height = first.decide((PLACE, [make_offer()]))
    with closing(Nodes((first.address, second.address), CHAIN_ID)) as nodes:
        assert [batch.height for batch in nodes.batches(1).batches] == [height]
        assert nodes.batches(height + 1).height == height + 2
        assert nodes.batch(height).batch.attested_height == height + 2
        assert nodes.execution(height, 0).leaf.gate == PLACE.gate
        assert nodes.generation == 0
    assert second.calls == []


def test_a_refusal_is_an_answer(first: FakeNode) -> None:
    with closing(Nodes((first.address,), CHAIN_ID)) as nodes:
        with pytest.raises(NodeRefused) as refused:
            nodes.execution(7, 0)
        assert (refused.value.code, nodes.generation) == ("NOT_FOUND", 0)


def test_a_node_that_is_not_ready_is_left(first: FakeNode, second: FakeNode) -> None:
    first.refuse["Batches"] = ("NOT_READY", "nothing committed yet")
    with closing(Nodes((first.address, second.address), CHAIN_ID)) as nodes:
        with pytest.raises(Retryable, match="node-unavailable"):
            nodes.batches(1)
        nodes.batches(1)
        assert nodes.address == second.address


@pytest.mark.parametrize("method", ["Status", "Batches"])
def test_a_node_that_refuses_what_no_honest_one_refuses_is_left(
    first: FakeNode, second: FakeNode, method: str
) -> None:
    first.refuse[method] = ("EXPIRED", "no")
    with closing(Nodes((first.address, second.address), CHAIN_ID)) as nodes:
        with pytest.raises(Retryable, match="node-unavailable"):
            nodes.batches(1)
        nodes.batches(1)
        assert nodes.address == second.address


def test_the_list_is_walked_in_order_and_again(first: FakeNode, second: FakeNode) -> None:
    first.stop()
    second.stop()
    with closing(Nodes((first.address, second.address), CHAIN_ID)) as nodes:
        for expected in (first, second, first, second):
            assert nodes.address == expected.address
            with pytest.raises(Retryable, match=f"node-unavailable: {expected.address}"):
                nodes.batches(1)
        first.start()
        nodes.batches(1)


def test_a_node_that_hangs_costs_one_deadline(first: FakeNode) -> None:
    first.hang_s = 3 * CALL_S
    started_s = time.monotonic()
    with closing(Nodes((first.address,), CHAIN_ID)) as nodes, pytest.raises(Retryable, match="DEADLINE_EXCEEDED"):
        nodes.batches(1)
    assert CALL_S <= time.monotonic() - started_s < 2.5 * CALL_S


def test_a_node_of_another_network_is_left(second: FakeNode) -> None:
    with (
        FakeNode(make_quorum("another-network", (1,))) as other,
        closing(Nodes((other.address, second.address), CHAIN_ID)) as nodes,
    ):
        with pytest.raises(Retryable, match=r"node-of-another-network: .* serves 'another-network'"):
            nodes.batches(1)
        nodes.batches(1)
        assert nodes.address == second.address


def test_a_node_whose_height_stands_still_is_left(first: FakeNode, second: FakeNode) -> None:
    clock = Clock()
    with closing(Nodes((first.address, second.address), CHAIN_ID, clock)) as nodes:
        for _ in range(3):
            clock.now_s += STALL_S / 4
            first.height += 1
            nodes.batches(1)
        clock.now_s += STALL_S + 1
        with pytest.raises(Retryable, match=f"node-stalled: {first.address} stands at height 13"):
            nodes.batches(1)
        assert nodes.address == second.address


def test_nodes_take_turns(first: FakeNode, second: FakeNode) -> None:
    """One that hides a batch looks like one that has none: whoever is asked first must not be asked for ever."""
    clock = Clock()
    with closing(Nodes((first.address, second.address), CHAIN_ID, clock)) as nodes:
        asked = []
        for _ in range(12):
            first.height, second.height = first.height + 1, second.height + 1
            nodes.batches(1)
            asked.append(nodes.address)
            clock.now_s += TURN_S / 3
        turn = [first.address] * 3 + [second.address] * 3
        assert asked == turn * 2
        assert nodes.generation == 3


def test_a_node_that_failed_lately_gets_no_turn(first: FakeNode, second: FakeNode) -> None:
    """Else a node that is away for good would cost a moment and two lines every half minute."""
    clock = Clock()
    first.stop()
    with closing(Nodes((first.address, second.address), CHAIN_ID, clock)) as nodes:
        with pytest.raises(Retryable):
            nodes.batches(1)
        for _ in range(5):
            second.height += 1
            nodes.batches(1)
            assert nodes.address == second.address
            clock.now_s += TURN_S
        first.start()
        clock.now_s += RETRY_AFTER_S
        nodes.batches(1)
        assert nodes.address == first.address


def test_the_only_node_is_kept_however_long_it_stands_still(first: FakeNode) -> None:
    clock = Clock()
    with closing(Nodes((first.address,), CHAIN_ID, clock)) as nodes:
        for _ in range(3):
            nodes.batches(1)
            clock.now_s += 10 * STALL_S
        assert nodes.generation == 0


def test_a_node_that_restarts_is_found_again(first: FakeNode) -> None:
    with closing(Nodes((first.address,), CHAIN_ID)) as nodes:
        nodes.batches(1)
        first.stop()
        with pytest.raises(Retryable, match="node-unavailable"):
            nodes.batches(1)
        first.start()
        nodes.batches(1)
