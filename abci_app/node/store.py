"""The node's database: LevelDB, one atomic and synced write a block, height and app hash in the same write.

Folder: ``identity.json`` (layout and chain id, read before the database is touched) and ``leveldb/``. Keys in it:
``s/…`` state, ``h`` the head, ``a/<acceptance>`` ids of transfers by acceptance number, ``u/<height>`` the values that
the block of that height replaced (the last UNDO_HEIGHTS of them), so that one height can be rolled back. Nothing is
created before the first block is written.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import plyvel

from abci_app.daemon.files import replace_file
from abci_app.machine.state import keys
from abci_app.machine.state.codec import U64, Hash, Malformed, decode, encode
from abci_app.machine.state.records import ChainState, Transfer
from abci_app.machine.state.tree import Tree
from abci_app.machine.state.view import MemoryState, StateView
from abci_app.node.errors import StoreError
from abci_app.node.view import STATE_PREFIX, StoreView, accepted_key

LAYOUT = 4
"""Of the folder and of all keys, the state's too; another one is refused, never guessed at."""
UNDO_HEIGHTS = 16
IDENTITY, DATABASE = "identity.json", "leveldb"
HEAD_KEY = b"h"
UNDO_PREFIX = b"u/"
CACHE_BYTES = 64 * 2**20
WRITE_BUFFER_BYTES = 16 * 2**20
BLOOM_BITS = 10
LENGTH_BYTES = 4
FOREIGN = (plyvel.Error, OSError, RuntimeError)
"""What LevelDB raises: its own errors, the operating system's, and RuntimeError for a closed database."""


@dataclass(frozen=True, slots=True)
class Head:
    """Height and app hash of the last block: what the node answers to Info."""

    height: U64
    app_hash: Hash


@dataclass(frozen=True, slots=True)
class _Undo:
    """The head before a block, and the values it replaced (``pack_values``)."""

    head: Head
    values: bytes


class Store:
    """One open database. A single thread writes; views may be read anywhere."""

    def __init__(self, path: Path, chain_id: str) -> None:
        """Prepare a store that is not open; callers use ``open``."""
        self._path = path
        self._chain_id = chain_id
        self._db: Any = None
        self._head: Head | None = None

    @classmethod
    def open(cls, path: Path, chain_id: str) -> "Store":
        """Open the database below ``path``, or plan one where there is none yet: nothing is written before a block.

        Raises StoreError for another layout, another chain, a database in use, damaged or cut off from its identity.
        """
        store = cls(path, chain_id)
        if not path.exists():
            return store
        if not path.is_dir():
            raise StoreError(f"{path} is no folder: the database cannot be made there")
        if not (path / IDENTITY).exists() and not (path / DATABASE).exists():
            return store
        check_identity(path, chain_id)
        if (path / DATABASE).exists():
            store._open_database()
            store._load_head()
        return store

    @property
    def head(self) -> Head | None:
        """The last block written; None before the first."""
        return self._head

    def view(self) -> StateView:
        """Return the state after the last block, unaffected by later writes; empty before the first."""
        if self._db is None:
            return MemoryState()
        return self._guard_view()

    def load_tree(self) -> Tree:
        """Return the tree over the whole state. Raises StoreError where its root is not the stored app hash."""
        try:
            tree = Tree.build(self.view().scan(b""))
        except FOREIGN as error:
            self._fail(error)
        if self._head is not None and tree.root != self._head.app_hash:
            raise StoreError(
                f"{self._path}: the state of height {self._head.height} does not hash to its app hash: it is damaged"
            )
        return tree

    def write(self, head: Head, changes: Mapping[bytes, bytes | None]) -> None:
        """Write one block: ``changes`` (None deletes) and ``head``, all or nothing, on disk when this returns.

        The first write takes any height; each further one the next height. Raises StoreError; then nothing changed.
        """
        if self._head is not None and head.height != self._head.height + 1:
            raise StoreError(f"{self._path}: height {head.height} cannot follow {self._head.height}")
        try:
            if self._db is None:
                self._create()
            with self._db.write_batch(transaction=True, sync=True) as batch:
                if self._head is not None:
                    replaced = ((key, self._db.get(STATE_PREFIX + key)) for key in changes)
                    batch.put(undo_key(head.height), encode(_Undo(self._head, pack_values(replaced))))
                    if head.height > UNDO_HEIGHTS:
                        batch.delete(undo_key(head.height - UNDO_HEIGHTS))
                self._put_changes(batch, changes.items())
                batch.put(HEAD_KEY, encode(head))
        except FOREIGN as error:
            self._fail(error)
        self._head = head

    def roll_back(self) -> Head:
        """Undo the last block, all or nothing; return the head before it.

        Raises StoreError, with nothing changed, where what the block replaced is not kept, or does not lead back to
        the state of the head before it.
        """
        if self._head is None:
            raise StoreError(f"{self._path}: there is no block to roll back")
        before, replaced = self._load_undo(self._head)
        if before.height != self._head.height - 1 or self._compute_root(replaced) != before.app_hash:
            raise StoreError(
                f"{self._path}: with height {self._head.height} undone the state does not hash to the app hash before "
                f"it: it is damaged, or what is kept of that block is"
            )
        try:
            with self._db.write_batch(transaction=True, sync=True) as batch:
                self._put_changes(batch, replaced.items())
                batch.delete(undo_key(self._head.height))
                batch.put(HEAD_KEY, encode(before))
        except FOREIGN as error:
            self._fail(error)
        self._head = before
        return before

    def close(self) -> None:
        """Close the database and every view of it; may be called again."""
        if self._db is not None:
            self._db.close()

    def _load_undo(self, head: Head) -> tuple[Head, dict[bytes, bytes | None]]:
        """Return the head before ``head`` and the values that its block replaced, None for one that was not there."""
        try:
            raw = self._db.get(undo_key(head.height))
            if raw is None:
                raise StoreError(f"{self._path}: what height {head.height} replaced is not kept")
            undo = decode(_Undo, raw)
            return undo.head, dict(unpack_values(undo.values))
        except Malformed as error:
            raise StoreError(f"{self._path}: what height {head.height} replaced is damaged: {error}") from error
        except FOREIGN as error:
            self._fail(error)

    def _compute_root(self, changes: Mapping[bytes, bytes | None]) -> Hash:
        """Return the root of the whole state after ``changes``."""
        try:
            return Tree.build(self.view().scan(b"")).update(changes).root
        except FOREIGN as error:
            self._fail(error)

    def _put_changes(self, batch: Any, changes: Any) -> None:
        """Put (key, value or None) pairs into a write batch, as state, and what they add to or take from the index."""
        for key, value in changes:
            if key.startswith(keys.transfers()):
                put_accepted(batch, self._db.get(STATE_PREFIX + key), value)
            if value is None:
                batch.delete(STATE_PREFIX + key)
            else:
                batch.put(STATE_PREFIX + key, value)

    def _guard_view(self) -> StoreView:
        try:
            return StoreView(self._db.snapshot())
        except FOREIGN as error:
            self._fail(error)

    def _create(self) -> None:
        """Make folder, identity and an empty database, in this order: a crash in between leaves what open accepts."""
        self._path.mkdir(parents=True, exist_ok=True)
        if not (self._path / IDENTITY).exists():
            replace_file(self._path / IDENTITY, json.dumps({"layout": LAYOUT, "chain_id": self._chain_id}) + "\n")
        self._open_database()

    def _open_database(self) -> None:
        try:
            self._db = plyvel.DB(
                str(self._path / DATABASE), create_if_missing=True, bloom_filter_bits=BLOOM_BITS,
                lru_cache_size=CACHE_BYTES, write_buffer_size=WRITE_BUFFER_BYTES, paranoid_checks=True,
            )
        except FOREIGN as error:
            self._fail(error)

    def _load_head(self) -> None:
        try:
            raw = self._db.get(HEAD_KEY)
            if raw is None:
                return
            self._head = decode(Head, raw)
            chain = decode(ChainState, self._db.get(STATE_PREFIX + keys.CHAIN) or b"")
        except Malformed as error:
            self.close()
            raise StoreError(f"{self._path}: damaged: {error}") from error
        except FOREIGN as error:
            self._fail(error)
        if chain.chain_id != self._chain_id or chain.height != self._head.height:
            self.close()
            raise StoreError(f"{self._path}: holds {chain.chain_id} at {chain.height}, not what its head says")

    def _fail(self, error: Exception) -> NoReturn:
        detail = error.args[-1] if isinstance(error, plyvel.Error) and error.args else error
        text = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        raise StoreError(f"{self._path}: {text}") from error


