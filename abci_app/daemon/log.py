"""Log of a process through ``logging``: one JSON object a line, ids as fields, bounded per kind, without URLs' secrets.

    log.info("committed", extra={"height": 7})
    {"time": "…T12:00:00.123Z", "level": "info", "source": "abci_app.node.app", "event": "committed", "height": 7}
"""

import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from abci_app.daemon.files import PRIVATE_MODE

STDOUT = 1
OURS = "abci_app"
SAME_PER_SECOND = 5
"""Lines of one kind: same source, level and text before its values are filled in."""
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Fields of every log record; what a record has beyond them came with ``extra``."""
URL = re.compile(r"\b(https?|wss?)://(?:[^\s/?#\"'<>]*@)?([^\s/?#\"'<>]+)[^\s\"'<>]*", re.IGNORECASE)
TARGET = re.compile(r"(with url: |broken by .*: |\"[A-Z]{3,7} )[/?][^\s\"]*")
"""Path of a request as urllib3 writes it, without its host."""


class JsonLinesFormatter(logging.Formatter):
    """Formats a record as one line of JSON; bytes in 0x hex, of a URL scheme, host and port only."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "source": record.name,
            "event": record.getMessage(),
        }
        line.update((name, value) for name, value in vars(record).items() if name not in STANDARD)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(render_value(line))


class RateLimit(logging.Filter):
    """Lets SAME_PER_SECOND records of one kind pass per second; the next that passes says how many did not.

    Of libraries, warnings and errors only: what they say of each request may hold the keys in its URL.
    """

    def __init__(self, same_per_second: int = SAME_PER_SECOND) -> None:
        super().__init__()
        self._limit = same_per_second
        self._lock = threading.Lock()
        self._second = 0
        self._passed: dict[tuple[str, int, str], int] = {}
        self._held: dict[tuple[str, int, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether ``record`` is written."""
        if record.levelno < logging.WARNING and record.name.split(".")[0] != OURS:
            return False
        kind = (record.name, record.levelno, str(record.msg))
        with self._lock:
            second = int(time.monotonic())
            if second != self._second:
                self._second = second
                self._held = {kind: count - self._limit for kind, count in self._passed.items() if count > self._limit}
                self._passed = {}
            count = self._passed[kind] = self._passed.get(kind, 0) + 1
            if count > self._limit:
                return False
            held = self._held.pop(kind, 0)
        if held:
            record.suppressed = held
        return True


class JsonLinesHandler(logging.Handler):
    """Base of handlers that write records as JSON lines, few of one kind a second."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLinesFormatter())
        self.addFilter(RateLimit())


class LineHandler(JsonLinesHandler):
    """Writes each record as one line to a descriptor, which it owns.

    A full disk, or nobody who reads, stops no process: the next line that can be written says how many are ``lost``.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lost = 0
        self._is_torn = False

    def emit(self, record: logging.LogRecord) -> None:
        if self._lost:
            record.lost = self._lost
        try:
            line = self.format(record)
        except Exception:  # a mistake in a call of the log ends no process; the library shows it on standard error
            self.handleError(record)
            return
        left = (b"\n" if self._is_torn else b"") + line.encode() + b"\n"
        size = len(left)
        try:
            while left:
                left = left[os.write(self._descriptor, left):]
        except OSError:
            self._lost += 1
            self._is_torn = self._is_torn or len(left) < size
        else:
            self._lost, self._is_torn = 0, False

    def close(self) -> None:
        with self.lock or threading.Lock():
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1
        super().close()


@contextmanager
def logging_to(path: Path | None, level: str, error: type[Exception]) -> Iterator[None]:
    """Send every logger's records to a file for the time of the block. Raises ``error`` where it cannot be opened.

    The file is appended to; a new one may be read by its owner only. None is standard output.
    """
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.dup(STDOUT) if path is None else os.open(
            path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE
        )
    except OSError as failure:
        raise error(f"log.file: {failure.filename or 'standard output'}: {failure.strerror}") from failure
    with logging_through(LineHandler(descriptor), level):
        yield


@contextmanager
def logging_through(handler: JsonLinesHandler, level: str) -> Iterator[None]:
    """Give every logger's records to ``handler`` for the time of the block, then close it."""
    root = logging.getLogger()
    handlers, level_before = root.handlers, root.level
    root.handlers = [handler]
    root.setLevel(level.upper())
    try:
        yield
    finally:
        root.handlers = handlers or [logging.NullHandler()]  # threads left behind must not write to standard error
        root.setLevel(level_before)
        handler.close()


def render_value(value: object) -> object:
    """Return a value as JSON has it: bytes in 0x hex, what has no form as text; texts without the secrets of URLs."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, Mapping):
        return {redact(str(name)): render_value(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [render_value(each) for each in value]
    return redact(str(value))


def redact(text: str) -> str:
    """Return a text with scheme, host and port of each URL only: providers put access keys into the rest."""
    return TARGET.sub(r"\1/…", URL.sub(r"\1://\2", text))
