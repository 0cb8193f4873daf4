"""Waiting for commits: the consensus thread passes results, gRPC threads wait for them."""

import threading
from collections import OrderedDict
from hashlib import sha256

from abci_app.gateway.reads import CommittedBlock
from abci_app.machine.results import TxResult

REMEMBERED_MAX = 20_000
"""Results kept, so that a transaction committed before its submitter came to wait is still found."""


class CommitWaiters:
    """Results of committed transactions by hash, newest ``REMEMBERED_MAX``."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._results: OrderedDict[bytes, tuple[int, TxResult]] = OrderedDict()
        self._closed = False

    def hand_over(self, block: CommittedBlock) -> None:
        """Take a committed block's results; called from the consensus thread, so it only stores and wakes."""
        with self._condition:
            for tx_hash, result in block.results.items():
                self._results[tx_hash] = (block.height, result)
                self._results.move_to_end(tx_hash)
            while len(self._results) > REMEMBERED_MAX:
                self._results.popitem(last=False)
            self._condition.notify_all()

    def wait(self, tx: bytes, timeout_s: float) -> tuple[int, TxResult] | None:
        """Return (height, result) of ``tx``; None when ``timeout_s`` passed without it, or the node stops."""
        tx_hash = sha256(tx).digest()
        with self._condition:
            self._condition.wait_for(lambda: self._closed or tx_hash in self._results, timeout_s)
            return self._results.get(tx_hash)

    def close(self) -> None:
        """End all waiting."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
