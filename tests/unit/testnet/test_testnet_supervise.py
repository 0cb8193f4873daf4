"""A pair stays up together: whoever ends, the right ones start again; told to stop, both end."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from testnet.processes.pids import renew_pid
from testnet.processes.spawn import is_running, load_identities
from testnet.processes.supervise import Pair, load_pair, save_pair

APPLICATION = (
    "import socket, sys, time\n"
    "s = socket.socket(socket.AF_UNIX); import os\n"
    "os.path.exists(sys.argv[1]) and os.unlink(sys.argv[1]); s.bind(sys.argv[1]); s.listen()\n"
    "time.sleep(60)"
)
ENGINE = "import time; time.sleep(60)"


@pytest.fixture
def supervisor(tmp_path):
    socket_path = str(tmp_path / "abci.sock")
    pair = Pair(
        name="node0", application=[sys.executable, "-c", APPLICATION, socket_path],
        engine=[sys.executable, "-c", ENGINE], application_log=str(tmp_path / "app.log"),
        engine_log=str(tmp_path / "engine.log"), abci=f"unix://{socket_path}", pids=str(tmp_path / "pids"),
    )
    (tmp_path / "pids").mkdir()
    save_pair(tmp_path / "pair.json", pair)
    assert load_pair(tmp_path / "pair.json") == pair
    described = {"validators": [{"name": "node0", "pids": {"supervisor": 1, "app": None, "cometbft": None}}]}
    (tmp_path / "endpoints.json").write_text(json.dumps(described))
    with (tmp_path / "supervisor.jsonl").open("wb") as log:
        command = [sys.executable, "-m", "testnet.processes.supervise", str(tmp_path / "pair.json")]
        process = subprocess.Popen(command, stdout=log)
    try:
        yield process, tmp_path
    finally:
        process.kill()
        process.wait()


def running(folder, name):
    identity = load_identities(folder / "pids").get(name)
    return identity if identity is not None and is_running(identity) else None


def wait_both(folder, other_than=()):
    deadline = time.monotonic() + 30
    while True:
        pair = [running(folder, f"node0-{part}") for part in ("app", "cometbft")]
        if all(pair) and not {identity.pid for identity in pair} & set(other_than):
            return pair
        assert time.monotonic() < deadline, "the pair did not come up"
        time.sleep(0.02)


def wait_pids(folder, expected):
    """Until endpoints.json names these: it is renewed a moment after the identity on disk."""
    deadline = time.monotonic() + 60
    while (pids := json.loads((folder / "endpoints.json").read_text())["validators"][0]["pids"]) != expected:
        assert time.monotonic() < deadline, f"endpoints.json still has {pids}"
        time.sleep(0.02)


def test_when_the_application_ends_both_start_anew(supervisor):
    _, folder = supervisor
    app, engine = wait_both(folder)
    os.kill(app.pid, signal.SIGKILL)
    new_app, new_engine = wait_both(folder, other_than=(app.pid, engine.pid))
    assert not is_running(engine)
    wait_pids(folder, {"supervisor": 1, "app": new_app.pid, "cometbft": new_engine.pid})
    lines = [json.loads(line) for line in (folder / "supervisor.jsonl").read_text().splitlines()]
    printed = [(line["level"], line["event"], line["part"]) for line in lines]
    assert printed[:3] == [("info", "started", "app"), ("info", "started", "cometbft"), ("warning", "ended", "app")]


def test_an_ended_process_has_no_pid_until_its_successor_runs(tmp_path):
    described = {"validators": [{"name": "node0", "pids": {"supervisor": 1, "app": 2, "cometbft": 3}}]}
    (tmp_path / "endpoints.json").write_text(json.dumps(described))
    renew_pid(tmp_path, "node0", "app", None)
    wait_pids(tmp_path, {"supervisor": 1, "app": None, "cometbft": 3})


def test_when_the_engine_ends_it_alone_starts_again(supervisor):
    _, folder = supervisor
    app, engine = wait_both(folder)
    os.kill(engine.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (again := running(folder, "node0-cometbft")) is None or again.pid == engine.pid:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert running(folder, "node0-app") == app


def test_sigterm_ends_both(supervisor):
    process, folder = supervisor
    app, engine = wait_both(folder)
    process.terminate()
    assert process.wait(10) == 0
    assert not is_running(app) and not is_running(engine)
    wait_pids(folder, {"supervisor": None, "app": None, "cometbft": None})


def test_sigkill_of_the_supervisor_leaves_nobody(supervisor):
    process, folder = supervisor
    app, engine = wait_both(folder)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while is_running(app) or is_running(engine):
        assert time.monotonic() < deadline
        time.sleep(0.02)
