"""Our processes and nobody else's: identity by PID and start time, ended in order, never twice."""

import os
import signal
import subprocess
import sys
import time

import pytest

from testnet.processes.spawn import (
    Identity,
    end,
    identify,
    interrupt,
    is_running,
    load_identities,
    save_identity,
    spawn,
    spawn_known,
    start_ticks,
    uninterrupted,
)

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
]


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def test_a_spawned_process_is_known_and_ended(tmp_path):
    process = spawn(SLEEP, tmp_path / "log")
    identity = identify("sleeper", process.pid)
    assert is_running(identity)
    assert end([identity]) == []
    assert not is_running(identity)
    process.wait(5)


def test_a_process_deaf_to_sigterm_is_killed(tmp_path):
    process = spawn(STUBBORN, tmp_path / "log")
    wait_for(lambda: "deaf" in (tmp_path / "log").read_text())
    assert end([identify("deaf", process.pid)], term_grace_s=0.2) == []
    assert process.wait(5) == -signal.SIGKILL


def test_somebody_elses_pid_is_left_alone(tmp_path):
    process = spawn(SLEEP, tmp_path / "log")
    ours = Identity("ours", process.pid, start_ticks(process.pid) + 1)
    try:
        assert not is_running(ours)
        assert end([ours]) == []
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_gone_process_is_not_running(tmp_path):
    process = spawn([sys.executable, "-c", ""], tmp_path / "log")
    process.wait(20)
    assert not is_running(identify("short", process.pid))
    assert start_ticks(2**22 + 1) is None


def test_identities_survive_on_disk_and_cut_files_count_as_none(tmp_path):
    save_identity(tmp_path, Identity("node0", 12, 34))
    (tmp_path / "node1.json").write_text('{"name": "node1", "pi')
    assert load_identities(tmp_path) == {"node0": Identity("node0", 12, 34)}


def test_a_child_dies_with_its_killed_parent(tmp_path):
    """The chain of custody a supervisor relies on: SIGKILL of the parent ends the child."""
    code = (
        "import sys, time; from pathlib import Path; from testnet.processes.spawn import spawn\n"
        "child = spawn([sys.executable, '-c', 'import time; time.sleep(60)'], Path(sys.argv[1]),"
        " dies_with_parent=True)\nprint(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    child = identify("child", int(parent.stdout.readline()))
    assert is_running(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not is_running(child))


def test_an_interruption_waits_for_the_end_of_what_must_not_be_interrupted():
    seen = []
    with pytest.raises(KeyError), uninterrupted():
        interrupt(KeyError("now"))
        seen.append("still here")
    assert seen == ["still here"]
    with pytest.raises(KeyError):
        interrupt(KeyError("at once"))


def test_an_interruption_waits_for_the_outermost_block():
    seen = []
    with pytest.raises(KeyError), uninterrupted():
        with uninterrupted():
            interrupt(KeyError("now"))
        seen.append("still here")
    assert seen == ["still here"]


def test_a_known_process_is_on_disk(tmp_path):
    identity = spawn_known(tmp_path / "pids", "sleeper", SLEEP, tmp_path / "log")
    assert load_identities(tmp_path / "pids") == {"sleeper": identity}
    assert end([identity]) == []
