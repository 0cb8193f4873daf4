"""Segments and projections: pinned bytes (SEG-2), running digests (SEG-4), and every malformed one refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from abci_app.machine.observation.stream import (
    EVENT_KINDS,
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
    PositionedEvent,
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
    Segment,
    SequencerChanged,
    SlippageUpdated,
    Unpaused,
    XCalled,
    compute_cursor,
    compute_digest,
    compute_first_digest,
    decode_event,
    decode_segment,
    encode_event,
    encode_segment,
    size_positioned,
)
from abci_app.machine.params import CALL_DATA_INLINE_MAX, INDEX_WHOLE_BLOCK, SEGMENT_BYTES_MAX, SEGMENT_EVENTS_MAX
from abci_app.machine.state.codec import Address, DomainId, Hash, Malformed, TransferId
from abci_app.machine.state.records import Cursor, Domain, DomainStatus, RelayerFee, TransferInfo

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/stream_vectors.json").read_text())
ROUTER, LOCAL = Address(b"\x0a" * 20), Address(b"\x0b" * 20)
TX, ID, CANONICAL = Hash(b"\x0c" * 32), TransferId(b"\x0e" * 32), Hash(b"\x04" * 32)
ORIGIN, DESTINATION = DomainId(1111), DomainId(2222)
INFO = TransferInfo(
    ORIGIN, DESTINATION, ORIGIN, Address(b"\x01" * 20), Address(b"\x02" * 20), True, b"\xca\xfe", 300,
    Address(b"\x03" * 20), 10**18, 2**256 - 1, 0, CANONICAL,
)
XCALLED = XCalled(ID, 7, INFO, None, 2, ROUTER, 8, LOCAL, (RelayerFee(Address(bytes(20)), 77),), TX)
TWO = RouterList(2, (Address(b"\x05" * 20), Address(b"\x06" * 20)), None)
EXECUTED = Executed(
    ID, DESTINATION, ORIGIN, CANONICAL, 9, TWO, Address(b"\x07" * 20), ROUTER, LOCAL, 8, Address(b"\x08" * 20), TX
)
RECONCILED = Reconciled(ID, DESTINATION, ROUTER, RouterList(17, (), Hash(b"\x0e" * 32)), 9, TX)
EVENTS: tuple[Event, ...] = (
    XCALLED, EXECUTED, RECONCILED, RouterLiquidityAdded(ROUTER, LOCAL, 5), RouterLiquidityRemoved(ROUTER, LOCAL, 5),
    RouterAdded(ROUTER), RouterRemoved(ROUTER), RouterAllowlistRemoved(True), OwnershipTransferred(Address(bytes(20))),
    MaxRoutersPerTransferUpdated(5), LiquidityFeeNumeratorUpdated(9995), Paused(), Unpaused(),
    AssetAdded(ORIGIN, CANONICAL, ROUTER, LOCAL), AssetRemoved(Hash(ID)), RelayerFeesIncreased(ID, ROUTER, 5),
    SlippageUpdated(ID, 100), ForceReceiveLocal(ID), SequencerChanged(ROUTER, True), RelayerChanged(ROUTER, False),
    RoleChanged(ROUTER, 3), PortalMinted(ID, ROUTER, LOCAL, 5), PortalRepaid(ID, ROUTER, LOCAL),
    PortalApprovalChanged(ROUTER, True), DiamondCut(Hash(ID)),
)
CURSOR = Cursor(0, 100, INDEX_WHOLE_BLOCK, Hash(b"\x0d" * 32), 1_700_000_000, Hash(bytes(32)))
DOMAIN = Domain(
    ORIGIN, 31337, Address(b"\xc1" * 20), Address(b"\x9a" * 20), 0, 1, 8, 120, CURSOR, 0, 5, 9995, False, False,
    DomainStatus.OPEN, True,
)


def segment_with(events: tuple[PositionedEvent, ...] = (), **changes: Any) -> Segment:
    """Segment 2 of the vectors' domain with other events or fields."""
    return replace(Segment(
        ORIGIN, 31337, Address(b"\xc1" * 20), 1, 8, 120, 2, 128, INDEX_WHOLE_BLOCK, Hash(b"\x2d" * 32), 1_700_000_256,
        events,
    ), **changes)


FULL = segment_with(tuple(PositionedEvent(121 + index // 4, index, event) for index, event in enumerate(EVENTS)))
EMPTY = segment_with(number=1, end_block=120, end_block_hash=Hash(b"\x1d" * 32), end_timestamp_s=1_700_000_240)


# --- pinned ---------------------------------------------------------------------------------------------------------


def test_seg_2_every_projection_has_its_pinned_bytes() -> None:
    """SEG-2: kind and bytes of every projection, made from the description alone."""
    assert [type(event) for event in EVENTS] == list(EVENT_KINDS.values())
    assert [vector["kind"] for vector in VECTORS["events"]] == list(EVENT_KINDS)
    for event, vector in zip(EVENTS, VECTORS["events"], strict=True):
        assert (type(event).__name__, encode_event(event).hex()) == (vector["name"], vector["bytes"])
        assert decode_event(vector["kind"], bytes.fromhex(vector["bytes"])) == event


def test_seg_4_segments_and_running_digests_are_pinned() -> None:
    """SEG-2, SEG-4: canonical bytes and digests from the genesis position on."""
    digest = compute_first_digest(DOMAIN)
    assert digest.hex() == VECTORS["first_digest"]
    cursor = replace(CURSOR, digest=digest)
    for segment, vector in zip((EMPTY, FULL), VECTORS["segments"], strict=True):
        raw = encode_segment(segment)
        assert raw.hex() == vector["bytes"]
        assert decode_segment(raw) == segment
        digest = compute_digest(digest, raw)
        assert digest.hex() == vector["digest"]
        cursor = compute_cursor(segment, digest)
    assert cursor == Cursor(2, 128, INDEX_WHOLE_BLOCK, FULL.end_block_hash, 1_700_000_256, digest)


@pytest.mark.parametrize("change", [
    {"chain_id": 1}, {"connext": Address(bytes(20))}, {"stream_version": 2}, {"segment_blocks": 1},
    {"idle_blocks": 240}, {"domain": DomainId(3)}, {"cursor": replace(CURSOR, block=101)},
    {"cursor": replace(CURSOR, index=5)}, {"cursor": replace(CURSOR, block_hash=Hash(bytes(32)))},
    {"cursor": replace(CURSOR, timestamp_s=1)},
])
def test_seg_4_the_first_digest_binds_domain_and_position(change: dict[str, Any]) -> None:
    """SEG-4: another domain, grid or place of genesis has another chain of digests."""
    assert compute_first_digest(replace(DOMAIN, **change)) != compute_first_digest(DOMAIN)


def test_sizes_are_those_of_the_bytes() -> None:
    """SEG-1's cap of 128 KiB counts what SEG-2 writes after the header."""
    header = len(encode_segment(segment_with()))
    assert sum(map(size_positioned, FULL.events)) == len(encode_segment(FULL)) - header


# --- refused --------------------------------------------------------------------------------------------------------


def at(block: int, index: int) -> PositionedEvent:
    return PositionedEvent(block, index, Paused())


@pytest.mark.parametrize("events", [
    (at(121, 1), at(121, 1)),
    (at(121, 2), at(121, 1)),
    (at(122, 0), at(121, 9)),
    (at(129, 0),),
    tuple(at(121, index) for index in range(SEGMENT_EVENTS_MAX + 1)),
    tuple(
        PositionedEvent(121, index, replace(
            XCALLED, info=replace(INFO, call_data=bytes(CALL_DATA_INLINE_MAX)), call_data_length=CALL_DATA_INLINE_MAX,
        )) for index in range(SEGMENT_BYTES_MAX // CALL_DATA_INLINE_MAX)
    ),
])
def test_seg_2_refuses_events_out_of_order_beyond_the_end_or_too_many(events: tuple[PositionedEvent, ...]) -> None:
    """SEG-2: strictly ascending, not past the end, ≤ 256 events, ≤ 128 KiB."""
    with pytest.raises(Malformed):
        decode_segment(encode_segment(segment_with(events)))
    assert decode_segment(encode_segment(segment_with(events[:1], end_block=130))).events == events[:1]


def test_seg_2_an_end_inside_a_block_takes_its_own_event_and_none_after() -> None:
    """SEG-2: (end block, end index) is the last place that belongs to the segment."""
    cut = segment_with((at(128, 3),), end_index=3)
    assert decode_segment(encode_segment(cut)) == cut
    with pytest.raises(Malformed):
        decode_segment(encode_segment(segment_with((at(128, 4),), end_index=3)))


RAW = encode_segment(FULL)


@pytest.mark.parametrize("raw", [
    b"", RAW[:50], RAW[:-1], RAW + b"\0", RAW[:113], encode_segment(EMPTY)[:-1], encode_segment(EMPTY) + b"\0",
    encode_segment(EMPTY)[:-2] + b"\x00\x01", RAW + bytes(SEGMENT_BYTES_MAX),
])
def test_seg_2_refuses_segments_cut_short_or_too_long(raw: bytes) -> None:
    """SEG-2: header, count and lengths leave no byte unaccounted for."""
    with pytest.raises(Malformed):
        decode_segment(raw)


@pytest.mark.parametrize("event", [
    replace(XCALLED, call_data_length=3),
    replace(XCALLED, call_data_hash=Hash(ID)),
    replace(XCALLED, call_data_hash=Hash(ID), call_data_length=CALL_DATA_INLINE_MAX + 1),
    replace(XCALLED, info=replace(INFO, call_data=b""), call_data_length=CALL_DATA_INLINE_MAX + 1),
    replace(XCALLED, relayer_fees=XCALLED.relayer_fees * 5),
    replace(XCALLED, relayer_fees=(RelayerFee(ROUTER, 2**256),)),
    replace(XCALLED, info=replace(INFO, bridged_amt=2**256)),
    replace(XCALLED, amount=2**256),
    replace(EXECUTED, amount=2**300),
    replace(EXECUTED, routers=RouterList(1, TWO.routers, None)),
    replace(EXECUTED, routers=RouterList(2, TWO.routers, Hash(ID))),
    replace(EXECUTED, routers=RouterList(2, (), Hash(ID))),
    replace(RECONCILED, routers=RouterList(17, TWO.routers[:1] * 17, None)),
    replace(RECONCILED, routers=RouterList(17, TWO.routers, Hash(ID))),
    RouterLiquidityAdded(ROUTER, LOCAL, 2**256),
    MaxRoutersPerTransferUpdated(2**256),
    SlippageUpdated(ID, 2**256),
])
def test_seg_2_refuses_events_out_of_bounds(event: Event) -> None:
    """SEG-2: long callData and router lists as hash and length, never both; numbers of one EVM word."""
    kind = next(kind for kind, cls in EVENT_KINDS.items() if cls is type(event))
    with pytest.raises(Malformed):
        decode_event(kind, encode_event(event))


@pytest.mark.parametrize("event", [
    replace(XCALLED, info=replace(INFO, call_data=bytes(8192)), call_data_length=8192),
    replace(XCALLED, info=replace(INFO, call_data=b""), call_data_length=8193, call_data_hash=Hash(ID)),
    replace(EXECUTED, routers=RouterList(0, (), None)),
    replace(EXECUTED, routers=RouterList(16, TWO.routers * 8, None)),
    replace(EXECUTED, amount=2**256 - 1),
])
def test_seg_2_takes_events_at_their_bounds(event: Event) -> None:
    """SEG-2: the largest inline callData and router list, none at all, the largest number."""
    kind = next(kind for kind, cls in EVENT_KINDS.items() if cls is type(event))
    assert decode_event(kind, encode_event(event)) == event


@pytest.mark.parametrize("kind, raw", [
    (0, b""), (26, b""), (12, b"\0"), (6, bytes(19)), (6, bytes(21)), (8, b"\x02"), (10, b"\x01\x00"),
    (10, b"\x02\x00\x01"),
    (1, bytes(9 * 1024 + 1)),
])
def test_seg_2_refuses_unknown_kinds_and_other_bytes(kind: int, raw: bytes) -> None:
    """SEG-2, COD-2: a kind that is on no list, and bytes that no event of the kind has."""
    with pytest.raises(Malformed):
        decode_event(kind, raw)
