"""Client library for routers: nodes' gRPC with deadlines and fail-over. Safe to use from several threads.

Every method raises NodeUnavailable where no node answers, NodeRefused where one answers with a refusal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import grpc

from abci_app.gateway.codes import AnswerCode
from abci_app.machine.connext import compute_bid_digest, sign_digest
from abci_app.machine.state.codec import Address, Signature, TransferId
from abci_app.machine.transactions.bids import compute_withdraw_digest
from abci_app.machine.transactions.tx import Withdraw, encode_withdraw
from abci_app.pb import query_pb2, query_pb2_grpc, tx_pb2, tx_service_pb2, tx_service_pb2_grpc
from abci_app.router import answers
from abci_app.router.errors import NodeRefused, NodeUnavailable

A = TypeVar("A")
CALL_S = 3.0
"""For a question, and for a submission that waits for CheckTx at most: a node that takes longer counts as away."""
COMMIT_S = 15.0
"""For a submission that waits for its block."""
OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)
"""A node that comes back is found within two seconds; gRPC's own default is two minutes."""
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_BUSY = (AnswerCode.ENGINE_UNAVAILABLE, AnswerCode.NOT_READY, AnswerCode.MEMPOOL_FULL)
"""Answers of one node that another node may not give."""


class Wait(IntEnum):
    """What a submission waits for."""

    NONE = tx_service_pb2.WAIT_NONE
    CHECKED = tx_service_pb2.WAIT_CHECKED
    COMMITTED = tx_service_pb2.WAIT_COMMITTED


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a submission; ``height`` is 0 unless it was waited for and committed."""

    code: int
    code_name: str
    reason: str
    height: int


@dataclass(frozen=True, slots=True)
class _Node:
    address: str
    channel: grpc.Channel
    query: query_pb2_grpc.QueryStub
    tx: tx_service_pb2_grpc.TxStub


class _Away(Exception):
    """A node's answer that counts as none."""


class NodeClient:
    """One or more nodes, host:port; a call goes to the one that answered last, then to the others in turn."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._nodes = tuple(_connect(node) for node in nodes)
        self._preferred = 0

    def close(self) -> None:
        """Close all connections; calls under way end."""
        for node in self._nodes:
            node.channel.close()

    # -- questions ----------------------------------------------------------------------------------------------------

    def status(self) -> query_pb2.StatusResponse:
        """Return a node's status."""
        return self._ask(lambda node: node.query.Status(query_pb2.StatusRequest(), timeout=CALL_S))

    def domains(self) -> query_pb2.DomainsResponse:
        """Return domains, lanes and assets."""
        return self._ask(
            lambda node: node.query.Domains(query_pb2.DomainsRequest(), timeout=CALL_S), answers.check_domains
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
    ) -> Answer:
        """Submit one bid: (path length, 65-byte signature) ascending."""
        bid = tx_pb2.Bid(
            transfer_id=transfer_id, router=router,
            signatures=[tx_pb2.PathSignature(path_length=length, signature=signed) for length, signed in signatures],
        )
        request = tx_service_pb2.SubmitBidsRequest(bids=[bid], wait=f"WAIT_{wait.name}")

        def call(node: _Node) -> Answer:
            answer = node.tx.SubmitBids(request, timeout=_deadline_s(wait))
            answers.check_bids(answer)
            return _read_answer(answer.answers[0])
        return self._ask(call)

    def submit(self, raw: bytes, wait: Wait = Wait.COMMITTED) -> Answer:
        """Submit a transaction's bytes."""
        request = tx_service_pb2.SubmitRequest(tx=raw, wait=f"WAIT_{wait.name}")
        return self._ask(lambda node: _read_answer(node.tx.Submit(request, timeout=_deadline_s(wait))))

    def pass_over(self) -> None:
        """Begin with the next node from now on: the one that answered last is not to be relied upon."""
        self._preferred = (self._preferred + 1) % len(self._nodes)

    def _ask(self, call: Callable[[_Node], A], check: Callable[[A], None] = lambda answer: None) -> A:
        """Try each node once, the preferred first; a refusal ends it, being away or making no sense does not."""
        count, reasons = len(self._nodes), []
        start = self._preferred
        for offset in range(count):
            at = (start + offset) % count
            node = self._nodes[at]
            try:
                answer = call(node)
                check(answer)
            except _Away as away:
                reasons.append(f"{node.address}: {away}")
            except ValueError as error:
                reasons.append(f"{node.address}: makes no sense: {error}")
            except grpc.RpcError as error:
                code = _read_code(error)
                if error.code() not in _AWAY and code not in {busy.name for busy in _BUSY}:
                    raise NodeRefused(code or error.code().name, error.details() or "") from error
                reasons.append(f"{node.address}: {code or error.code().name}")
            else:
                self._preferred = at
                return answer
        raise NodeUnavailable(f"no node answers: {'; '.join(reasons)}")


def _connect(address: str) -> _Node:
    channel = grpc.insecure_channel(address, options=OPTIONS)
    return _Node(
        address, channel, query_pb2_grpc.QueryStub(channel), tx_service_pb2_grpc.TxStub(channel)
    )


def _deadline_s(wait: Wait) -> float:
    return COMMIT_S if wait is Wait.COMMITTED else CALL_S


def _read_answer(answer: tx_service_pb2.SubmitResponse | tx_service_pb2.SubmitBidsResponse.Answer) -> Answer:
    if answer.code in _BUSY:
        raise _Away(f"{answer.code_name}: {answer.reason}")
    return Answer(answer.code, answer.code_name, answer.reason, answer.height)


def _read_code(error: grpc.RpcError) -> str:
    """Return the name of our own code in an error's trailing metadata; empty where there is none."""
    found = (each.value for each in error.trailing_metadata() or () if each.key == "code")
    return str(next(found, ""))


def sign_bid(private_key: bytes, transfer_id: TransferId, path_lengths: Sequence[int]) -> tuple[Signature, ...]:
    """Return Connext's router signatures, one per path length."""
    return tuple(sign_digest(private_key, compute_bid_digest(transfer_id, length)) for length in path_lengths)


def make_withdraw(private_key: bytes, router: Address, chain_id: str, transfer_id: TransferId) -> bytes:
    """Return the transaction that takes a router's bid back for all future attempts of a transfer."""
    signature = sign_digest(private_key, compute_withdraw_digest(chain_id, transfer_id))
    return encode_withdraw(Withdraw(transfer_id, router, signature))
