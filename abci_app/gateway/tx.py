"""Service Tx: submission of transactions and bids, answered by codes."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from hashlib import sha256

import grpc

from abci_app.gateway.bundler import Bundler, Sent
from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.engine import Engine
from abci_app.gateway.query import refuse
from abci_app.gateway.reads import NodeReads, QueryError
from abci_app.gateway.waiters import CommitWaiters
from abci_app.machine.codes import Code
from abci_app.machine.params import TX_BYTES_MAX
from abci_app.machine.transactions.admission import check_tx
from abci_app.pb import tx_pb2, tx_service_pb2_grpc
from abci_app.pb import tx_service_pb2 as pb

WAIT_DEFAULT_S = 10.0
WAIT_MAX_S = 60.0
CHECK_MAX_S = 12.0
"""Twice the engine's deadline: a bundle, and the bid alone after it."""
BIDS_PER_CALL_MAX = 1024
SUBMITTING_MAX = 24
"""Calls that submit at once: each waits for CometBFT, or for a commit."""


class TxService(tx_service_pb2_grpc.TxServicer):
    """Submission through the node's own CometBFT."""

    def __init__(self, node: NodeReads, engine: Engine, waiters: CommitWaiters, bundler: Bundler) -> None:
        self._node, self._engine, self._waiters, self._bundler = node, engine, waiters, bundler
        self._slots = threading.BoundedSemaphore(SUBMITTING_MAX)

    def Submit(self, request: pb.SubmitRequest, context: grpc.ServicerContext) -> pb.SubmitResponse:
        """Submit one transaction's bytes."""
        deadline = compute_deadline(request.timeout_ms)
        with self._answering(context):
            if not 0 < len(request.tx) <= TX_BYTES_MAX:
                reason = f"tx has {len(request.tx)} bytes, 1 to {TX_BYTES_MAX} allowed"
                raise QueryError(AnswerCode.ARGUMENT_INVALID, reason)
            checked = self._engine.broadcast(request.tx, wait_checked=request.wait != pb.WAIT_NONE)
            code, reason, height, data = checked.code, checked.log, 0, b""
            if code == Code.OK and request.wait == pb.WAIT_COMMITTED:
                committed = self._waiters.wait(request.tx, deadline - time.monotonic())
                if committed is None:
                    code, reason = AnswerCode.TIMED_OUT, "not committed yet"
                else:
                    height, result = committed
                    code, reason, data = result.code, result.log, result.data
        return pb.SubmitResponse(
            code=code, code_name=name_code(code), reason=reason, tx_hash=sha256(request.tx).digest(), height=height,
            data=data,
        )

    def SubmitBids(self, request: pb.SubmitBidsRequest, context: grpc.ServicerContext) -> pb.SubmitBidsResponse:
        """Submit bids; each gets its own code, also inside a bundle, and the height that committed it."""
        deadline = compute_deadline(request.timeout_ms)
        with self._answering(context):
            if not 0 < len(request.bids) <= BIDS_PER_CALL_MAX:
                reason = f"{len(request.bids)} bids, 1 to {BIDS_PER_CALL_MAX} allowed"
                raise QueryError(AnswerCode.ARGUMENT_INVALID, reason)
            refused = [self._check(bid) for bid in request.bids]
            passed = [bid for bid, refusal in zip(request.bids, refused, strict=True) if refusal is None]
            futures = iter(self._bundler.add(passed))
            answers = [self._answer(refusal or next(futures), request.wait, deadline) for refusal in refused]
        return pb.SubmitBidsResponse(answers=answers)

    @contextmanager
    def _answering(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Take a slot for a call; a QueryError ends the call with its code."""
        try:
            if not self._slots.acquire(blocking=False):
                raise QueryError(AnswerCode.MEMPOOL_FULL, f"{SUBMITTING_MAX} calls submit already")
            try:
                yield
            finally:
                self._slots.release()
        except QueryError as error:
            refuse(context, error)

    def _check(self, bid: tx_pb2.Bid) -> Sent | None:
        """Return the answer to a bid that no node would take, so that it invalidates no bundle; None for any other."""
        committed = self._node.committed()
        if committed is None:
            return Sent(b"", 0, AnswerCode.NOT_READY, "the node has not committed anything yet")
        alone = tx_pb2.Transaction(bid_bundle=tx_pb2.BidBundle(bids=[bid])).SerializeToString(deterministic=True)
        # Whether the transfer was seen is the engine's CheckTx to say: here every unknown one counts as seen.
        checked = check_tx(committed.view, alone, lambda _: True)
        return None if checked.code is Code.OK else Sent(alone, 0, checked.code, checked.log)

    def _answer(
        self, sending: "Future[Sent] | Sent", wait: int, deadline: float
    ) -> pb.SubmitBidsResponse.Answer:
        if isinstance(sending, Sent):
            sent = sending
        elif wait == pb.WAIT_NONE:
            sent = Sent(b"", 0, Code.OK, "")
        else:
            try:
                sent = sending.result(CHECK_MAX_S)
            except TimeoutError:
                sent = Sent(b"", 0, AnswerCode.ENGINE_UNAVAILABLE, "CometBFT did not answer")
        code, reason, height = sent.code, sent.reason, 0
        if code == Code.OK and wait == pb.WAIT_COMMITTED:
            committed = self._waiters.wait(sent.raw, deadline - time.monotonic())
            if committed is None:
                code, reason = AnswerCode.TIMED_OUT, "not committed yet"
            else:
                height, result = committed
                code = result.data[sent.place] if sent.place < len(result.data) else result.code
                # A bundle's log tells of its first refusal only.
                reason = result.log if result.log.startswith(name_code(code)) else ""
        return pb.SubmitBidsResponse.Answer(
            code=code, code_name=name_code(code), reason=reason, height=height,
            tx_hash=sha256(sent.raw).digest() if sent.raw else b"",
        )


def name_code(code: int) -> str:
    """Return a code's name, or its number where a newer node made it."""
    return next((codes(code).name for codes in (Code, AnswerCode) if code in codes._value2member_map_), str(code))


def compute_deadline(timeout_ms: int) -> float:
    """Return the moment, on the monotonic clock, until which a call waits for a commit."""
    return time.monotonic() + min(timeout_ms / 1000 if timeout_ms else WAIT_DEFAULT_S, WAIT_MAX_S)
