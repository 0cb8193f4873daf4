"""One JSON line an event, with ids as fields; at most a few of one kind per second, so that no input floods the log.

    log.info("committed", extra={"height": 7})
    {"time": "…T12:00:00.123Z", "level": "info", "source": "abci_app.node.app", "event": "committed", "height": 7}
"""

import json
import logging
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

SAME_PER_SECOND = 5
"""Lines of one kind: same source, level and text before its values are filled in."""
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Fields of every log record; what a record has beyond them came with ``extra``."""


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; bytes in hex."""

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
        return json.dumps(line, default=render_value)


class Limit(logging.Filter):
    """Lets SAME_PER_SECOND records of one kind pass per second; the next that passes says how many did not."""

    def __init__(self, same_per_second: int = SAME_PER_SECOND) -> None:
        super().__init__()
        self._limit = same_per_second
        self._lock = threading.Lock()
        self._second = 0
        self._passed: dict[tuple[str, int, str], int] = {}
        self._held: dict[tuple[str, int, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether ``record`` is written."""
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


def render_value(value: object) -> str:
    """Return what JSON has no form for: bytes in hex, the rest as text."""
    return value.hex() if isinstance(value, bytes) else str(value)


def start_logging(level: str, path: Path | None) -> logging.Handler:
    """Send every logger's records to ``path`` (appended; None: standard output). Raises OSError."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.StreamHandler(sys.stdout) if path is None else logging.FileHandler(path)
    handler.setFormatter(JsonLines())
    handler.addFilter(Limit())
    root = logging.getLogger()
    for other in tuple(root.handlers):
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(level.upper())
    return handler
