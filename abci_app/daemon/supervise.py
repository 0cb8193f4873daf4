"""A supervisor keeps one validator's application and CometBFT up as a pair.

CometBFT does not reconnect to an application that died; it ends, with exit status 0. So: application first, the engine
when the application answers; when the application ends both start anew, when the engine ends it alone does; told to
stop, the engine ends first. The kernel kills both children should the supervisor itself be killed.
"""

import logging
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from abci_app.daemon.child import end_child

log = logging.getLogger(__name__)

RESTART_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Between restarts; the last repeats. A pair that stayed up for HEALTHY_S starts from the first again."""
HEALTHY_S = 30.0
GRACE_S = 15.0
"""For each of the two between SIGTERM and SIGKILL: either ends within a second or two of an idle machine."""
FIRST_START_S = 10.0
"""An engine that refuses its files does so within this."""
READY_REMINDER_S = 30.0
"""A large state takes the application a while to load; after each of these it is said that the engine still waits."""
POLL_S = 0.05
PEER = struct.Struct("3i")
"""Linux's ucred: PID of whoever listens, user, group."""


@dataclass(frozen=True)
class Part:
    """One of the two processes."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    """Starts it, in the calling thread. Raises OSError."""


class StartRefused(Exception):
    """A part ended by itself, with a status other than 0, before it had ever served: no restart mends that."""

    def __init__(self, part: str, status: int) -> None:
        super().__init__(f"{part} ended with status {status} at its first start")
        self.part = part


class Supervisor:
    """The loop of one pair; ends within twice ``grace_s`` after ``stopping`` is set."""

    def __init__(
        self, application: Part, engine: Part, abci_address: str, *,
        changed: Callable[[str, int | None], None] = lambda part, pid: None,
        grace_s: float = GRACE_S, is_refusal_final: bool = True,
    ) -> None:
        """``abci_address``: unix:///path or tcp://host:port. ``changed``: told each part's PID, None once it ended.

        ``is_refusal_final``: whether a part that refuses its first start ends the supervisor.
        """
        self._application, self._engine, self._abci_address = application, engine, abci_address
        self._changed = changed
        self._grace_s, self._is_refusal_final = grace_s, is_refusal_final
        self._has_served: set[str] = set()
        self._started_s: dict[str, float] = {}
        self.stopping = threading.Event()

    def run(self) -> None:
        """Keep the pair up until told to stop. Raises StartRefused, OSError."""
        delays = _delays()
        application: subprocess.Popen[bytes] | None = None
        engine: subprocess.Popen[bytes] | None = None
        try:
            while not self.stopping.is_set():
                if application is None or application.poll() is not None:
                    self._end(self._engine, engine)
                    engine = None
                    delays = self._back_off(delays, self._application, application)
                    application = self._start(self._application)
                    self._wait_ready(application)
                elif engine is None or engine.poll() is not None:
                    delays = self._back_off(delays, self._engine, engine)
                    engine = self._start(self._engine)
                else:
                    self.stopping.wait(POLL_S)
        finally:
            self._end(self._engine, engine)
            self._end(self._application, application)

    def _start(self, part: Part) -> subprocess.Popen[bytes] | None:
        """Start a part, unless the end came first."""
        if self.stopping.is_set():
            return None
        process = part.start()
        self._started_s[part.name] = time.monotonic()
        self._changed(part.name, process.pid)
        log.info("started", extra={"part": part.name, "pid": process.pid})
        return process

    def _back_off(
        self, delays: Iterator[float], part: Part, ended: subprocess.Popen[bytes] | None
    ) -> Iterator[float]:
        """Wait before a restart; nothing before a first start. Raises StartRefused."""
        if ended is None:
            return delays
        self._changed(part.name, None)
        up_s = time.monotonic() - self._started_s[part.name]
        self._require_start(part, ended.returncode, up_s)
        if up_s > HEALTHY_S:
            delays = _delays()
        delay_s = next(delays)
        log.warning("ended", extra={
            "part": part.name, "pid": ended.pid, "status": ended.returncode, "restart_in_s": delay_s,
        })
        self.stopping.wait(delay_s)
        return delays

    def _require_start(self, part: Part, status: int, up_s: float) -> None:
        """Raise StartRefused for a first start that failed; a signal (a status below 0) is nobody's refusal."""
        if part is self._engine and up_s > FIRST_START_S:
            self._has_served.add(part.name)
        if self._is_refusal_final and status > 0 and part.name not in self._has_served:
            log.error("refused", extra={"part": part.name, "status": status})
            raise StartRefused(part.name, status)
        self._has_served.add(part.name)

    def _wait_ready(self, application: subprocess.Popen[bytes] | None) -> None:
        """Wait until the application's socket answers or the application ended."""
        remind_at_s = time.monotonic() + READY_REMINDER_S
        while application is not None and application.poll() is None and not self.stopping.is_set():
            try:
                _connect(self._abci_address, application.pid)
            except OSError:
                self.stopping.wait(POLL_S)
            else:
                self._has_served.add(self._application.name)
                return
            if time.monotonic() > remind_at_s:
                fields = {"part": self._application.name, "address": self._abci_address}
                log.warning("not ready", extra=fields)
                remind_at_s += READY_REMINDER_S

    def _end(self, part: Part, process: subprocess.Popen[bytes] | None) -> None:
        """End a part that was started, and say so where it had to be killed."""
        if process is None:
            return
        if end_child(process, self._grace_s):
            log.warning("killed", extra={"part": part.name, "pid": process.pid, "after_s": self._grace_s})
        self._changed(part.name, None)


def _connect(address: str, pid: int) -> None:
    """Open and close a connection. Raises OSError while ``pid`` does not listen; at a port, while nobody does."""
    kind, _, place = address.partition("://")
    if kind == "unix":
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(place)
            listener, _, _ = PEER.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
        if listener != pid:  # that of another pair on the same home: ours is about to refuse
            raise OSError(f"{address} is served by PID {listener}")
    else:
        host, _, port = place.rpartition(":")
        socket.create_connection((host, int(port)), timeout=1.0).close()


def _delays() -> Iterator[float]:
    yield from RESTART_DELAYS_S
    while True:
        yield RESTART_DELAYS_S[-1]
