"""Limit of concurrent calls: one beyond it is refused at once, none waits."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core.reads import QueryError


class Slots:
    """Limit of ``count`` concurrent calls; ``what`` names in a refusal what they do."""

    def __init__(self, count: int, what: str) -> None:
        self._count, self._what = count, what
        self._free = threading.BoundedSemaphore(count)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold a slot for the block, however it ends. Raises QueryError(MEMPOOL_FULL) where all are held."""
        if not self._free.acquire(blocking=False):
            raise QueryError(AnswerCode.MEMPOOL_FULL, f"{self._count} calls {self._what} already")
        try:
            yield
        finally:
            self._free.release()
