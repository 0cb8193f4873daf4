"""A log holds JSON lines and nothing else; what a process says beside it is at hand. Hints work where they are read."""

import json
import os
import sys
from pathlib import Path

import pytest

from testnet import hints
from testnet.processes.logs import last_words
from testnet.processes.spawn import end, identify, spawn

TALKER = [
    sys.executable, "-c",
    "import sys; print('{\"event\": \"started\"}'); print('routerd: no such key\\nand more', file=sys.stderr)",
]


def test_what_a_process_says_on_standard_error_is_no_log_line(tmp_path: Path) -> None:
    process = spawn(TALKER, tmp_path / "node0-app.jsonl")
    process.wait(60)
    assert [json.loads(line) for line in (tmp_path / "node0-app.jsonl").read_text().splitlines()] == [
        {"event": "started"}
    ]
    assert (tmp_path / "node0-app.err").read_text() == "routerd: no such key\nand more\n"
    assert last_words(tmp_path / "node0-app.jsonl") == "and more"
    end([identify("talker", process.pid)])


def test_last_words_are_those_of_this_run(tmp_path: Path) -> None:
    log = tmp_path / "relayer.jsonl"
    assert last_words(log) == "nothing"
    log.write_text('{"event": "a"}\n{"event": "b"}\n')
    (tmp_path / "relayer.err").write_text("old\n")
    assert last_words(log, 0, 4) == '{"event": "b"}'
    assert last_words(log, log.stat().st_size, 4) == "nothing"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment in a checkout, and the caller in that checkout."""
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    for name in ("routerd", "python"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv(hints.CALLED_FROM, raising=False)
    monkeypatch.chdir(tmp_path)
    return folder / "routerd"


def test_a_hint_names_the_program_as_the_caller_can(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hints.routerd("testnet", "down", "--home", Path("a b")) == ".venv/bin/routerd testnet down --home 'a b'"
    monkeypatch.setenv(hints.CALLED_FROM, "/")
    assert hints.routerd("down", Path("x")) == f"{str(program)[1:]} down {str(Path('x').absolute())[1:]}"
    monkeypatch.setenv(hints.CALLED_FROM, "/usr/lib")
    assert hints.routerd("down", Path("x")) == f"{program} down {Path('x').absolute()}"
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/usr/bin")
    assert hints.routerd("down") == "routerd down"


def test_without_the_program_a_hint_names_the_module(program: Path) -> None:
    program.unlink()
    assert hints.routerd("down") == "python -m abci_app.cli.main down"
