"""A domain's event stream as the machine sees it: projections, segments, running digests (docs/protocol.md section 5).

An observer makes these from logs; the machine believes them once > 2/3 of the power reported their digest.
A projection is fixed and bounded: no signatures, no return data, long callData and router lists as hash and length.
"""

from dataclasses import dataclass, fields
from enum import IntEnum
from hashlib import sha256
from typing import Any

from abci_app.machine.codec import (
    U16,
    U32,
    U64,
    Address,
    DomainId,
    Hash,
    Malformed,
    TransferId,
    decode,
    encode,
)
from abci_app.machine.params import (
    CALL_DATA_INLINE_MAX,
    EVENT_BYTES_MAX,
    RELAYER_FEE_ASSETS_MAX,
    ROUTERS_INLINE_MAX,
    SEGMENT_BYTES_MAX,
    SEGMENT_EVENTS_MAX,
)
from abci_app.machine.records import Cursor, Domain, RelayerFee, TransferInfo

STREAM_VERSION = 1
"""Version of the list of events and of their projections below."""


@dataclass(frozen=True, slots=True)
class RouterList:
    """Routers an event names: all of them up to 16, else none and their hash (``connext.hash_routers``)."""

    count: U32
    routers: tuple[Address, ...]
    digest: Hash | None


@dataclass(frozen=True, slots=True)
class XCalled:
    """A user's transfer. ``info.call_data`` is empty and ``call_data_*`` set where it is longer than 8 KiB."""

    transfer_id: TransferId
    nonce: U64
    info: TransferInfo
    call_data_hash: Hash | None
    call_data_length: U32
    """Length of the real callData, also when it stands in ``info``."""
    asset: Address
    amount: int
    local: Address
    relayer_fees: tuple[RelayerFee, ...]
    """Fees of the same id that precede it in its transaction, per asset, the first four assets."""
    tx_hash: Hash


@dataclass(frozen=True, slots=True)
class Executed:
    """A transfer was paid out on this domain."""

    transfer_id: TransferId
    origin: DomainId
    canonical_domain: DomainId
    canonical_id: Hash
    bridged_amt: int
    routers: RouterList
    sequencer: Address
    """Unchecked by Connext where there are no routers."""
    local: Address
    asset: Address
    amount: int
    caller: Address
    tx_hash: Hash


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The message of a transfer arrived; its routers are credited."""

    transfer_id: TransferId
    origin: DomainId
    local: Address
    routers: RouterList
    amount: int
    tx_hash: Hash


@dataclass(frozen=True, slots=True)
class RouterLiquidityAdded:
    """Balance of (router, local) grows."""

    router: Address
    local: Address
    amount: int


@dataclass(frozen=True, slots=True)
class RouterLiquidityRemoved:
    """Balance of (router, local) shrinks."""

    router: Address
    local: Address
    amount: int


@dataclass(frozen=True, slots=True)
class RouterAdded:
    """Router approved."""

    router: Address


@dataclass(frozen=True, slots=True)
class RouterRemoved:
    """Router no longer approved."""

    router: Address


@dataclass(frozen=True, slots=True)
class RouterAllowlistRemoved:
    """The router allowlist was switched off (``removed``) or on again."""

    removed: bool


@dataclass(frozen=True, slots=True)
class OwnershipTransferred:
    """New owner of the diamond; the zero address switches the router check off."""

    owner: Address


@dataclass(frozen=True, slots=True)
class MaxRoutersPerTransferUpdated:
    """New limit of a path."""

    value: int


@dataclass(frozen=True, slots=True)
class LiquidityFeeNumeratorUpdated:
    """New fee numerator, of 10,000."""

    value: int


@dataclass(frozen=True, slots=True)
class Paused:
    """Connext is paused on this domain."""


@dataclass(frozen=True, slots=True)
class Unpaused:
    """Connext goes on."""


@dataclass(frozen=True, slots=True)
class AssetAdded:
    """An asset was listed on this domain."""

    canonical_domain: DomainId
    canonical_id: Hash
    local: Address
    adopted: Address


@dataclass(frozen=True, slots=True)
class AssetRemoved:
    """An asset was delisted; ``key`` = keccak(abi.encode(canonicalId, canonicalDomain))."""

    key: Hash


@dataclass(frozen=True, slots=True)
class RelayerFeesIncreased:
    """Relayer fees paid on the origin after XCalled."""

    transfer_id: TransferId
    asset: Address
    amount: int


@dataclass(frozen=True, slots=True)
class SlippageUpdated:
    """The delegate changed a transfer's slippage."""

    transfer_id: TransferId
    slippage: int


@dataclass(frozen=True, slots=True)
class ForceReceiveLocal:
    """The delegate chose to receive the local asset."""

    transfer_id: TransferId


@dataclass(frozen=True, slots=True)
class SequencerChanged:
    """A sequencer was approved or removed."""

    sequencer: Address
    approved: bool


@dataclass(frozen=True, slots=True)
class RelayerChanged:
    """A relayer was approved or removed."""

    relayer: Address
    approved: bool


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """A role was given (role ≠ 0) or taken (role = 0)."""

    account: Address
    role: U16


