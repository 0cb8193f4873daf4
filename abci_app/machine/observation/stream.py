"""Event stream of a domain: segments and running digests (docs/protocol.md section 5).

An observer makes these from logs; the machine believes them once > 2/3 of the power reported their digest. What is
kept of one log stands in ``projections.py``; its names can be imported from here.
"""

from dataclasses import dataclass
from hashlib import sha256

from abci_app.machine.observation.projections import (
    EVENT_KINDS,
    KIND_OF,
    STREAM_VERSION,
    AssetAdded,
    AssetRemoved,
    DiamondCut,
    Event,
    Executed,
    ForceReceiveLocal,
    LiquidityFeeNumeratorUpdated,
    MaxRoutersPerTransferUpdated,
    OwnershipTransferred,
    Paused,
    PortalApprovalChanged,
    PortalMinted,
    PortalRepaid,
    Reconciled,
    RelayerChanged,
    RelayerFeesIncreased,
    RoleChanged,
    RouterAdded,
    RouterAllowlistRemoved,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    RouterList,
    RouterRemoved,
    SequencerChanged,
    SlippageUpdated,
    Unpaused,
    XCalled,
    decode_event,
    encode_event,
)
from abci_app.machine.params import SEGMENT_BYTES_MAX, SEGMENT_EVENTS_MAX
from abci_app.machine.state.codec import U16, U32, U64, Address, DomainId, Hash, Malformed, decode, encode
from abci_app.machine.state.records import Cursor, Domain

__all__ = [
    "AssetAdded", "AssetRemoved", "DiamondCut", "EVENT_KINDS", "Event", "Executed",
    "ForceReceiveLocal", "LiquidityFeeNumeratorUpdated", "MaxRoutersPerTransferUpdated", "OwnershipTransferred",
    "Paused", "PortalApprovalChanged", "PortalMinted", "PortalRepaid", "Reconciled", "RelayerChanged",
    "RelayerFeesIncreased", "RoleChanged", "RouterAdded", "RouterAllowlistRemoved", "RouterLiquidityAdded",
    "RouterLiquidityRemoved", "RouterList", "RouterRemoved", "STREAM_VERSION", "SequencerChanged",
    "SlippageUpdated", "Unpaused", "XCalled", "decode_event", "encode_event", "PositionedEvent", "Segment",
    "compute_cursor", "compute_digest", "compute_first_digest", "decode_segment", "encode_segment", "size_positioned",
]


@dataclass(frozen=True, slots=True)
class PositionedEvent:
    """A projection with its position in the stream."""

    block: int
    index: int
    """Block-wide log index."""
    event: Event


@dataclass(frozen=True, slots=True)
class Segment:
    """An agreed piece of a domain's stream: everything after the cursor up to (end_block, end_index)."""

    domain: DomainId
    chain_id: int
    connext: Address
    stream_version: int
    segment_blocks: int
    idle_blocks: int
    number: int
    end_block: int
    end_index: int
    end_block_hash: Hash
    end_timestamp_s: int
    events: tuple[PositionedEvent, ...]


@dataclass(frozen=True, slots=True)
class _Header:
    """Canonical header; every field that a rule of cutting depends on is bound by the digest."""

    domain: DomainId
    chain_id: U64
    connext: Address
    stream_version: U16
    segment_blocks: U32
    idle_blocks: U32
    number: U64
    end_block: U64
    end_index: U32
    end_block_hash: Hash
    end_timestamp_s: U64
    event_count: U16


@dataclass(frozen=True, slots=True)
class _Position:
    block: U64
    index: U32
    kind: U16
    length: U16


_HEADER_BYTES = len(encode(_Header(DomainId(0), 0, Address(bytes(20)), 0, 0, 0, 0, 0, 0, Hash(bytes(32)), 0, 0)))
_POSITION_BYTES = len(encode(_Position(0, 0, 0, 0)))


def size_positioned(event: PositionedEvent) -> int:
    """Return the size of an event in a segment, its position included."""
    return _POSITION_BYTES + len(encode(event.event))


def encode_segment(segment: Segment) -> bytes:
    """Return header ‖ events: what a segment transaction carries and the digest covers."""
    parts = [encode(_Header(
        segment.domain, segment.chain_id, segment.connext, segment.stream_version, segment.segment_blocks,
        segment.idle_blocks, segment.number, segment.end_block, segment.end_index, segment.end_block_hash,
        segment.end_timestamp_s, len(segment.events),
    ))]
    for positioned in segment.events:
        body = encode(positioned.event)
        parts.append(encode(_Position(positioned.block, positioned.index, KIND_OF[type(positioned.event)], len(body))))
        parts.append(body)
    return b"".join(parts)


def decode_segment(raw: bytes) -> Segment:
    """Return the segment that ``raw`` encodes; ``Malformed`` for anything else, limits and order included (SEG-2)."""
    if len(raw) > _HEADER_BYTES + SEGMENT_BYTES_MAX:
        raise Malformed(f"segment of {len(raw)} bytes")
    header = decode(_Header, raw[:_HEADER_BYTES])
    if header.event_count > SEGMENT_EVENTS_MAX:
        raise Malformed(f"{header.event_count} events, at most {SEGMENT_EVENTS_MAX}")
    events: list[PositionedEvent] = []
    offset, last = _HEADER_BYTES, (-1, -1)
    for _ in range(header.event_count):
        position = decode(_Position, raw[offset:offset + _POSITION_BYTES])
        offset += _POSITION_BYTES
        here = (position.block, position.index)
        if here <= last or here > (header.end_block, header.end_index):
            raise Malformed(f"event at {here} out of order")
        if len(raw) < offset + position.length:
            raise Malformed("event cut short")
        events.append(PositionedEvent(*here, decode_event(position.kind, raw[offset:offset + position.length])))
        offset, last = offset + position.length, here
    if offset != len(raw):
        raise Malformed(f"{len(raw) - offset} bytes after the events")
    return Segment(
        header.domain, header.chain_id, header.connext, header.stream_version, header.segment_blocks,
        header.idle_blocks, header.number, header.end_block, header.end_index, header.end_block_hash,
        header.end_timestamp_s, tuple(events),
    )


def compute_digest(previous: Hash, raw_segment: bytes) -> Hash:
    """Return the running digest: sha256(previous digest ‖ header ‖ events)."""
    return Hash(sha256(previous + raw_segment).digest())


def compute_first_digest(domain: Domain) -> Hash:
    """Return the digest before segment 1: binds the domain and where its stream starts; never zero bytes."""
    start = domain.cursor
    raw = encode(_Header(
        domain.domain, domain.chain_id, domain.connext, domain.stream_version, domain.segment_blocks,
        domain.idle_blocks, 0, start.block, start.index, start.block_hash, start.timestamp_s, 0,
    ))
    return Hash(sha256(b"consensus-routing/stream" + raw).digest())


def compute_cursor(segment: Segment, digest: Hash) -> Cursor:
    """Return the cursor after ``segment``; ``digest`` is the running digest then."""
    return Cursor(
        segment.number, segment.end_block, segment.end_index, segment.end_block_hash, segment.end_timestamp_s, digest
    )
