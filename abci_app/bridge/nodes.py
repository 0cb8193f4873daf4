"""gRPC client of the relayer's nodes; switches to another one that is configured after a failure.

A call asks one node once. A failure moves on to the next node of the list and raises Retryable, so that the runner
decides when to ask again; after the last comes the first. Without failures they take turns: a node that keeps something
back looks no different from one that has nothing.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import grpc

from abci_app.bridge.errors import Retryable
from abci_app.pb import query_pb2 as pb
from abci_app.pb import query_pb2_grpc

CALL_S = 2.0
"""A node answers from memory; what takes longer is hanging."""
STALL_S = 15.0
"""A node whose height stands still for longer than any block takes is behind; another one may not be."""
TURN_S = 30.0
"""With several nodes each is asked for this long: one that hides what was decided, or gives what no gate takes, does so
for a fraction of a lease."""
RETRY_AFTER_S = 300.0
"""Until a node that failed gets its turn again; while the others fail too it is tried all the same."""
ANSWER_BYTES_MAX = 16 * 1024 * 1024
BATCHES_PER_CALL = 100

_OPTIONS = (
    ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


REFUSABLE = ("Batch", "Execution")
"""Questions that an honest node may refuse; whoever refuses another one is of no use."""


class NodeRefused(Exception):
    """The node understood the question and says no; ``code`` is a name of gateway/codes.py."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


class Nodes:
    """The nodes of one consensus network, one of them in use. Used by one thread; ``close`` it."""

    def __init__(
        self, addresses: Sequence[str], chain_id: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._addresses = tuple(addresses)
        self._chain_id = chain_id
        self._clock = clock
        self._current = 0
        self._channel: grpc.Channel | None = None
        self._stub: query_pb2_grpc.QueryStub | None = None
        self._height = 0
        self._grown_s = 0.0
        self._turn_until_s = 0.0
        self._rests_until_s: dict[int, float] = {}
        self.generation = 0
        """Counts changes of the node in use: what one node said need not hold for the next."""

    @property
    def address(self) -> str:
        """The node in use."""
        return self._addresses[self._current]

    def close(self) -> None:
        """Close the connection; a later call opens another one."""
        if self._channel is not None:
            self._channel.close()
        self._channel = self._stub = None

    def rotate(self) -> None:
        """Use the next node from now on; the same one, afresh, where there is no other."""
        self._use((self._current + 1) % len(self._addresses))

    def _use(self, index: int) -> None:
        self.close()
        self._current = index
        self.generation += 1

    def _fail(self) -> None:
        """The node in use is of no use: the next one."""
        self._rests_until_s[self._current] = self._clock() + RETRY_AFTER_S
        self.rotate()

    def _take_turns(self) -> None:
        """Go on to the next node that is not known to fail, once this one had its time."""
        now_s, count = self._clock(), len(self._addresses)
        if self._stub is None or now_s < self._turn_until_s:
            return
        self._turn_until_s = now_s + TURN_S
        others = ((self._current + step) % count for step in range(1, count))
        following = next((index for index in others if now_s >= self._rests_until_s.get(index, 0.0)), None)
        if following is not None:
            self._use(following)

    def batches(self, from_height: int) -> pb.BatchesResponse:
        """Batches from a height on, attested or not, at most BATCHES_PER_CALL. Raises Retryable."""
        self._take_turns()
        request = pb.BatchesRequest(from_height=from_height, limit=BATCHES_PER_CALL)
        answer: pb.BatchesResponse = self._call("Batches", request)
        self._require_growing(answer.height)
        return answer

    def batch(self, height: int) -> pb.BatchResponse:
        """One batch. Raises Retryable, NodeRefused."""
        answer: pb.BatchResponse = self._call("Batch", pb.BatchRequest(height=height))
        return answer

    def execution(self, height: int, leaf: int) -> pb.ExecutionResponse:
        """All that a gate asks for of one leaf. Raises Retryable, NodeRefused."""
        answer: pb.ExecutionResponse = self._call("Execution", pb.ExecutionRequest(height=height, leaf=leaf))
        return answer

    def _call(self, name: str, request: Any) -> Any:
        try:
            stub = self._stub or self._connect()
            return getattr(stub, name)(request, timeout=CALL_S)
        except grpc.RpcError as error:
            failed = cast(grpc.Call, error)  # what a stub raises is both
            metadata: Any = failed.trailing_metadata() or ()
            code, details = dict(metadata).get("code"), (failed.details() or "")[:200]
            if code is not None and name in REFUSABLE and code != "NOT_READY":
                raise NodeRefused(str(code), details) from error
            address = self.address
            self._fail()
            raise Retryable("node-unavailable", f"{address}: {failed.code().name} {details}") from error

    def _connect(self) -> query_pb2_grpc.QueryStub:
        channel = self._channel = grpc.insecure_channel(self.address, options=_OPTIONS)
        stub = query_pb2_grpc.QueryStub(channel)
        answered = stub.Status(pb.StatusRequest(), timeout=CALL_S).chain_id
        if answered != self._chain_id:
            address = self.address
            self._fail()
            raise Retryable("node-of-another-network", f"{address} serves {answered[:60]!r}, not {self._chain_id!r}")
        self._stub = stub
        self._height, self._grown_s = 0, self._clock()
        self._turn_until_s = self._clock() + TURN_S
        self._rests_until_s.pop(self._current, None)
        return stub

    def _require_growing(self, height: int) -> None:
        now_s = self._clock()
        if height > self._height:
            self._height, self._grown_s = height, now_s
        elif now_s - self._grown_s > STALL_S and len(self._addresses) > 1:
            address = self.address
            self._fail()
            raise Retryable("node-stalled", f"{address} stands at height {height} for {STALL_S:.0f} s")
