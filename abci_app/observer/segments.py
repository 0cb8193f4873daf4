"""SEG-1: where a domain's stream is cut. Pure: a prompt and a late observer, restarted anywhere, cut alike."""

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
"""Segments past the cursor that are worth having: reports reach 4, and a block may accept 4 before the next report."""

BlockInfo = Callable[[int], tuple[Hash, int]]
"""Block number → its hash and its timestamp in seconds; asked for final blocks only."""


@dataclass(frozen=True, slots=True)
class CutSegment:
    """A segment with its canonical bytes, and the cursor once it is accepted."""

    segment: Segment
    raw: bytes
    after: Cursor
    """``after.digest`` is the running digest."""


def cut(
    domain: Domain,
    cursor: Cursor,
    events: Sequence[PositionedEvent],
    final_block: int,
    block_info: BlockInfo,
    limit: int = AHEAD_MAX,
) -> tuple[CutSegment, ...]:
    """Segments that follow ``cursor``, at most ``limit``, each final in whole (SEG-5).

    ``events``: all that lie after the cursor up to ``final_block``, ascending. ``cursor`` need not be the domain's own.
    """
    found: list[CutSegment] = []
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
        found.append(CutSegment(segment, raw, cursor))
        start = stop
    return tuple(found)


def _find_end(
    domain: Domain, cursor: Cursor, events: Sequence[PositionedEvent], start: int, final_block: int
) -> tuple[int, int, int] | None:
    """(end block, end index, index in ``events`` after the last one taken), or None while that is not final."""
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
    """The first multiple of ``grid`` that is not below ``block``."""
    return -(-block // grid) * grid
