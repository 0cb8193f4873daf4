"""Committed state for other threads: immutable, published once a block.

The gateway imports this module and no other of the node.
"""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from abci_app.machine.block_events import EventKind
from abci_app.machine.results import BlockEvent, TxResult
from abci_app.machine.state import keys
from abci_app.machine.state.codec import DomainId, Hash, TransferId, decode
from abci_app.machine.state.records import Domain, Transfer
from abci_app.machine.state.tree import Tree
from abci_app.machine.state.view import StateView

STATES_KEPT = 16
"""Heights whose state can be read and proven: a client that compares two answers finds both."""
STATE_PREFIX = b"s/"
"""Of all state keys in the database; what else is in there starts differently."""


ACCEPTED_PREFIX, ACCEPTED_END = b"a/", b"a0"
"""Of the index of transfers by acceptance number, and the first key behind it. The node's own: no hash covers it."""


class Snapshot(Protocol):
    """The part of a LevelDB snapshot that a view needs."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""

    def iterator(
        self, *, prefix: bytes | None = None, start: bytes | None = None, stop: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) under ``prefix`` or from ``start`` to before ``stop``, keys ascending."""


class StoreView:
    """State in the database as of one moment; safe in any thread, until the database is closed."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""
        return self._snapshot.get(STATE_PREFIX + key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) under ``prefix``, keys ascending."""
        skip = len(STATE_PREFIX)
        for key, value in self._snapshot.iterator(prefix=STATE_PREFIX + prefix):
            yield key[skip:], value

    def list_accepted(self, start: int) -> Iterator[TransferId]:
        """Yield the ids of transfers whose acceptance number is at least ``start``, ascending."""
        for _, transfer_id in self._snapshot.iterator(start=accepted_key(start), stop=ACCEPTED_END):
            yield TransferId(transfer_id)


@dataclass(frozen=True, slots=True)
class CommittedState:
    """The state after one block."""

    height: int
    app_hash: Hash
    view: StateView
    tree: Tree
    """Proves any key of ``view`` against ``app_hash``."""

    def list_accepted(self, start: int) -> Iterator[TransferId]:
        """Yield the ids of transfers whose acceptance number is at least ``start``, ascending."""
        return list_accepted(self.view, start)


class Published:
    """The last committed states. One thread publishes, any thread reads."""

    def __init__(self) -> None:
        self._states: deque[CommittedState] = deque(maxlen=STATES_KEPT)
        self._lock = threading.Lock()

    def publish(self, committed: CommittedState) -> None:
        """Make ``committed`` the latest; the oldest beyond STATES_KEPT is forgotten."""
        with self._lock:
            self._states.append(committed)

    def latest(self) -> CommittedState | None:
        """Return the last committed state; None before the first block."""
        with self._lock:
            return self._states[-1] if self._states else None

    def at(self, height: int) -> CommittedState | None:
        """Return the state after ``height``; None where it is not kept (any more, or yet)."""
        with self._lock:
            return next((state for state in self._states if state.height == height), None)

    def read_domains(self) -> Mapping[DomainId, Domain]:
        """Return every domain with its committed cursor, for the observer; none before the first block."""
        committed = self.latest()
        return {} if committed is None else list_domains(committed.view)


def list_accepted(view: StateView, start: int) -> Iterator[TransferId]:
    """Yield ids of transfers by acceptance number from ``start`` on: by the store's index, or sorted without one."""
    if isinstance(view, StoreView):
        yield from view.list_accepted(start)
        return
    transfers = (decode(Transfer, raw) for _, raw in view.scan(keys.transfers()))
    found = sorted((each.acceptance, each.transfer_id) for each in transfers if each.acceptance >= start)
    yield from (transfer_id for _, transfer_id in found)


def accepted_key(acceptance: int) -> bytes:
    """Return the key of one acceptance number in the index."""
    return ACCEPTED_PREFIX + b"%020d" % acceptance


def list_domains(view: StateView) -> dict[DomainId, Domain]:
    """Return every domain, by id ascending."""
    domains = (decode(Domain, raw) for _, raw in view.scan(keys.domains()))
    return {domain.domain: domain for domain in domains}


@dataclass(frozen=True, slots=True)
class CommittedBlock:
    """A committed block as listeners get it: its transactions, results and events."""

    height: int
    time_s: int
    """Block time, rounded down to seconds."""
    block_hash: bytes
    app_hash: bytes
    """Root of the state after it."""
    tx_hashes: tuple[bytes, ...]
    """sha256 of each transaction's bytes, in block order, injected ones included."""
    tx_results: tuple[TxResult, ...]
    """Of the same transactions."""
    events: tuple[BlockEvent, ...]
    """All of them, alarms too: those of transactions in block order, then those of none."""
    changed_transfers: tuple[TransferId, ...]
    """Transfers that it created, changed or removed, ascending."""

    @property
    def results(self) -> Mapping[bytes, TxResult]:
        """Result by transaction hash; of bytes that stand in the block twice, the first."""
        backwards = zip(reversed(self.tx_hashes), reversed(self.tx_results), strict=True)
        return dict(backwards)

    @property
    def alarms(self) -> tuple[BlockEvent, ...]:
        """The alarms among its events."""
        return tuple(event for event in self.events if event.kind is EventKind.ALARM)

    def count_entries(self) -> int:
        """Return how many results and events it holds: its weight in a queue."""
        return len(self.tx_results) + len(self.events)


@dataclass(frozen=True, slots=True)
class BlocksLost:
    """Blocks that were committed and do not come, ``first_height`` to ``last_height``: the listener fell behind."""

    first_height: int
    last_height: int


BlockNotice = CommittedBlock | BlocksLost
"""What a listener is called with, in the order of heights."""
