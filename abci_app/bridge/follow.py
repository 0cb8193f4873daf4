"""Follower of attested batches: the leaves of one destination that are to be submitted.

What a node says is remembered only as long as that node is asked. A leaf is settled by evidence from the chain alone,
so a node that lies, hides or lags costs time and nothing else: nodes take turns, and the next one is asked from a
little further back.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from abci_app.bridge.leaves import AttestedLeaf, GateTarget, LeafKey
from abci_app.bridge.nodes import BATCHES_PER_CALL, Nodes
from abci_app.bridge.payload import PayloadInvalid, parse_execution
from abci_app.client.errors import NodeRefused
from abci_app.daemon.runner import Retryable
from abci_app.pb import query_pb2 as pb

HEIGHT_MAX = 2**62
"""Far above any height; keeps what a node invents within a journal's integers."""
PAGES_PER_POLL = 5
FETCHES_PER_POLL = 16
LISTED_MAX = 20_000
"""Leaves in one page: a hundred blocks full of decisions have fewer."""
LEAVES_MAX = 1000
"""Leaves held at once; older ones come first, so the rest is found later."""
RELIST_HEIGHTS = 256
"""How far below the cursor another node is asked again: batches are attested within a few heights, rarely minutes, and
no node has a longer turn than this many blocks of a third of a second."""
LATE_HEIGHTS = 16
"""A batch that is not attested by then is set aside and looked at now and then, so that the listing can go on."""
LATE_POLL_S = 2.0
LATE_MAX = 64
LATE_FORGET_HEIGHTS = 20_000
"""Half a day at two seconds a block: any lease is over."""
REFUSED_PAUSE_S = 1.0
"""Before the same leaf is asked for again, where a node refused or lied."""

CLOSED_MAX = 10_000
"""Remembered; those below the next height to ask for are not listed again, and the journal knows them anyway."""

CLOSED_CODES = ("EXPIRED", "NOT_FOUND")
"""What a node says of a leaf that is past its time: nothing to do, according to this node."""


@dataclass
class _Late:
    indexes: tuple[int, ...]
    asked_s: float


