"""SEG-1 … SEG-5: prompt, late and restarted observers build alike; every segment is what the rule says and decodes."""

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.machine.observation.stream import (
    Paused,
    PositionedEvent,
    RouterAdded,
    XCalled,
    compute_cursor,
    compute_digest,
    compute_first_digest,
    decode_segment,
    encode_segment,
    size_positioned,
)
from abci_app.machine.params import INDEX_WHOLE_BLOCK, SEGMENT_BYTES_MAX, SEGMENT_EVENTS_MAX
from abci_app.machine.state.codec import Address, DomainId, Hash, TransferId
from abci_app.machine.state.records import Cursor, Domain, DomainStatus, TransferInfo
from abci_app.observer.segment_builder import BuiltSegment, build_segments

GRIDS = ((1, 2), (1, 12), (2, 12), (12, 12), (8, 120), (5, 3))
"""(segment_blocks, idle_blocks): the testnet's, usual ones, and one where an idle block is the shorter."""


def make_domain(segment_blocks: int, idle_blocks: int, start: int) -> Domain:
    cursor = Cursor(0, start, INDEX_WHOLE_BLOCK, *block_info(start), Hash(bytes(32)))
    domain = Domain(
        DomainId(1111), 31337, Address(bytes(20)), Address(bytes(20)), 0, 1, segment_blocks, idle_blocks, cursor, 0,
        5, 9995, False, False, DomainStatus.OPEN, True,
    )
    return replace(domain, cursor=replace(cursor, digest=compute_first_digest(domain)))


def block_info(number: int) -> tuple[Hash, int]:
    return Hash(sha256(b"%d" % number).digest()), 1_700_000_000 + number


@st.composite
def streams(draw: st.DrawFn) -> tuple[Domain, list[PositionedEvent], int]:
    """A domain, its events and its last final block; some blocks hold more than a segment takes."""
    segment_blocks, idle_blocks = draw(st.sampled_from(GRIDS))
    start = draw(st.integers(0, 40))
    length = draw(st.integers(1, 4 * idle_blocks + 20))
    counts = draw(
        st.dictionaries(st.integers(start + 1, start + length), st.sampled_from((1, 2, 255, 256, 257, 600)), max_size=5)
    )
    events = []
    for block in sorted(counts):
        step = draw(st.integers(1, 3))
        events += [
            PositionedEvent(block, at * step, Paused() if at % 2 else RouterAdded(Address(at.to_bytes(20, "big"))))
            for at in range(counts[block])
        ]
    return make_domain(segment_blocks, idle_blocks, start), events, start + length


def after(events: list[PositionedEvent], cursor: Cursor, final_block: int) -> list[PositionedEvent]:
    here = (cursor.block, cursor.index)
    return [event for event in events if here < (event.block, event.index) and event.block <= final_block]


def build_late(domain: Domain, events: list[PositionedEvent], final_block: int) -> list[BuiltSegment]:
    """All at once."""
    return list(build_segments(domain, domain.cursor, events, final_block, block_info, 1_000_000))


@settings(deadline=None, max_examples=60)
@given(streams(), st.data())
def test_prompt_late_and_restarted_observers_cut_alike(
    stream: tuple[Domain, list[PositionedEvent], int], data: st.DataObject
) -> None:
    domain, events, final_block = stream
    late = build_late(domain, events, final_block)

    prompt: list[BuiltSegment] = []
    cursor = domain.cursor
    for head in range(domain.cursor.block, final_block + 1):
        for found in build_segments(domain, cursor, after(events, cursor, head), head, block_info):
            prompt.append(found)
            cursor = found.after
        while more := build_segments(domain, cursor, after(events, cursor, head), head, block_info, 1):
            prompt += more
            cursor = more[-1].after
    assert prompt == late

    if late:
        restart = data.draw(st.integers(0, len(late) - 1))
        cursor = late[restart].after
        again = build_segments(domain, cursor, after(events, cursor, final_block), final_block, block_info, 1_000_000)
        assert list(again) == late[restart + 1:]


@settings(deadline=None, max_examples=60)
@given(streams())
def test_every_segment_is_what_the_rule_says(stream: tuple[Domain, list[PositionedEvent], int]) -> None:
    domain, events, final_block = stream
    cursor = domain.cursor
    taken: list[PositionedEvent] = []
    for found in build_late(domain, events, final_block):
        segment = found.segment
        rest = after(events, cursor, final_block)
        assert decode_segment(found.raw) == segment
        assert found.raw == encode_segment(segment)
        assert found.after == compute_cursor(segment, compute_digest(cursor.digest, found.raw))
        assert segment.number == cursor.number + 1
        assert (segment.end_block_hash, segment.end_timestamp_s) == block_info(segment.end_block)
        assert segment.end_block <= final_block
        assert segment.events == tuple(rest[:len(segment.events)])
        check_end(domain, cursor, rest, segment.end_block, segment.end_index, len(segment.events))
        taken += segment.events
        cursor = found.after
    assert taken == [event for event in events if (event.block, event.index) <= (cursor.block, cursor.index)]
    check_nothing_more(domain, cursor, after(events, cursor, final_block), final_block)


