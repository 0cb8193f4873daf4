"""`routerd testnet` as people and programs use it: the demo, signals at bad moments, stop, start, down, up again."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from testnet.processes.ports import find_base_port

ROUTERD = [sys.executable, "-m", "abci_app.cli.main", "testnet"]
DEMO_S, COMMAND_S, GONE_S = 240, 150, 10


def processes_of(home: Path):
    """PIDs of all processes whose command line names the home or whose ports are the network's."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(home) in command and state != "Z":
                found.append((int(entry.name), command.replace("\0", " ")))
    return found


def listening(base):
    """Ports of the network that somebody still listens on."""
    busy = []
    for port in (base, base + 1, *(base + 20 + 10 * node + at for node in range(4) for at in range(4))):
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                busy.append(port)
    return busy


def assert_nothing_left(home, base):
    deadline = time.monotonic() + GONE_S
    while processes_of(home) or listening(base):
        assert time.monotonic() < deadline, (processes_of(home), listening(base))
        time.sleep(0.1)


@pytest.fixture
def place(tmp_path):
    """A home and ports; whatever a failed test leaves there is ended."""
    home, base = tmp_path / "net", find_base_port()
    yield home, base
    for pid, _ in processes_of(home):
        os.kill(pid, signal.SIGKILL)
    if (home / "pids").exists():
        subprocess.run([*ROUTERD, "down", "--home", str(home)], timeout=COMMAND_S, capture_output=True, check=False)


def run(*arguments, status=0):
    done = subprocess.run([*ROUTERD, *map(str, arguments)], timeout=COMMAND_S, capture_output=True, text=True)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done


def start_demo(home, base):
    command = [*ROUTERD, "demo", "--home", str(home), "--base-port", str(base)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.timeout(DEMO_S + 60)
def test_the_demo_in_a_plain_pipe(place):
    """Five transfers complete, every check holds, plain lines without colours, nothing is left."""
    home, base = place
    output, errors = start_demo(home, base).communicate(timeout=DEMO_S)
    assert "failed" in output, (output, errors)
    assert "\x1b" not in output
    assert re.search(r"(\d+) checks from raw logs, 0 failed", output)
    assert output.count("completed: routers repaid") == 5
    big = next(line for line in output.splitlines() if "USDC big" in line and "executed" in line)
    assert len(re.findall(r"0x[0-9a-f]{6}", big)) == 2, big
    assert "node3 stopped: 3 of 4 validators go on" in output
    assert_nothing_left(home, base)


@pytest.mark.timeout(COMMAND_S + 60)
@pytest.mark.parametrize("words, number", [
    ("genesis:", signal.SIGINT), ("xcall of", signal.SIGHUP), ("network is up", None)
])
def test_interrupted_twice_or_read_no_more_the_demo_leaves_nothing(place, words, number):
    """While the network is being made, while transfers are on their way; and when nobody reads what is said."""
    home, base = place
    demo = start_demo(home, base)
    for line in demo.stdout:
        if words in line:
            break
    if number is not None:
        demo.send_signal(number)
        time.sleep(0.3)
        demo.send_signal(number)
    demo.stdout.close()
    errors = demo.stderr.read()
    assert demo.wait(GONE_S + 5) != 0
    demo.stderr.close()
    assert "Traceback" not in errors
    assert_nothing_left(home, base)


@pytest.mark.timeout(600)
def test_up_stop_start_down_up(place):
    home, base = place
    run("up", "--home", home, "--base-port", base)
    endpoints = json.loads((home / "endpoints.json").read_text())
    assert len(endpoints["validators"]) == 4 and len(endpoints["routers"]) == 3
    assert sorted(endpoints["chains"]) == ["1111", "2222"]
    for chain in endpoints["chains"].values():
        assert len(chain["funded_keys"]) >= 4 and sorted(chain["tokens"]) == ["DAI", "USDC"]
    for validator in endpoints["validators"]:
        assert set(validator["pids"]) == {"supervisor", "app", "cometbft"}
        for pid in validator["pids"].values():
            os.kill(pid, 0)

    assert "runs already" in run("up", "--home", home, status=1).stderr
    assert "not 7" in run("up", "--home", home, "--validators", 7, status=1).stderr
    other = run("up", "--home", home.parent / "other", "--base-port", base, status=1)
    assert other.stderr.count("\n") == 1 and "in use" in other.stderr
    assert not (home.parent / "other").exists()
    assert "no 'nobody' here" in run("stop", "nobody", "--home", home, status=1).stderr

    run("stop", "node3", "--home", home)
    assert "does not run" in run("stop", "node3", "--home", home, status=1).stderr
    rows = json.loads(run("status", "--home", home, "--json", status=1).stdout)
    assert [row["name"] for row in rows if not row["running"]] == ["node3"]
    run("start", "node3", "--home", home)
    assert "nothing was pending" in run("settle", "--home", home).stdout

    height = read_height(endpoints)
    run("down", "--home", home)
    for log in (home / "logs").glob("*.jsonl"):
        levels = {json.loads(line)["level"] for line in log.read_text().splitlines()}
        assert levels <= {"debug", "info", "warning", "error"}, log
    assert_nothing_left(home, base)
    run("up", "--home", home)
    run("status", "--home", home)
    assert read_height(json.loads((home / "endpoints.json").read_text())) >= height

    chain = json.loads((home / "pids" / "chain1111.json").read_text())["pid"]
    os.kill(chain, signal.SIGKILL)
    run("down", "--home", home)
    refused = run("up", "--home", home, status=1)
    assert "lost blocks" in refused.stderr and refused.stderr.count("\n") == 1
    assert_nothing_left(home, base)


def read_height(endpoints):
    with urllib.request.urlopen(endpoints["validators"][0]["cometbft_rpc"] + "/status", timeout=10) as answer:
        return int(json.load(answer)["result"]["sync_info"]["latest_block_height"])
