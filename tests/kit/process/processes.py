"""Processes that a test starts, and always ends by their own id."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from abci_app.daemon.child import die_with_parent
from testnet.processes.ports import find_free_ports

ROOT = Path(__file__).resolve().parents[3]
STOP_TIMEOUT_S = 15.0
POLL_S = 0.02


class Process:
    """A command with its output in a file. Dies with the test run, whatever becomes of that."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name, self.command, self.log = name, list(command), log
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self.name} was never started"
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._child.poll() if self._child is not None else None

    def start(self) -> None:
        """Starts it, again if it has ended; the log goes on."""
        assert self._child is None or self.returncode is not None, f"{self.name} still runs"
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                die_with_parent(self.command),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """kill -9, and waits until it is gone."""
        if self._child is not None and self.returncode is None:
            self._child.kill()
            self._child.wait(STOP_TIMEOUT_S)

    def stop(self) -> int | None:
        """SIGTERM, then after STOP_TIMEOUT_S kill -9. Returns the exit status, None if it never ran."""
        if self._child is None:
            return None
        if self.returncode is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.returncode

    def wait(self, timeout_s: float) -> int:
        """Its exit status, once it has ended by itself."""
        wait_until(lambda: self.returncode is not None, timeout_s, f"{self.name} has not ended", self)
        assert self.returncode is not None
        return self.returncode

    def tail(self, lines: int = 30) -> str:
        """The end of its output, for a test's failure message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"--- {self.name} (exit status {self.returncode}) ---\n" + "\n".join(text.splitlines()[-lines:])

    def stopped_by(self, stack: ExitStack) -> "Process":
        """Registers its end with stack."""
        stack.callback(self.stop)
        return self


def wait_until(holds: Callable[[], bool], timeout_s: float, failure: str, *processes: Process) -> None:
    """Polls until holds() is true. After timeout_s fails with the processes' last output."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            tails = [process.tail() for process in processes]
            raise AssertionError("\n".join([f"{failure} after {timeout_s} s", *tails]))
        time.sleep(POLL_S)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free now, all different, and stay so."""
    return find_free_ports(count)


def accepts(path: str) -> bool:
    """Whether somebody listens at a unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
            return True
        except OSError:
            return False


def python(*arguments: str) -> list[str]:
    """A command that runs a module or script with this test run's interpreter."""
    return [sys.executable, *arguments]
