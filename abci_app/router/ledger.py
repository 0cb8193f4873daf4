"""Ledger of this router's signed bids, written to disk before submission.

A bid is *open* while its transfer is undecided, or assigned to this router; open bids count at their largest share.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from abci_app.router.errors import LedgerFailed

SCHEMA = """
CREATE TABLE IF NOT EXISTS bids (
  transfer_id BLOB PRIMARY KEY, destination INTEGER NOT NULL, local BLOB NOT NULL, share TEXT NOT NULL,
  path_lengths TEXT NOT NULL, signatures BLOB NOT NULL, state INTEGER NOT NULL, signed_at_s INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS open_bids ON bids (state, destination, local);
CREATE TABLE IF NOT EXISTS cursors (domain INTEGER PRIMARY KEY, block INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS pins (domain INTEGER PRIMARY KEY, connext BLOB NOT NULL) STRICT;
"""
SIGNATURE_BYTES = 65
BUSY_S = 0.2


class BidState(IntEnum):
    """SIGNED: on disk, not known to be accepted. SUBMITTED: a node took it. ELSEWHERE: assigned to others, for now.
    CLOSED: nothing is expected to come of it any more. The first two are open."""

    SIGNED = 1
    SUBMITTED = 2
    ELSEWHERE = 3
    CLOSED = 4


@dataclass(frozen=True, slots=True)
class SignedBid:
    """One bid as it was signed: signatures in the order of ``path_lengths``; none where others are known to hold it and
    this router has not signed it itself."""

    transfer_id: bytes
    destination: int
    local: bytes
    share: int
    """Largest share it may cost, in the local asset's units."""
    path_lengths: tuple[int, ...]
    signatures: tuple[bytes, ...]
    state: BidState
    signed_at_s: int = 0
    """Unix time; set by the ledger."""


class Ledger:
    """One SQLite file, one process, any thread; every write is on disk when the call returns. Raises LedgerFailed."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; LedgerFailed where it is not ours or another process has it."""
        self._lock = threading.Lock()
        self._path = path
        with self._mapped():
            self._database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._database.execute("PRAGMA synchronous = FULL")
                self._database.execute("BEGIN IMMEDIATE")
                self._database.execute("COMMIT")
                self._database.executescript(SCHEMA)
            except sqlite3.Error:
                self._database.close()
                raise

    def close(self) -> None:
        """Let go of the file; later calls raise LedgerFailed."""
        with self._lock:
            self._database.close()

    def record(self, bid: SignedBid) -> None:
        """Keep a bid before it is submitted, in place of what was known for its transfer."""
        self._write(
            "INSERT OR REPLACE INTO bids VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            bid.transfer_id, bid.destination, bid.local, str(bid.share), ",".join(map(str, bid.path_lengths)),
            b"".join(bid.signatures), int(bid.state), int(time.time()),
        )

    def set_state(self, transfer_id: bytes, state: BidState) -> None:
        """Change a bid's state."""
        self._write("UPDATE bids SET state = ? WHERE transfer_id = ?", int(state), transfer_id)

    def find(self, transfer_id: bytes) -> SignedBid | None:
        """Return a bid, or None."""
        rows = self._select(f"SELECT {_COLUMNS} FROM bids WHERE transfer_id = ?", transfer_id)
        return _read(rows[0]) if rows else None

    def list_unfinished(self) -> list[SignedBid]:
        """Return bids that are not closed, oldest first."""
        rows = self._select(
            f"SELECT {_COLUMNS} FROM bids WHERE state < ? ORDER BY signed_at_s, transfer_id", int(BidState.CLOSED)
        )
        return [_read(row) for row in rows]

    def sum_open(self, destination: int, local: bytes, without: bytes = b"") -> int:
        """Return what open bids, one transfer's left out, may cost in one local asset, in its units."""
        rows = self._select(
            "SELECT share FROM bids WHERE state IN (?, ?) AND destination = ? AND local = ? AND transfer_id != ?",
            int(BidState.SIGNED), int(BidState.SUBMITTED), destination, local, without,
        )
        return sum(int(share) for share, in rows)

    def load_cursor(self, domain: int) -> int | None:
        """Return the last block of a chain that was looked at, or None."""
        rows = self._select("SELECT block FROM cursors WHERE domain = ?", domain)
        return int(rows[0][0]) if rows else None

    def save_cursor(self, domain: int, block: int) -> None:
        """Keep the last block of a chain that was looked at."""
        self._write("INSERT OR REPLACE INTO cursors VALUES (?, ?)", domain, block)

    def load_pin(self, domain: int) -> bytes:
        """Return the Connext that was believed of a domain first; empty for none."""
        rows = self._select("SELECT connext FROM pins WHERE domain = ?", domain)
        return bytes(rows[0][0]) if rows else b""

    def save_pin(self, domain: int, connext: bytes) -> None:
        """Keep the Connext of a domain."""
        self._write("INSERT OR REPLACE INTO pins VALUES (?, ?)", domain, connext)

    def _write(self, statement: str, *values: object) -> None:
        with self._lock, self._mapped():
            self._database.execute(statement, values)

    def _select(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, self._mapped():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            reason = "in use by another router" if "locked" in str(error) else str(error)
            raise LedgerFailed(f"{self._path}: {reason}") from error


_COLUMNS = "transfer_id, destination, local, share, path_lengths, signatures, state, signed_at_s"


def _read(row: tuple[Any, ...]) -> SignedBid:
    transfer_id, destination, local, share, lengths, signatures, state, signed_at_s = row
    pieces = tuple(signatures[at:at + SIGNATURE_BYTES] for at in range(0, len(signatures), SIGNATURE_BYTES))
    return SignedBid(
        transfer_id, destination, local, int(share), tuple(map(int, lengths.split(","))), pieces, BidState(state),
        signed_at_s,
    )
