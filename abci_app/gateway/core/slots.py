"""A bound on how many calls do one thing at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core.reads import QueryError


class Slots:
    """``count`` slots; who finds none free is refused at once, and waits for nobody."""

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
