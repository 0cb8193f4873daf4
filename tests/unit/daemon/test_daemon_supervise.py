"""The rules of a supervised pair, each with real small processes: order, restarts, back-off, refusals, the end."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from abci_app.daemon.child import start_child
from abci_app.daemon.log import JsonLinesFormatter
from abci_app.daemon.supervise import RESTART_DELAYS_S, Part, StartRefused, Supervisor

LOG = logging.getLogger("abci_app.daemon.supervise")
TIMEOUT_S = 30.0
GRACE_S = 1.0
PROGRAM = """
import pathlib, signal, socket, sys, time
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def note(what):
    with (folder / "notes").open("a") as notes:
        notes.write(f"{name} {what}\\n")
def end(*_):
    note("ended")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
"""
SERVE = """
time.sleep(0.3)
s = socket.socket(socket.AF_UNIX)
(folder / "abci.sock").unlink(missing_ok=True)
s.bind(str(folder / "abci.sock")); s.listen(); note("serves")
time.sleep(60)
"""
DIAL = """
try:
    socket.socket(socket.AF_UNIX).connect(str(folder / "abci.sock")); note("connected")
except OSError:
    note("found nobody")
time.sleep(60)
"""
STUBBORN = 'signal.signal(signal.SIGTERM, signal.SIG_IGN); note("connected"); time.sleep(60)'
REFUSE = "sys.exit(3)"
REFUSE_AFTER_THE_FIRST = """
if (folder / "once").exists():
    sys.exit(3)
(folder / "once").touch()
"""
KILLED_AT_FIRST = """
import os
if not (folder / "once").exists():
    (folder / "once").touch(); os.kill(os.getpid(), signal.SIGKILL)
