"""A home is one command's at a time, and what is not ours in it stays."""

import fcntl
import os
from pathlib import Path

import pytest

from testnet.network import homes
from testnet.network.layout import Manifest, NetworkError, save_manifest


def test_what_a_command_made_and_did_not_use_is_removed_again(tmp_path: Path) -> None:
    home = tmp_path / "a" / "b"
    with homes.locked(home, make=True):
        assert home.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_or_is_used_stays(tmp_path: Path) -> None:
    home = tmp_path / "a"
    home.mkdir()
    with homes.locked(home, make=True):
        pass
    assert home.is_dir()
    with homes.locked(home / "b", make=True):
        (home / "b" / "kept").touch()
    assert (home / "b" / "kept").exists()


def test_two_commands_do_not_share_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homes, "LOCK_S", 0.0)
    with homes.locked(tmp_path), pytest.raises(NetworkError, match="another command works on"), homes.locked(tmp_path):
        raise AssertionError("both are in")
    with homes.locked(tmp_path):
        pass


def test_the_lock_of_a_folder_that_was_made_anew_is_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, old = tmp_path / "home", tmp_path / "old"
    home.mkdir()
    opened = os.open

    def swapped(path: Path, flags: int) -> int:
        descriptor = opened(path, flags)
        if not old.exists():
            home.rename(old)
            home.mkdir()
        return descriptor
    monkeypatch.setattr(os, "open", swapped)
    with homes.locked(home):
        descriptor = opened(home, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)


def test_a_command_on_no_network_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="holds no network"), homes.locked(tmp_path / "none"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(NetworkError, match="is no folder"), homes.locked(tmp_path / "file", make=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_only_an_empty_folder_or_a_network_will_do(tmp_path: Path) -> None:
    assert homes.find_network(tmp_path) is None
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(NetworkError, match="not empty"):
        homes.find_network(tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "an app", "start_url": "/"}')
    with pytest.raises(NetworkError, match="of another program"):
        homes.find_network(tmp_path)
    save_manifest(tmp_path, Manifest(28000, 2, complete=False))
    found = homes.find_network(tmp_path)
    assert found is not None and found.manifest == Manifest(28000, 2, complete=False)


def test_a_network_is_removed_and_nothing_else(tmp_path: Path) -> None:
    save_manifest(tmp_path, Manifest(28000, 2))
    (tmp_path / "nodes" / "node0").mkdir(parents=True)
    (tmp_path / "thesis.tex").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "logs").symlink_to(elsewhere)
    homes.remove_network(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "thesis.tex"]
