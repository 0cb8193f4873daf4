"""One domain followed through one endpoint: from the committed cursor on, in bounded steps, nothing on disk."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Log
from abci_app.machine.observation.stream import STREAM_VERSION, PositionedEvent, XCalled
from abci_app.machine.params import INDEX_WHOLE_BLOCK
from abci_app.machine.state.codec import DomainId, Hash, TransferId
from abci_app.machine.state.records import Cursor, Domain, DomainStatus
from abci_app.observer.doubts import TRANSIENT, Cause, DoubtLog, NotSure
from abci_app.observer.endpoint import Endpoint
from abci_app.observer.projections import STREAM_TOPICS, project
from abci_app.observer.segments import AHEAD_MAX, CutSegment, cut
from abci_app.observer.snapshot import ObservedSegment, SeenTransfer

SPAN_MAX = 1000
"""Blocks read in one step; halved when the endpoint cannot give so many at once, doubled again when it can."""

PATIENCE_MAX = 4
"""Doublings of the time that an endpoint has for an answer while it cannot give a single block: a block may be full of
other people's logs, and whoever fills one must not silence everybody. Thirty-two seconds, from two."""

STANDSTILL_S = 10.0
"""A cursor that stands still this long before segments of ours may mean that ours are wrong: they are read again, since
an endpoint that corrected itself says so to nobody."""

ReadDomains = Callable[[], Mapping[DomainId, Domain]]
"""Committed domains, with their cursors; called from the observer's threads."""


class Next(Enum):
    """What the runner does after a step."""

    AGAIN = "again"
    POLL = "poll"
    BACK_OFF = "back-off"


@dataclass(frozen=True, slots=True)
class View:
    """What one endpoint gives: verified, but no more than its word."""

    segments: tuple[ObservedSegment, ...] = ()
    transfers: Mapping[TransferId, SeenTransfer] = field(default_factory=dict)
    blocks: Mapping[TransferId, int] = field(default_factory=dict)
    """Block of each seen transfer's XCalled."""


EMPTY_VIEW = View()


@dataclass(slots=True)
class _Content:
    """Everything read since the cursor of ``domain``; made anew whenever a doubt falls on it."""

    domain: Domain
    endpoint: Endpoint
    read_block: int
    read_hash: Hash
    next_nonce: int
    moved_s: float
    """When it began, or its cursor moved last."""
    events: list[PositionedEvent] = field(default_factory=list)
    """After the domain's cursor, up to and with ``read_block``."""
    cuts: list[CutSegment] = field(default_factory=list)


