"""Log of why the relayer waits: each cause at once, then at doubling intervals, and at its end."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

REPEAT_FIRST_S = 1.0
REPEAT_MAX_S = 60.0
"""A cause that stands for a day makes some 1,450 lines."""


@dataclass
class _Standing:
    since_s: float
    logged_s: float
    repeat_s: float


class Notices:
    """The standing causes of one domain. Used by one thread."""

    def __init__(self, domain: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._domain = domain
        self._clock = clock
        self._standing: dict[str, _Standing] = {}

    def say(self, cause: str, detail: str) -> None:
        """Log a cause unless it was logged a moment ago."""
        now_s, known = self._clock(), self._standing.get(cause)
        if known is None:
            self._standing[cause] = _Standing(now_s, now_s, REPEAT_FIRST_S)
        elif now_s - known.logged_s < known.repeat_s:
            return
        else:
            known.logged_s, known.repeat_s = now_s, min(2 * known.repeat_s, REPEAT_MAX_S)
        log.warning("waiting", extra={"domain": self._domain, "cause": cause, "reason": detail})

    def clear(self, *causes: str) -> None:
        """Log that causes are over, those that stood."""
        for cause in causes:
            known = self._standing.pop(cause, None)
            if known is not None:
                lasted_s = round(self._clock() - known.since_s, 1)
                log.info("over", extra={"domain": self._domain, "cause": cause, "lasted_s": lasted_s})

    def is_standing(self, cause: str) -> bool:
        """Whether a cause was said and not cleared."""
        return cause in self._standing
