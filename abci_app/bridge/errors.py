"""Errors of a relayer, fatal or retryable as decided where they are raised.

    RelayError
    ├── Fatal         ends the process with one line on stderr: somebody must change something
    └── Retryable     passes; said in the log once a cause and while, tried again
"""


class RelayError(Exception):
    """The root; its text is one line that a person can act on."""


class Fatal(RelayError):
    """Configuration, key, lock, chain, gate or journal are not as they must be."""


class Retryable(RelayError):
    """Something outside did not answer, or not usefully. ``cause`` is a short stable word for the log."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail
