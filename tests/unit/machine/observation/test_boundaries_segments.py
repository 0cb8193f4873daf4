"""SEG-1, SEG-3, REP-4 at their edges: nothing at or below the cursor, full to the last byte, as large as allowed."""

from dataclasses import replace

import pytest

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.commit import process_commit
from abci_app.machine.connext import keccak
from abci_app.machine.observation.reports import check_segments
from abci_app.machine.observation.segments import check_fit, is_end_allowed
from abci_app.machine.observation.stream import (
    AssetAdded,
    AssetRemoved,
    PositionedEvent,
    Segment,
    Unpaused,
    XCalled,
    encode_segment,
    size_positioned,
)
from abci_app.machine.params import EVENT_BYTES_MAX, INDEX_WHOLE_BLOCK, SEGMENT_BYTES_MAX, SEGMENT_EVENTS_MAX
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Hash
from abci_app.machine.state.records import Asset
from tests.kit.machine.driver import CANONICAL_ID, SENDER, A, B, C, Network, local_of, xcalled

WHOLE = INDEX_WHOLE_BLOCK
POSITION_BYTES = 16


def event_at(block: int, index: int) -> PositionedEvent:
    return PositionedEvent(block, index, Unpaused())


def segment_of(net: Network, events: tuple[PositionedEvent, ...], end: tuple[int, int]) -> Segment:
    """The next segment of domain A with these events and this end."""
    return replace(net.segment(A, [], net.time_s), events=events, end_block=end[0], end_index=end[1])


@pytest.mark.parametrize("cursor, event, fits", [
    ((100, WHOLE), (100, 0), False), ((100, WHOLE), (100, 5), False), ((100, WHOLE), (99, 0), False),
    ((100, WHOLE), (101, 0), True),
    ((100, 5), (100, 4), False), ((100, 5), (100, 5), False), ((100, 5), (100, 6), True),
])
def test_no_event_at_or_below_the_cursor(cursor: tuple[int, int], event: tuple[int, int], fits: bool) -> None:
    """SEG-3: its end may be one that the grid allows, and may even be the cursor itself."""
    net = Network()
    domain = net.domain(A)
    domain = replace(domain, cursor=replace(domain.cursor, block=cursor[0], index=cursor[1]))
    segment = segment_of(net, (event_at(*event),), (event[0], WHOLE))
    assert is_end_allowed(domain, segment)
    if fits:
        check_fit(domain, segment)
    else:
        with pytest.raises(Rejected) as refused:
            check_fit(domain, segment)
        assert refused.value.code is Code.SEGMENT_MALFORMED


def filled(net: Network, size: int) -> tuple[PositionedEvent, ...]:
    """Events of block 101 that take exactly ``size`` bytes of a segment."""
    bare = xcalled(net.info())
    least = size_positioned(PositionedEvent(101, 0, bare))
    events: list[PositionedEvent] = []
    while size:
        own = size if size <= 8192 else min(8192, size - least)
        events.append(PositionedEvent(101, len(events), with_call_data(bare, own - least)))
        size -= own
    return tuple(events)


def with_call_data(bare: XCalled, length: int) -> XCalled:
    return replace(bare, info=replace(bare.info, call_data=bytes(length)), call_data_length=length)


FULL_FROM = SEGMENT_BYTES_MAX - POSITION_BYTES - EVENT_BYTES_MAX + 1
"""Bytes from which on the largest event would not have fitted any more."""


@pytest.mark.parametrize("size, allowed", [(FULL_FROM - 1, False), (FULL_FROM, True), (SEGMENT_BYTES_MAX, True)])
def test_a_cut_inside_a_block_is_for_full_segments(size: int, allowed: bool) -> None:
    """SEG-3: to the byte, or an honest cut would be refused by all."""
    net = Network()
    events = filled(net, size)
    assert sum(map(size_positioned, events)) == size
    assert is_end_allowed(net.domain(A), segment_of(net, events, (101, len(events) - 1))) is allowed


def test_a_full_segment_stays_within_its_grid() -> None:
    """SEG-1: 256 events do not reach past the blocks that one segment takes."""
    net = Network(domain_changes={"segment_blocks": 2, "idle_blocks": 8})
    for last_block, allowed in ((102, True), (103, False)):
        events = (*(event_at(102, index) for index in range(SEGMENT_EVENTS_MAX - 1)), event_at(last_block, 300))
        assert is_end_allowed(net.domain(A), segment_of(net, events, (last_block, 300))) is allowed


def test_segments_may_take_all_the_bytes_there_are() -> None:
    """REP-4: an honest proposer fills them to the last one."""
    net = Network()
    segments = [net.segment(domain, [], net.time_s) for domain in (A, B)]
    raws = [encode_segment(segment) for segment in segments]
    state = net.delta
    process_commit(Scope.open_next(state), net.commit(segments))
    for spare, code in ((0, None), (-1, Code.SEGMENTS_TOO_LARGE)):
        state.write(keys.PARAMS, replace(net.params, segments_bytes=sum(map(len, raws)) + spare))
        if code is None:
            check_segments(Scope.open_next(state), raws)
        else:
            with pytest.raises(Rejected) as refused:
                check_segments(Scope.open_next(state), raws)
            assert refused.value.code is code


def test_assets_are_kept_by_domain_with_the_decimals_first_listed() -> None:
    """EVT-5: and a token that was delisted on one domain stays so when another's goes."""
    net = Network(domains=(A, B, C))
    fresh = Hash(b"\x05" * 32)
    net.block({C: [AssetAdded(B, fresh, local_of(C), SENDER)]})
    net.block({A: [AssetAdded(B, fresh, local_of(A), SENDER)]})
    asset = net.must(keys.asset(B, fresh), Asset)
    assert [(each.domain, each.decimals) for each in asset.locals] == [(A, 18), (C, 18)]

    key = keccak(CANONICAL_ID + A.to_bytes(32, "big"))
    net.block({B: [AssetRemoved(key)]})
    net.block({C: [AssetRemoved(key)]})
    asset = net.must(keys.asset(A, CANONICAL_ID), Asset)
    assert [each.listed for each in asset.locals] == [True, False, False]
