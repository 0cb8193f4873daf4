"""`routerd supervise` as a command: what it refuses at once, and a real node beside an engine of a few lines."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from abci_app.cli import main as cli
from abci_app.node.config import Config
from abci_app.node.home import init_home
from testnet.processes.spawn import start_ticks
from tests.kit.process.processes import free_ports, wait_until

TIMEOUT_S = 60
ENGINE = "#!/bin/sh\ntrap 'echo bye; exit 0' TERM\necho trouble >&2\necho \"engine $*\"\nwhile :; do sleep 0.05; done\n"
REFUSING = "#!/bin/sh\necho 'no such key' >&2\nexit 4\n"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A node's home, an engine's home with a genesis, and an engine."""
    with tempfile.TemporaryDirectory(prefix="routing-") as name:
        path = Path(name)
        init_home(path / "node", Config("routing-1", grpc_address=f"127.0.0.1:{free_ports(1)[0]}"))
        (path / "engine" / "config").mkdir(parents=True)
        (path / "engine" / "config" / "genesis.json").write_text("{}")
        write_engine(path, ENGINE)
        yield path


def write_engine(folder: Path, text: str) -> None:
    (folder / "cometbft").write_text(text)
    (folder / "cometbft").chmod(0o700)


def arguments(folder: Path) -> list[str]:
    return [
        "supervise", "--home", str(folder / "node"), "--engine-home", str(folder / "engine"),
        "--cometbft", str(folder / "cometbft"),
    ]


@contextmanager
def running(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "abci_app.cli.main", *arguments(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("missing", "reason"), [
    ("node/config.toml", "config.toml is missing: make a home with routerd init"),
    ("engine/config/genesis.json", "genesis.json is missing: cometbft init validator"),
    ("cometbft", "no such program: name CometBFT's with --cometbft"),
])
def test_what_is_missing_is_logged_before_anything_starts(
    folder: Path, capsys: pytest.CaptureFixture[str], missing: str, reason: str
) -> None:
    (folder / missing).unlink()
    before = sorted(folder.rglob("*"))
    assert cli.run(arguments(folder)) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and reason in captured.err and captured.err.count("\n") == 1
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_pair_runs_until_a_signal_and_ends_with_0(folder: Path, number: int) -> None:
    with running(folder) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not any(line.startswith("cometbft | ") for line in lines):
            line = process.stdout.readline()
            assert line, process.communicate()
            lines.append(line)
        address = f"unix://{folder}/node/abci.sock"
        assert lines[-1] == f"cometbft | engine start --home {folder}/engine --proxy_app {address}\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, errors) == (0, "cometbft | trouble\n")
    lines += output.splitlines(keepends=True)
    assert {line.split(" | ")[0] for line in lines} == {"node", "cometbft", "supervisor"}
    printed = [json.loads(line.partition(" | ")[2]) for line in lines if line.startswith("supervisor")]
    assert [(one["event"], one["part"]) for one in printed] == [("started", "node"), ("started", "cometbft")]
    assert lines.index("cometbft | bye\n") < next(n for n, line in enumerate(lines) if "node stopped" in line)


def test_an_engine_that_refuses_ends_the_pair_with_its_last_words(folder: Path) -> None:
    write_engine(folder, REFUSING)
    with running(folder) as process:
        _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    last = "routerd: cometbft ended with status 4 at its first start; its last words: no such key"
    assert errors.splitlines() == ["cometbft | no such key", last]


def test_a_node_that_refuses_ends_the_pair_with_its_last_words(folder: Path) -> None:
    with running(folder) as first:
        assert first.stdout is not None
        while "cometbft | " not in first.stdout.readline():
            assert first.poll() is None
        with running(folder) as second:
            output, errors = second.communicate(timeout=TIMEOUT_S)
        assert second.returncode == 1 and "cometbft" not in output
        printed, refused = errors.splitlines()
        assert printed.startswith("node | routerd: ")
        words = printed.removeprefix("node | ")
        assert refused == f"routerd: node ended with status 1 at its first start; its last words: {words}"
        assert first.poll() is None


def test_kill_9_of_the_supervisor_leaves_nobody(folder: Path) -> None:
    with running(folder) as process:
        assert process.stdout is not None
        pids: list[int] = []
        while len(pids) < 2:
            line = process.stdout.readline()
            if line.startswith("supervisor | "):
                pids.append(json.loads(line.partition(" | ")[2])["pid"])
        process.kill()
        wait_until(lambda: not any(map(start_ticks, pids)), TIMEOUT_S, f"{pids} outlive their supervisor")
