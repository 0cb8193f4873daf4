"""Wrong segments in a proposal: each fault with the code that honest validators must refuse it with."""

from collections.abc import Callable
from dataclasses import replace

from abci_app.machine.codes import Code
from abci_app.machine.observation.extension import INJECTED_SEGMENT
from abci_app.machine.observation.stream import (
    PositionedEvent,
    RouterLiquidityAdded,
    Segment,
    decode_segment,
    encode_segment,
)
from abci_app.machine.params import SEGMENT_BYTES_MAX
from abci_app.machine.state.codec import Address, DomainId
from tests.kit.byzantine.stage import Stage

Fault = Callable[[Stage], list[bytes] | None]
"""The corrupted block; None where this height's honest block has nothing to corrupt so."""

UNKNOWN_DOMAIN = DomainId(3333)
THIEF = Address(b"\x66" * 20)


def alter_last(stage: Stage, change: Callable[[Segment], Segment]) -> list[bytes] | None:
    """Exchange the last agreed segment by a changed one."""
    if not stage.parts.segments:
        return None
    *before, last = stage.parts.segments
    return stage.block([*before, encode_segment(change(decode_segment(last)))])


def add_event(segment: Segment) -> Segment:
    """Credit somebody who paid nothing."""
    at = (segment.events[-1].block, segment.events[-1].index + 1) if segment.events else (segment.end_block, 0)
    event = RouterLiquidityAdded(THIEF, THIEF, 10**30)
    return replace(segment, events=(*segment.events, PositionedEvent(*at, event)))


def first_and_last(stage: Stage) -> tuple[DomainId, DomainId]:
    """The two domains, in the right order."""
    return min(stage.domains), max(stage.domains)


def repeat(stage: Stage) -> list[bytes] | None:
    segments = list(stage.parts.segments)
    return stage.block([*segments, segments[-1]]) if segments else None


def reorder_domains(stage: Stage) -> list[bytes]:
    first, last = first_and_last(stage)
    return stage.block([*(stage.parts.segments), stage.next_raw(last), stage.next_raw(first)])


def reorder_numbers(stage: Stage) -> list[bytes]:
    one = stage.next_segment(max(stage.domains))
    two = replace(one, number=one.number + 1, end_block=one.end_block + one.idle_blocks)
    return stage.block([*stage.parts.segments, encode_segment(two), encode_segment(one)])


def leave_gap(stage: Stage) -> list[bytes]:
    one = stage.next_segment(max(stage.domains))
    return stage.block([*stage.parts.segments, encode_segment(replace(one, number=one.number + 1))])


def replay(stage: Stage) -> list[bytes] | None:
    """A number that was accepted before this block."""
    domain = stage.domains[max(stage.domains)]
    if domain.cursor.number == 0:
        return None
    old = replace(stage.next_segment(domain.domain), number=domain.cursor.number)
    return stage.block([*stage.parts.segments, encode_segment(old)])


def cut_bytes(stage: Stage) -> list[bytes]:
    return stage.block([*stage.parts.segments, stage.next_raw(max(stage.domains))[:-1]])


def cut_early(stage: Stage) -> list[bytes]:
    one = stage.next_segment(max(stage.domains))
    return stage.block([*stage.parts.segments, encode_segment(replace(one, end_block=one.end_block - 1))])


def extend_late(stage: Stage) -> list[bytes]:
    """An end that skips over blocks in which something may have happened."""
    one = stage.next_segment(max(stage.domains))
    late = replace(one, end_block=one.end_block + one.idle_blocks)
    return stage.block([*stage.parts.segments, encode_segment(late)])


def take_other_domains(stage: Stage) -> list[bytes]:
    """The first domain's constants under the last one's name."""
    first, last = first_and_last(stage)
    one, other = stage.next_segment(last), stage.domains[first]
    wrong = replace(one, chain_id=other.chain_id, connext=other.connext)
    return stage.block([*stage.parts.segments, encode_segment(wrong)])


def take_unknown_domain(stage: Stage) -> list[bytes]:
    wrong = replace(stage.next_segment(max(stage.domains)), domain=UNKNOWN_DOMAIN)
    return stage.block([*stage.parts.segments, encode_segment(wrong)])


def propose_unagreed(stage: Stage) -> list[bytes]:
    return stage.block([*stage.parts.segments, stage.next_raw(max(stage.domains))])


def propose_too_many_bytes(stage: Stage) -> list[bytes]:
    return stage.block([*stage.parts.segments, *[bytes(SEGMENT_BYTES_MAX)] * 5])


def misplace(stage: Stage) -> list[bytes]:
    """A right segment, but behind the users' transactions."""
    return [*stage.block(), b"\xff", INJECTED_SEGMENT + stage.next_raw(max(stage.domains))]


SEGMENT_FAULTS: dict[str, tuple[Code, Fault]] = {
    "segment of another time": (
        Code.SEGMENT_DIGEST_MISMATCH,
        lambda stage: alter_last(stage, lambda one: replace(one, end_timestamp_s=one.end_timestamp_s + 3600)),
    ),
    "segment with a forged event": (Code.SEGMENT_DIGEST_MISMATCH, lambda stage: alter_last(stage, add_event)),
    "segment not agreed yet": (Code.SEGMENT_NOT_AGREED, propose_unagreed),
    "segment twice": (Code.SEGMENT_OUT_OF_ORDER, repeat),
    "segment replayed": (Code.SEGMENT_OUT_OF_ORDER, replay),
    "segments of domains re-ordered": (Code.SEGMENT_OUT_OF_ORDER, reorder_domains),
    "segments re-ordered": (Code.SEGMENT_OUT_OF_ORDER, reorder_numbers),
    "segment left out": (Code.SEGMENT_OUT_OF_ORDER, leave_gap),
    "segment of cut bytes": (Code.SEGMENT_MALFORMED, cut_bytes),
    "segment cut early": (Code.SEGMENT_MALFORMED, cut_early),
    "segment cut late": (Code.SEGMENT_MALFORMED, extend_late),
    "segment of the other domain": (Code.SEGMENT_MALFORMED, take_other_domains),
    "segment of an unknown domain": (Code.SEGMENT_UNKNOWN_DOMAIN, take_unknown_domain),
    "segments beyond their bytes": (Code.SEGMENTS_TOO_LARGE, propose_too_many_bytes),
    "segment misplaced": (Code.INJECTED_MISPLACED, misplace),
}
