"""The journal: what it keeps over a restart, what it refuses, and that a write is whole or not at all."""

import sqlite3
import time
from pathlib import Path

import pytest

from abci_app.bridge.errors import Fatal
from abci_app.bridge.journal import FAILURES_KEPT_S, HEIGHTS_KEPT, NONCES_KEPT, Journal, SignedVariant
from abci_app.bridge.leaves import LeafKey
from abci_app.evm.types import Fees

IDENTITY = {"signer": "0x01", "chain id": "31338", "gate": "0x'02"}
KEY = LeafKey(7, 1)
FULL = 2
"""Of SQLite's values of ``PRAGMA synchronous``."""


def variant(nonce: int, key: LeafKey | None = KEY, seed: bytes = b"a") -> SignedVariant:
    return SignedVariant(nonce, seed * 32, b"raw" + seed, b"\x02" * 20, b"data", 21_000, Fees(3, 1), key, 99, 5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal" / "2222.sqlite"


@pytest.fixture
def journal(path: Path) -> Journal:
    return Journal.open(path, IDENTITY)


def test_a_new_journal_knows_nothing(journal: Journal) -> None:
    assert (journal.open_nonces(), journal.next_nonce(), journal.cursor()) == ((), 0, 0)
    assert (journal.is_settled(KEY), journal.failures(KEY), journal.has_ended(0)) == (False, 0, False)


def test_what_is_signed_is_open_with_every_byte_after_a_restart(journal: Journal, path: Path) -> None:
    journal.record(KEY)
    first, second, cancel = variant(4), variant(4, seed=b"b"), variant(4, None, b"c")
    for one in (first, second, cancel):
        journal.sign(one)
    [stored] = Journal.open(path, IDENTITY).open_nonces()
    assert stored.variants == (first, second, cancel)
    assert (stored.nonce, stored.newest, stored.key) == (4, cancel, KEY)


def test_a_mined_variant_closes_its_nonce_and_settles_its_leaf(journal: Journal) -> None:
    journal.record(KEY)
    journal.sign(variant(0))
    journal.mined(0, b"a" * 32, KEY, "executed 1 of 1", True)
    assert (journal.open_nonces(), journal.is_settled(KEY), journal.next_nonce()) == ((), True, 1)
    assert journal.has_ended(0) and not journal.has_ended(1)


def test_what_was_paid_for_and_not_done_is_planned_again_and_counted(journal: Journal) -> None:
    journal.sign(variant(0))
    journal.mined(0, b"a" * 32, KEY, "reverted", False)
    journal.record(KEY)
    assert (journal.is_settled(KEY), journal.failures(KEY)) == (False, 1)
    journal.sign(variant(1, seed=b"b"))
    journal.lost(1, KEY)
    assert (journal.is_settled(KEY), journal.failures(KEY), journal.open_nonces()) == (False, 1, ()), "nothing was paid"


def test_transfers_that_were_paid_for_in_vain_are_counted(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    for nonce in range(2):
        journal.sign(variant(nonce, seed=b"%d" % nonce))
        journal.mined(nonce, b"a" * 32, KEY, "executed 0 of 2", False, [b"x" * 32, b"y" * 32][:2 - nonce])
    assert journal.list_failed(1) == {b"x" * 32, b"y" * 32}
    assert journal.list_failed(2) == {b"x" * 32}
    later_s = time.time() + FAILURES_KEPT_S + 1
    monkeypatch.setattr("abci_app.bridge.journal.time.time", lambda: later_s)
    assert journal.list_failed(1) == frozenset()


def test_a_journal_from_before_they_were_counted_is_taken(tmp_path: Path) -> None:
    old = Journal.open(tmp_path / "old", IDENTITY)
    old._db.execute("DROP TABLE failures")
    old.close()
    assert Journal.open(tmp_path / "old", IDENTITY).list_failed(1) == frozenset()


def test_recording_again_changes_nothing(journal: Journal) -> None:
    journal.settle(KEY, "executed")
    journal.record(KEY)
    assert journal.is_settled(KEY)


def test_reopened_nonces_are_open_with_all_their_variants(journal: Journal) -> None:
    for nonce in range(3):
        journal.sign(variant(nonce, LeafKey(7, nonce), bytes([97 + nonce])))
        journal.mined(nonce, bytes([97 + nonce]) * 32, LeafKey(7, nonce), "executed", True)
    journal.reopen(1)
    assert [one.nonce for one in journal.open_nonces()] == [1, 2]
    assert not journal.has_ended(1)


def test_unknown_nonces_are_those_of_which_nothing_is_on_record(journal: Journal) -> None:
    journal.sign(variant(2))
    journal.sign(variant(5, None, b"b"))
    assert journal.unknown_nonces(1, 7) == (1, 3, 4, 6)
    assert journal.unknown_nonces(7, 7) == ()


def test_a_void_nonce_counts_for_nothing(journal: Journal) -> None:
    journal.sign(variant(3))
    journal.sign(variant(1_000_000, LeafKey(8, 0), b"b"))
    journal.void(1_000_000, LeafKey(8, 0))
    assert (journal.next_nonce(), journal.has_ended(0), journal.failures(LeafKey(8, 0))) == (4, False, 0)
    assert [one.nonce for one in journal.open_nonces()] == [3]
    journal.reopen(0)
    assert [one.nonce for one in journal.open_nonces()] == [3]


def test_old_nonces_and_settled_leaves_are_forgotten_open_ones_never(journal: Journal) -> None:
    journal.sign(variant(0, None, b"z"))
    for nonce in range(1, 4):
        journal.sign(variant(nonce, LeafKey(nonce, 0), bytes([97 + nonce])))
        journal.mined(nonce, bytes([97 + nonce]) * 32, LeafKey(nonce, 0), "executed", True)
    journal.record(LeafKey(2, 5))
    far = 3 + NONCES_KEPT
    journal.sign(variant(far, None, b"y"))
    journal.mined(far, b"y" * 32, None, "cancelled", True)
    assert journal.unknown_nonces(0, 4) == (1, 2)
    assert [one.nonce for one in journal.open_nonces()] == [0]
    journal.move_cursor(HEIGHTS_KEPT + 3)
    assert [journal.is_settled(LeafKey(height, 0)) for height in (1, 2, 3)] == [False, False, True]
    assert journal.cursor() == HEIGHTS_KEPT + 3


def test_a_write_that_fails_in_the_middle_leaves_nothing(journal: Journal) -> None:
    journal.sign(variant(0))
    with pytest.raises(sqlite3.IntegrityError):
        journal.sign(SignedVariant(1, b"h", b"r", b"", b"", None, Fees(1, 1), KEY, 0, 0))  # type: ignore[arg-type]
    journal.settle(LeafKey(8, 0), "executed")  # and the next one works
    assert journal.next_nonce() == 1


def test_a_full_disk_is_called_so_and_loses_nothing(journal: Journal) -> None:
    [pages] = journal._db.execute("PRAGMA page_count").fetchone()
    journal._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        for nonce in range(10_000):
            journal.sign(variant(nonce))
    signed = len(journal.open_nonces())
    assert 0 < signed < 10_000
    journal._db.execute("PRAGMA max_page_count = 1000000")
    journal.sign(variant(signed))
    assert len(journal.open_nonces()) == journal.next_nonce() == signed + 1


@pytest.mark.parametrize("name", ["signer", "chain id", "gate"])
def test_a_journal_of_somebody_else_is_refused(journal: Journal, path: Path, name: str) -> None:
    journal.close()
    before = path.read_bytes()
    with pytest.raises(Fatal, match=f"is of {name} .*, not 0x99: use another home"):
        Journal.open(path, IDENTITY | {name: "0x99"})
    assert path.read_bytes() == before
    Journal.open(path, IDENTITY).close()


def test_what_is_no_journal_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(Fatal, match="not a database"):
        Journal.open(path, IDENTITY)
    with pytest.raises(Fatal, match="not a database"):
        Journal.open_copy(path, IDENTITY)


def test_a_copy_leaves_the_file_alone(journal: Journal, path: Path) -> None:
    journal.sign(variant(0))
    journal.close()
    before = path.read_bytes()
    copy = Journal.open_copy(path, IDENTITY)
    copy.settle(KEY, "dry run")
    copy.sign(variant(1, None, b"b"))
    assert len(copy.open_nonces()) == 2
    assert path.read_bytes() == before
    assert Journal.open_copy(path.with_name("none.sqlite"), IDENTITY).next_nonce() == 0
    assert not path.with_name("none.sqlite").exists()


def test_a_commit_is_on_disk_when_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the SQLite at hand does by itself: a build of it may sync less."""
    connect = sqlite3.connect

    def connect_lazily(*arguments: object, **options: object) -> sqlite3.Connection:
        database = connect(*arguments, **options)  # type: ignore[call-overload]
        database.execute("PRAGMA synchronous = OFF")
        return database

    monkeypatch.setattr(sqlite3, "connect", connect_lazily)
    journal = Journal.open(tmp_path / "journal.sqlite", {})
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (FULL,)
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    journal.close()
