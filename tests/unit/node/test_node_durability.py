"""What the store promises about a crash of the machine: writes are synced and whole, damage of a disk is refused."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plyvel
import pytest

from abci_app.daemon.files import replace_file
from abci_app.machine.state.tree import Tree
from abci_app.node.errors import StoreError
from abci_app.node.store import Head, Store
from abci_app.node.view import STATE_PREFIX
from tests.kit.node.store_writer import CHAIN, write_block


def contents(store: Store) -> dict[bytes, bytes]:
    return dict(store.view().scan(b""))


class RecordingDatabase:
    """A LevelDB that notes of every batch whether it is synced and whole."""

    batches: list[tuple[bool, bool]]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.real, self.batches = plyvel_db(*arguments, **options), []

    def write_batch(self, transaction: bool = False, sync: bool = False) -> Any:
        self.batches.append((transaction, sync))
        return self.real.write_batch(transaction=transaction, sync=sync)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


plyvel_db = plyvel.DB


def test_blocks_and_their_undoing_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit answers when the block survives a loss of power; CometBFT does not replay what it was told is there."""
    monkeypatch.setattr(plyvel, "DB", RecordingDatabase)
    store = Store.open(tmp_path, CHAIN)
    tree = write_block(store, 1, {b"a": b"1"}, Tree())
    write_block(store, 2, {b"a": b"2"}, tree)
    store.roll_back()
    assert store._db.batches == [(True, True)] * 3
    store.close()


def test_a_block_that_fails_half_way_changes_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path, CHAIN)
    tree = write_block(store, 1, {b"a": b"1"}, Tree())
    before = contents(store)
    with pytest.raises(TypeError):
        store.write(Head(2, tree.root), {b"a": b"2", b"b": "no bytes"})  # type: ignore[dict-item]
    assert contents(store) == before and store.head == Head(1, tree.root)
    store.close()
    assert contents(Store.open(tmp_path, CHAIN)) == before


def test_undoing_that_fails_half_way_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(tmp_path, CHAIN)
    tree = write_block(store, 1, {b"a": b"1"}, Tree())
    write_block(store, 2, {b"a": b"2"}, tree)
    before = contents(store)

    def fail(self: Store, batch: Any, changes: object) -> None:
        batch.put(STATE_PREFIX + b"a", b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "_put_changes", fail)
    with pytest.raises(StoreError, match="No space left"):
        store.roll_back()
    assert contents(store) == before
    store.close()


def test_a_damaged_log_is_refused_not_passed_over(tmp_path: Path) -> None:
    """LevelDB would otherwise leave out what it cannot read, and the node be at an earlier height than it said."""
    store = Store.open(tmp_path, CHAIN)
    tree = Tree()
    for height in range(1, 6):
        tree = write_block(store, height, {b"a": b"%d" % height * 5000}, tree)
    store.close()
    (log,) = (tmp_path / "leveldb").glob("*.log")
    raw = bytearray(log.read_bytes())
    raw[len(raw) // 2] ^= 1
    log.write_bytes(raw)
    with pytest.raises(StoreError, match="orruption"):
        Store.open(tmp_path, CHAIN)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the operating system, in order; fsync notes what a file holds by then."""
    noted: list[str] = []
    replace: Callable[..., None] = os.replace

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}")
        noted.append("fsync " + ("folder" if path.is_dir() else path.read_text()))

    def replacing(old: Path, new: Path) -> None:
        noted.append(f"replace {new.name}")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replacing)
    return noted


def test_a_file_is_synced_whole_before_it_gets_its_name(tmp_path: Path, calls: list[str]) -> None:
    replace_file(tmp_path / "identity.json", "all of it")
    assert calls == ["fsync all of it", "replace identity.json", "fsync folder"]
    assert (tmp_path / "identity.json").read_text() == "all of it"


def test_a_file_that_cannot_be_synced_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError("disk is gone")

    (tmp_path / "identity.json").write_text("before")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk is gone"):
        replace_file(tmp_path / "identity.json", "after")
    assert (tmp_path / "identity.json").read_text() == "before"
