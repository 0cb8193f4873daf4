"""Segments of a proposal: selection by the proposer, and transfers named by a block's segments (REP-4, BID-7)."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from abci_app.abci import tx_bytes_in_block
from abci_app.machine.codes import Rejected
from abci_app.machine.observation.extension import INJECTED_SEGMENT
from abci_app.machine.observation.reports import check_segments, compute_agreed
from abci_app.machine.observation.stream import Segment, XCalled, compute_digest, decode_segment
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import DomainId, Hash, Malformed, TransferId
from abci_app.machine.state.records import Domain
from abci_app.machine.state.view import StateDelta
from abci_app.observer.snapshot import Observation, ObservedSegment

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """Number and running digest of a domain's last segment."""

    number: int
    digest: Hash


def rotate_domains(state: StateDelta, height: int) -> list[Domain]:
    """Return all domains by id, begun at index ``height`` mod count, so that none is always last (EXT-4)."""
    domains = [domain for _, domain in state.scan(keys.domains(), Domain)]
    start = height % len(domains) if domains else 0
    return domains[start:] + domains[:start]


def follow(position: StreamPosition, segments: Sequence[ObservedSegment]) -> list[ObservedSegment]:
    """Return the observed segments that continue ``position`` without a gap and match their digests."""
    followed: list[ObservedSegment] = []
    number, digest = position.number, position.digest
    for segment in segments:
        if segment.number <= position.number:
            continue
        digest = compute_digest(digest, segment.raw)
        number += 1
        if segment.number != number or segment.digest != digest:
            break
        followed.append(segment)
    return followed


def choose_segments(scope: Scope, observation: Observation, bytes_max: int) -> list[bytes]:
    """Return the raw segments to propose, by domain and number, within ``segments_bytes`` and ``bytes_max`` of a block.

    ``scope`` counts the block's injected commit already. Of each domain: what was observed up to the last segment that
    is agreed on the very digest observed, as far as it fits.
    """
    room = min(scope.params.segments_bytes, bytes_max)
    chosen: dict[DomainId, list[bytes]] = {}
    for domain in rotate_domains(scope.delta, scope.height):
        observed = observation.domains.get(domain.domain)
        if observed is None:
            continue
        agreed = compute_agreed(scope.delta, domain.domain)
        taken, left = take_agreed(follow(get_position(domain), observed.segments), agreed, room)
        try:
            check_segments(scope, taken)
        except Rejected as refusal:  # agreed, and still against a rule: others would refuse the whole block
            log.warning("segments withheld", extra={
                "domain": domain.domain, "code": refusal.code.name, "reason": refusal.reason,
            })
            continue
        chosen[domain.domain], room = taken, left
    return [raw for domain_id in sorted(chosen) for raw in chosen[domain_id]]


def take_agreed(
    segments: Sequence[ObservedSegment], agreed: Mapping[int, Hash], room: int
) -> tuple[list[bytes], int]:
    """Return the raw segments up to the last agreed one that fits in ``room`` bytes, and the room left."""
    taken, taken_bytes, total = 0, 0, 0
    for count, segment in enumerate(segments, start=1):
        total += tx_bytes_in_block(INJECTED_SEGMENT + segment.raw)
        if total > room:
            break
        if agreed.get(segment.number) == segment.digest:
            taken, taken_bytes = count, total
    return [segment.raw for segment in segments[:taken]], room - taken_bytes


def get_position(domain: Domain) -> StreamPosition:
    """Return the committed position in a domain's stream."""
    return StreamPosition(domain.cursor.number, domain.cursor.digest)


def list_positions(state: StateDelta, raws: Sequence[bytes]) -> dict[DomainId, StreamPosition]:
    """Return each domain's position after a block's segments, up to the first that is malformed or leaves a gap.

    ExtendVote may get a block that this node has not processed, so each segment is checked.
    """
    positions = {domain.domain: get_position(domain) for _, domain in state.scan(keys.domains(), Domain)}
    for raw in raws:
        segment = parse_segment(raw)
        position = None if segment is None else positions.get(segment.domain)
        if segment is None or position is None or segment.number != position.number + 1:
            break
        positions[segment.domain] = StreamPosition(segment.number, compute_digest(position.digest, raw))
    return positions


def list_named_transfers(raws: Sequence[bytes]) -> set[TransferId]:
    """Return the ids that an XCalled of these segments names: bids for them may stand in the same block (BID-7)."""
    segments = [segment for segment in map(parse_segment, raws) if segment is not None]
    return {
        positioned.event.transfer_id
        for segment in segments
        for positioned in segment.events
        if isinstance(positioned.event, XCalled)
    }


def parse_segment(raw: bytes) -> Segment | None:
    """Return the decoded segment; None for bytes that are none."""
    try:
        return decode_segment(raw)
    except Malformed:
        return None
