"""Observation errors: why an endpoint's view cannot be verified, and their log."""

import logging
import threading
import time
from collections.abc import Callable
from enum import Enum

from abci_app.daemon.notices import Notices
from abci_app.machine.state.codec import DomainId

log = logging.getLogger(__name__)


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
    """Log of each source's observation errors and their end. For any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._notices: dict[tuple[DomainId, str], Notices] = {}

    def record(self, domain: DomainId, source: str, error: ObservationError) -> None:
        """Log an error of one source, unless it was logged a moment ago."""
        with self._lock:
            notices = self._notices.setdefault(
                (domain, source), Notices(log, self._clock, domain=domain, endpoint=source)
            )
            notices.say(error.cause.value, error.detail)

    def clear(self, domain: DomainId, source: str) -> None:
        """Log the end of a source's errors, if it had any."""
        with self._lock:
            notices = self._notices.get((domain, source))
            if notices is not None:
                notices.clear_all()
