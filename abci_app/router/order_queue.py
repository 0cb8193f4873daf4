"""Bounded queue of transfers to bid on, by the time of the next try."""

import heapq
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from abci_app.machine.state.codec import TransferId
from abci_app.machine.state.records import TransferInfo

PENDING_MAX = 1_000
"""Maximum of queued orders, so that a flood of them cannot fill the memory."""
RETRY_DELAYS_S = (0.1, 0.1, 0.2, 0.2, 0.4, 0.8, 1.6, 3.0)
"""For what only time can help: the node does not know the transfer yet, a chain or node is away. Sum 6.4 s; after that
the sweep finds the transfer again."""


@dataclass(frozen=True, slots=True)
class Order:
    """A transfer to bid on."""

    transfer_id: TransferId
    destination: int
    info: TransferInfo | None
    """None: signed before a restart, only to be submitted."""
    is_missing: bool = False
    """The network has no bid of this router for it, whatever the ledger says."""


class OrderQueue:
    """Thread-safe queue of the orders of one destination."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, orders_max: int = PENDING_MAX) -> None:
        self._clock = clock
        self._orders_max = orders_max
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, bytes]] = []
        """(when, a counter so that first come is first served, id): a heap."""
        self._orders: dict[bytes, tuple[Order, int]] = {}
        """Order and tries so far, by id: what waits and what is in hand."""
        self._counter = 0

    def __contains__(self, transfer_id: bytes) -> bool:
        with self._changed:
            return transfer_id in self._orders

    def add(self, order: Order) -> bool:
        """Queue an order; False where there is no room. One that is queued already stays as it is."""
        with self._changed:
            if order.transfer_id in self._orders:
                return True
            if len(self._orders) >= self._orders_max:
                return False
            self._orders[order.transfer_id] = (order, 0)
            self._push(order.transfer_id, self._clock())
            return True

    def take(self, timeout_s: float) -> Order | None:
        """Return the next order that is due, None after ``timeout_s``. It stays known until ``done`` or ``retry``."""
        deadline = self._clock() + timeout_s
        with self._changed:
            while True:
                now = self._clock()
                if self._due and self._due[0][0] <= now:
                    _, _, transfer_id = heapq.heappop(self._due)
                    return self._orders[transfer_id][0]
                if now >= deadline:
                    return None
                until = min(deadline, self._due[0][0]) if self._due else deadline
                self._changed.wait(until - now)

    def done(self, order: Order) -> None:
        """Forget an order that was taken."""
        with self._changed:
            self._orders.pop(order.transfer_id, None)

    def retry(self, order: Order) -> bool:
        """Queue an order that was taken for its next try; False, and forgotten, where it had all its tries."""
        with self._changed:
            _, tries = self._orders[order.transfer_id]
            if tries >= len(RETRY_DELAYS_S):
                del self._orders[order.transfer_id]
                return False
            self._orders[order.transfer_id] = (order, tries + 1)
            self._push(order.transfer_id, self._clock() + RETRY_DELAYS_S[tries])
            return True

    def _push(self, transfer_id: bytes, due_s: float) -> None:
        self._counter += 1
        heapq.heappush(self._due, (due_s, self._counter, transfer_id))
        self._changed.notify_all()
