"""What was signed is on disk before it leaves, counts while it is open, and belongs to one process."""

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.router.errors import LedgerFailed
from abci_app.router.ledger import BidState, Ledger, SignedBid

LOCAL, OTHER = b"\xa2" * 20, b"\xa3" * 20
FULL = 2
"""Of SQLite's values of ``PRAGMA synchronous``."""
BID = SignedBid(b"\x01" * 32, 2222, LOCAL, 10**30, (1, 4), (b"\x07" * 65, b"\x08" * 65), BidState.SIGNED)


def bid(number: int, **changes: object) -> SignedBid:
    return replace(BID, transfer_id=bytes([number]) * 32, **changes)  # type: ignore[arg-type]


def test_what_is_recorded_is_found_after_a_restart(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    ledger.record(BID)
    ledger.record(bid(3, signatures=()))
    ledger.save_cursor(1111, 2**40)
    ledger.save_pin(1111, LOCAL)
    ledger.close()
    again = Ledger(tmp_path / "l")
    found = again.find(BID.transfer_id)
    assert found is not None and replace(found, signed_at_s=0) == BID and found.signed_at_s > 1_700_000_000
    assert (again.load_cursor(1111), again.load_cursor(2222)) == (2**40, None)
    assert again.find(b"\x02" * 32) is None
    unsigned = again.find(b"\x03" * 32)
    assert unsigned is not None and (unsigned.path_lengths, unsigned.signatures) == ((1, 4), ())
    assert (again.load_pin(1111), again.load_pin(2222)) == (LOCAL, b"")
    again.close()


def test_open_bids_count_at_their_largest_share(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    for number, state in enumerate(BidState, start=1):
        ledger.record(bid(number, state=state, share=10**number))
    ledger.record(bid(9, local=OTHER, share=7))
    ledger.record(bid(10, destination=1111, share=7))
    assert ledger.sum_open(2222, LOCAL) == 10 + 100
    assert ledger.sum_open(2222, LOCAL, without=bid(2).transfer_id) == 10, "a bid does not stand in its own way"
    ledger.set_state(bid(1).transfer_id, BidState.CLOSED)
    assert ledger.sum_open(2222, LOCAL) == 100
    ledger.set_state(bid(3).transfer_id, BidState.SUBMITTED)
    assert ledger.sum_open(2222, LOCAL) == 1100
    assert [one.transfer_id[0] for one in ledger.list_unfinished()] == [2, 3, 9, 10]
    ledger.close()


def test_a_second_process_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    ledger.record(BID)
    before = (tmp_path / "l").stat()  # reading it here would let go of this process's lock
    script = (
        "import sys; from pathlib import Path; from abci_app.router.ledger import Ledger\n"
        "try:\n    Ledger(Path(sys.argv[1]))\nexcept Exception as error:\n    print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "l")], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("LedgerFailed") and "in use by another router" in done.stdout
    after = (tmp_path / "l").stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
    ledger.set_state(BID.transfer_id, BidState.SUBMITTED)
    ledger.close()


def test_a_killed_process_leaves_all_it_recorded(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from abci_app.router.ledger import *\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "ledger.record(SignedBid(b'\\x01' * 32, 2222, b'\\xa2' * 20, 5, (1,), (b'\\x07' * 65,), BidState.SIGNED))\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "l")], timeout=60)
    assert done.returncode == -9
    ledger = Ledger(tmp_path / "l")
    assert ledger.sum_open(2222, LOCAL) == 5
    ledger.close()


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "l").write_bytes(b"junk" * 1000)
    with pytest.raises(LedgerFailed, match="not a database"):
        Ledger(tmp_path / "l")
    with pytest.raises(LedgerFailed, match="unable to open"):
        Ledger(tmp_path / "nowhere" / "l")


def test_a_closed_ledger_refuses(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    ledger.close()
    with pytest.raises(LedgerFailed):
        ledger.record(BID)
    with pytest.raises(LedgerFailed):
        ledger.list_unfinished()


def test_threads_share_a_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")

    def work(start: int) -> None:
        for number in range(start, start + 10):
            ledger.record(bid(number, share=1))
            ledger.sum_open(2222, LOCAL)
    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 10, 20, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ledger.sum_open(2222, LOCAL) == 40
    ledger.close()
    assert sqlite3.connect(tmp_path / "l").execute("SELECT count(*) FROM bids").fetchone() == (40,)


def test_a_write_is_on_disk_when_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the SQLite at hand does by itself: a build of it may sync less."""
    connect = sqlite3.connect

    def connect_lazily(*arguments: object, **options: object) -> sqlite3.Connection:
        database = connect(*arguments, **options)  # type: ignore[call-overload]
        database.execute("PRAGMA synchronous = OFF")
        return database

    monkeypatch.setattr(sqlite3, "connect", connect_lazily)
    ledger = Ledger(tmp_path / "l")
    assert ledger._database.execute("PRAGMA synchronous").fetchone() == (FULL,)
    ledger.close()