@dataclass(frozen=True, slots=True)
class PortalMinted:
    """Aave portal fronted for a router: its balance can no longer be derived from events."""

    transfer_id: TransferId
    router: Address
    asset: Address
    amount: int


@dataclass(frozen=True, slots=True)
class PortalRepaid:
    """Portal debt repaid out of a router's liquidity by an amount no event holds."""

    transfer_id: TransferId
    asset: Address
    caller: Address


@dataclass(frozen=True, slots=True)
class PortalApprovalChanged:
    """A router may or may no longer use portals."""

    router: Address
    approved: bool


@dataclass(frozen=True, slots=True)
class DiamondCut:
    """Code of the diamond changed; anything may have changed in silence."""

    data_hash: Hash


EVENT_KINDS: dict[int, type] = {
    1: XCalled, 2: Executed, 3: Reconciled, 4: RouterLiquidityAdded, 5: RouterLiquidityRemoved, 6: RouterAdded,
    7: RouterRemoved, 8: RouterAllowlistRemoved, 9: OwnershipTransferred, 10: MaxRoutersPerTransferUpdated,
    11: LiquidityFeeNumeratorUpdated, 12: Paused, 13: Unpaused, 14: AssetAdded, 15: AssetRemoved,
    16: RelayerFeesIncreased, 17: SlippageUpdated, 18: ForceReceiveLocal, 19: SequencerChanged, 20: RelayerChanged,
    21: RoleChanged, 22: PortalMinted, 23: PortalRepaid, 24: PortalApprovalChanged, 25: DiamondCut,
}
"""Kind byte of each projection; append only within a stream version."""
_KIND_OF = {cls: kind for kind, cls in EVENT_KINDS.items()}

Event = (
    XCalled | Executed | Reconciled | RouterLiquidityAdded | RouterLiquidityRemoved | RouterAdded | RouterRemoved
    | RouterAllowlistRemoved | OwnershipTransferred | MaxRoutersPerTransferUpdated | LiquidityFeeNumeratorUpdated
    | Paused | Unpaused | AssetAdded | AssetRemoved | RelayerFeesIncreased | SlippageUpdated | ForceReceiveLocal
    | SequencerChanged | RelayerChanged | RoleChanged | PortalMinted | PortalRepaid | PortalApprovalChanged | DiamondCut
)


class EventKind(IntEnum):
    """Names of the kinds, for people."""

    XCALLED = 1
    EXECUTED = 2
    RECONCILED = 3


@dataclass(frozen=True, slots=True)
class PositionedEvent:
    """One projection at its place in the stream."""

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


def encode_event(event: Event) -> bytes:
    """Return the canonical bytes of a projection, without kind and position; at most 9 KiB."""
    return encode(event)


def size_positioned(event: PositionedEvent) -> int:
    """Return how many bytes of a segment an event takes, its position included."""
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
        parts.append(encode(_Position(positioned.block, positioned.index, _KIND_OF[type(positioned.event)], len(body))))
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


def decode_event(kind: int, raw: bytes) -> Event:
    """Return the projection of ``kind``; ``Malformed`` where kind, bytes or a bound is wrong."""
    cls = EVENT_KINDS.get(kind)
    if cls is None:
        raise Malformed(f"no event of kind {kind}")
    if len(raw) > EVENT_BYTES_MAX:
        raise Malformed(f"event of {len(raw)} bytes, at most {EVENT_BYTES_MAX}")
    event: Event = decode(cls, raw)
    if any(number >> 256 for number in _list_integers(event)):
        raise Malformed("a number that no EVM word holds")
    if isinstance(event, XCalled):
        inline = event.call_data_hash is None
        if inline != (event.call_data_length <= CALL_DATA_INLINE_MAX):
            raise Malformed("callData both or neither inline and hashed")
        if len(event.info.call_data) != (event.call_data_length if inline else 0):
            raise Malformed("callData length differs")
        if len(event.relayer_fees) > RELAYER_FEE_ASSETS_MAX:
            raise Malformed("too many fee assets")
    if isinstance(event, Executed | Reconciled):
        routers = event.routers
        inline = routers.digest is None
        if inline != (routers.count <= ROUTERS_INLINE_MAX) or len(routers.routers) != (routers.count if inline else 0):
            raise Malformed("router list both or neither inline and hashed")
    return event


def _list_integers(record: Any) -> list[int]:
    """Return every integer of an event, those of its TransferInfo and fees included."""
    values = [getattr(record, field.name) for field in fields(record)]
    nested: list[Any] = [value for value in values if isinstance(value, TransferInfo)]
    nested += [item for value in values if isinstance(value, tuple) for item in value if isinstance(item, RelayerFee)]
    own = [value for value in values if isinstance(value, int)]
    return own + [number for inner in nested for number in _list_integers(inner)]


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


def advance(cursor: Cursor, segment: Segment, digest: Hash) -> Cursor:
    """Return the cursor after ``segment``."""
    return Cursor(
        segment.number, segment.end_block, segment.end_index, segment.end_block_hash, segment.end_timestamp_s, digest
    )
