"""Observation errors: why an endpoint's view cannot be verified, logged at most once a second for each cause."""

import logging
import threading
import time
from collections.abc import Callable
from enum import Enum

from abci_app.machine.state.codec import DomainId

log = logging.getLogger(__name__)

LINE_INTERVAL_S = 1.0
"""One line a domain, endpoint and cause in this time: enough to see it, too little to fill a disk."""


class ErrorCause(Enum):
    """Cause of an observation error; its value is the field ``cause`` of the log line."""

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


TRANSIENT = (ErrorCause.UNAVAILABLE, ErrorCause.REFUSED, ErrorCause.MALFORMED, ErrorCause.LAGGING)
"""Causes that leave verified segments valid: these stay published, and no new ones are added."""


class ObservationError(Exception):
    """The endpoint's view cannot be verified; no report is published."""

    def __init__(self, cause: ErrorCause, detail: str) -> None:
        super().__init__(f"{cause.value}: {detail}")
        self.cause = cause
        self.detail = detail


class ObservationErrorLog:
    """Thread-safe log of observation errors and their end: at most one line a second for each source and cause."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_s: dict[tuple[DomainId, str, ErrorCause], float] = {}
        self._open_causes: dict[tuple[DomainId, str], ErrorCause] = {}

    def record(self, domain: DomainId, source: str, error: ObservationError) -> None:
        """Log an error of one source, unless the same was logged less than a second ago."""
        key = (domain, source, error.cause)
        with self._lock:
            now_s, last_s = self._clock(), self._last_s.get(key)
            self._open_causes[(domain, source)] = error.cause
            if last_s is not None and now_s - last_s < LINE_INTERVAL_S:
                return
            self._last_s[key] = now_s
        log.warning(
            "not sure",
            extra={"domain": domain, "endpoint": source, "cause": error.cause.value, "reason": error.detail},
        )

    def clear(self, domain: DomainId, source: str) -> None:
        """Log the end of a source's error, if it had one."""
        with self._lock:
            cause = self._open_causes.pop((domain, source), None)
        if cause is not None:
            log.info("sure again", extra={"domain": domain, "endpoint": source, "cause": cause.value})
