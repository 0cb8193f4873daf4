"""Client of several nodes: questions and submissions with deadlines, one node after the other until one answers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from abci_app.client import answers
from abci_app.client.connection import BUSY, CALL_S, NodeConnection
from abci_app.client.errors import NodeAway, NodeRefused, NodeUnavailable
from abci_app.client.submissions import SubmissionAnswer, Wait
from abci_app.gateway.codes import AnswerCode
from abci_app.pb import query_pb2, tx_pb2, tx_service_pb2

A = TypeVar("A")
COMMIT_S = 15.0
"""For a submission that waits for its block."""


class NodeClient:
    """One or more nodes, host:port; a call goes to the one that answered last, then to the others in turn.

    Safe to use from several threads. Every method raises NodeUnavailable where no node answers, NodeRefused where one
    answers with a refusal.
    """

    def __init__(self, nodes: Sequence[str]) -> None:
        self._nodes = tuple(map(NodeConnection, nodes))
        self._preferred = 0

    def __enter__(self) -> "NodeClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; calls under way end."""
        for node in self._nodes:
            node.close()

    # -- questions ----------------------------------------------------------------------------------------------------

    def status(self) -> query_pb2.StatusResponse:
        """Return a node's status."""
        request = query_pb2.StatusRequest()
        return self._ask(lambda node: node.query.Status(request, timeout=CALL_S), is_refusable=False)

    def domains(self) -> query_pb2.DomainsResponse:
        """Return domains, lanes and assets."""
        request = query_pb2.DomainsRequest()
        return self._ask(
            lambda node: node.query.Domains(request, timeout=CALL_S), answers.check_domains, is_refusable=False
        )

    def transfer(self, transfer_id: bytes) -> query_pb2.TransferResponse | None:
        """Return a transfer; None where the network does not know it."""
        request = query_pb2.TransferRequest(transfer_id=transfer_id)
        try:
            return self._ask(
                lambda node: node.query.Transfer(request, timeout=CALL_S),
                lambda answer: answers.check_transfer(answer, transfer_id),
            )
        except NodeRefused as refusal:
            if refusal.code == AnswerCode.NOT_FOUND.name:
                return None
            raise

    def transfers(self, status: str = "", from_acceptance: int = 0, limit: int = 0) -> query_pb2.TransfersResponse:
        """Return transfers, of one status or all, in acceptance order; limit 0 is the node's default."""
        request = query_pb2.TransfersRequest(status=status, from_acceptance=from_acceptance, limit=limit)
        return self._ask(
            lambda node: node.query.Transfers(request, timeout=CALL_S),
            lambda answer: answers.check_transfers(answer, from_acceptance, limit),
        )

    def auction(self, transfer_id: bytes, attempt: int = 0) -> query_pb2.AuctionResponse:
        """Return why each router won or lost; attempt 0 is the newest."""
        request = query_pb2.AuctionRequest(transfer_id=transfer_id, attempt=attempt)
        return self._ask(lambda node: node.query.Auction(request, timeout=CALL_S))

    def router(self, router: bytes) -> query_pb2.RouterResponse:
        """Return a router's standing and liquidity on every domain."""
        request = query_pb2.RouterRequest(router=router)
        return self._ask(lambda node: node.query.Router(request, timeout=CALL_S))

    def decisions(self, from_sequence: int = 1, limit: int = 0) -> query_pb2.DecisionsResponse:
        """Return decisions from a global sequence on."""
        request = query_pb2.DecisionsRequest(from_sequence=from_sequence, limit=limit)
        return self._ask(lambda node: node.query.Decisions(request, timeout=CALL_S))

    def batch(self, height: int) -> query_pb2.BatchResponse:
        """Return the batch decided at a height, with its signatures."""
        request = query_pb2.BatchRequest(height=height)
        return self._ask(lambda node: node.query.Batch(request, timeout=CALL_S))

    def execution(self, height: int, leaf: int) -> query_pb2.ExecutionResponse:
        """Return all that a relayer needs for one leaf of an attested batch."""
        request = query_pb2.ExecutionRequest(height=height, leaf=leaf)
        return self._ask(lambda node: node.query.Execution(request, timeout=CALL_S))

    # -- submissions --------------------------------------------------------------------------------------------------

    def submit_bid(
        self, transfer_id: bytes, router: bytes, signatures: Sequence[tuple[int, bytes]], wait: Wait = Wait.CHECKED
    ) -> SubmissionAnswer:
        """Submit one bid: (path length, 65-byte signature) ascending."""
        bid = tx_pb2.Bid(
            transfer_id=transfer_id, router=router,
            signatures=[tx_pb2.PathSignature(path_length=length, signature=signed) for length, signed in signatures],
        )
        request = tx_service_pb2.SubmitBidsRequest(bids=[bid], wait=f"WAIT_{wait.name}")

        def call(node: NodeConnection) -> SubmissionAnswer:
            answer = node.tx.SubmitBids(request, timeout=_deadline_s(wait))
            answers.check_bids(answer)
            return _read_answer(node, answer.answers[0])
        return self._ask(call)

    def submit(self, raw: bytes, wait: Wait = Wait.COMMITTED) -> SubmissionAnswer:
        """Submit a transaction's bytes."""
        request = tx_service_pb2.SubmitRequest(tx=raw, wait=f"WAIT_{wait.name}")
        return self._ask(lambda node: _read_answer(node, node.tx.Submit(request, timeout=_deadline_s(wait))))

    def pass_over(self) -> None:
        """Begin with the next node from now on: the one that answered last is not to be relied upon."""
        self._preferred = (self._preferred + 1) % len(self._nodes)

    def _ask(
        self,
        call: Callable[[NodeConnection], A],
        check: Callable[[A], None] = lambda answer: None,
        *,
        is_refusable: bool = True,
    ) -> A:
        """Try each node once, the preferred first; a refusal ends it, being away or making no sense does not."""
        count, reasons, start = len(self._nodes), [], self._preferred
        for index in ((start + offset) % count for offset in range(count)):
            try:
                answer = self._nodes[index].ask(partial(_call_and_check, call, check), is_refusable)
            except NodeAway as away:
                reasons.append(str(away))
            else:
                self._preferred = index
                return answer
        raise NodeUnavailable(f"no node answers: {'; '.join(reasons)}")


def _call_and_check(call: Callable[[NodeConnection], A], check: Callable[[A], None], node: NodeConnection) -> A:
    answer = call(node)
    check(answer)
    return answer


def _deadline_s(wait: Wait) -> float:
    return COMMIT_S if wait is Wait.COMMITTED else CALL_S


def _read_answer(
    node: NodeConnection, answer: tx_service_pb2.SubmitResponse | tx_service_pb2.SubmitBidsResponse.Answer
) -> SubmissionAnswer:
    if answer.code in BUSY:
        raise NodeAway(node.address, f"{answer.code_name}: {answer.reason}")
    return SubmissionAnswer(answer.code, answer.code_name, answer.reason, answer.height)
