"""Files are whole or not there: whatever fails between the first byte and the last sync."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from abci_app.daemon.files import create_file, make_private_folder, replace_file

Write = Callable[[Path, str], None]


def fail(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_created_file_is_whole_and_its_owners(tmp_path: Path) -> None:
    create_file(tmp_path / "key", "secret ä\n")
    assert (tmp_path / "key").read_text("utf-8") == "secret ä\n"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_a_file_is_not_created_over_another(tmp_path: Path) -> None:
    create_file(tmp_path / "key", "first")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "key", "second")
    assert ((tmp_path / "key").read_text(), os.listdir(tmp_path)) == ("first", ["key"])


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    for text in ("first", "second, longer", ""):
        replace_file(tmp_path / "file", text)
        assert ((tmp_path / "file").read_text(), os.listdir(tmp_path)) == (text, ["file"])


@pytest.mark.parametrize("step", ["fsync", "link"])
def test_a_create_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        create_file(tmp_path / "key", "secret")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_replace_that_fails_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    (tmp_path / "file").write_text("old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "file", "new")
    assert ((tmp_path / "file").read_text(), os.listdir(tmp_path)) == ("old", ["file"])


@pytest.mark.parametrize("write", [create_file, replace_file])
def test_a_write_that_fails_leaves_nothing(tmp_path: Path, write: Write) -> None:
    with pytest.raises(UnicodeEncodeError):
        write(tmp_path / "file", "half a file" * 10_000 + "\ud800")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("write", "before", "step"), [
    ("create_file", None, "fsync"), ("create_file", None, "link"),
    ("replace_file", "old", "fsync"), ("replace_file", "old", "replace"),
])
def test_a_process_killed_at_any_step_leaves_no_half(
    tmp_path: Path, write: str, before: str | None, step: str
) -> None:
    """Killed as it enters the step: under its own name the file is the old one, or is not there."""
    path = tmp_path / "file"
    if before is not None:
        path.write_text(before)
    script = (
        "import os, pathlib, signal, sys\nfrom abci_app.daemon import files\n"
        f"os.{step} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"files.{write}(pathlib.Path(sys.argv[1]), 'new' * 100_000)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], cwd=os.getcwd(), timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (path.read_text() if path.exists() else None) == before
    if before is None:
        create_file(path, "whole")
    else:
        replace_file(path, "whole")
    assert path.read_text() == "whole"


def test_a_file_and_its_name_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    real_sync, real_link = os.fsync, os.link

    def sync(descriptor: int) -> None:
        done.append("sync " + ("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"))
        real_sync(descriptor)

    def link(source: Path, target: Path) -> None:
        done.append("link")
        real_link(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "link", link)
    create_file(tmp_path / "key", "secret")
    assert done == ["sync file", "link", "sync folder"]


def test_a_private_folder_is_its_owners_even_where_it_was_there(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    for path in (tmp_path / "open", tmp_path / "deep" / "new"):
        make_private_folder(path)
        assert path.stat().st_mode & 0o777 == 0o700
