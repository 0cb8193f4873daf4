"""Reasons for silence, and the log that says each at most once a second."""

import logging
import threading
import time
from collections.abc import Callable
from enum import Enum

from abci_app.machine.state.codec import DomainId

log = logging.getLogger(__name__)

LINE_INTERVAL_S = 1.0
"""One line a domain, endpoint and cause in this time: enough to see it, too little to fill a disk."""


class Cause(Enum):
    """Why the observer says nothing, or nothing new. The value stands in the log line."""

    UNAVAILABLE = "rpc-unavailable"
    REFUSED = "rpc-refused"
    MALFORMED = "rpc-malformed"
    WRONG_CHAIN = "wrong-chain"
    LAGGING = "rpc-behind-cursor"
    NOT_CANONICAL = "cursor-not-canonical"
    HASH_CHANGED = "final-hash-changed"
    HEADER_MISMATCH = "log-not-of-its-block"
    RECEIPT_MISMATCH = "log-not-in-receipts"
    LOG_MISSING = "log-missing"
    NONCE_GAP = "nonce-gap"
    UNDECODABLE = "log-undecodable"
    OVERRULED = "network-agreed-otherwise"
    NO_QUORUM = "endpoints-disagree"


TRANSIENT = (Cause.UNAVAILABLE, Cause.REFUSED, Cause.MALFORMED, Cause.LAGGING)
"""Causes that say nothing about what was verified before: it stays published, only nothing new is added."""


class NotSure(Exception):
    """The observer does not know what the chain says; it says nothing rather than guess."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(f"{cause.value}: {detail}")
        self.cause = cause
        self.detail = detail


class DoubtLog:
    """Logs doubts, at most one line a (domain, source, cause) and second, and their end. Safe for several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_s: dict[tuple[DomainId, str, Cause], float] = {}
        self._standing: dict[tuple[DomainId, str], Cause] = {}

    def say(self, domain: DomainId, source: str, doubt: NotSure) -> None:
        """Log a doubt of one source, unless the same was logged less than a second ago."""
        key = (domain, source, doubt.cause)
        with self._lock:
            now_s, last_s = self._clock(), self._last_s.get(key)
            self._standing[(domain, source)] = doubt.cause
            if last_s is not None and now_s - last_s < LINE_INTERVAL_S:
                return
            self._last_s[key] = now_s
        log.warning(
            "not sure",
            extra={"domain": domain, "endpoint": source, "cause": doubt.cause.value, "detail": doubt.detail},
        )

    def clear(self, domain: DomainId, source: str) -> None:
        """Log that a source is sure again, if it was not."""
        with self._lock:
            cause = self._standing.pop((domain, source), None)
        if cause is not None:
            log.info("sure again", extra={"domain": domain, "endpoint": source, "cause": cause.value})
