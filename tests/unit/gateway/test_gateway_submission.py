"""Submission without gRPC: slots are always given back, waiting holds none, a bundle loses what corrupts it only."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core import bundler, submission
from abci_app.gateway.core.reads import QueryError
from abci_app.gateway.core.submission import Submission, SubmissionOutcome, Wait
from abci_app.machine.state.codec import TransferId
from abci_app.machine.transactions.tx import SubmittedBid, decode_tx, encode_bundle
from tests.kit.gateway.gateway_kit import FakeNode
from tests.kit.gateway.memory_engine import MemoryEngine
from tests.kit.machine.driver import ROUTERS, bid_of, bundle

WAIT_S = 20.0
UNSEEN = TransferId(b"\x0f" * 32)
FIRST, SECOND, THIRD, FOURTH = ROUTERS


class World:
    """A node with one accepted transfer, an engine, and the submission between them."""

    def __init__(self, node: FakeNode | None = None) -> None:
        self.node = node or FakeNode()
        self.transfer_id = self.node.network.accept()
        self.node.publish()
        self.engine = MemoryEngine(self.node)
        self.submission = Submission(self.node, self.engine)

    def accept(self) -> TransferId:
        """Return one more accepted transfer."""
        transfer_id = self.node.network.accept()
        self.node.publish()
        return transfer_id

    def submit_bids(
        self, *bids: SubmittedBid, wait: Wait = Wait.CHECKED, timeout_s: float = 0.0
    ) -> list[SubmissionOutcome]:
        """Submit bids as one caller."""
        return self.submission.submit_bids([encode_bundle([bid]) for bid in bids], wait, timeout_s)

    @property
    def bundles(self) -> list[list[SubmittedBid]]:
        """The bids of each broadcast, in order."""
        return [list(decode_tx(raw).bids) for raw in self.engine.broadcasts]  # type: ignore[union-attr]


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


@pytest.fixture
def one_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "SUBMITTING_MAX", 1)


@pytest.fixture
def one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "WAITING_MAX", 1)


def wait_until(holds: Callable[[], bool]) -> None:
    """Return once ``holds``; fail after WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def code_of(call: Callable[[], object]) -> str:
    """The code with which a call is refused; empty where it is answered."""
    try:
        call()
    except QueryError as error:
        return error.code.name
    return ""


def wait_until_free(world: World) -> None:
    """Return once a submission is taken: a slot is given back a moment after the mempool holds its transaction."""
    wait_until(lambda: code_of(lambda: world.submission.submit(b"\xff", Wait.CHECKED)) == "")


def begin_waiting(world: World, callers: ThreadPoolExecutor, router: bytes) -> "Future[SubmissionOutcome]":
    """Let a caller submit a bid and wait for its block; return once the mempool holds it."""
    before = len(world.node.mempool)
    raw = bundle(world.transfer_id, router)  # type: ignore[arg-type]
    waiting = callers.submit(world.submission.submit, raw, Wait.COMMITTED, 60.0)
    wait_until(lambda: len(world.node.mempool) == before + 1)
    return waiting


# --- slots ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("one_slot")
def test_those_who_wait_for_a_commit_stop_no_submission(callers: ThreadPoolExecutor) -> None:
    world = World()
    waiting = []
    for router in (FIRST, SECOND, THIRD):
        waiting.append(begin_waiting(world, callers, router))
        wait_until_free(world)
    bids = callers.submit(world.submit_bids, bid_of(world.accept(), FIRST), wait=Wait.COMMITTED, timeout_s=60.0)
    wait_until(lambda: len(world.node.mempool) == 4)
    wait_until_free(world)
    assert world.submission.submit(bundle(world.transfer_id, FOURTH), Wait.CHECKED).code == 0
    assert not bids.done() and not any(one.done() for one in waiting)
    world.node.commit()
    assert [one.result(WAIT_S).height for one in waiting] == [3, 3, 3]
    assert [one.height for one in bids.result(WAIT_S)] == [3]


