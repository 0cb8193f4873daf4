"""Published observation: immutable records that the node reads without a lock.

It is this node's view alone; the state machine accepts a segment once > 2/3 of the voting power reported its
digest. A domain that is missing, or has no segments, could not be verified.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from abci_app.machine.state.codec import DomainId, Hash, TransferId


@dataclass(frozen=True, slots=True)
class ObservedSegment:
    """One final segment: its canonical bytes and the running digest after it (SEG-2, SEG-4)."""

    number: int
    raw: bytes
    digest: Hash


@dataclass(frozen=True, slots=True)
class ObservedDomain:
    """Consecutive segments of one domain, ascending from the committed cursor that the observer saw last."""

    domain: DomainId
    segments: tuple[ObservedSegment, ...]


@dataclass(frozen=True, slots=True)
class SeenTransfer:
    """An XCalled that is final on its origin and not accepted yet: bids for it may come in early (BID-6)."""

    origin: DomainId
    destination: DomainId


@dataclass(frozen=True, slots=True)
class Observation:
    """Verified segments and transfers of all domains at one moment."""

    domains: Mapping[DomainId, ObservedDomain]
    transfers: Mapping[TransferId, SeenTransfer]


EMPTY_OBSERVATION = Observation(MappingProxyType({}), MappingProxyType({}))
"""The observation before the first read."""