def check_end(
    domain: Domain, cursor: Cursor, rest: list[PositionedEvent], block: int, index: int, count: int
) -> None:
    """SEG-1, word by word and slowly."""
    whole = INDEX_WHOLE_BLOCK
    g = next(b for b in range(0, 10_000, domain.idle_blocks) if (b, whole) > (cursor.block, cursor.index))
    if not rest or rest[0].block > g:
        assert (block, index, count) == (g, whole, 0)
        return
    e = next(b for b in range(0, 10_000, domain.segment_blocks) if b >= rest[0].block)
    inside = [event for event in rest if event.block <= e]
    if index == whole:
        assert (block, count) == (e, len(inside))
    else:
        assert (block, index) == (inside[count - 1].block, inside[count - 1].index)
        one_more = inside[:count + 1]
        assert len(one_more) == count + 1
        assert len(one_more) > SEGMENT_EVENTS_MAX or sum(map(size_positioned, one_more)) > SEGMENT_BYTES_MAX
    assert count <= SEGMENT_EVENTS_MAX
    assert sum(map(size_positioned, inside[:count])) <= SEGMENT_BYTES_MAX


def check_nothing_more(domain: Domain, cursor: Cursor, rest: list[PositionedEvent], final_block: int) -> None:
    """SEG-5 the other way round: what was not cut could not be."""
    whole = INDEX_WHOLE_BLOCK
    g = next(b for b in range(0, 10_000, domain.idle_blocks) if (b, whole) > (cursor.block, cursor.index))
    if rest and rest[0].block <= g:
        e = next(b for b in range(0, 10_000, domain.segment_blocks) if b >= rest[0].block)
        assert e > final_block
        assert len(rest) <= SEGMENT_EVENTS_MAX
    else:
        assert g > final_block


def xcalled_of(block: int, index: int, size: int) -> PositionedEvent:
    """An XCalled that takes ``size`` bytes of a segment."""
    address, word = Address(bytes(20)), Hash(bytes(32))
    bare = TransferInfo(DomainId(1), DomainId(2), DomainId(1), address, address, False, b"", 0, address, 0, 0, 0, word)
    event = XCalled(TransferId(word), 0, bare, None, 0, address, 0, address, (), word)
    length = size - size_positioned(PositionedEvent(block, index, event))
    filled = replace(event, info=replace(bare, call_data=bytes(length)), call_data_length=length)
    return PositionedEvent(block, index, filled)


@pytest.mark.parametrize(("surplus", "taken"), [(0, 16), (1, 15)])
def test_bytes_cap_inside_one_block(surplus: int, taken: int) -> None:
    """A segment of exactly 128 KiB is whole; with one byte more its last event begins the next."""
    domain = make_domain(1, 2, 3)
    each = SEGMENT_BYTES_MAX // 16
    events = [xcalled_of(4, at, each + (surplus if at == 15 else 0)) for at in range(16)]

    built = build_segments(domain, domain.cursor, events, 5, block_info)

    assert [len(found.segment.events) for found in built] == [taken, 16 - taken][:len(built)]
    assert built[0].segment.end_index == (INDEX_WHOLE_BLOCK if taken == 16 else 14)
    assert built[-1].segment.end_index == INDEX_WHOLE_BLOCK
    assert [decode_segment(found.raw) for found in built] == [found.segment for found in built]


def test_a_cut_by_a_cap_waits_for_the_next_event_not_for_the_grid() -> None:
    """SEG-5: its block is final as soon as the next event's is, even where the grid's end is far."""
    domain = make_domain(100, 100, 0)
    events = [PositionedEvent(3, at, Paused()) for at in range(SEGMENT_EVENTS_MAX)]
    assert build_segments(domain, domain.cursor, events, 50, block_info) == ()

    events.append(PositionedEvent(51, 0, Paused()))
    (only,) = build_segments(domain, domain.cursor, events, 51, block_info)
    assert (only.segment.end_block, only.segment.end_index) == (3, SEGMENT_EVENTS_MAX - 1)
    assert build_segments(domain, domain.cursor, events, 100, block_info)[1].segment.end_block == 100


def test_at_most_the_limit() -> None:
    domain = make_domain(1, 2, 0)
    built = build_segments(domain, domain.cursor, [], 1000, block_info)
    assert [found.segment.number for found in built] == list(range(1, 9))
    assert build_segments(domain, domain.cursor, [], 1000, block_info, 0) == ()
