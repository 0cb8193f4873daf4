"""Service Query over gRPC: requests to core/questions.py, its answers to messages, its refusals to status codes."""

import threading
from collections.abc import Callable
from typing import NoReturn

import grpc

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core import questions
from abci_app.gateway.core.reads import Committed, NodeReads, QueryError
from abci_app.gateway.messages import Answer, M, fill_message
from abci_app.machine.codes import Code
from abci_app.pb import query_pb2 as pb
from abci_app.pb import query_pb2_grpc

RUNNING_MAX = 8
"""Questions answered at once, the others wait their turn: the threads of consensus need the interpreter too."""

_STATUS: dict[Code | AnswerCode, grpc.StatusCode] = {
    AnswerCode.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    AnswerCode.ARGUMENT_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    AnswerCode.NOT_READY: grpc.StatusCode.UNAVAILABLE,
    AnswerCode.ENGINE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    AnswerCode.MEMPOOL_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def refuse(context: grpc.ServicerContext, error: QueryError) -> NoReturn:
    """End a call with the gRPC status that fits and the code's name in the trailing metadata."""
    context.set_trailing_metadata((("code", error.code.name),))
    context.abort(_STATUS.get(error.code, grpc.StatusCode.FAILED_PRECONDITION), str(error))


class QueryService(query_pb2_grpc.QueryServicer):
    """Query service: each method reads one committed snapshot; errors carry a code."""

    def __init__(self, node: NodeReads) -> None:
        self._node = node
        self._running = threading.BoundedSemaphore(RUNNING_MAX)

    def _answer(self, context: grpc.ServicerContext, message: M, ask: Callable[[Committed], Answer]) -> M:
        """Return the answer to ``ask`` as ``message``, or end the call with its refusal."""
        try:
            with self._running:
                committed = self._node.committed()
                if committed is None:
                    raise QueryError(AnswerCode.NOT_READY, "the node has not committed anything yet")
                return fill_message(message, ask(committed))
        except QueryError as error:
            refuse(context, error)

    def Status(self, request: pb.StatusRequest, context: grpc.ServicerContext) -> pb.StatusResponse:
        """Return chain, height, validators, this node's counters."""
        return self._answer(
            context, pb.StatusResponse(),
            lambda committed: questions.get_status(committed, self._node),
        )

    def Domains(self, request: pb.DomainsRequest, context: grpc.ServicerContext) -> pb.DomainsResponse:
        """Return all domains with cursors and pending reports, lanes, assets."""
        return self._answer(context, pb.DomainsResponse(), lambda committed: questions.get_domains(committed))

    def Transfer(self, request: pb.TransferRequest, context: grpc.ServicerContext) -> pb.TransferResponse:
        """Return one transfer, its terms and the bids that stand for it."""
        return self._answer(
            context, pb.TransferResponse(),
            lambda committed: questions.get_transfer(committed, request.transfer_id),
        )

    def Transfers(self, request: pb.TransfersRequest, context: grpc.ServicerContext) -> pb.TransfersResponse:
        """Return transfers by acceptance number, optionally of one status."""
        return self._answer(
            context, pb.TransfersResponse(),
            lambda committed: questions.get_transfers(
                committed, request.from_acceptance, request.limit, request.status
            ),
        )

    def Auction(self, request: pb.AuctionRequest, context: grpc.ServicerContext) -> pb.AuctionResponse:
        """Return why each router won or lost."""
        return self._answer(
            context, pb.AuctionResponse(),
            lambda committed: questions.get_auction(committed, request.transfer_id, request.attempt),
        )

    def Router(self, request: pb.RouterRequest, context: grpc.ServicerContext) -> pb.RouterResponse:
        """Return a router on every domain, with its liquidity."""
        return self._answer(
            context, pb.RouterResponse(),
            lambda committed: questions.get_router(committed, request.router),
        )

    def Decisions(self, request: pb.DecisionsRequest, context: grpc.ServicerContext) -> pb.DecisionsResponse:
        """Return decisions from a sequence on."""
        return self._answer(
            context, pb.DecisionsResponse(),
            lambda committed: questions.get_decisions(committed, request.from_sequence, request.limit),
        )

    def Batch(self, request: pb.BatchRequest, context: grpc.ServicerContext) -> pb.BatchResponse:
        """Return one batch with its signatures."""
        return self._answer(
            context, pb.BatchResponse(),
            lambda committed: questions.get_batch(committed, request.height),
        )

    def Batches(self, request: pb.BatchesRequest, context: grpc.ServicerContext) -> pb.BatchesResponse:
        """Return batches from a height on."""
        return self._answer(
            context, pb.BatchesResponse(),
            lambda committed: questions.get_batches(
                committed, request.from_height, request.limit, request.attested_only
            ),
        )

    def Execution(self, request: pb.ExecutionRequest, context: grpc.ServicerContext) -> pb.ExecutionResponse:
        """Return the payload with which a relayer executes one leaf."""
        return self._answer(
            context, pb.ExecutionResponse(),
            lambda committed: questions.get_execution(committed, self._node, request.height, request.leaf),
        )
