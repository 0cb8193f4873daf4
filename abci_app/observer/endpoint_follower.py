"""Follower of one domain through one endpoint: reads on from the committed cursor in bounded steps, all in memory."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from abci_app.evm.optional_methods import OptionalMethod
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Log
from abci_app.machine.observation.stream import STREAM_VERSION, PositionedEvent, XCalled
from abci_app.machine.params import INDEX_WHOLE_BLOCK
from abci_app.machine.state.codec import DomainId, Hash, TransferId
from abci_app.machine.state.records import Cursor, Domain, DomainStatus
from abci_app.observer.log_projections import STREAM_TOPICS, project
from abci_app.observer.observation_errors import TRANSIENT, ErrorCause, ObservationError, ObservationErrorLog
from abci_app.observer.segment_builder import AHEAD_MAX, BuiltSegment, build_segments
from abci_app.observer.snapshot import ObservedSegment, SeenTransfer
from abci_app.observer.verified_reads import VerifiedReads

SPAN_MAX = 1000
"""Blocks read in one step; halved when the endpoint cannot give so many at once, doubled again when it can."""

TIMEOUT_DOUBLINGS_MAX = 4
"""Timeout doublings for a single block (2 s → 32 s), so that an unusually full block cannot stop reporting."""

CURSOR_STALL_S = 10.0
"""Seconds after which own segments that the network does not accept are read again: they may be wrong, and an endpoint
that corrected itself announces it to nobody."""

ReadDomains = Callable[[], Mapping[DomainId, Domain]]
"""Function that returns the committed domains with their cursors; called from the observer's threads."""


class StepOutcome(Enum):
    """Outcome of a step, on which the pause before the next one depends."""

    AGAIN = "again"
    POLL = "poll"
    BACK_OFF = "back-off"


@dataclass(frozen=True, slots=True)
class EndpointView:
    """Segments and transfers from one endpoint, consistent with themselves but not confirmed by other endpoints."""

    segments: tuple[ObservedSegment, ...] = ()
    transfers: Mapping[TransferId, SeenTransfer] = field(default_factory=dict)
    blocks: Mapping[TransferId, int] = field(default_factory=dict)
    """Block of each seen transfer's XCalled."""


EMPTY_ENDPOINT_VIEW = EndpointView()


@dataclass(slots=True)
class _StreamBuffer:
    """Everything read since the cursor of ``domain``; discarded after an error that is not transient."""

    domain: Domain
    endpoint: VerifiedReads
    read_block: int
    read_hash: Hash
    next_nonce: int
    moved_s: float
    """When it began, or its cursor moved last."""
    events: list[PositionedEvent] = field(default_factory=list)
    """After the domain's cursor, up to and with ``read_block``."""
    built: list[BuiltSegment] = field(default_factory=list)


