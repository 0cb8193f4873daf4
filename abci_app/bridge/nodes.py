"""The relayer's nodes, of which one is in use: another one after a failure, and in turn.

A call asks one node once. A failure moves on to the next node of the list and raises Retryable, so that the runner
decides when to ask again; after the last comes the first. Without failures they take turns: a node that keeps something
back looks no different from one that has nothing.
"""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from abci_app.client.connection import CALL_S, NodeConnection
from abci_app.client.errors import NodeAway
from abci_app.daemon.runner import Retryable
from abci_app.pb import query_pb2 as pb

A = TypeVar("A")
STALL_S = 15.0
"""A node whose height stands still for longer than any block takes is behind; another one may not be."""
TURN_S = 30.0
"""With several nodes each is asked for this long: one that hides what was decided, or gives what no gate takes, does so
for a fraction of a lease."""
RETRY_AFTER_S = 300.0
"""Until a node that failed gets its turn again; while the others fail too it is tried all the same."""
BATCHES_PER_CALL = 100


class Nodes:
    """The nodes of one consensus network, one of them in use. Used by one thread; ``close`` it."""

    def __init__(
        self, addresses: Sequence[str], chain_id: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._addresses = tuple(addresses)
        self._chain_id = chain_id
        self._clock = clock
        self._current = 0
        self._connection: NodeConnection | None = None
        self._height = 0
        self._grown_s = 0.0
        self._turn_until_s = 0.0
        self._rests_until_s: dict[int, float] = {}
        self.generation = 0
        """Counts changes of the node in use: what one node said need not hold for the next."""

    @property
    def address(self) -> str:
        """Return the node in use."""
        return self._addresses[self._current]

    def close(self) -> None:
        """Close the connection; a later call opens another one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def rotate(self) -> None:
        """Use the next node from now on; the same one, afresh, where there is no other."""
        self._use((self._current + 1) % len(self._addresses))

    def _use(self, index: int) -> None:
        self.close()
        self._current = index
        self.generation += 1

    def _fail(self) -> None:
        """Go on to the next node: the one in use is of no use."""
        self._rests_until_s[self._current] = self._clock() + RETRY_AFTER_S
        self.rotate()

    def _take_turns(self) -> None:
        """Go on to the next node that is not known to fail, once this one had its time."""
        now_s, count = self._clock(), len(self._addresses)
        if self._connection is None or now_s < self._turn_until_s:
            return
        self._turn_until_s = now_s + TURN_S
        others = ((self._current + step) % count for step in range(1, count))
        following = next((index for index in others if now_s >= self._rests_until_s.get(index, 0.0)), None)
        if following is not None:
            self._use(following)

    def batches(self, from_height: int) -> pb.BatchesResponse:
        """Return batches from a height on, attested or not, at most BATCHES_PER_CALL. Raises Retryable."""
        self._take_turns()
        request = pb.BatchesRequest(from_height=from_height, limit=BATCHES_PER_CALL)
        answer = self._ask(lambda node: node.query.Batches(request, timeout=CALL_S), is_refusable=False)
        self._require_growing(answer.height)
        return answer

    def batch(self, height: int) -> pb.BatchResponse:
        """Return one batch. Raises Retryable, NodeRefused."""
        request = pb.BatchRequest(height=height)
        return self._ask(lambda node: node.query.Batch(request, timeout=CALL_S))

    def execution(self, height: int, leaf: int) -> pb.ExecutionResponse:
        """Return all that a gate asks for of one leaf. Raises Retryable, NodeRefused."""
        request = pb.ExecutionRequest(height=height, leaf=leaf)
        return self._ask(lambda node: node.query.Execution(request, timeout=CALL_S))

    def _ask(self, call: Callable[[NodeConnection], A], is_refusable: bool = True) -> A:
        try:
            return (self._connection or self._connect()).ask(call, is_refusable)
        except NodeAway as away:
            self._fail()
            raise Retryable("node-unavailable", str(away)) from away

    def _connect(self) -> NodeConnection:
        connection = self._connection = NodeConnection(self.address)
        status = connection.ask(
            lambda node: node.query.Status(pb.StatusRequest(), timeout=CALL_S), is_refusable=False
        )
        if status.chain_id != self._chain_id:
            self._fail()
            reason = f"{connection.address} serves {status.chain_id[:60]!r}, not {self._chain_id!r}"
            raise Retryable("node-of-another-network", reason)
        self._height, self._grown_s = 0, self._clock()
        self._turn_until_s = self._clock() + TURN_S
        self._rests_until_s.pop(self._current, None)
        return connection

    def _require_growing(self, height: int) -> None:
        now_s = self._clock()
        if height > self._height:
            self._height, self._grown_s = height, now_s
        elif now_s - self._grown_s > STALL_S and len(self._addresses) > 1:
            address = self.address
            self._fail()
            raise Retryable("node-stalled", f"{address} stands at height {height} for {STALL_S:.0f} s")