class Follower:
    """Follows one domain through one endpoint. ``step`` is called by one thread, ``view`` is read by any."""

    def __init__(
        self,
        domain: DomainId,
        name: str,
        rpc: Rpc,
        read_domains: ReadDomains,
        doubts: DoubtLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.domain = domain
        self.name = name
        self.view = EMPTY_VIEW
        self._rpc = rpc
        self._read_domains = read_domains
        self._doubts = doubts
        self._clock = clock
        self._content: _Content | None = None
        self._span = SPAN_MAX
        self._patience = 0

    def check_chain(self) -> None:
        """Raise `NotSure` where the endpoint says that it is of another chain. No word from it, or of the domain yet,
        is no objection: `step` asks again."""
        domain = self._read_domains().get(self.domain)
        if domain is None:
            return
        try:
            Endpoint(self._rpc, domain.connext, STREAM_TOPICS).require_chain(domain.chain_id)
        except NotSure as doubt:
            if doubt.cause is Cause.WRONG_CHAIN:
                raise

    def step(self) -> Next:
        """One pass: adopt the committed cursor, poll the final head, read at most ``SPAN_MAX`` blocks, cut, publish."""
        domain = self._read_domains().get(self.domain)
        if domain is None or domain.status is DomainStatus.HALTED:
            self.reset()
            return Next.POLL
        try:
            following = self._follow(domain)
        except NotSure as doubt:
            self._doubts.say(self.domain, self.name, doubt)
            if doubt.cause not in TRANSIENT:
                self.reset()
            return Next.BACK_OFF
        self._doubts.clear(self.domain, self.name)
        return following

    def reset(self) -> None:
        """Forget and withdraw everything; the next step starts from the committed cursor."""
        self._content = None
        self.view = EMPTY_VIEW

    def close(self) -> None:
        """Close the endpoint's connections."""
        self._rpc.close()

    def _follow(self, domain: Domain) -> Next:
        if self._content is not None and not self._adopt(self._content, domain):
            self.reset()
        content = self._content
        if content is not None and content.cuts and self._clock() - content.moved_s > STANDSTILL_S:
            content = self._content = None  # what was published stays until it is read again
        endpoint = Endpoint(self._rpc, domain.connext, STREAM_TOPICS) if content is None else content.endpoint
        if content is None:
            endpoint.require_chain(domain.chain_id)
        head = endpoint.head_number(domain.finality_depth)
        if head < domain.cursor.block:
            raise NotSure(Cause.LAGGING, f"final block {head}, the cursor is at {domain.cursor.block}")
        if content is None:
            content = self._content = _begin(domain, endpoint, self._clock())
        if len(content.cuts) < AHEAD_MAX and content.read_block < head:
            self._read(content, head)
        _cut_more(content)
        self._publish(content)
        return Next.AGAIN if len(content.cuts) < AHEAD_MAX and content.read_block < head else Next.POLL

    def _adopt(self, content: _Content, domain: Domain) -> bool:
        """Move on to the committed domain; False where what was read does not lead there."""
        if _constants(content.domain) != _constants(domain):
            return False
        if content.domain.cursor != domain.cursor:
            place = next((at for at, segment in enumerate(content.cuts) if segment.after == domain.cursor), None)
            if place is None:
                if any(segment.after.number == domain.cursor.number for segment in content.cuts):
                    detail = f"segment {domain.cursor.number} was accepted as {domain.cursor.digest.hex()[:16]}"
                    self._doubts.say(self.domain, self.name, NotSure(Cause.OVERRULED, detail))
                return False
            del content.cuts[:place + 1]
            content.events = [event for event in content.events if _is_after(event, domain.cursor)]
            content.endpoint.forget(domain.cursor.block)
            content.moved_s = self._clock()
        content.domain = domain
        return True

    def _read(self, content: _Content, head: int) -> None:
        """Read the next blocks, verified, projected and with contiguous nonces."""
        first, last = content.read_block + 1, min(head, content.read_block + self._span)
        try:
            logs = self._read_patiently(content.endpoint, first, last, content.read_hash)
        except NotSure as doubt:
            if doubt.cause is Cause.UNAVAILABLE and self._span == 1:
                self._patience = min(PATIENCE_MAX, self._patience + 1)
            if doubt.cause in TRANSIENT:
                self._span = max(1, self._span // 2)
            raise
        self._span, self._patience = min(SPAN_MAX, self._span * 2), 0
        events = [event for event in project(logs) if _is_after(event, content.domain.cursor)]
        content.next_nonce = _require_contiguous(events, content.next_nonce)
        content.events += events
        content.read_block, content.read_hash = last, content.endpoint.header(last).hash

    def _read_patiently(self, endpoint: Endpoint, first: int, last: int, parent_hash: Hash) -> tuple[Log, ...]:
        limit_s = self._rpc.timeout_s
        self._rpc.timeout_s = limit_s * 2**self._patience
        try:
            return endpoint.read_logs(first, last, parent_hash)
        finally:
            self._rpc.timeout_s = limit_s

    def _publish(self, content: _Content) -> None:
        segments = tuple(
            ObservedSegment(found.segment.number, found.raw, found.after.digest) for found in content.cuts
        )
        transfers: dict[TransferId, SeenTransfer] = {}
        blocks: dict[TransferId, int] = {}
        for positioned in content.events:
            event = positioned.event
            if isinstance(event, XCalled):
                transfers[event.transfer_id] = SeenTransfer(content.domain.domain, event.info.destination_domain)
                blocks[event.transfer_id] = positioned.block
        view = View(segments, transfers, blocks)
        if view != self.view:
            self.view = view


def _begin(domain: Domain, endpoint: Endpoint, now_s: float) -> _Content:
    """Content at the cursor, whose block must be canonical here. Raises `NotSure`."""
    if domain.stream_version != STREAM_VERSION:
        raise NotSure(Cause.UNDECODABLE, f"stream version {domain.stream_version} is not known here")
    cursor = domain.cursor
    header = endpoint.header(cursor.block)
    if header.hash != cursor.block_hash:
        raise NotSure(
            Cause.NOT_CANONICAL, f"block {cursor.block} is {header.hash.hex()}, accepted was {cursor.block_hash.hex()}"
        )
    if cursor.index == INDEX_WHOLE_BLOCK:
        return _Content(domain, endpoint, cursor.block, header.hash, domain.next_nonce, now_s)
    # A cursor inside a block: the whole block is read again, since fees before the cursor may belong after it.
    return _Content(domain, endpoint, cursor.block - 1, header.parent_hash, domain.next_nonce, now_s)


def _cut_more(content: _Content) -> None:
    """Extend the segments by all that became final."""
    cursor = content.cuts[-1].after if content.cuts else content.domain.cursor
    events = [event for event in content.events if _is_after(event, cursor)]
    wanted = AHEAD_MAX - len(content.cuts)
    content.cuts += cut(content.domain, cursor, events, content.read_block, content.endpoint.block_info, wanted)


def _require_contiguous(events: list[PositionedEvent], next_nonce: int) -> int:
    """The nonce after these events. Connext counts every xcall, so a gap is a log that we were not given."""
    for positioned in events:
        event = positioned.event
        if isinstance(event, XCalled):
            if event.nonce != next_nonce:
                where = f"{positioned.block}/{positioned.index}"
                raise NotSure(Cause.NONCE_GAP, f"XCalled at {where} has nonce {event.nonce}, due was {next_nonce}")
            next_nonce += 1
    return next_nonce


def _is_after(event: PositionedEvent, cursor: Cursor) -> bool:
    return (event.block, event.index) > (cursor.block, cursor.index)


def _constants(domain: Domain) -> tuple[object, ...]:
    """What reading and cutting depend on besides the cursor."""
    return (
        domain.chain_id, domain.connext, domain.finality_depth, domain.stream_version,
        domain.segment_blocks, domain.idle_blocks,
    )
