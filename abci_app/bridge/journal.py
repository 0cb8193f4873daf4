"""What a relayer means to do and has done on one chain, on disk before it happens (docs/adr/0004-relayer-journal.md).

A submission is one leaf:

    planned ──sign──> sent ──settle──> settled
       └───────────settle───────────────┘      sent ──retry──> planned     (mined, and something in it failed)

``sign`` binds a nonce and stores the signed bytes *before* they are handed to anybody: from then on the nonce counts as
used, and is *open* until one of its variants (the transaction, its replacements, a cancellation) is mined. Every method
that writes is one durable SQLite transaction: a kill between any two leaves a state from which the relayer goes on.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from abci_app.bridge.errors import Fatal
from abci_app.bridge.leaves import LeafKey
from abci_app.evm.types import Fees

VERSION = "1"
HEIGHT_MAX = 2**63 - 1
"""SQLite's largest integer."""
BUSY_S = 5.0
NONCES_KEPT = 256
"""Mined nonces whose bytes are kept: more than any reorganisation takes back."""
FAILURES_KEPT_S = 3600.0
"""How long a transfer that failed when it was paid for is remembered: about what all attempts at it take."""
HEIGHTS_KEPT = 1024
"""Settled submissions are kept this far below the cursor; beyond, the chain's own status says it."""

_SCHEMA = """
CREATE TABLE identity (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE submissions (
    height INTEGER NOT NULL, leaf INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'sent', 'settled')),
    outcome TEXT NOT NULL, failures INTEGER NOT NULL, changed_at REAL NOT NULL,
    PRIMARY KEY (height, leaf)
) WITHOUT ROWID;
CREATE TABLE transactions (
    nonce INTEGER NOT NULL, variant INTEGER NOT NULL, hash BLOB NOT NULL, raw BLOB NOT NULL,
    recipient BLOB NOT NULL, calldata BLOB NOT NULL, gas INTEGER NOT NULL,
    max_fee_wei INTEGER NOT NULL, priority_fee_wei INTEGER NOT NULL,
    height INTEGER, leaf INTEGER, valid_until_s INTEGER NOT NULL, signed_block INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'mined', 'replaced', 'lost', 'void')),
    PRIMARY KEY (nonce, variant)
) WITHOUT ROWID;
CREATE TABLE cursor (one INTEGER PRIMARY KEY CHECK (one = 1), height INTEGER NOT NULL);
INSERT INTO cursor VALUES (1, 0);
"""
_FAILURES = (
    "CREATE TABLE IF NOT EXISTS failures"
    " (transfer_id BLOB PRIMARY KEY, count INTEGER NOT NULL, changed_at REAL NOT NULL) WITHOUT ROWID"
)
"""Of its own, so that a journal from before it is taken."""


@dataclass(frozen=True, slots=True)
class SignedVariant:
    """One signed transaction of a nonce. ``key`` is None where nothing is executed: a cancellation."""

    nonce: int
    hash: bytes
    raw: bytes
    recipient: bytes
    calldata: bytes
    gas: int
    fees: Fees
    key: LeafKey | None
    valid_until_s: int
    """Last second in which it can do anything; 0 for a cancellation."""
    signed_block: int
    """Head when it was signed."""


@dataclass(frozen=True, slots=True)
class OpenNonce:
    """A nonce without a mined variant yet, its variants oldest first."""

    nonce: int
    variants: tuple[SignedVariant, ...]

    @property
    def newest(self) -> SignedVariant:
        return self.variants[-1]

    @property
    def key(self) -> LeafKey | None:
        """Return the leaf that this nonce was first meant for, also once it is being cancelled."""
        return next((variant.key for variant in self.variants if variant.key is not None), None)