class EndpointFollower:
    """Follower of one domain through one endpoint; one thread calls ``step``, any reads ``view``."""

    def __init__(
        self,
        domain: DomainId,
        name: str,
        rpc: Rpc,
        read_domains: ReadDomains,
        errors: ObservationErrorLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.domain = domain
        self.name = name
        self.view = EMPTY_ENDPOINT_VIEW
        self._rpc = rpc
        self._read_domains = read_domains
        self._errors = errors
        self._clock = clock
        self._buffer: _StreamBuffer | None = None
        self._block_receipts = OptionalMethod(clock)
        self._span = SPAN_MAX
        self._timeout_doublings = 0

    def check_chain(self) -> None:
        """Raise `ObservationError` where the endpoint is of another chain.

        An endpoint that does not answer, or a domain not committed yet, passes: `step` checks again.
        """
        domain = self._read_domains().get(self.domain)
        if domain is None:
            return
        try:
            self._make_reads(domain).require_chain(domain.chain_id)
        except ObservationError as error:
            if error.cause is ErrorCause.WRONG_CHAIN:
                raise

    def step(self) -> StepOutcome:
        """Adopt the committed cursor, poll the head, read at most ``SPAN_MAX`` blocks, build segments, publish."""
        domain = self._read_domains().get(self.domain)
        if domain is None or domain.status is DomainStatus.HALTED:
            self.reset()
            return StepOutcome.POLL
        try:
            following = self._follow(domain)
        except ObservationError as error:
            self._errors.record(self.domain, self.name, error)
            if error.cause not in TRANSIENT:
                self.reset()
            return StepOutcome.BACK_OFF
        self._errors.clear(self.domain, self.name)
        return following

    def reset(self) -> None:
        """Discard what was read and published; the next step starts from the committed cursor."""
        self._buffer = None
        self.view = EMPTY_ENDPOINT_VIEW

    def close(self) -> None:
        """Close the endpoint's connections."""
        self._rpc.close()

    def _follow(self, domain: Domain) -> StepOutcome:
        if self._buffer is not None and not self._adopt(self._buffer, domain):
            self.reset()
        buffer = self._buffer
        if buffer is not None and buffer.built and self._clock() - buffer.moved_s > CURSOR_STALL_S:
            buffer = self._buffer = None  # what was published stays until it is read again
        endpoint = self._make_reads(domain) if buffer is None else buffer.endpoint
        if buffer is None:
            endpoint.require_chain(domain.chain_id)
        head = endpoint.head_number(domain.finality_depth)
        if head < domain.cursor.block:
            raise ObservationError(ErrorCause.LAGGING, f"final block {head}, the cursor is at {domain.cursor.block}")
        if buffer is None:
            buffer = self._buffer = _begin(domain, endpoint, self._clock())
        if len(buffer.built) < AHEAD_MAX and buffer.read_block < head:
            self._read(buffer, head)
        _build_more(buffer)
        self._publish(buffer)
        return StepOutcome.AGAIN if len(buffer.built) < AHEAD_MAX and buffer.read_block < head else StepOutcome.POLL

    def _make_reads(self, domain: Domain) -> VerifiedReads:
        return VerifiedReads(self._rpc, domain.connext, STREAM_TOPICS, self._block_receipts)

    def _adopt(self, buffer: _StreamBuffer, domain: Domain) -> bool:
        """Advance to the committed domain; return False where its cursor is not one of the built segments' ends."""
        if _constants(buffer.domain) != _constants(domain):
            return False
        if buffer.domain.cursor != domain.cursor:
            place = next((at for at, segment in enumerate(buffer.built) if segment.after == domain.cursor), None)
            if place is None:
                if any(segment.after.number == domain.cursor.number for segment in buffer.built):
                    detail = f"segment {domain.cursor.number} was accepted as {domain.cursor.digest.hex()[:16]}"
                    self._errors.record(self.domain, self.name, ObservationError(ErrorCause.OVERRULED, detail))
                return False
            del buffer.built[:place + 1]
            buffer.events = [event for event in buffer.events if _is_after(event, domain.cursor)]
            buffer.endpoint.forget(domain.cursor.block)
            buffer.moved_s = self._clock()
        buffer.domain = domain
        return True

    def _read(self, buffer: _StreamBuffer, head: int) -> None:
        """Read the next blocks: verify and project their logs, require contiguous nonces."""
        first, last = buffer.read_block + 1, min(head, buffer.read_block + min(self._span, self._rpc.log_blocks))
        try:
            logs = self._read_with_timeout(buffer.endpoint, first, last, buffer.read_hash)
        except ObservationError as error:
            if error.cause is ErrorCause.UNAVAILABLE and self._span == 1:
                self._timeout_doublings = min(TIMEOUT_DOUBLINGS_MAX, self._timeout_doublings + 1)
            if error.cause in TRANSIENT:
                self._span = max(1, self._span // 2)
            raise
        self._span, self._timeout_doublings = min(SPAN_MAX, self._span * 2), 0
        events = [event for event in project(logs) if _is_after(event, buffer.domain.cursor)]
        buffer.next_nonce = _require_contiguous(events, buffer.next_nonce)
        buffer.events += events
        buffer.read_block, buffer.read_hash = last, buffer.endpoint.header(last).hash

    def _read_with_timeout(self, endpoint: VerifiedReads, first: int, last: int, parent_hash: Hash) -> tuple[Log, ...]:
        limit_s = self._rpc.timeout_s
        self._rpc.timeout_s = limit_s * 2**self._timeout_doublings
        try:
            return endpoint.read_logs(first, last, parent_hash)
        finally:
            self._rpc.timeout_s = limit_s

    def _publish(self, buffer: _StreamBuffer) -> None:
        segments = tuple(
            ObservedSegment(found.segment.number, found.raw, found.after.digest) for found in buffer.built
        )
        transfers: dict[TransferId, SeenTransfer] = {}
        blocks: dict[TransferId, int] = {}
        for positioned in buffer.events:
            event = positioned.event
            if isinstance(event, XCalled):
                transfers[event.transfer_id] = SeenTransfer(buffer.domain.domain, event.info.destination_domain)
                blocks[event.transfer_id] = positioned.block
        view = EndpointView(segments, transfers, blocks)
        if view != self.view:
            self.view = view


def _begin(domain: Domain, endpoint: VerifiedReads, now_s: float) -> _StreamBuffer:
    """Return an empty buffer at the cursor. Raises `ObservationError` where its block is not canonical here."""
    if domain.stream_version != STREAM_VERSION:
        raise ObservationError(ErrorCause.UNDECODABLE, f"stream version {domain.stream_version} is not known here")
    cursor = domain.cursor
    header = endpoint.header(cursor.block)
    if header.hash != cursor.block_hash:
        detail = f"block {cursor.block} is {header.hash.hex()}, accepted was {cursor.block_hash.hex()}"
        raise ObservationError(ErrorCause.NOT_CANONICAL, detail)
    if cursor.index == INDEX_WHOLE_BLOCK:
        return _StreamBuffer(domain, endpoint, cursor.block, header.hash, domain.next_nonce, now_s)
    # A cursor inside a block: the whole block is read again, since fees before the cursor may belong after it.
    return _StreamBuffer(domain, endpoint, cursor.block - 1, header.parent_hash, domain.next_nonce, now_s)


def _build_more(buffer: _StreamBuffer) -> None:
    """Build the segments that became final."""
    cursor = buffer.built[-1].after if buffer.built else buffer.domain.cursor
    events = [event for event in buffer.events if _is_after(event, cursor)]
    wanted = AHEAD_MAX - len(buffer.built)
    buffer.built += build_segments(buffer.domain, cursor, events, buffer.read_block, buffer.endpoint.block_info, wanted)


def _require_contiguous(events: list[PositionedEvent], next_nonce: int) -> int:
    """Return the nonce after these events. Connext counts every xcall, so a gap means that a log is missing."""
    for positioned in events:
        event = positioned.event
        if isinstance(event, XCalled):
            if event.nonce != next_nonce:
                where = f"{positioned.block}/{positioned.index}"
                detail = f"XCalled at {where} has nonce {event.nonce}, due was {next_nonce}"
                raise ObservationError(ErrorCause.NONCE_GAP, detail)
            next_nonce += 1
    return next_nonce


def _is_after(event: PositionedEvent, cursor: Cursor) -> bool:
    return (event.block, event.index) > (cursor.block, cursor.index)


def _constants(domain: Domain) -> tuple[object, ...]:
    """Return what reading and segment building depend on besides the cursor."""
    return (
        domain.chain_id, domain.connext, domain.finality_depth, domain.stream_version,
        domain.segment_blocks, domain.idle_blocks,
    )
