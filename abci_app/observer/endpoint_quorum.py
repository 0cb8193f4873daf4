"""Agreement of at least ``quorum`` of a domain's RPC endpoints on segments and transfers (pure functions)."""

from collections import Counter
from collections.abc import Mapping, Sequence

from abci_app.machine.state.codec import TransferId
from abci_app.observer.observation_errors import ErrorCause, ObservationError
from abci_app.observer.snapshot import ObservedSegment, SeenTransfer

EndpointSegments = Sequence[ObservedSegment]
"""Consecutive segments built from one endpoint's answers."""


def agree_segments(
    views: Sequence[EndpointSegments], quorum: int
) -> tuple[tuple[ObservedSegment, ...], ObservationError | None]:
    """Return the segments that at least ``quorum`` endpoints share, and an error where any two endpoints differ.

    Digests run, so agreement on one segment is agreement on all before it: the highest one decides, and what leads to
    it is taken from the view that reaches back furthest. Two digests with a quorum each (``quorum`` ≤ n / 2) are none.
    """
    by_number: dict[int, Counter[ObservedSegment]] = {}
    for view in views:
        for segment in view:
            by_number.setdefault(segment.number, Counter())[segment] += 1
    error = next((_differ(by_number[number]) for number in sorted(by_number) if len(by_number[number]) > 1), None)
    for number in sorted(by_number, reverse=True):
        chosen = [segment for segment, count in by_number[number].items() if count >= quorum]
        if len(chosen) == 1:
            longest = max((view for view in views if chosen[0] in view), key=len)
            return tuple(segment for segment in longest if segment.number <= number), error
    return (), error


def agree_transfers(views: Sequence[Mapping[TransferId, SeenTransfer]], quorum: int) -> dict[TransferId, SeenTransfer]:
    """Return the transfers that at least ``quorum`` endpoints share."""
    counts = Counter(item for view in views for item in view.items())
    return {transfer_id: seen for (transfer_id, seen), count in counts.items() if count >= quorum}


def _differ(counts: Counter[ObservedSegment]) -> ObservationError:
    digests = ", ".join(f"{count} × {segment.digest.hex()[:16]}" for segment, count in counts.most_common())
    number = next(iter(counts)).number
    return ObservationError(ErrorCause.NO_QUORUM, f"segment {number}: {digests}")
