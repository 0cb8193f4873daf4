"""Division of a domain's event stream into segments (SEG-1): pure, so every observer builds the same ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from abci_app.machine.observation.stream import (
    PositionedEvent,
    Segment,
    compute_cursor,
    compute_digest,
    encode_segment,
    size_positioned,
)
from abci_app.machine.params import INDEX_WHOLE_BLOCK, SEGMENT_BYTES_MAX, SEGMENT_EVENTS_MAX
from abci_app.machine.state.codec import Hash
from abci_app.machine.state.records import Cursor, Domain

AHEAD_MAX = 8
"""Segments built past the cursor: a report covers 4, and a block may accept 4 before the next report."""

BlockInfo = Callable[[int], tuple[Hash, int]]
"""Function from a block number to its hash and its timestamp in seconds; called for final blocks only."""


@dataclass(frozen=True, slots=True)
class BuiltSegment:
    """A segment with its canonical bytes, and the domain's cursor after its acceptance."""

    segment: Segment
    raw: bytes
    after: Cursor
    """``after.digest`` is the running digest."""


def build_segments(
    domain: Domain,
    cursor: Cursor,
    events: Sequence[PositionedEvent],
    final_block: int,
    block_info: BlockInfo,
    limit: int = AHEAD_MAX,
) -> tuple[BuiltSegment, ...]:
    """Build the segments after ``cursor``, at most ``limit``, each of final blocks only (SEG-5).

    ``events``: all that lie after the cursor up to ``final_block``, ascending. ``cursor`` need not be the domain's own.
    """
    found: list[BuiltSegment] = []
    start = 0
    while len(found) < limit:
        end = _find_end(domain, cursor, events, start, final_block)
        if end is None:
            break
        block, index, stop = end
        block_hash, timestamp_s = block_info(block)
        segment = Segment(
            domain.domain, domain.chain_id, domain.connext, domain.stream_version, domain.segment_blocks,
            domain.idle_blocks, cursor.number + 1, block, index, block_hash, timestamp_s, tuple(events[start:stop]),
        )
        raw = encode_segment(segment)
        cursor = compute_cursor(segment, compute_digest(cursor.digest, raw))
        found.append(BuiltSegment(segment, raw, cursor))
        start = stop
    return tuple(found)


def _find_end(
    domain: Domain, cursor: Cursor, events: Sequence[PositionedEvent], start: int, final_block: int
) -> tuple[int, int, int] | None:
    """Return (end block, end index, index in ``events`` after the last one taken); None while that is not final."""
    next_block = cursor.block + 1 if cursor.index == INDEX_WHOLE_BLOCK else cursor.block
    idle_end = round_up(next_block, domain.idle_blocks)
    if start == len(events) or events[start].block > idle_end:
        return (idle_end, INDEX_WHOLE_BLOCK, start) if idle_end <= final_block else None
    end_block = round_up(events[start].block, domain.segment_blocks)
    size, stop = 0, start
    while stop < len(events) and events[stop].block <= end_block:
        size += size_positioned(events[stop])
        if size > SEGMENT_BYTES_MAX or stop - start == SEGMENT_EVENTS_MAX:
            return events[stop - 1].block, events[stop - 1].index, stop
        stop += 1
    return (end_block, INDEX_WHOLE_BLOCK, stop) if end_block <= final_block else None


def round_up(block: int, grid: int) -> int:
    """Return the first multiple of ``grid`` that is not below ``block``."""
    return -(-block // grid) * grid