"""
NEVER_READY = "time.sleep(60)"


class Run(logging.Handler):
    """A supervisor in a thread, with everything that it logged."""

    def __init__(self, folder: Path, application: str, engine: str, **options: Any) -> None:
        super().__init__()
        self.folder = folder
        self.printed: list[tuple[str, str, dict[str, Any]]] = []
        self.pids: dict[str, int | None] = {}
        self.error: StartRefused | None = None
        self.supervisor = Supervisor(
            self.part("node", application), self.part("engine", engine), f"unix://{folder}/abci.sock",
            changed=self.pids.__setitem__, grace_s=GRACE_S, **options,
        )
        LOG.addHandler(self)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def part(self, name: str, program: str) -> Part:
        command = [sys.executable, "-c", PROGRAM + program, name, str(self.folder)]
        return Part(name, lambda: start_child(command, subprocess.DEVNULL, subprocess.DEVNULL))

    def emit(self, record: logging.LogRecord) -> None:
        line = json.loads(JsonLinesFormatter().format(record))
        line.pop("time"), line.pop("source")
        self.printed.append((line.pop("level"), line.pop("event"), line))

    def run(self) -> None:
        try:
            self.supervisor.run()
        except StartRefused as refused:
            self.error = refused

    def stop(self) -> None:
        self.supervisor.stopping.set()
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()

    def notes(self) -> list[str]:
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def events(self) -> list[tuple[str, object]]:
        return [(event, fields["part"]) for _, event, fields in self.printed]

    def wait(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not holds():
            assert time.monotonic() < deadline, (self.printed, self.notes())
            time.sleep(0.01)

    def wait_notes(self, expected: Sequence[str]) -> None:
        self.wait(lambda: self.notes()[: len(expected)] == list(expected))

    def kill(self, part: str) -> int:
        pid = self.pids[part]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return pid


UP = ["node serves", "engine connected"]


@pytest.fixture
def start(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Run]]:
    caplog.set_level(logging.INFO, LOG.name)
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="routing-") as folder:

        def make(application: str = SERVE, engine: str = DIAL, **options: Any) -> Run:
            runs.append(Run(Path(folder), application, engine, **options))
            return runs[-1]

        yield make
        for run in runs:
            run.stop()
            LOG.removeHandler(run)
            assert set(run.pids.values()) <= {None}


def test_the_engine_starts_when_the_application_answers_and_ends_before_it(start: Callable[..., Run]) -> None:
    run = start()
    run.wait_notes(UP)
    run.stop()
    assert run.notes() == [*UP, "engine ended", "node ended"]
    assert [(level, *event) for (level, *_), event in zip(run.printed, run.events(), strict=True)] == [
        ("info", "started", "node"), ("info", "started", "engine"),
    ]
    assert run.error is None and run.pids == {"node": None, "engine": None}


def test_when_the_application_ends_both_start_anew(start: Callable[..., Run]) -> None:
    run = start()
    run.wait_notes(UP)
    killed = run.kill("node")
    run.wait_notes([*UP, "engine ended", *UP])
    assert run.pids["node"] != killed
    ended = [(level, fields) for level, event, fields in run.printed if event == "ended"]
    assert ended == [("warning", {
        "part": "node", "pid": killed, "status": -signal.SIGKILL, "restart_in_s": RESTART_DELAYS_S[0],
    })]


def test_when_the_engine_ends_it_alone_starts_again(start: Callable[..., Run]) -> None:
    run = start()
    run.wait_notes(UP)
    node = run.pids["node"]
    run.kill("engine")
    run.wait_notes([*UP, "engine connected"])
    assert run.pids["node"] == node
    assert run.events() == [("started", "node"), ("started", "engine"), ("ended", "engine"), ("started", "engine")]


def test_restarts_wait_longer_each_time(start: Callable[..., Run]) -> None:
    run = start(engine=REFUSE_AFTER_THE_FIRST + DIAL)
    run.wait_notes(UP)
    run.kill("engine")
    run.wait(lambda: run.events().count(("ended", "engine")) == 4)
    waits = [fields["restart_in_s"] for _, event, fields in run.printed if event == "ended"]
    assert tuple(waits) == RESTART_DELAYS_S[:4]


@pytest.mark.parametrize("refusing", ["node", "engine"])
def test_a_refused_first_start_ends_both(start: Callable[..., Run], refusing: str) -> None:
    run = start(**({"application": REFUSE} if refusing == "node" else {"engine": REFUSE}))
    run.thread.join(TIMEOUT_S)
    assert str(run.error) == f"{refusing} ended with status 3 at its first start"
    assert ("started", "engine") not in run.events() or refusing == "engine"
    assert run.notes() == ([] if refusing == "node" else ["node serves", "node ended"])


@pytest.mark.parametrize("part", ["node", "engine"])
def test_a_signal_at_the_first_start_is_no_refusal(start: Callable[..., Run], part: str) -> None:
    run = start(**({"application": KILLED_AT_FIRST + SERVE} if part == "node" else {"engine": KILLED_AT_FIRST + DIAL}))
    run.wait_notes(UP)
    assert ("ended", part) in run.events() and run.error is None


def test_an_application_that_has_served_is_started_again_whatever_its_status(start: Callable[..., Run]) -> None:
    run = start(application=REFUSE_AFTER_THE_FIRST + SERVE)
    run.wait_notes(UP)
    run.kill("node")
    run.wait(lambda: run.events().count(("ended", "node")) == 3)
    assert run.error is None


def test_refusals_are_retried_where_they_are_not_final(start: Callable[..., Run]) -> None:
    run = start(application=REFUSE, is_refusal_final=False)
    run.wait(lambda: run.events().count(("ended", "node")) == 2)
    assert run.error is None and run.notes() == []


def test_who_does_not_end_is_killed(start: Callable[..., Run]) -> None:
    run = start(engine=STUBBORN)
    run.wait_notes(UP)
    begun = time.monotonic()
    run.stop()
    assert GRACE_S <= time.monotonic() - begun < 2 * GRACE_S + TIMEOUT_S / 2
    assert run.events()[-1] == ("killed", "engine") and run.notes() == [*UP, "node ended"]


def test_it_can_be_stopped_before_the_application_answers(start: Callable[..., Run]) -> None:
    run = start(application=NEVER_READY)
    run.wait(lambda: run.events() == [("started", "node")])
    run.stop()
    assert run.events() == [("started", "node")] and run.error is None


def test_it_says_that_the_application_does_not_answer_yet(
    start: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abci_app.daemon.supervise.READY_REMINDER_S", 0.2)
    run = start(application=NEVER_READY)
    run.wait(lambda: run.events().count(("not ready", "node")) == 2)
    assert ("started", "engine") not in run.events()


def test_an_application_at_a_port_is_waited_for_too(start: Callable[..., Run]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        run = start(application=NEVER_READY)
        run.stop()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        parts = run.part("node", NEVER_READY), run.part("engine", DIAL)
        at_port = Supervisor(*parts, address, grace_s=GRACE_S)
        thread = threading.Thread(target=at_port.run)
        thread.start()
        run.wait(lambda: ("started", "engine") in run.events())
        at_port.stopping.set()
        thread.join(TIMEOUT_S)
