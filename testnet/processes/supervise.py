"""A supervisor keeps one validator's application and CometBFT up as a pair.

``python -m testnet.processes.supervise PAIR.json`` runs it.

CometBFT does not reconnect to an application that died; it ends, with exit status 0. So: application first, then the
engine; when the application ends both start anew; when the engine ends it alone does. The kernel kills both children
should the supervisor itself be killed.
"""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from testnet.processes.pids import renew_pid
from testnet.processes.spawn import identify, save_identity, spawn

RESTART_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Back-off between restarts; the last repeats. A pair that stayed up for HEALTHY_S starts from the first again."""
HEALTHY_S = 30.0
APPLICATION_READY_S = 30.0
CHILD_GRACE_S = 2.5
"""For each of the two children between SIGTERM and SIGKILL; both fit into the network's own grace."""
POLL_S = 0.05


@dataclass(frozen=True)
class Pair:
    """What one supervisor keeps up. Commands are argument lists."""

    name: str
    application: list[str]
    engine: list[str]
    application_log: str
    engine_log: str
    abci: str
    """Address at which the application serves: unix:///path or tcp://host:port."""
    pids: str
    """Folder in which the children's identities are saved, as ``<name>-app`` and ``<name>-cometbft``."""


def save_pair(path: Path, pair: Pair) -> None:
    """Write a pair's file."""
    path.write_text(json.dumps(asdict(pair), indent=1))


def load_pair(path: Path) -> Pair:
    """Read a pair's file. Raises OSError, ValueError, TypeError."""
    return Pair(**json.loads(path.read_text()))


class Supervisor:
    """The loop of one pair; ends within twice CHILD_GRACE_S after ``stopping`` is set."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self.stopping = threading.Event()

    def run(self) -> None:
        """Keep the pair up until told to stop."""
        delays = _delays()
        application: subprocess.Popen[bytes] | None = None
        engine: subprocess.Popen[bytes] | None = None
        up_since = time.monotonic()
        try:
            while not self.stopping.is_set():
                if application is None or application.poll() is not None:
                    self._end_engine(engine)
                    engine = None
                    up_since, delays = self._back_off(up_since, delays, "app", application)
                    if self.stopping.is_set():
                        break
                    application = self._start("app", self._pair.application, self._pair.application_log)
                    self._wait_ready(application)
                elif engine is None or engine.poll() is not None:
                    up_since, delays = self._back_off(up_since, delays, "cometbft", engine)
                    if self.stopping.is_set():
                        break
                    engine = self._start("cometbft", self._pair.engine, self._pair.engine_log)
                else:
                    self.stopping.wait(POLL_S)
        finally:
            _end(engine)
            _end(application)
            for part in ("app", "cometbft", "supervisor"):
                self._renew_pid(part, None)

    def _start(self, part: str, command: list[str], log: str) -> subprocess.Popen[bytes]:
        process = spawn(command, Path(log), dies_with_parent=True)
        save_identity(Path(self._pair.pids), identify(f"{self._pair.name}-{part}", process.pid))
        self._renew_pid(part, process.pid)
        _log("info", "started", part=part, pid=process.pid)
        return process

    def _back_off(
        self, up_since: float, delays: Iterator[float], part: str, ended: subprocess.Popen[bytes] | None
    ) -> tuple[float, Iterator[float]]:
        """Wait before a restart; nothing before a first start."""
        now = time.monotonic()
        if ended is None:
            return now, delays
        if now - up_since > HEALTHY_S:
            delays = _delays()
        delay_s = next(delays)
        self._renew_pid(part, None)
        _log("warning", "ended", part=part, pid=ended.pid, status=ended.returncode, restart_in_s=delay_s)
        self.stopping.wait(delay_s)
        return time.monotonic(), delays

    def _end_engine(self, engine: subprocess.Popen[bytes] | None) -> None:
        """End an engine whose application ended."""
        if engine is not None:
            _end(engine)
            self._renew_pid("cometbft", None)

    def _renew_pid(self, part: str, pid: int | None) -> None:
        renew_pid(Path(self._pair.pids).parent, self._pair.name, part, pid)

    def _wait_ready(self, application: subprocess.Popen[bytes]) -> None:
        """Wait until the application's socket answers, or it ended, or too long passed (the engine retries then)."""
        deadline = time.monotonic() + APPLICATION_READY_S
        while time.monotonic() < deadline and application.poll() is None and not self.stopping.is_set():
            try:
                _connect(self._pair.abci)
                return
            except OSError:
                self.stopping.wait(POLL_S)


def _connect(address: str) -> None:
    """Open and close a connection. Raises OSError while nobody listens."""
    kind, _, place = address.partition("://")
    if kind == "unix":
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(place)
    else:
        host, _, port = place.rpartition(":")
        socket.create_connection((host, int(port)), timeout=1.0).close()


def _delays() -> Iterator[float]:
    yield from RESTART_DELAYS_S
    while True:
        yield RESTART_DELAYS_S[-1]


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(CHILD_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _log(level: str, event: str, **fields: object) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    print(json.dumps({"time": now, "level": level, "event": event, **fields}), flush=True)


def main(arguments: list[str]) -> int:
    """Supervise the pair named on the command line until SIGTERM, SIGINT or SIGHUP."""
    supervisor = Supervisor(load_pair(Path(arguments[0])))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.stopping.set())
    supervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
