"""Validation of segments after a domain's cursor: constants, positions and end (SEG-3).

Pure, and shared by PrepareProposal, ProcessProposal and FinalizeBlock through ``reports.py``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from abci_app.machine.codes import Code, Rejected, require
from abci_app.machine.observation.stream import Segment, compute_cursor, compute_digest, decode_segment, size_positioned
from abci_app.machine.params import EVENT_BYTES_MAX, INDEX_WHOLE_BLOCK, SEGMENT_BYTES_MAX, SEGMENT_EVENTS_MAX
from abci_app.machine.state.codec import DomainId, Malformed
from abci_app.machine.state.records import Cursor, Domain

POSITION_BYTES_MAX = 16
"""Bytes that an event's position takes before its projection."""


@dataclass(frozen=True, slots=True)
class ChainedSegment:
    """A segment that continues its predecessor, and the cursor after it."""

    segment: Segment
    after: Cursor
    """``after.digest`` is the running digest."""


def chain_segments(domains: Mapping[DomainId, Domain], raws: Sequence[bytes]) -> tuple[ChainedSegment, ...]:
    """Return the decoded segments, each checked against its predecessor; ``Rejected`` for the first invalid one.

    Domains ascend, numbers follow each other without a gap from each cursor on (REP-4, COM-3).
    """
    chained: list[ChainedSegment] = []
    places = dict(domains)
    last = -1
    for raw in raws:
        try:
            segment = decode_segment(raw)
        except Malformed as error:
            raise Rejected(Code.SEGMENT_MALFORMED, str(error)) from error
        domain = require(places.get(segment.domain), Code.SEGMENT_UNKNOWN_DOMAIN, str(segment.domain))
        if segment.domain < last:
            raise Rejected(Code.SEGMENT_OUT_OF_ORDER, f"domain {segment.domain} after {last}")
        check_fit(domain, segment)
        after = compute_cursor(segment, compute_digest(domain.cursor.digest, raw))
        places[segment.domain] = replace(domain, cursor=after)
        chained.append(ChainedSegment(segment, after))
        last = segment.domain
    return tuple(chained)


def check_fit(domain: Domain, segment: Segment) -> None:
    """Reject a segment that does not continue ``domain`` from its cursor as SEG-1 requires (SEG-3)."""
    if segment.number != domain.cursor.number + 1:
        raise Rejected(Code.SEGMENT_OUT_OF_ORDER, f"number {segment.number} after {domain.cursor.number}")
    constants = (
        segment.chain_id, segment.connext, segment.stream_version, segment.segment_blocks, segment.idle_blocks
    )
    if constants != (
        domain.chain_id, domain.connext, domain.stream_version, domain.segment_blocks, domain.idle_blocks
    ):
        raise Rejected(Code.SEGMENT_MALFORMED, "a constant of the header is not the domain's")
    cursor = (domain.cursor.block, domain.cursor.index)
    if segment.events and (segment.events[0].block, segment.events[0].index) <= cursor:
        raise Rejected(Code.SEGMENT_MALFORMED, "an event at or below the cursor")
    if not is_end_allowed(domain, segment):
        raise Rejected(Code.SEGMENT_MALFORMED, f"it may not end at ({segment.end_block}, {segment.end_index})")


def is_end_allowed(domain: Domain, segment: Segment) -> bool:
    """Tell whether SEG-1 allows a segment with these events to end here."""
    cursor = domain.cursor
    next_block = cursor.block + 1 if cursor.index == INDEX_WHOLE_BLOCK else cursor.block
    idle_end = _round_up(next_block, domain.idle_blocks)
    end = (segment.end_block, segment.end_index)
    if not segment.events:
        return end == (idle_end, INDEX_WHOLE_BLOCK)
    first, last = segment.events[0], segment.events[-1]
    if first.block > idle_end:
        return False
    whole_end = _round_up(first.block, domain.segment_blocks)
    if end == (whole_end, INDEX_WHOLE_BLOCK):
        return True
    return end == (last.block, last.index) and last.block <= whole_end and _is_full(segment)


def _is_full(segment: Segment) -> bool:
    """Tell whether one more event, of whatever size, could have been beyond a segment's limits (SEG-1)."""
    size = sum(map(size_positioned, segment.events))
    largest = POSITION_BYTES_MAX + EVENT_BYTES_MAX
    return len(segment.events) == SEGMENT_EVENTS_MAX or size + largest > SEGMENT_BYTES_MAX


def _round_up(block: int, grid: int) -> int:
    return -(-block // max(grid, 1)) * max(grid, 1)