class Journal:
    """One chain's journal. Used by one thread; the home's lock keeps other processes away."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    def open(cls, path: Path, identity: Mapping[str, str]) -> "Journal":
        """Open or make the journal. ``identity`` names signer, chain and gate; another one is refused (Fatal)."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls._prepare(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None), path, identity)
        except (OSError, sqlite3.Error) as error:
            raise Fatal(f"journal {path}: {error}") from error

    @classmethod
    def open_copy(cls, path: Path, identity: Mapping[str, str]) -> "Journal":
        """Open a copy in memory, for a dry run: nothing on disk changes. Raises Fatal."""
        copy = sqlite3.connect(":memory:", isolation_level=None)
        try:
            if path.exists():
                stored = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
                try:
                    stored.backup(copy)
                finally:
                    stored.close()
            return cls._prepare(copy, path, identity)
        except sqlite3.Error as error:
            raise Fatal(f"journal {path}: {error}") from error

    @classmethod
    def _prepare(cls, db: sqlite3.Connection, path: Path, identity: Mapping[str, str]) -> "Journal":
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # with WAL: a commit is on disk when it returns
        expected = {"version": VERSION, **identity}
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'identity'").fetchone():
            with _Atomic(db):
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                db.executemany("INSERT INTO identity VALUES (?, ?)", expected.items())
        db.execute(_FAILURES)
        stored = dict(db.execute("SELECT name, value FROM identity"))
        for name, value in expected.items():
            if stored.get(name) != value:
                db.close()
                raise Fatal(f"journal {path} is of {name} {stored.get(name)}, not {value}: use another home")
        return cls(db)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # -- submissions --------------------------------------------------------------------------------------------------

    def record(self, key: LeafKey) -> None:
        """Write down the intent to submit a leaf; one that is planned already stays as it is."""
        self._db.execute(
            "INSERT INTO submissions VALUES (?, ?, 'planned', '', 0, ?) ON CONFLICT DO NOTHING",
            (key.height, key.index, time.time()),
        )

    def settle(self, key: LeafKey, outcome: str) -> None:
        """Note that nothing is left to do for a leaf; ``outcome`` says why, for people."""
        self._db.execute(_SETTLE, (key.height, key.index, outcome, time.time()))

    def is_settled(self, key: LeafKey) -> bool:
        """Whether a leaf was settled."""
        return self._submission(key)[0] == "settled"

    def failures(self, key: LeafKey) -> int:
        """Return how many transactions were paid for this leaf and left something in it undone."""
        return self._submission(key)[1]

    def _submission(self, key: LeafKey) -> tuple[str, int]:
        query = "SELECT state, failures FROM submissions WHERE height = ? AND leaf = ?"
        row = self._db.execute(query, (key.height, key.index)).fetchone()
        return (row[0], row[1]) if row else ("", 0)

    # -- nonces -------------------------------------------------------------------------------------------------------

    def sign(self, variant: SignedVariant) -> None:
        """Store a signed transaction, before it is handed over: its nonce is open from now on, its leaf *sent*."""
        key, fees = variant.key, variant.fees
        with self._atomically():
            number = "SELECT coalesce(max(variant), -1) + 1 FROM transactions WHERE nonce = ?"
            [place] = self._db.execute(number, (variant.nonce,)).fetchone()
            self._db.execute(
                "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open')",
                (
                    *(variant.nonce, place, variant.hash, variant.raw, variant.recipient, variant.calldata),
                    *(variant.gas, fees.max_fee_wei, fees.priority_fee_wei),
                    *((key.height, key.index) if key else (None, None)),
                    *(variant.valid_until_s, variant.signed_block),
                ),
            )
            if key is not None:
                self._db.execute(_SENT, (key.height, key.index, time.time()))

    def open_nonces(self) -> tuple[OpenNonce, ...]:
        """Return every nonce that is not mined yet, ascending."""
        rows = self._db.execute(
            "SELECT nonce, hash, raw, recipient, calldata, gas, max_fee_wei, priority_fee_wei, height, leaf,"
            " valid_until_s, signed_block FROM transactions WHERE state = 'open' ORDER BY nonce, variant"
        )
        by_nonce: dict[int, list[SignedVariant]] = {}
        for row in rows:
            key = None if row[8] is None else LeafKey(row[8], row[9])
            fees = Fees(row[6], row[7])
            variant = SignedVariant(row[0], row[1], row[2], row[3], row[4], row[5], fees, key, row[10], row[11])
            by_nonce.setdefault(row[0], []).append(variant)
        return tuple(OpenNonce(nonce, tuple(variants)) for nonce, variants in by_nonce.items())

    def next_nonce(self) -> int:
        """Return one above every nonce ever used here, void ones not counted; 0 for none."""
        query = "SELECT coalesce(max(nonce), -1) + 1 FROM transactions WHERE state != 'void'"
        return int(self._db.execute(query).fetchone()[0])

    def unknown_nonces(self, first: int, end: int) -> tuple[int, ...]:
        """Return nonces of [first, end) of which nothing is on record."""
        query = "SELECT DISTINCT nonce FROM transactions WHERE nonce >= ? AND nonce < ? AND state != 'void'"
        rows = self._db.execute(query, (first, end))
        known = {row[0] for row in rows}
        return tuple(nonce for nonce in range(first, end) if nonce not in known)

    def has_ended(self, nonce: int) -> bool:
        """Whether this nonce or a later one was seen used up."""
        query = "SELECT 1 FROM transactions WHERE nonce >= ? AND state IN ('mined', 'lost') LIMIT 1"
        return self._db.execute(query, (nonce,)).fetchone() is not None

    def mined(
        self, nonce: int, tx_hash: bytes, key: LeafKey | None, outcome: str, is_done: bool,
        failed: Sequence[bytes] = (),
    ) -> None:
        """Close the nonce of a variant that is mined, deep enough; its leaf is settled, or planned again.

        ``failed``: transfers in it that were paid for in vain.
        """
        with self._atomically():
            self._db.execute(
                "UPDATE transactions SET state = CASE WHEN hash = ? THEN 'mined' ELSE 'replaced' END WHERE nonce = ?",
                (tx_hash, nonce),
            )
            if key is not None:
                self._finish(key, outcome, is_done)
            now_s = time.time()
            self._db.execute("DELETE FROM failures WHERE changed_at < ?", (now_s - FAILURES_KEPT_S,))
            self._db.executemany(_FAILED, [(transfer_id, now_s) for transfer_id in failed])
            self._db.execute(
                "DELETE FROM transactions WHERE state != 'open' AND nonce < ?", (nonce - NONCES_KEPT,)
            )

    def list_failed(self, times: int) -> frozenset[bytes]:
        """Return the transfers that were paid for in vain at least so many times lately."""
        query = "SELECT transfer_id FROM failures WHERE count >= ? AND changed_at >= ?"
        return frozenset(row[0] for row in self._db.execute(query, (times, time.time() - FAILURES_KEPT_S)))

    def lost(self, nonce: int, key: LeafKey | None) -> None:
        """Close a nonce that somebody else's transaction has; its leaf is planned again. Nothing was paid for it."""
        with self._atomically():
            self._db.execute("UPDATE transactions SET state = 'lost' WHERE nonce = ?", (nonce,))
            if key is not None:
                self._db.execute(_PLANNED, (time.time(), key.height, key.index))

    def void(self, nonce: int, key: LeafKey | None) -> None:
        """Close a nonce that can never be reached: it was bound while an endpoint lied. Its leaf is planned again."""
        with self._atomically():
            self._db.execute("UPDATE transactions SET state = 'void' WHERE nonce = ?", (nonce,))
            if key is not None:
                self._db.execute(_PLANNED, (time.time(), key.height, key.index))

    def _finish(self, key: LeafKey, outcome: str, is_done: bool) -> None:
        if is_done:
            self._db.execute(_SETTLE, (key.height, key.index, outcome, time.time()))
        else:
            self._db.execute(_AGAIN, (outcome, time.time(), key.height, key.index))

    def reopen(self, nonce: int) -> None:
        """Open again what the chain mined from this nonce on and has forgotten (a deep reorganisation)."""
        self._db.execute("UPDATE transactions SET state = 'open' WHERE nonce >= ? AND state != 'void'", (nonce,))

    # -- cursor -------------------------------------------------------------------------------------------------------

    def cursor(self) -> int:
        """Return the height up to which every batch was settled when last written; it saves questions at a restart."""
        return int(self._db.execute("SELECT height FROM cursor").fetchone()[0])

    def move_cursor(self, height: int) -> None:
        """Write the cursor, and forget what lies far below it."""
        with self._atomically():
            self._db.execute("UPDATE cursor SET height = ?", (height,))
            self._db.execute(
                "DELETE FROM submissions WHERE state = 'settled' AND height < ?", (height - HEIGHTS_KEPT,)
            )

    def _atomically(self) -> "_Atomic":
        return _Atomic(self._db)


class _Atomic:
    """BEGIN … COMMIT, or ROLLBACK where the block raises."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._db.execute("COMMIT")
        elif self._db.in_transaction:  # where the disk is full, SQLite has rolled back already
            self._db.execute("ROLLBACK")


_SETTLE = (
    "INSERT INTO submissions VALUES (?, ?, 'settled', ?, 0, ?) ON CONFLICT (height, leaf)"
    " DO UPDATE SET state = excluded.state, outcome = excluded.outcome, changed_at = excluded.changed_at"
)
_SENT = (
    "INSERT INTO submissions VALUES (?, ?, 'sent', '', 0, ?) ON CONFLICT (height, leaf)"
    " DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at"
)
_PLANNED = "UPDATE submissions SET state = 'planned', changed_at = ? WHERE height = ? AND leaf = ?"
_FAILED = (
    "INSERT INTO failures VALUES (?, 1, ?) ON CONFLICT (transfer_id)"
    " DO UPDATE SET count = count + 1, changed_at = excluded.changed_at"
)
_AGAIN = (
    "UPDATE submissions SET state = 'planned', outcome = ?, failures = failures + 1, changed_at = ?"
    " WHERE height = ? AND leaf = ?"
)
