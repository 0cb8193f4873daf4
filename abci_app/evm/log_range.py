"""How many blocks an endpoint gives logs of in one request: found by asking, remembered, asked again later."""

import time
from collections.abc import Callable

ASK_AGAIN_S = 600.0
"""After this time a larger range is tried again: limits of providers change, answers that were too large are read."""


class LogRange:
    """The largest range known to be served, searched between what was served and what was refused.

    An endpoint with a limit costs a few refused requests once, and again after ASK_AGAIN_S.
    """

    def __init__(self, blocks_max: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.blocks = self._blocks_max = blocks_max
        self._clock = clock
        self._refused: tuple[int, float] | None = None
        """The smallest range that was refused where a smaller one was served, and when."""

    def note_served(self, blocks: int, refused_blocks: int | None) -> None:
        """Note that a range was served, after a refusal of a larger one at the same place if there was one.

        A range that was refused is remembered only now: where not even one block is served, it is not the range.
        """
        if refused_blocks is not None:
            self._refused, self.blocks = (refused_blocks, self._clock()), blocks
        elif blocks < self.blocks:
            return  # the reader wanted no more
        elif (limit := self._find_refused()) is None:
            self.blocks = min(self._blocks_max, 2 * blocks)
        else:
            self.blocks = max(blocks, min(2 * blocks, (blocks + limit) // 2))

    def _find_refused(self) -> int | None:
        if self._refused is not None and self._clock() - self._refused[1] >= ASK_AGAIN_S:
            self._refused = None
        return None if self._refused is None else self._refused[0]
