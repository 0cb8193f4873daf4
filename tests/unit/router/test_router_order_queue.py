"""Orders wait in a bounded queue by the time of their next try; refusals are said once and rest."""

import threading
import time

from abci_app.machine.state.codec import TransferId
from abci_app.router.bidder import BACKOFF_FIRST_S, BACKOFF_MAX_S, REMEMBERED_MAX, Refusals
from abci_app.router.order_queue import RETRY_DELAYS_S, Order, OrderQueue
from tests.kit.router.router_kit import collecting


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def order(number: int) -> Order:
    return Order(TransferId(bytes([number]) * 32), 2222, None)


def test_first_come_first_served_each_once() -> None:
    pending = OrderQueue(Clock())
    assert [pending.add(order(number)) for number in (3, 1, 2, 1)] == [True] * 4
    taken = [pending.take(0) for _ in range(4)]
    assert taken == [order(3), order(1), order(2), None]


def test_an_order_in_hand_is_not_queued_again() -> None:
    pending = OrderQueue(Clock())
    pending.add(order(1))
    in_hand = pending.take(0)
    assert in_hand is not None and order(1).transfer_id in pending
    pending.add(order(1))
    assert pending.take(0) is None
    pending.done(in_hand)
    assert order(1).transfer_id not in pending
    pending.add(order(1))
    assert pending.take(0) == order(1)


def test_retries_follow_the_list_and_end() -> None:
    clock = Clock()
    pending = OrderQueue(clock)
    pending.add(order(1))
    pending.take(0)
    for delay_s in RETRY_DELAYS_S:
        assert pending.retry(order(1))
        assert pending.take(0) is None
        clock.now += delay_s - 0.001
        assert pending.take(0) is None
        clock.now += 0.002
        assert pending.take(0) == order(1)
    assert not pending.retry(order(1))
    assert order(1).transfer_id not in pending
    assert abs(sum(RETRY_DELAYS_S) - 6.4) < 1e-9


def test_an_order_that_waits_holds_up_no_other() -> None:
    pending = OrderQueue(Clock())
    pending.add(order(1))
    pending.take(0)
    pending.retry(order(1))
    pending.add(order(2))
    assert pending.take(0) == order(2)


def test_a_full_queue_takes_no_more() -> None:
    pending = OrderQueue(Clock(), orders_max=2)
    assert [pending.add(order(number)) for number in (1, 2, 3)] == [True, True, False]
    assert pending.add(order(1)), "it is there already"
    pending.done(order(1))
    assert pending.add(order(3))


def test_taking_waits_for_what_another_thread_adds() -> None:
    pending = OrderQueue()
    taken: list[Order | None] = []
    thread = threading.Thread(target=lambda: taken.append(pending.take(30)))
    thread.start()
    pending.add(order(1))
    thread.join(30)
    assert taken == [order(1)]
    started = time.monotonic()
    assert pending.take(0.05) is None and time.monotonic() - started >= 0.05


def test_a_cause_is_logged_once_and_the_transfer_rests_longer_each_time() -> None:
    clock = Clock()
    refusals = Refusals(clock)
    rests = []
    with collecting() as log:
        for _ in range(6):
            refusals.note(b"\1" * 32, "not_bidding", "liquidity_short", "why")
            began = clock.now
            while refusals.is_backing_off(b"\1" * 32):
                clock.now += 0.5
            rests.append(clock.now - began)
        assert rests == [BACKOFF_FIRST_S, 4, 8, 16, BACKOFF_MAX_S, BACKOFF_MAX_S]
        refusals.note(b"\1" * 32, "not_bidding", "not_pending", "why")
        refusals.note(b"\2" * 32, "not_bidding", "not_pending", "why")
    assert [(line["event"], line["cause"]) for line in log.lines] == [
        ("not_bidding", "liquidity_short"), ("not_bidding", "not_pending"), ("not_bidding", "not_pending")
    ]
    assert not refusals.is_backing_off(b"\3" * 32)


def test_refusals_are_forgotten_beyond_a_bound() -> None:
    refusals = Refusals(Clock())
    for number in range(REMEMBERED_MAX + 1):
        refusals.note(number.to_bytes(32, "big"), "not_bidding", "x", "y")
    assert not refusals.is_backing_off(bytes(32))
    assert refusals.is_backing_off((REMEMBERED_MAX).to_bytes(32, "big"))
