"""The TxService: submit a transaction or bids; the answer is a code, never a guess."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from hashlib import sha256

import grpc

from abci_app.gateway.engine import Engine
from abci_app.gateway.query import refuse
from abci_app.gateway.reads import QueryError
from abci_app.gateway.waiters import CommitWaiters
from abci_app.machine.codes import Code
from abci_app.machine.params import BUNDLE_BIDS_MAX, TX_BYTES_MAX
from abci_app.pb import tx_pb2, tx_service_pb2_grpc
from abci_app.pb import tx_service_pb2 as pb

GATHER_S = 0.01
"""How long the first bid of a bundle waits for company: far below a block, long enough for a router's burst."""
WAIT_DEFAULT_S = 10.0
WAIT_MAX_S = 60.0
BIDS_PER_CALL_MAX = 1024


def code_name(code: int) -> str:
    """Return a code's name, or its number where a newer node made it."""
    return Code(code).name if code in Code._value2member_map_ else str(code)


class Bundler:
    """Gathers bids that arrive together into sorted bundles and broadcasts each once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._pending: dict[tuple[bytes, bytes], list[tuple[tx_pb2.Bid, Future[tuple[bytes, int, int, str]]]]] = {}
        self._timer: threading.Timer | None = None

    def add(self, bid: tx_pb2.Bid) -> "Future[tuple[bytes, int, int, str]]":
        """Queue a bid; the future holds (bundle's bytes, place in it, code, reason) once CheckTx answered."""
        future: Future[tuple[bytes, int, int, str]] = Future()
        with self._lock:
            self._pending.setdefault((bid.transfer_id, bid.router), []).append((bid, future))
            if self._timer is None:
                self._timer = threading.Timer(GATHER_S, self._flush)
                self._timer.daemon = True
                self._timer.start()
        return future

    def _flush(self) -> None:
        with self._lock:
            pending, self._pending, self._timer = self._pending, {}, None
        # A second bid of one router for one transfer goes into the next round of bundles.
        while pending:
            now = [(key, queue.pop(0)) for key, queue in sorted(pending.items())]
            pending = {key: queue for key, queue in pending.items() if queue}
            for start in range(0, len(now), BUNDLE_BIDS_MAX):
                self._send([entry for _, entry in now[start:start + BUNDLE_BIDS_MAX]])

    def _send(self, entries: Sequence[tuple[tx_pb2.Bid, "Future[tuple[bytes, int, int, str]]"]]) -> None:
        """Broadcast one bundle; where the door refuses it for one bid, send each alone: each gets its own code."""
        raw = tx_pb2.Tx(bid_bundle=tx_pb2.BidBundle(bids=[bid for bid, _ in entries])).SerializeToString(
            deterministic=True
        )
        try:
            checked = self._engine.broadcast(raw)
        except QueryError as error:
            for _, future in entries:
                future.set_result((raw, 0, error.code, error.reason))
            return
        if checked.code != Code.OK and len(entries) > 1:
            for entry in entries:
                self._send([entry])
            return
        for place, (_, future) in enumerate(entries):
            future.set_result((raw, place, checked.code, checked.log))


class TxService(tx_service_pb2_grpc.TxServiceServicer):
    """Submission through the node's own CometBFT."""

    def __init__(self, engine: Engine, waiters: CommitWaiters) -> None:
        self._engine = engine
        self._waiters = waiters
        self._bundler = Bundler(engine)

    def Submit(self, request: pb.SubmitRequest, context: grpc.ServicerContext) -> pb.SubmitResponse:
        """Submit one transaction's bytes."""
        try:
            if not 0 < len(request.tx) <= TX_BYTES_MAX:
                raise QueryError(Code.ARGUMENT_INVALID, f"tx has {len(request.tx)} bytes, 1 to {TX_BYTES_MAX} allowed")
            checked = self._engine.broadcast(request.tx)
        except QueryError as error:
            refuse(context, error)
            raise
        answer = pb.SubmitResponse(
            code=checked.code, code_name=code_name(checked.code), reason=checked.log,
            tx_hash=sha256(request.tx).digest(),
        )
        if checked.code == Code.OK and request.wait == pb.WAIT_COMMITTED:
            committed = self._waiters.wait(request.tx, _timeout_s(request.timeout_ms))
            if committed is None:
                answer.code, answer.code_name, answer.reason = Code.TIMED_OUT, Code.TIMED_OUT.name, "not committed yet"
            else:
                height, result = committed
                answer.height, answer.code, answer.code_name = height, result.code, code_name(result.code)
                answer.reason, answer.data = result.log, result.data
        return answer

    def SubmitBids(self, request: pb.SubmitBidsRequest, context: grpc.ServicerContext) -> pb.SubmitBidsResponse:
        """Submit bids; each gets its own code, also inside a bundle, and the height that committed it."""
        if not 0 < len(request.bids) <= BIDS_PER_CALL_MAX:
            reason = f"{len(request.bids)} bids, 1 to {BIDS_PER_CALL_MAX} allowed"
            refuse(context, QueryError(Code.ARGUMENT_INVALID, reason))
        futures = [self._bundler.add(bid) for bid in request.bids]
        timeout_s = _timeout_s(request.timeout_ms)
        return pb.SubmitBidsResponse(answers=[self._answer(future, request.wait, timeout_s) for future in futures])

    def _answer(
        self, future: "Future[tuple[bytes, int, int, str]]", wait: int, timeout_s: float
    ) -> pb.SubmitBidsResponse.Answer:
        if wait == pb.WAIT_NONE:
            return pb.SubmitBidsResponse.Answer(code=Code.OK, code_name=Code.OK.name)
        try:
            raw, place, code, reason = future.result(WAIT_MAX_S)
        except TimeoutError:
            raw, place, code, reason = b"", 0, Code.ENGINE_UNAVAILABLE, "CometBFT did not answer"
        height = 0
        if code == Code.OK and wait == pb.WAIT_COMMITTED:
            committed = self._waiters.wait(raw, timeout_s)
            if committed is None:
                code, reason = Code.TIMED_OUT, "not committed yet"
            else:
                height, result = committed
                code = result.data[place] if place < len(result.data) else result.code
                reason = result.log
        return pb.SubmitBidsResponse.Answer(
            code=code, code_name=code_name(code), reason=reason, tx_hash=sha256(raw).digest(), height=height
        )


def _timeout_s(timeout_ms: int) -> float:
    return min(timeout_ms / 1000 if timeout_ms else WAIT_DEFAULT_S, WAIT_MAX_S)