@pytest.mark.usefixtures("one_place")
def test_waiting_is_bounded_and_refused_before_anything_is_sent(callers: ThreadPoolExecutor) -> None:
    world = World()
    waiting = begin_waiting(world, callers, FIRST)
    second = bundle(world.transfer_id, SECOND)
    assert code_of(lambda: world.submission.submit(second, Wait.COMMITTED)) == "MEMPOOL_FULL"
    assert code_of(lambda: world.submission.submit_bids([second], Wait.COMMITTED)) == "MEMPOOL_FULL"
    assert len(world.engine.broadcasts) == 1
    assert world.submission.submit(second, Wait.CHECKED).code == 0
    world.node.commit()
    assert waiting.result(WAIT_S).height == 2
    third = begin_waiting(world, callers, THIRD)
    world.node.commit()
    assert third.result(WAIT_S).height == 3


@pytest.mark.usefixtures("one_slot")
def test_submitting_is_bounded(callers: ThreadPoolExecutor) -> None:
    world = World()
    world.engine.hang = threading.Event()
    first = callers.submit(world.submission.submit, bundle(world.transfer_id, FIRST), Wait.CHECKED)
    second = bundle(world.transfer_id, SECOND)
    wait_until(lambda: world.engine.calls == 1)
    assert code_of(lambda: world.submission.submit(second, Wait.NONE)) == "MEMPOOL_FULL"
    assert code_of(lambda: world.submission.submit_bids([second], Wait.NONE)) == "MEMPOOL_FULL"
    world.engine.hang.set()
    assert first.result(WAIT_S).code == 0
    assert world.submission.submit(second, Wait.CHECKED).code == 0


@pytest.mark.usefixtures("one_slot", "one_place")
@pytest.mark.parametrize("fault", [
    QueryError(AnswerCode.ENGINE_UNAVAILABLE, "away"), QueryError(AnswerCode.MEMPOOL_FULL, "full"), RuntimeError("bug"),
])
@pytest.mark.parametrize("wait", list(Wait))
def test_a_submission_that_fails_gives_its_slots_back(fault: Exception, wait: Wait) -> None:
    world = World()
    raw = bundle(world.transfer_id, FIRST)
    for _ in range(3):
        world.engine.fault = fault
        with pytest.raises(type(fault)) as raised:
            world.submission.submit(raw, wait)
        assert raised.value is fault
    world.engine.fault = None
    world.node.publish()
    assert world.submission.submit(raw, Wait.COMMITTED, 0.01).code == AnswerCode.TIMED_OUT


@pytest.mark.usefixtures("one_slot", "one_place")
def test_a_wait_that_ends_without_a_block_gives_its_place_back() -> None:
    world = World()
    for router in (FIRST, SECOND):
        raw = bundle(world.transfer_id, router)
        assert world.submission.submit(raw, Wait.COMMITTED, 0.01).code == AnswerCode.TIMED_OUT
    bids = bid_of(world.transfer_id, THIRD), bid_of(UNSEEN, THIRD)
    codes = [one.code_name for one in world.submit_bids(*bids, wait=Wait.COMMITTED, timeout_s=0.01)]
    assert codes == ["TIMED_OUT", "TRANSFER_UNKNOWN"]
    assert world.submission.submit(bundle(world.transfer_id, FOURTH), Wait.COMMITTED, 0.01).code_name == "TIMED_OUT"


@pytest.mark.usefixtures("one_place")
def test_a_wait_ends_soon_after_its_caller_left() -> None:
    world = World()
    started = time.monotonic()
    for router in (FIRST, SECOND):
        outcome = world.submission.submit(bundle(world.transfer_id, router), Wait.COMMITTED, 60.0, lambda: False)
        assert outcome.code == AnswerCode.TIMED_OUT
    assert time.monotonic() - started < WAIT_S


@pytest.mark.usefixtures("one_place")
def test_closing_ends_a_wait(callers: ThreadPoolExecutor) -> None:
    world = World()
    waiting = begin_waiting(world, callers, FIRST)
    world.submission.close()
    assert waiting.result(WAIT_S).code == AnswerCode.TIMED_OUT


# --- bundles --------------------------------------------------------------------------------------------------------


