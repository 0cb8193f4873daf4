"""What this router has signed, on disk before it leaves: no restart forgets an open offer.

A bid is *open* while its transfer is undecided, or assigned to this router; open bids count at their largest share.
"""

import sqlite3
import threading
import time
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from abci_app.router.errors import ConfigInvalid

SCHEMA = """
CREATE TABLE IF NOT EXISTS bids (
  transfer_id BLOB PRIMARY KEY, destination INTEGER NOT NULL, local BLOB NOT NULL, share TEXT NOT NULL,
  path_lengths TEXT NOT NULL, signatures BLOB NOT NULL, state INTEGER NOT NULL, signed_at_s INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS open_bids ON bids (state, destination, local);
CREATE TABLE IF NOT EXISTS cursors (domain INTEGER PRIMARY KEY, block INTEGER NOT NULL) STRICT;
"""
SIGNATURE_BYTES = 65


class BidState(IntEnum):
    """SIGNED: on disk, not known to be accepted. SUBMITTED: a node took it. ELSEWHERE: assigned to others, for now.
    CLOSED: nothing can come of it any more. The first two are open."""

    SIGNED = 1
    SUBMITTED = 2
    ELSEWHERE = 3
    CLOSED = 4


@dataclass(frozen=True, slots=True)
class SignedBid:
    """One bid as it was signed: signatures in the order of ``path_lengths``."""

    transfer_id: bytes
    destination: int
    local: bytes
    share: int
    """Largest share it may cost, in the local asset's units."""
    path_lengths: tuple[int, ...]
    signatures: tuple[bytes, ...]
    state: BidState


class Ledger:
    """One SQLite file, one process; every write is on disk when the call returns."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigInvalid where the file is not ours or another process has it."""
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(path, timeout=0.2, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("COMMIT")
            self._database.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise ConfigInvalid(f"{path}: {error}: is another router running on this home?") from error

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def record(self, bid: SignedBid) -> None:
        """Keep a bid before it is submitted."""
        with self._lock:
            self._database.execute(
                "INSERT OR REPLACE INTO bids VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    bid.transfer_id, bid.destination, bid.local, str(bid.share),
                    ",".join(map(str, bid.path_lengths)), b"".join(bid.signatures), int(bid.state), int(time.time()),
                ),
            )

    def set_state(self, transfer_id: bytes, state: BidState) -> None:
        """Change a bid's state."""
        with self._lock:
            self._database.execute("UPDATE bids SET state = ? WHERE transfer_id = ?", (int(state), transfer_id))

    def find(self, transfer_id: bytes) -> SignedBid | None:
        """Return a bid, or None."""
        with self._lock:
            found = self._database.execute(f"SELECT {_COLUMNS} FROM bids WHERE transfer_id = ?", (transfer_id,))
            row = found.fetchone()
        return None if row is None else _read(row)

    def list_unfinished(self) -> list[SignedBid]:
        """Return bids that are not closed, oldest first."""
        with self._lock:
            rows = self._database.execute(
                f"SELECT {_COLUMNS} FROM bids WHERE state < ? ORDER BY signed_at_s, transfer_id",
                (int(BidState.CLOSED),),
            ).fetchall()
        return [_read(row) for row in rows]

    def sum_open(self, destination: int, local: bytes) -> int:
        """Return what open bids may cost in one local asset."""
        return sum(
            bid.share for bid in self.list_unfinished()
            if bid.state is not BidState.ELSEWHERE and (bid.destination, bid.local) == (destination, local)
        )

    def load_cursor(self, domain: int) -> int | None:
        """Return the last block of a chain that was looked at, or None."""
        with self._lock:
            row = self._database.execute("SELECT block FROM cursors WHERE domain = ?", (domain,)).fetchone()
        return None if row is None else int(row[0])

    def save_cursor(self, domain: int, block: int) -> None:
        """Keep the last block of a chain that was looked at."""
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (domain, block))


_COLUMNS = "transfer_id, destination, local, share, path_lengths, signatures, state"


def _read(row: tuple[bytes, int, bytes, str, str, bytes, int]) -> SignedBid:
    transfer_id, destination, local, share, lengths, signatures, state = row
    pieces = tuple(signatures[at:at + SIGNATURE_BYTES] for at in range(0, len(signatures), SIGNATURE_BYTES))
    return SignedBid(
        transfer_id, destination, local, int(share), tuple(map(int, lengths.split(","))), pieces, BidState(state)
    )
