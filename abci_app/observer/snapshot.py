"""What the observer published last: immutable, read by the node without a lock.

Nothing in it is an opinion of more than this node; the machine believes a segment once > 2/3 of the power reported
its digest. A domain that is missing, or has no segments, is one the observer is not sure about.
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
    """Everything the observer is sure about at one moment."""

    domains: Mapping[DomainId, ObservedDomain]
    transfers: Mapping[TransferId, SeenTransfer]


EMPTY_OBSERVATION = Observation(MappingProxyType({}), MappingProxyType({}))
"""Nothing seen, nothing to say: what a node starts with."""
