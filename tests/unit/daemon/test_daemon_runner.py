"""Steps are repeated: pauses after failures are one bounded list with jitter; what ends one thread ends all."""

import logging
import threading
from collections.abc import Callable

import pytest

from abci_app.daemon.notices import Notices
from abci_app.daemon.runner import (
    JITTER,
    RETRY_DELAYS_S,
    Loop,
    Next,
    Retryable,
    Task,
    Threads,
    compute_retry_delay_s,
    describe,
)

LOG = logging.getLogger("abci_app.test")


class Away(Exception):
    """Passes by itself."""


def explain(error: Exception) -> Retryable | None:
    return Retryable("away", str(error)) if isinstance(error, Away) else None


class World:
    """A loop whose time passes in its pauses only: the clock, and the event that it waits on."""

    def __init__(self, *steps: tuple[Callable[[], Next], float], chance: float = 0.5) -> None:
        self.now_s, self.pauses_s = 100.0, list[float]()
        self.stopping = threading.Event()
        self.stopping.wait = self.wait  # type: ignore[method-assign, assignment]
        self.tasks = [Task(step, pause_s) for step, pause_s in steps]
        self.notices = Notices(LOG, lambda: self.now_s)
        self.loop = Loop(
            self.tasks, explain, self.notices, self.stopping, clock=lambda: self.now_s, chance=lambda: chance
        )

    def wait(self, pause_s: float) -> bool:
        self.pauses_s.append(round(pause_s, 6))
        self.now_s += pause_s
        return self.stopping.is_set()

    def run(self, steps: int) -> list[Next | None]:
        return [self.loop.step() for _ in range(steps)]


def fail() -> Next:
    raise Away("no answer")


# -- the policy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("failures", "delay_s"), [
    (1, 0.1), (2, 0.2), (3, 0.5), (4, 1.0), (5, 2.0), (6, 2.0), (10**9, 2.0),
])
def test_the_pause_grows_to_a_bound(failures: int, delay_s: float) -> None:
    assert compute_retry_delay_s(failures, 0.5) == delay_s
    assert compute_retry_delay_s(failures, 0.0) == pytest.approx(0.75 * delay_s)
    assert compute_retry_delay_s(failures, 1.0) == pytest.approx(1.25 * delay_s)
    assert compute_retry_delay_s(failures, 1.0) <= RETRY_DELAYS_S[-1] * (1 + JITTER) == 2.5


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.75), (0.5, 1.0), (1.0, 1.25)])
def test_a_step_that_fails_is_tried_again_after_each_pause(chance: float, factor: float) -> None:
    world = World((fail, 7.0), chance=chance)
    assert world.run(7) == [None] * 7
    assert world.pauses_s == [0.0, *(pytest.approx(factor * each) for each in (*RETRY_DELAYS_S, 2.0))]
    assert world.loop.is_failing and world.tasks[0].failures == 7


def test_after_a_success_the_pauses_begin_anew() -> None:
    outcomes = iter([Away, Away, None, Away, None])

    def step() -> Next:
        error = next(outcomes)
        if error is not None:
            raise error("x")
        return Next.PAUSE

    world = World((step, 7.0))
    assert world.run(5) == [None, None, Next.PAUSE, None, Next.PAUSE]
    assert world.pauses_s == [0.0, 0.1, 0.2, 7.0, 0.1] and not world.loop.is_failing


# -- the loop ---------------------------------------------------------------------------------------------------------


def test_steps_take_turns_by_their_time() -> None:
    done: list[str] = []

    def make(name: str, outcome: Next = Next.PAUSE) -> Callable[[], Next]:
        return lambda: done.append(name) or outcome  # type: ignore[func-returns-value]

    world = World((make("slow"), 1.0), (make("fast"), 0.4))
    world.run(7)
    assert "".join(name[0] for name in done) == "sfffsff"


def test_a_step_with_more_to_do_makes_every_step_due() -> None:
    done: list[str] = []

    def find() -> Next:
        done.append("find")
        return Next.AGAIN if len(done) < 4 else Next.PAUSE

    def use() -> Next:
        done.append("use")
        return Next.PAUSE

    world = World((find, 1.0), (use, 50.0))
    world.run(5)
    assert done == ["find", "use", "find", "find", "use"] and world.now_s == 100.0


def test_a_step_that_fails_holds_up_no_other() -> None:
    done: list[float] = []

    def step() -> Next:
        done.append(world.now_s)
        return Next.PAUSE

    world = World((fail, 1.0), (step, 0.5))
    world.run(12)
    assert len(done) >= 5
    assert [later - done[0] for later in done] == pytest.approx([0.5 * number for number in range(len(done))])


def test_a_cause_is_logged_and_anything_else_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    world = World((fail, 1.0))
    world.run(2)
    (record,) = caplog.records
    assert (record.getMessage(), record.cause, record.reason) == (  # type: ignore[attr-defined]
        "waiting", "away", "no answer"
    )

    def break_down() -> Next:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        World((break_down, 1.0)).run(1)


def test_it_ends_when_told_to_and_says_nothing_of_what_failed_then(caplog: pytest.LogCaptureFixture) -> None:
    def step() -> Next:
        world.stopping.set()
        raise Away("cut off")

    world = World((step, 1.0))
    world.loop.run()
    assert world.loop.step() is None and world.tasks[0].failures == 1 and caplog.records == []


# -- threads ----------------------------------------------------------------------------------------------------------


def test_threads_that_all_end_are_the_end(caplog: pytest.LogCaptureFixture) -> None:
    threads, done = Threads(LOG, 5.0), list[int]()
    for number in range(3):
        threads.start(f"t{number}", lambda number=number: done.append(number))  # type: ignore[misc]
    threads.wait()
    threads.stop()
    assert sorted(done) == [0, 1, 2] and caplog.records == []


def test_what_ends_one_thread_ends_all_and_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    threads, ended = Threads(LOG, 5.0), list[bool]()
    threads.start("other", lambda: ended.append(threads.stopping.wait(30)))

    def break_down() -> None:
        raise ZeroDivisionError("a bug")

    threads.start("broken", break_down)
    with pytest.raises(ZeroDivisionError):
        threads.wait()
    threads.stop()
    (record,) = caplog.records
    assert (record.levelname, record.part, record.reason) == (  # type: ignore[attr-defined]
        "ERROR", "broken", "ZeroDivisionError: a bug"
    )
    assert ended == [True]


def test_a_thread_that_hangs_is_left_behind() -> None:
    threads, release = Threads(LOG, 0.1), threading.Event()
    threads.start("hanging", lambda: release.wait(30) and None)
    threads.stop()
    threads.wait()
    release.set()


def test_a_failure_after_the_stop_is_nobodys(caplog: pytest.LogCaptureFixture) -> None:
    threads = Threads(LOG, 5.0)

    def break_down() -> None:
        threads.stopping.wait(30)
        raise Away("cut off")

    threads.start("late", break_down)
    threads.stop()
    threads.wait()
    assert caplog.records == []


def test_an_exception_in_a_line_is_bounded() -> None:
    assert describe(ValueError("x" * 1000)) == "ValueError: " + "x" * 288
