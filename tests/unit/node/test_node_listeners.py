"""Listeners of committed blocks: what they get, and that none delays consensus or another."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from abci_app.abci import messages as pb
from abci_app.gateway.core.engine import Checked
from abci_app.gateway.core.submission import Submission, SubmissionOutcome, Wait
from abci_app.machine.block_events import EventKind
from abci_app.machine.codes import Code
from abci_app.machine.results import BlockEvent, TxResult
from abci_app.machine.state import keys
from abci_app.machine.state.codec import TransferId
from abci_app.machine.transactions.tx import encode_bundle
from abci_app.node import listeners
from abci_app.node.app import list_changed_transfers
from abci_app.node.listeners import QUEUED_BLOCKS_MAX, BlockDispatcher
from abci_app.node.run import PublishedReads
from abci_app.node.view import BlockNotice, BlocksLost, CommittedBlock
from tests.kit.gateway.gateway_kit import make_block
from tests.kit.machine.small_world import ORIGIN, valid_bid
from tests.kit.node.small_chain import GENESIS_TIME_S, Network, make_info, make_xcalled

WAIT_S = 20.0
XCALLED = make_xcalled(make_info(0))
BID = encode_bundle([valid_bid(XCALLED.transfer_id)])


class Heard:
    """A listener that keeps what it was called with; it may wait for a gate, be slow, or raise."""

    def __init__(self, gate: threading.Event | None = None, pause_s: float = 0, error: Exception | None = None) -> None:
        self.notices: list[BlockNotice] = []
        self.entered = threading.Event()
        self._gate, self._pause_s, self._error = gate, pause_s, error

    def __call__(self, notice: BlockNotice) -> None:
        self.notices.append(notice)
        self.entered.set()
        if self._gate is not None:
            self._gate.wait()
        time.sleep(self._pause_s)
        if self._error is not None:
            raise self._error

    @property
    def heights(self) -> list[int | BlocksLost]:
        """Heights of the blocks, losses in their place."""
        return [each.height if isinstance(each, CommittedBlock) else each for each in self.notices]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Listeners that wait for it end with the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path, powers=(1,))
    yield made
    made.validators[0].app.listeners.stop()
    made.close()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.005)


def dispatch(*heard: Heard) -> BlockDispatcher:
    """A started dispatcher of these listeners, named a, b, c …"""
    dispatcher = BlockDispatcher()
    for name, each in zip("abcdef", heard, strict=False):
        dispatcher.subscribe(name, each)
    dispatcher.start()
    return dispatcher


def publish(dispatcher: BlockDispatcher, first: int, last: int) -> None:
    for height in range(first, last + 1):
        dispatcher.publish(make_block(height, {}))


# --- in order, bounded, told of losses --------------------------------------------------------------------------------


def test_a_listener_that_blocks_for_ever_costs_nobody_else_a_block(net: Network, gate: threading.Event) -> None:
    """1,000 blocks are committed meanwhile; what waits for it is bounded, and afterwards it learns what it lost."""
    app = net.validators[0].app
    blocked, neighbour = Heard(gate), Heard()
    app.listeners.subscribe("blocked", blocked)
    app.listeners.subscribe("neighbour", neighbour)
    app.listeners.start()
    net.step()
    assert blocked.entered.wait(WAIT_S)
    for _ in range(999):
        net.step()
    wait_until(lambda: len(neighbour.notices) == 1000)
    assert neighbour.heights == list(range(1, 1001))
    assert blocked.heights == [1]
    lost = 1000 - 1 - QUEUED_BLOCKS_MAX
    assert PublishedReads(app).counters()["listener_blocks_lost_blocked"] == lost
    assert PublishedReads(app).counters()["blocks"] == 1000
    gate.set()
    wait_until(lambda: len(blocked.notices) == 2 + QUEUED_BLOCKS_MAX)
    assert blocked.heights == [1, BlocksLost(2, 1 + lost), *range(2 + lost, 1001)]


def test_two_gaps_are_told_apart_and_what_is_between_them_comes() -> None:
    heard = Heard()
    turns = threading.Semaphore(1)

    def take(notice: BlockNotice) -> None:
        turns.acquire(timeout=WAIT_S)
        heard(notice)

    dispatcher = BlockDispatcher()
    dispatcher.subscribe("a", take)
    dispatcher.start()
    publish(dispatcher, 1, 1)
    wait_until(lambda: heard.heights == [1])
    publish(dispatcher, 2, 2)
    queued = dispatcher._subscriptions[0]._queued
    wait_until(lambda: not queued)  # the listener holds 2
    publish(dispatcher, 3, 4 + QUEUED_BLOCKS_MAX)  # two more than fit: 3 and 4 are lost
    turns.release(3)  # 2, the gap, 5
    wait_until(lambda: len(queued) == QUEUED_BLOCKS_MAX - 2)  # the listener holds 6
    publish(dispatcher, 5 + QUEUED_BLOCKS_MAX, 7 + QUEUED_BLOCKS_MAX)  # one more than fits: 7 is lost
    turns.release(QUEUED_BLOCKS_MAX + 9)
    last = 7 + QUEUED_BLOCKS_MAX
    wait_until(lambda: heard.heights[-1:] == [last])
    assert heard.heights == [1, 2, BlocksLost(3, 4), 5, 6, BlocksLost(7, 7), *range(8, last + 1)]
    dispatcher.stop()


@pytest.mark.parametrize(("blocks", "expected"), [
    (QUEUED_BLOCKS_MAX, [1, *range(2, 2 + QUEUED_BLOCKS_MAX)]),
    (QUEUED_BLOCKS_MAX + 1, [1, BlocksLost(2, 2), *range(3, 3 + QUEUED_BLOCKS_MAX)]),
], ids=["as many as fit", "one more"])
def test_the_bound_on_queued_blocks(gate: threading.Event, blocks: int, expected: list[int | BlocksLost]) -> None:
    heard = Heard(gate)
    dispatcher = dispatch(heard)
    publish(dispatcher, 1, 1)
    assert heard.entered.wait(WAIT_S)
    publish(dispatcher, 2, 1 + blocks)
    gate.set()
    dispatcher.stop(WAIT_S)
    assert heard.heights == expected


def test_the_bound_on_queued_entries_counts_results_and_events(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "QUEUED_ENTRIES_MAX", 8)
    event = BlockEvent(EventKind.DROPPED, (("transfer_id", "00"),))
    heard = Heard(gate)
    dispatcher = dispatch(heard)
    publish(dispatcher, 1, 1)
    assert heard.entered.wait(WAIT_S)
    for height in (2, 3):  # each of four entries: two results, an event each
        dispatcher.publish(make_block(height, {b"%d" % each: TxResult(Code.OK, events=(event,)) for each in range(2)}))
    publish(dispatcher, 4, 5)  # without any
    assert "listener_blocks_lost_a" not in dispatcher.counters()
    dispatcher.publish(make_block(6, {b"one": TxResult(Code.OK)}))
    assert dispatcher.counters() == {"listener_blocks_lost_a": 1}
    dispatcher.publish(make_block(7, {b"%d" % each: TxResult(Code.OK) for each in range(50)}))  # comes alone, and comes
    gate.set()
    dispatcher.stop(WAIT_S)
    assert heard.heights == [1, BlocksLost(2, 6), 7]


def test_what_was_taken_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "QUEUED_ENTRIES_MAX", 8)
    turns = threading.Semaphore(0)
    heard = Heard()

    def take(notice: BlockNotice) -> None:
        heard(notice)
        turns.acquire(timeout=WAIT_S)

    dispatcher = BlockDispatcher()
    dispatcher.subscribe("a", take)
    dispatcher.start()
    full = {b"%d" % each: TxResult(Code.OK) for each in range(4)}
    for height in range(1, 7):  # one is being taken, two wait: as many as fit
        dispatcher.publish(make_block(height, full))
        if height > 2:
            turns.release()
        taken = max(1, height - 1)
        wait_until(partial(lambda count: len(heard.notices) == count, taken))
    turns.release(9)
    dispatcher.stop(WAIT_S)
    assert heard.heights == list(range(1, 7)) and dispatcher.counters() == {}


# --- slow and raising ones --------------------------------------------------------------------------------------------


def test_a_listener_that_raises_gets_every_block_and_so_does_its_neighbour(caplog: pytest.LogCaptureFixture) -> None:
    raising, neighbour = Heard(error=ValueError("no")), Heard()
    dispatcher = dispatch(raising, neighbour)
    publish(dispatcher, 1, 20)
    dispatcher.stop(WAIT_S)
    assert raising.heights == neighbour.heights == list(range(1, 21))
    assert dispatcher.counters() == {"listener_failures_a": 20}
    assert [each.msg for each in caplog.records] == ["listener failed"], "the same cause is told once"
    assert caplog.records[0].exc_info is not None and caplog.records[0].__dict__["listener"] == "a"


def test_another_cause_and_the_same_one_after_a_success_are_told(caplog: pytest.LogCaptureFixture) -> None:
    errors = iter([ValueError("a"), ValueError("a"), ValueError("b"), None, ValueError("b")])

    def take(notice: BlockNotice) -> None:
        error = next(errors)
        if error is not None:
            raise error

    dispatcher = BlockDispatcher()
    dispatcher.subscribe("changing", take)
    dispatcher.start()
    publish(dispatcher, 1, 5)
    dispatcher.stop(WAIT_S)
    causes = [str(each.exc_info[1]) for each in caplog.records if each.exc_info]
    assert causes == ["a", "b", "b"]
    assert dispatcher.counters() == {"listener_failures_changing": 4}


def test_a_slow_listener_delays_neither_commits_nor_its_neighbour(net: Network) -> None:
    app = net.validators[0].app
    slow, neighbour = Heard(pause_s=0.5), Heard()
    app.listeners.subscribe("slow", slow)
    app.listeners.subscribe("neighbour", neighbour)
    app.listeners.start()
    started = time.monotonic()
    for _ in range(20):
        net.step()
    wait_until(lambda: neighbour.heights == list(range(1, 21)))
    assert time.monotonic() - started < 20 * 0.5
    assert slow.heights == list(range(1, 1 + len(slow.heights))) and len(slow.heights) < 20


def test_falling_behind_is_told_once(gate: threading.Event, caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard(gate)
    dispatcher = dispatch(heard)
    publish(dispatcher, 1, 1)
    assert heard.entered.wait(WAIT_S)
    with caplog.at_level(logging.WARNING):
        publish(dispatcher, 2, 11 + QUEUED_BLOCKS_MAX)
    assert [each.msg for each in caplog.records] == ["listener is behind"]
    assert caplog.records[0].__dict__["height"] == 2 + QUEUED_BLOCKS_MAX
    caplog.clear()
    gate.set()
    dispatcher.stop(WAIT_S)
    [told] = caplog.records
    assert told.msg == "listener lost blocks"
    assert (told.__dict__["first_height"], told.__dict__["last_height"]) == (2, 11)


# --- start and end ----------------------------------------------------------------------------------------------------


def test_what_is_queued_at_the_end_is_handed_over() -> None:
    slow = Heard(pause_s=0.01)
    dispatcher = dispatch(slow)
    publish(dispatcher, 1, 50)
    dispatcher.stop(WAIT_S)
    assert slow.heights == list(range(1, 51))
    publish(dispatcher, 51, 52)
    assert slow.heights == list(range(1, 51)), "nothing is taken after the end"


def test_the_end_takes_bounded_time_and_drops_the_rest(
    gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    blocked, slow, quick = Heard(gate), Heard(pause_s=0.2), Heard()
    dispatcher = dispatch(blocked, slow, quick)
    publish(dispatcher, 1, 100)
    assert blocked.entered.wait(WAIT_S)
    started = time.monotonic()
    dispatcher.stop(0.5)
    assert 0.4 < time.monotonic() - started < 5
    assert quick.heights == list(range(1, 101))
    taken = len(slow.heights)
    assert taken < 50
    blocks_dropped = {each.__dict__["listener"]: each.__dict__["blocks_dropped"] for each in caplog.records}
    assert blocks_dropped["a"] == 99 and blocks_dropped["b"] == 100 - taken
    gate.set()
    time.sleep(0.5)
    assert blocked.heights == [1] and slow.heights == list(range(1, taken + 1)), "what is dropped does not come later"
    assert not any(each.name in ("listener-a", "listener-b", "listener-c") for each in threading.enumerate())


def test_an_end_without_a_start_is_nothing() -> None:
    dispatcher = BlockDispatcher()
    dispatcher.subscribe("a", Heard())
    publish(dispatcher, 1, 3 + QUEUED_BLOCKS_MAX)
    dispatcher.stop()
    assert dispatcher.counters() == {}, "blocks that nobody takes are not kept until they are lost"


def test_after_the_start_nobody_subscribes() -> None:
    dispatcher = dispatch(Heard())
    with pytest.raises(RuntimeError, match="late subscribes after the start"):
        dispatcher.subscribe("late", Heard())
    dispatcher.stop()


def test_after_a_restart_a_listener_begins_behind_the_head(net: Network) -> None:
    validator = net.validators[0]
    for _ in range(3):
        net.step()
    validator.store.close()
    validator.open()
    heard = Heard()
    reads = PublishedReads(validator.app)
    reads.subscribe("test", heard)
    validator.app.listeners.start()
    committed = reads.committed()
    assert committed is not None and committed.height == 3
    net.step()
    validator.app.listeners.stop()
    assert heard.heights == [4]


# --- what a block holds -----------------------------------------------------------------------------------------------


def test_a_block_holds_what_it_did(net: Network) -> None:
    heard = Heard()
    app = net.validators[0].app
    app.listeners.subscribe("test", heard)
    app.listeners.start()
    net.chains[ORIGIN].add([XCALLED, make_xcalled(make_info(5))])  # the second leaves a gap in the nonces
    net.see()
    net.step()
    accepted = net.step()
    hash_of_block = net.block_fields(accepted.txs, 0)["hash"]
    bid = net.step([BID, b"junk"])
    net.step()
    app.listeners.stop()
    first, second, third, last = (each for each in heard.notices if isinstance(each, CommittedBlock))
    assert [each.height for each in (first, second, third, last)] == [1, 2, 3, 4]
    assert second.time_s == GENESIS_TIME_S + 2 and second.app_hash == accepted.app_hashes[0]
    assert second.block_hash == hash_of_block and len(hash_of_block) == 32
    assert [str(each.kind) for each in second.events] == ["accepted", "alarm", "accepted", "segment"]
    assert dict(second.events[0].attributes)["transfer_id"] == XCALLED.transfer_id.hex()
    assert [dict(each.attributes)["reason"] for each in second.alarms] == ["nonce gap"]
    ids = {XCALLED.transfer_id, make_xcalled(make_info(5)).transfer_id}
    assert set(second.changed_transfers) == ids and list(second.changed_transfers) == sorted(ids)
    assert first.changed_transfers == last.changed_transfers == () and first.alarms == ()
    assert third.changed_transfers == (XCALLED.transfer_id,)
    assert [result.code for result in third.tx_results] == bid.codes
    kinds = [each.kind for each in third.events]
    assert kinds.index(EventKind.BID) < kinds.index(EventKind.ASSIGNED)


def test_of_one_transaction_twice_in_a_block_the_first_result_counts() -> None:
    block = CommittedBlock(
        1, 0, b"", b"", (b"a", b"b", b"a"),
        (TxResult(Code.OK), TxResult(Code.TX_MALFORMED), TxResult(Code.BID_DUPLICATE)), (), (),
    )
    assert {key: result.code for key, result in block.results.items()} == {b"a": Code.OK, b"b": Code.TX_MALFORMED}
    assert block.count_entries() == 3


def test_a_transfer_that_leaves_the_state_is_changed() -> None:
    ids = [TransferId(bytes([number]) * 32) for number in (1, 2)]
    changes = {
        keys.CHAIN: b"", keys.transfer(ids[0]): None, keys.transfer(ids[1]): b"record",
        keys.transfer_info(ids[0]): None,
    }
    assert list_changed_transfers(changes) == tuple(ids)


# --- what a caller reads once it has its answer -----------------------------------------------------------------------


class AcceptingEngine:
    """Takes every transaction, for the test to put it into a block."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.offered = threading.Semaphore(0)

    def broadcast(self, tx: bytes, wait_checked: bool = True) -> Checked:
        self.taken.append(tx)
        self.offered.release()
        return Checked(Code.OK, "")


