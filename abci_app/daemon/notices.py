"""Log of why a part of a process waits: each cause at once, then at doubling intervals, and at its end."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

REPEAT_FIRST_S = 1.0
REPEAT_MAX_S = 60.0
"""A cause that stands for a day makes some 1,450 lines."""


@dataclass
class _Standing:
    since_s: float
    logged_s: float
    repeat_s: float


class Notices:
    """The standing causes of one part, which ``fields`` name in each line. Used by one thread."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic, **fields: object) -> None:
        self._log, self._clock, self._fields = log, clock, fields
        self._standing: dict[str, _Standing] = {}

    def say(self, cause: str, reason: str) -> None:
        """Log a cause unless it was logged a moment ago."""
        now_s, known = self._clock(), self._standing.get(cause)
        if known is None:
            self._standing[cause] = _Standing(now_s, now_s, REPEAT_FIRST_S)
        elif now_s - known.logged_s < known.repeat_s:
            return
        else:
            known.logged_s, known.repeat_s = now_s, min(2 * known.repeat_s, REPEAT_MAX_S)
        self._log.warning("waiting", extra={**self._fields, "cause": cause, "reason": reason})

    def clear(self, *causes: str) -> None:
        """Log that causes are over, those that stood."""
        for cause in causes:
            known = self._standing.pop(cause, None)
            if known is not None:
                lasted_s = round(self._clock() - known.since_s, 1)
                self._log.info("recovered", extra={**self._fields, "cause": cause, "lasted_s": lasted_s})

    def clear_all(self) -> None:
        """Log that all causes are over."""
        self.clear(*self._standing)

    def is_standing(self, cause: str) -> bool:
        """Whether a cause was said and not cleared."""
        return cause in self._standing
