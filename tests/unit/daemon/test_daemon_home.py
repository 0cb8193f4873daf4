"""A home is made whole or refused, and one process holds it: the second learns who the first is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from abci_app.daemon.home import create_home, find_holder, held, lock_folder

KEY, CONFIG = Path("keys") / "key.json", Path("config.toml")


class Refused(Exception):
    """What the program of these tests raises."""


def test_a_home_is_its_owners(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    create_home(home, {KEY: "k", CONFIG: "c"}, Refused)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (home, *home.rglob("*"))}
    assert modes == {"home": 0o700, "keys": 0o700, "key.json": 0o600, "config.toml": 0o600}
    assert ((home / KEY).read_text(), (home / CONFIG).read_text()) == ("k", "c")


@pytest.mark.parametrize("there", [KEY, CONFIG])
def test_a_home_is_not_made_over_another(tmp_path: Path, there: Path) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("old")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Refused, match=f"{there.name} exists already"):
        create_home(tmp_path, {KEY: "k", CONFIG: "c"}, Refused)
    assert sorted(tmp_path.rglob("*")) == before and (tmp_path / there).read_text() == "old"


def test_a_home_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match=r"Not a directory|File exists|exists already") as refused:
        create_home(tmp_path / "file", {CONFIG: "c"}, Refused)
    assert "\n" not in str(refused.value)


def test_a_second_process_is_refused_with_home_and_pid(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\nfrom abci_app.daemon.home import held\n"
        "with held(pathlib.Path(sys.argv[1]), 'router', OSError):\n    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(Refused) as refused, held(tmp_path, "router", Refused):
            raise AssertionError("held twice")
    finally:
        holder.kill()
        holder.communicate(timeout=10)
    assert str(refused.value) == f"{tmp_path} is in use by another router (PID {holder.pid})"
    with held(tmp_path, "router", Refused):
        assert os.listdir(tmp_path) == []


def test_the_refusal_stands_where_the_kernel_names_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abci_app.daemon.home.LOCKS", tmp_path / "none")
    with held(tmp_path, "router", Refused), pytest.raises(Refused) as refused, held(tmp_path, "router", Refused):
        raise AssertionError("held twice")
    assert str(refused.value) == f"{tmp_path} is in use by another router"


def test_a_home_that_is_not_there_is_not_held(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="none: No such file"), held(tmp_path / "none", "router", Refused):
        raise AssertionError("held nothing")


def test_a_folder_is_locked_once(tmp_path: Path) -> None:
    first = lock_folder(tmp_path)
    assert first is not None and lock_folder(tmp_path) is None
    os.close(first)
    again = lock_folder(tmp_path)
    assert again is not None
    os.close(again)


TABLE = """\
1: POSIX  ADVISORY  WRITE 11 fd:01:1835 0 EOF
2: FLOCK  ADVISORY  WRITE 12 fd:01:1836 0 EOF
2: -> FLOCK  ADVISORY  WRITE 16 fd:01:1835 0 EOF
3: FLOCK  ADVISORY  WRITE 13 fd:02:1835 0 EOF
4: FLOCK  ADVISORY  WRITE 14 fd:01:1835 0 EOF
5: FLOCK  ADVISORY  WRITE 0 fd:01:1837 0 EOF
half a line
"""


@pytest.mark.parametrize(("inode", "pid"), [(1835, 14), (1836, 12), (1837, None), (1838, None)])
def test_the_holder_is_who_locked_this_very_file(inode: int, pid: int | None) -> None:
    assert find_holder(TABLE, os.makedev(0xFD, 1), inode) == pid