def test_who_is_answered_committed_reads_at_least_that_height(net: Network) -> None:
    """Also while other listeners are blocked."""
    app, engine, gate = net.validators[0].app, AcceptingEngine(), threading.Event()
    reads = PublishedReads(app)
    reads.subscribe("blocked", Heard(gate))
    submission = Submission(reads, engine)
    app.listeners.start()
    outcomes: list[tuple[SubmissionOutcome, int]] = []

    def submit(tx: bytes) -> None:
        outcome = submission.submit(tx, Wait.COMMITTED, WAIT_S)
        committed = reads.committed()
        outcomes.append((outcome, committed.height if committed is not None else -1))

    try:
        for number in range(20):
            caller = threading.Thread(target=submit, args=(b"junk %d" % number,))
            caller.start()
            assert engine.offered.acquire(timeout=WAIT_S)
            net.step(engine.taken[-1:])
            caller.join(WAIT_S)
            outcome, height = outcomes[-1]
            assert (outcome.code, outcome.height) == (Code.TX_MALFORMED, number + 1)
            assert height >= outcome.height
    finally:
        gate.set()
        submission.close()


def test_the_published_state_is_never_behind_the_block_that_is_told(net: Network) -> None:
    app = net.validators[0].app
    behind: list[int] = []

    def look(notice: BlockNotice) -> None:
        committed = app.published.latest()
        if isinstance(notice, CommittedBlock) and (committed is None or committed.height < notice.height):
            behind.append(notice.height)

    app.listeners.subscribe("look", look)
    app.listeners.start()
    for _ in range(50):
        net.step()
    app.listeners.stop()
    assert behind == [] and app.info(pb.RequestInfo()).last_block_height == 50
