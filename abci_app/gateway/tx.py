"""Service Tx over gRPC: requests to core/submission.py, its outcomes to messages."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from abci_app.gateway.core.reads import QueryError
from abci_app.gateway.core.submission import Submission, SubmissionOutcome, Wait
from abci_app.gateway.query import refuse
from abci_app.pb import tx_pb2, tx_service_pb2_grpc
from abci_app.pb import tx_service_pb2 as pb

_WAITS = {pb.WAIT_NONE: Wait.NONE, pb.WAIT_CHECKED: Wait.CHECKED, pb.WAIT_COMMITTED: Wait.COMMITTED}
"""A number that this version does not know waits for CheckTx."""


class TxService(tx_service_pb2_grpc.TxServicer):
    """Submission through the node's own engine."""

    def __init__(self, submission: Submission) -> None:
        self._submission = submission

    def Submit(self, request: pb.SubmitRequest, context: grpc.ServicerContext) -> pb.SubmitResponse:
        """Submit one transaction's bytes."""
        wait = _WAITS.get(request.wait, Wait.CHECKED)
        with answering(context):
            outcome = self._submission.submit(request.tx, wait, request.timeout_ms / 1000, context.is_active)
        return pb.SubmitResponse(
            code=outcome.code, code_name=outcome.code_name, reason=outcome.reason, tx_hash=outcome.tx_hash,
            height=outcome.height, data=outcome.data,
        )

    def SubmitBids(self, request: pb.SubmitBidsRequest, context: grpc.ServicerContext) -> pb.SubmitBidsResponse:
        """Submit bids; each gets its own code, also inside a bundle, and the height that committed it."""
        wait = _WAITS.get(request.wait, Wait.CHECKED)
        bids = [encode_alone(bid) for bid in request.bids]
        with answering(context):
            outcomes = self._submission.submit_bids(bids, wait, request.timeout_ms / 1000, context.is_active)
        return pb.SubmitBidsResponse(answers=map(build_answer, outcomes))


@contextmanager
def answering(context: grpc.ServicerContext) -> Iterator[None]:
    """End the call with the code of a QueryError."""
    try:
        yield
    except QueryError as error:
        refuse(context, error)


def encode_alone(bid: tx_pb2.Bid) -> bytes:
    """Return the bundle that holds one bid, with all that its client wrote: the machine's own rules judge its form."""
    return tx_pb2.Transaction(bid_bundle=tx_pb2.BidBundle(bids=[bid])).SerializeToString(deterministic=True)


def build_answer(outcome: SubmissionOutcome) -> pb.SubmitBidsResponse.Answer:
    """Return one bid's outcome as a message."""
    return pb.SubmitBidsResponse.Answer(
        code=outcome.code, code_name=outcome.code_name, reason=outcome.reason, height=outcome.height,
        tx_hash=outcome.tx_hash,
    )
