"""Client library for routers: nodes' gRPC with deadlines and fail-over. Safe to use from several threads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import grpc

from abci_app.machine.bids import compute_withdraw_digest
from abci_app.machine.codec import Address, Signature, TransferId
from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_bid_digest, sign_digest
from abci_app.machine.tx import Withdraw, encode_withdraw
from abci_app.pb import query_pb2, query_pb2_grpc, tx_pb2, tx_service_pb2, tx_service_pb2_grpc
from abci_app.router.errors import NodeUnavailable

A = TypeVar("A")
CALL_S = 3.0
COMMIT_S = 15.0
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a submission; ``height`` is 0 unless it was waited for and committed."""

    code: int
    code_name: str
    reason: str
    height: int


class NodeClient:
    """One or more nodes; a call goes to the one that answered last, then to the others in turn."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._channels = [grpc.insecure_channel(node) for node in nodes]
        self._queries = [query_pb2_grpc.QueryStub(channel) for channel in self._channels]
        self._submits = [tx_service_pb2_grpc.TxServiceStub(channel) for channel in self._channels]
        self._nodes, self._preferred = tuple(nodes), 0

    def close(self) -> None:
        """Close all connections."""
        for channel in self._channels:
            channel.close()

    def status(self) -> query_pb2.StatusResponse:
        """Return a node's status. Raises NodeUnavailable."""
        return self._ask(lambda at: self._queries[at].Status(query_pb2.StatusRequest(), timeout=CALL_S))

    def domains(self) -> query_pb2.DomainsResponse:
        """Return domains, lanes and assets. Raises NodeUnavailable."""
        return self._ask(lambda at: self._queries[at].Domains(query_pb2.DomainsRequest(), timeout=CALL_S))

    def transfer(self, transfer_id: bytes) -> query_pb2.TransferResponse | None:
        """Return a transfer; None where the network does not know it. Raises NodeUnavailable."""
        request = query_pb2.TransferRequest(transfer_id=transfer_id)
        try:
            return self._ask(lambda at: self._queries[at].Transfer(request, timeout=CALL_S))
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return None
            raise

    def transfers(self, status: str, from_acceptance: int = 0) -> query_pb2.TransfersResponse:
        """Return transfers of one status in acceptance order. Raises NodeUnavailable."""
        request = query_pb2.TransfersRequest(status=status, from_acceptance=from_acceptance)
        return self._ask(lambda at: self._queries[at].Transfers(request, timeout=CALL_S))

    def submit_bid(
        self, transfer_id: bytes, router: bytes, signatures: Sequence[tuple[int, bytes]], wait_committed: bool = False
    ) -> Answer:
        """Submit one bid: (path length, 65-byte signature) ascending. Raises NodeUnavailable."""
        bid = tx_pb2.Bid(
            transfer_id=transfer_id, router=router,
            signatures=[tx_pb2.PathSignature(path_length=length, signature=signed) for length, signed in signatures],
        )
        wait = tx_service_pb2.WAIT_COMMITTED if wait_committed else tx_service_pb2.WAIT_CHECKED
        request = tx_service_pb2.SubmitBidsRequest(bids=[bid], wait=wait)
        answer = self._ask(lambda at: self._submits[at].SubmitBids(request, timeout=COMMIT_S)).answers[0]
        return Answer(answer.code, answer.code_name, answer.reason, answer.height)

    def submit(self, raw: bytes, wait_committed: bool = True) -> Answer:
        """Submit a transaction's bytes. Raises NodeUnavailable."""
        wait = tx_service_pb2.WAIT_COMMITTED if wait_committed else tx_service_pb2.WAIT_CHECKED
        request = tx_service_pb2.SubmitRequest(tx=raw, wait=wait)
        answer = self._ask(lambda at: self._submits[at].Submit(request, timeout=COMMIT_S))
        return Answer(answer.code, answer.code_name, answer.reason, answer.height)

    def _ask(self, call: Callable[[int], A]) -> A:
        """Try each node once, the preferred first; errors other than being away are the caller's."""
        count, reasons = len(self._nodes), []
        start = self._preferred
        for offset in range(count):
            at = (start + offset) % count
            try:
                answer = call(at)
            except grpc.RpcError as error:
                if error.code() not in _AWAY and not _is_engine_away(error):
                    raise
                reasons.append(f"{self._nodes[at]}: {error.code().name}")
                continue
            self._preferred = at
            return answer
        raise NodeUnavailable(f"no node answers: {'; '.join(reasons)}")


def _is_engine_away(error: grpc.RpcError) -> bool:
    """Tell whether a node answered that its own CometBFT does not: another node may do better."""
    metadata = {str(key): value for key, value in error.trailing_metadata() or ()}
    return metadata.get("code") == Code.ENGINE_UNAVAILABLE.name


def sign_bid(private_key: bytes, transfer_id: TransferId, path_lengths: Sequence[int]) -> tuple[Signature, ...]:
    """Return Connext's router signatures, one per path length."""
    return tuple(sign_digest(private_key, compute_bid_digest(transfer_id, length)) for length in path_lengths)


def make_withdraw(private_key: bytes, router: Address, chain_id: str, transfer_id: TransferId) -> bytes:
    """Return the transaction that takes a router's bid back for all future attempts of a transfer."""
    signature = sign_digest(private_key, compute_withdraw_digest(chain_id, transfer_id))
    return encode_withdraw(Withdraw(transfer_id, router, signature))
