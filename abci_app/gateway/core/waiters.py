"""Waiting for commits: the node's listener thread passes results, the threads of calls wait for them."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

from abci_app.gateway.core.reads import BlockNotice, BlocksLost
from abci_app.machine.results import TxResult

REMEMBERED_MAX = 20_000
"""Results kept, so that a transaction committed before its submitter came to wait is still found."""
CALLER_CHECK_S = 0.25
"""How often a wait asks whether its caller is still there."""


class CommitWaiters:
    """Results of committed transactions by hash, newest ``REMEMBERED_MAX``."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._results: OrderedDict[bytes, tuple[int, TxResult]] = OrderedDict()
        self._closed = False

    def hand_over(self, block: BlockNotice) -> None:
        """Store a committed block's results and wake all waits; one for a result of a lost block ends without it."""
        if isinstance(block, BlocksLost):
            return
        with self._condition:
            for tx_hash, result in block.results.items():
                self._results[tx_hash] = (block.height, result)
                self._results.move_to_end(tx_hash)
            while len(self._results) > REMEMBERED_MAX:
                self._results.popitem(last=False)
            self._condition.notify_all()

    def wait(
        self, tx: bytes, timeout_s: float, is_wanted: Callable[[], bool] = lambda: True
    ) -> tuple[int, TxResult] | None:
        """Return (height, result) of ``tx`` as soon as it is committed.

        Returns None where ``timeout_s`` passes before, the node stops, or ``is_wanted`` says that the caller left.
        """
        tx_hash, deadline = sha256(tx).digest(), time.monotonic() + timeout_s
        while True:
            rest_s = min(deadline - time.monotonic(), CALLER_CHECK_S)
            with self._condition:
                done = self._condition.wait_for(lambda: self._closed or tx_hash in self._results, rest_s)
                if done or rest_s <= 0:
                    return self._results.get(tx_hash)
            if not is_wanted():
                return None

    def close(self) -> None:
        """End all waiting."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