def test_a_bid_for_an_unseen_transfer_leaves_the_bundle_of_the_others_whole(
    monkeypatch: pytest.MonkeyPatch, callers: ThreadPoolExecutor
) -> None:
    monkeypatch.setattr(bundler, "GATHER_S", 0.5)
    world = World()
    bids = [*(bid_of(world.transfer_id, router) for router in ROUTERS), bid_of(UNSEEN, FIRST)]
    outcomes = [one for [one] in callers.map(world.submit_bids, bids)]
    assert [one.code_name for one in outcomes] == ["OK"] * 4 + ["TRANSFER_UNKNOWN"]
    assert [len(each) for each in world.bundles] == [4]
    assert len({one.tx_hash for one in outcomes[:4]}) == 1 and UNSEEN.hex() in outcomes[4].reason


def test_a_bid_that_is_refused_by_the_time_its_bundle_leaves_is_left_out(
    monkeypatch: pytest.MonkeyPatch, callers: ThreadPoolExecutor
) -> None:
    """The observer forgot the transfer in between: the node says what it says now, and the others leave together."""
    monkeypatch.setattr(bundler, "GATHER_S", 0.5)
    answers = [True]
    node = FakeNode()
    monkeypatch.setattr(node, "has_seen", lambda _: bool(answers and answers.pop()))
    world = World(node)
    bids = [*(bid_of(world.transfer_id, router) for router in ROUTERS), bid_of(UNSEEN, FIRST)]
    outcomes = [one for [one] in callers.map(world.submit_bids, bids)]
    assert [one.code_name for one in outcomes] == ["OK"] * 4 + ["TRANSFER_UNKNOWN"]
    assert [len(each) for each in world.bundles] == [5, 4]


def test_what_only_the_engine_refuses_parts_a_bundle_by_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode()
    monkeypatch.setattr(node, "has_seen", lambda _: True)
    world = World(node)
    ids = [world.transfer_id, *(world.accept() for _ in range(3))]
    bids = [*(bid_of(transfer_id, router) for transfer_id in ids for router in ROUTERS), bid_of(UNSEEN, FIRST)]
    outcomes = world.submit_bids(*bids)
    assert [one.code_name for one in outcomes] == ["OK"] * 16 + ["TRANSFER_UNKNOWN"]
    assert len(world.bundles) <= 11 and len(world.node.mempool) <= 5
    assert sorted(bid.router for raw in world.node.mempool for bid in decode_tx(raw).bids) == sorted(  # type: ignore[union-attr]
        router for router in ROUTERS for _ in ids
    )


def test_a_bid_alone_that_the_engine_refuses_has_the_engines_code(monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode()
    monkeypatch.setattr(node, "has_seen", lambda _: True)
    world = World(node)
    assert [one.code_name for one in world.submit_bids(bid_of(UNSEEN, FIRST))] == ["TRANSFER_UNKNOWN"]
    assert [len(each) for each in world.bundles] == [1]


def test_bids_are_answered_and_forgotten_whatever_the_engine_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundler, "PENDING_BIDS_MAX", 2)
    world = World()
    bids = bid_of(world.transfer_id, FIRST), bid_of(world.transfer_id, SECOND)
    for fault in (RuntimeError("bug"), QueryError(AnswerCode.ENGINE_UNAVAILABLE, "away"), RuntimeError("bug")):
        world.engine.fault = fault
        assert [one.code_name for one in world.submit_bids(*bids)] == ["ENGINE_UNAVAILABLE"] * 2
    world.engine.fault = None
    assert [one.code for one in world.submit_bids(*bids)] == [0, 0]


@pytest.mark.parametrize("raw", [b"", b"\xff", encode_bundle([bid_of(UNSEEN, FIRST), bid_of(UNSEEN, SECOND)])])
def test_what_is_no_bundle_of_one_bid_is_refused(raw: bytes) -> None:
    node = FakeNode()
    node.seen.add(UNSEEN)
    world = World(node)
    try:
        assert world.submission.submit_bids([raw], Wait.CHECKED)[0].code != 0
    except QueryError as error:
        assert error.code is AnswerCode.ARGUMENT_INVALID
    assert world.engine.broadcasts == []
