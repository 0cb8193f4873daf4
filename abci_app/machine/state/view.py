"""State access of the rules: read, write, delete, scan, fork, absorb. Discarding a fork is the only undo.

A ``StateView`` is bytes by key (the store, or a dict in tests). A ``StateDelta`` lies over a view or another delta and
holds decoded records; they are encoded once, when ``changes`` is asked for.
"""

import heapq
from collections.abc import Hashable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Protocol, TypeVar, cast

from abci_app.machine.codes import invariant, unreachable
from abci_app.machine.state.codec import decode, encode

R = TypeVar("R")
DECODED_MAX = 1 << 15
DECODED_BYTES_MAX = 1024
"""Remembered decodings, ≈ 50 MB: open transfers are looked at in every block and seldom change."""


@lru_cache(maxsize=DECODED_MAX)
def _remember(cls: Any, raw: bytes) -> Any:
    """Return the record that ``raw`` encodes; remembered, as it depends on the arguments alone (ORD-4)."""
    return decode(cls, raw)


def _decode(cls: type[R], raw: bytes) -> R:
    return cast(R, _remember(cast(Hashable, cls), raw)) if len(raw) <= DECODED_BYTES_MAX else decode(cls, raw)


class StateView(Protocol):
    """Immutable view of committed bytes."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) under ``prefix``, keys ascending."""


class StateReader(Protocol):
    """Read-only interface of a ``StateDelta``, for functions that write nothing."""

    def read(self, key: bytes, cls: type[R]) -> R | None:
        """Return the record under ``key``, or None."""

    def must(self, key: bytes, cls: type[R]) -> R:
        """Return the record under ``key``; its absence is a bug."""

    def scan(self, prefix: bytes, cls: type[R]) -> Iterator[tuple[bytes, R]]:
        """Yield (key, record) under ``prefix``, keys ascending."""


class MemoryState:
    """A view over a dict, for tests, replays and throw-away states."""

    def __init__(self, values: Mapping[bytes, bytes] | None = None) -> None:
        self.values: dict[bytes, bytes] = dict(values or {})

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""
        return self.values.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) under ``prefix``, keys ascending."""
        for key in sorted(key for key in self.values if key.startswith(prefix)):
            yield key, self.values[key]

    def apply(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Write ``changes`` (None deletes)."""
        for key, value in changes.items():
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value


class StateDelta:
    """Changes over a base; reads fall through. Records are frozen, so sharing them is safe."""

    def __init__(self, base: "StateView | StateDelta") -> None:
        self._base = base
        self._records: dict[bytes, tuple[bytes | None, Any]] = {}
        """Bytes and decoded records read from a view, so that each is read once a block."""
        self._written: dict[bytes, Any] = {}
        self._folders: dict[bytes, list[bytes]] = {}
        """Written keys under each of their prefixes that end in a slash, so that a scan looks at its own only."""
        self._loose: list[bytes] = []
        """Written keys that no scan has put into their folders yet: most forks are never scanned."""

    def read(self, key: bytes, cls: type[R]) -> R | None:
        """Return the record under ``key``, or None."""
        record: R | None
        if key in self._written:
            record = self._written[key]
        elif isinstance(self._base, StateDelta):
            record = self._base.read(key, cls)
        else:
            known = self._records.get(key)
            if known is None:
                raw = self._base.get(key)
                known = self._records[key] = (raw, None if raw is None else _decode(cls, raw))
            record = known[1]
        return record

    def must(self, key: bytes, cls: type[R]) -> R:
        """Return the record under ``key``; its absence is a bug."""
        record = self.read(key, cls)
        if record is None:
            unreachable(f"no record under {key!r}")
        return record

    def write(self, key: bytes, record: object) -> None:
        """Put ``record`` under ``key``."""
        self._put(key, record)

    def delete(self, key: bytes) -> None:
        """Remove ``key``, there or not."""
        self._put(key, None)

    def _put(self, key: bytes, record: object | None) -> None:
        if key not in self._written:
            self._loose.append(key)
        self._written[key] = record

    def _file_keys(self) -> None:
        for key in self._loose:
            slash = key.find(b"/")
            while slash >= 0:
                self._folders.setdefault(key[:slash + 1], []).append(key)
                slash = key.find(b"/", slash + 1)
        self._loose.clear()

    def scan(self, prefix: bytes, cls: type[R]) -> Iterator[tuple[bytes, R]]:
        """Yield (key, record) under ``prefix``, keys ascending; ``prefix`` ends in a slash.

        Own keys are those at the start of the scan: collect first where you write under the prefix.
        """
        self._file_keys()
        own = sorted(self._folders.get(prefix, ()))
        below = self._scan_below(prefix, cls)
        last = b""
        for key in heapq.merge(own, below) if own else below:
            if key != last:
                record = self.read(key, cls)
                last = key
                if record is not None:
                    yield key, record

    def _scan_below(self, prefix: bytes, cls: type[R]) -> Iterator[bytes]:
        """Yield the base's keys; what a view gives beside a key is kept, so that it need not be asked again."""
        if isinstance(self._base, StateDelta):
            for key, _ in self._base.scan(prefix, cls):
                yield key
            return
        for key, raw in self._base.scan(prefix):
            if key not in self._records:
                self._records[key] = (raw, _decode(cls, raw))
            yield key

    def fork(self) -> "StateDelta":
        """Return a delta over this one; forget it to undo, ``absorb`` it to keep."""
        return StateDelta(self)

    def absorb(self, child: "StateDelta") -> None:
        """Take over a fork's writes."""
        invariant(child._base is self, "absorbed a fork of another state")
        for key, record in child._written.items():
            self._put(key, record)

    def changes(self) -> dict[bytes, bytes | None]:
        """Return encoded writes by key, ascending; None deletes. What equals the base is left out."""
        invariant(not isinstance(self._base, StateDelta), "changes of a fork")
        view = cast(StateView, self._base)
        encoded: dict[bytes, bytes | None] = {}
        for key in sorted(self._written):
            record: Any = self._written[key]
            value = None if record is None else encode(record)
            known = self._records.get(key)
            if value != (view.get(key) if known is None else known[0]):
                encoded[key] = value
        return encoded
