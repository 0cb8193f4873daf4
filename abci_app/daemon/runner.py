"""Loops of a process: bounded steps, repeated until it ends; one policy for what failed, one end for all threads."""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from abci_app.daemon.notices import Notices

RETRY_DELAYS_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""After failures in a row of one step; the last one repeats, so that what comes back is noticed within 2.5 s."""
JITTER = 0.25
"""A delay is this part longer or shorter at most, so that processes that failed together do not return together."""
LOOK_S = 0.2
"""Between two looks whether all threads have ended by themselves."""


class Next(Enum):
    """Outcome of a step, on which the pause before the next one depends."""

    AGAIN = "again"
    """There is more to do now, for each step of the loop."""
    PAUSE = "pause"
    """Come back after the usual pause."""


class Retryable(Exception):
    """Something outside did not answer, or not usefully: the step is tried again. ``cause`` is short and stable."""

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__(f"{cause}: {reason}")
        self.cause, self.reason = cause, reason


Explain = Callable[[Exception], Retryable | None]
"""What an exception is that passes by itself; None for one that ends the process."""


def compute_retry_delay_s(failures: int, chance: float) -> float:
    """Return the pause after so many failures in a row, at least one; ``chance`` is from 0 to 1."""
    delay_s = RETRY_DELAYS_S[min(failures, len(RETRY_DELAYS_S)) - 1]
    return delay_s * (1 - JITTER + 2 * JITTER * chance)


@dataclass
class Task:
    """A step that is repeated."""

    step: Callable[[], Next]
    pause_s: float
    due_s: float = float("-inf")
    failures: int = 0


class Loop:
    """Steps that take turns in one thread."""

    def __init__(
        self,
        tasks: Sequence[Task],
        explain: Explain,
        notices: Notices,
        stopping: threading.Event,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._tasks, self._explain, self._notices, self._stopping = tuple(tasks), explain, notices, stopping
        self._clock, self._chance = clock, chance

    def run(self) -> None:
        """Repeat the steps until told to stop. Raises what is not explained."""
        while not self._stopping.is_set():
            self.step()

    def step(self) -> Next | None:
        """Wait for the step that is due first and do it; None where it failed or is not done any more."""
        task = min(self._tasks, key=lambda one: one.due_s)
        if self._stopping.wait(max(0.0, task.due_s - self._clock())):
            return None
        try:
            outcome = task.step()
        except Exception as error:
            found = self._explain(error)
            if found is None:
                raise
            if not self._stopping.is_set():
                self._notices.say(found.cause, found.reason)
            task.failures += 1
            task.due_s = self._clock() + compute_retry_delay_s(task.failures, self._chance())
            return None
        now_s = self._clock()
        task.failures, task.due_s = 0, now_s + task.pause_s
        if outcome is Next.AGAIN:
            for each in self._tasks:
                each.due_s = min(each.due_s, now_s)
        return outcome

    @property
    def is_failing(self) -> bool:
        """Whether the last try of a step failed."""
        return any(task.failures for task in self._tasks)


class Threads:
    """Threads of a process: what ends one unexpectedly ends all. ``start``, ``wait``, ``stop``."""

    def __init__(self, log: logging.Logger, stop_s: float) -> None:
        """Make a runner; threads that take longer than ``stop_s`` to end are left behind, and end with the process."""
        self.stopping = threading.Event()
        self._log, self._stop_s = log, stop_s
        self._threads: list[threading.Thread] = []
        self._failed: list[BaseException] = []

    def start(self, name: str, body: Callable[[], None]) -> None:
        """Run ``body`` in a thread until it ends or raises."""
        thread = threading.Thread(target=self._run, args=(name, body), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def wait(self) -> None:
        """Return once asked to stop or all threads have ended. Raises what the first of them failed of."""
        while any(thread.is_alive() for thread in self._threads) and not self.stopping.wait(LOOK_S):
            pass
        for error in self._failed[:1]:
            raise error

    def stop(self) -> None:
        """Ask all threads to end after their current call, and wait for it for ``stop_s``."""
        self.stopping.set()
        deadline_s = time.monotonic() + self._stop_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def _run(self, name: str, body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:  # configuration that proved wrong, a full disk, a bug: whoever waits raises it
            if not self.stopping.is_set():
                self._failed.append(error)
                self._log.error("failed", extra={"part": name, "reason": describe(error)})
                self.stopping.set()


def describe(error: BaseException) -> str:
    """Return an exception in one bounded line."""
    return f"{type(error).__name__}: {error}"[:300]
