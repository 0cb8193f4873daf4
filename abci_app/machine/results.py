"""Input and results of a block's execution; none of them is stored, so none has canonical bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from abci_app.machine.block_events import EventKind
from abci_app.machine.codes import Code, Rejected
from abci_app.machine.state.codec import Address, Hash
from abci_app.machine.state.records import DecisionBatch
from abci_app.machine.state.tree import Tree


@dataclass(frozen=True, slots=True)
class BlockEvent:
    """An emitted event, for people and indexers; no rule reads it and no hash covers it."""

    kind: EventKind
    attributes: tuple[tuple[str, str], ...]
    """(name, value) in a fixed order; bytes as lower-case hex without 0x, numbers in decimal."""


@dataclass(frozen=True, slots=True)
class TxResult:
    """Result of one transaction. CometBFT hashes code and data, but not log, into the next header."""

    code: Code
    data: bytes = b""
    """One byte per bid of a bundle: the bids' codes (BID-3); else empty."""
    log: str = ""
    events: tuple[BlockEvent, ...] = ()

    @classmethod
    def refused(cls, rejection: Rejected) -> "TxResult":
        """Return the answer to a transaction that left no trace (ORD-5)."""
        return cls(rejection.code, log=rejection.reason)


class BidSubject(NamedTuple):
    """Subject of one bid or withdraw, whatever its signatures and its bundle.

    A bare tuple: CheckTx makes one for each bid that comes.
    """

    key: bytes
    """The same for the same router and transfer; of a withdraw another one than of a bid."""
    router: Address
    is_early: bool
    """A bid for a transfer that the state does not know yet."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Answer of CheckTx with the subjects of an admitted transaction; the node bounds copies of each (BID-6)."""

    code: Code
    log: str = ""
    subjects: tuple[BidSubject, ...] = ()
    """In the order of the bundle's bids."""


@dataclass(frozen=True, slots=True)
class Block:
    """The part of a block that the rules read."""

    height: int
    time_s: int
    """Block time, rounded down to seconds."""
    proposer: Address
    """Consensus address, 20 bytes."""
    txs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ValidatorUpdate:
    """New power of one validator, effective two heights after the block (CometBFT's ValidatorUpdate)."""

    consensus_key: bytes
    """Ed25519 public key, 32 bytes."""
    power: int
    """0 removes the validator."""


@dataclass(frozen=True, slots=True)
class BlockResult:
    """Outcome of a block's execution (ORD-4)."""

    results: tuple[TxResult, ...]
    """One per transaction, in block order, injected ones included."""
    batch: DecisionBatch | None
    """The decisions of this block, None where there are none."""
    changes: Mapping[bytes, bytes | None]
    """Writes by key, ascending; None deletes."""
    tree: Tree
    app_hash: Hash
    events: tuple[BlockEvent, ...]
    """Events that belong to no transaction."""
    validator_updates: tuple[ValidatorUpdate, ...] = ()
    """Changes of CometBFT's validator set, by consensus key ascending; no rule makes any yet."""
    app_version: int | None = None
    """Version of the rules from the next block on, where it is another one (ORD-6)."""

    def list_events(self) -> tuple[BlockEvent, ...]:
        """Return every event of the block: those of its transactions in block order, then those of none."""
        return (*(event for each in self.results for event in each.events), *self.events)