def check_identity(path: Path, chain_id: str) -> None:
    """Raise StoreError unless the folder says that it is of this layout and chain."""
    try:
        identity = json.loads((path / IDENTITY).read_text())
        layout, own = identity["layout"], identity["chain_id"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: {IDENTITY} is missing or not readable") from error
    if layout != LAYOUT:
        raise StoreError(
            f"{path}: layout {layout}, this version reads {LAYOUT} and carries nothing over: go on with the version "
            f"that wrote it, or make a home for a new network with routerd init"
        )
    if own != chain_id:
        raise StoreError(f"{path}: holds chain {own!r}, not {chain_id!r}")


def undo_key(height: int) -> bytes:
    """Return the key of the values that a height's block replaced."""
    return UNDO_PREFIX + b"%020d" % height


def put_accepted(batch: Any, before: bytes | None, after: bytes | None) -> None:
    """Put into a write batch what a transfer's new record changes in the index: its acceptance number never does."""
    if after is None and before is not None:
        batch.delete(accepted_key(decode(Transfer, before).acceptance))
    elif after is not None and before is None:
        transfer = decode(Transfer, after)
        batch.put(accepted_key(transfer.acceptance), transfer.transfer_id)


def pack_values(values: Iterator[tuple[bytes, bytes | None]]) -> bytes:
    """Return pairs as bytes: per key and value u32 length + 1 and bytes, 0 for a value that was not there."""
    out = bytearray()
    for pair in values:
        for part in pair:
            out += (0 if part is None else len(part) + 1).to_bytes(LENGTH_BYTES, "big") + (part or b"")
    return bytes(out)


def unpack_values(raw: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield the pairs that ``pack_values`` packed; Malformed for any other bytes."""
    parts: list[bytes | None] = []
    offset = 0
    while offset < len(raw):
        length = int.from_bytes(raw[offset:offset + LENGTH_BYTES], "big") - 1
        offset += LENGTH_BYTES
        end = offset + max(length, 0)
        if end > len(raw):
            raise Malformed(f"cut short at {len(raw)} bytes")
        parts.append(raw[offset:end] if length >= 0 else None)
        offset = end
    if len(parts) % 2:
        raise Malformed("a key without a value")
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        if key is None:
            raise Malformed("a value without a key")
        yield key, value