class LeafFollower:
    """Open leaves of one destination, for one thread."""

    def __init__(
        self,
        nodes: Nodes,
        place: GateTarget,
        chain_id: str,
        *,
        is_settled: Callable[[LeafKey], bool],
        cursor: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nodes, self._place, self._chain_id = nodes, place, chain_id
        self._is_settled, self._clock = is_settled, clock
        self._start(cursor)
        self.leaves: dict[LeafKey, AttestedLeaf] = {}
        """Attested, checked against their own signatures, and not settled."""
        self.is_current = False
        """Whether the last poll saw the newest batch and holds every attested leaf."""

    def _start(self, cursor: int) -> None:
        self._generation = self._nodes.generation
        self._next_height = max(cursor - RELIST_HEIGHTS, 1)
        self._closed: set[LeafKey] = set()
        self._late: dict[int, _Late] = {}
        self._pause_until_s: dict[LeafKey, float] = {}
        self._is_whole = True

    @property
    def cursor(self) -> int:
        """Return the height up to which every batch is settled, or needs nothing according to the node in use."""
        return min([self._next_height, *(key.height for key in self.leaves), *self._late]) - 1

    def drop(self, key: LeafKey) -> None:
        """Forget a leaf for which nothing is left to do."""
        self.leaves.pop(key, None)
        self._close(key)

    def _close(self, key: LeafKey) -> None:
        if len(self._closed) >= CLOSED_MAX:
            self._closed = {each for each in self._closed if each.height >= self._next_height}
        self._closed.add(key)

    def refuse(self, key: LeafKey, reason: str) -> None:
        """Fetch a leaf again, from another node if there is one: the chain does not take what this node gave.

        Raises Retryable.
        """
        self.leaves.pop(key, None)
        self._next_height = min(self._next_height, key.height)
        address = self._nodes.address
        self._nodes.rotate()
        raise Retryable("payload-refused", f"leaf {key} from {address}: {reason}")

    def poll(self) -> bool:
        """Ask the node once for what is new; tell whether leaves were added. Raises Retryable."""
        if self._generation != self._nodes.generation:
            self._start(self.cursor)
        before = len(self.leaves)
        self.is_current, self._is_whole = False, True
        fetches = FETCHES_PER_POLL
        for _ in range(PAGES_PER_POLL):
            answer = self._ask(self._next_height)
            if answer.height + 1 < self._next_height:  # this node is behind, or the one before invented heights
                self._next_height = max(answer.height - RELIST_HEIGHTS, 1)
                break
            blocked, fetches = self._take(answer, fetches)
            if blocked or len(answer.batches) < BATCHES_PER_CALL or len(self.leaves) >= LEAVES_MAX:
                self.is_current = self._is_whole and len(answer.batches) < BATCHES_PER_CALL
                break
        self._look_at_late(fetches)
        return len(self.leaves) > before

    def _ask(self, from_height: int) -> pb.BatchesResponse:
        answer = self._nodes.batches(from_height)
        heights = [batch.height for batch in answer.batches]
        if heights != sorted(set(heights)) or (heights and heights[0] < from_height) or answer.height > HEIGHT_MAX:
            self._distrust("batches out of order")
        if any(height > answer.height for height in heights):
            self._distrust("batches above its own height")
        if len(heights) > BATCHES_PER_CALL or sum(len(batch.leaves) for batch in answer.batches) > LISTED_MAX:
            self._distrust("more batches or leaves than there can be")
        return answer

    def _take(self, answer: pb.BatchesResponse, fetches: int) -> tuple[bool, int]:
        """Take over a page; (whether something in it must be asked for again, fetches left)."""
        blocked = False
        for batch in answer.batches:
            indexes = self._indexes(batch)
            if batch.attested_height == 0 and indexes:
                must_ask = answer.height - batch.height < LATE_HEIGHTS or len(self._late) >= LATE_MAX
                if not must_ask:
                    self._late[batch.height] = _Late(indexes, self._clock())
            else:
                done, fetches = self._fetch_all(batch.height, indexes, fetches)
                must_ask, self._is_whole = not done, self._is_whole and done
            was_blocked, blocked = blocked, blocked or must_ask
            if not was_blocked:
                self._next_height = batch.height + (0 if blocked else 1)
        if not blocked and len(answer.batches) < BATCHES_PER_CALL:
            self._next_height = max(self._next_height, answer.height + 1)
        return blocked, fetches

    def _indexes(self, batch: pb.Batch) -> tuple[int, ...]:
        return tuple(
            index for index, leaf in enumerate(batch.leaves)
            if leaf.destination == self._place.domain and not self._is_known(LeafKey(batch.height, index))
        )

    def _is_known(self, key: LeafKey) -> bool:
        return key in self.leaves or key in self._closed or self._is_settled(key)

    def _fetch_all(self, height: int, indexes: Iterable[int], fetches: int) -> tuple[bool, int]:
        done = True
        for key in (LeafKey(height, index) for index in indexes):
            if fetches == 0 or len(self.leaves) >= LEAVES_MAX or self._clock() < self._pause_until_s.get(key, 0.0):
                done = False
                continue
            fetches -= 1
            done = self._fetch(key) and done
        return done, fetches

    def _fetch(self, key: LeafKey) -> bool:
        """Get one leaf; False where it must be asked for again."""
        seen_s = self._clock()
        try:
            answer = self._nodes.execution(key.height, key.index)
            self.leaves[key] = parse_execution(answer, key, self._place, self._chain_id, seen_s)
        except NodeRefused as refused:
            if refused.code in CLOSED_CODES:
                self._close(key)
                return True
            self._pause_until_s[key] = seen_s + REFUSED_PAUSE_S
            if refused.code == "NO_KEY":  # a node that is no validator cannot release sequencer signatures
                self._distrust(str(refused))
            return False
        except PayloadInvalid as invalid:
            self._pause_until_s[key] = seen_s + REFUSED_PAUSE_S
            self._distrust(f"leaf {key}: {invalid}")
        self._pause_until_s.pop(key, None)
        return True

    def _look_at_late(self, fetches: int) -> None:
        """Ask for one batch of those that were set aside, the longest not asked for."""
        now_s = self._clock()
        due = [(late.asked_s, height) for height, late in self._late.items() if now_s - late.asked_s > LATE_POLL_S]
        if not due or not fetches:
            return
        _, height = min(due)
        late = self._late[height]
        late.asked_s = now_s
        try:
            answer = self._nodes.batch(height)
        except NodeRefused:  # pruned
            del self._late[height]
            return
        if answer.batch.attested_height:
            missing = [index for index in late.indexes if not self._is_known(LeafKey(height, index))]
            done, _ = self._fetch_all(height, missing, fetches)
        else:
            done = answer.height - height > LATE_FORGET_HEIGHTS
        if done:
            del self._late[height]

    def _distrust(self, reason: str) -> None:
        address = self._nodes.address
        self._nodes.rotate()
        raise Retryable("node-untrustworthy", f"{address}: {reason}")
