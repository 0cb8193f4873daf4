"""Connection to one node, and what each of its failures means: the node is away, or its refusal is the answer."""

from collections.abc import Callable
from typing import TypeVar

import grpc

from abci_app.client.errors import NodeAway, NodeRefused
from abci_app.gateway.codes import AnswerCode
from abci_app.pb import query_pb2_grpc, tx_service_pb2_grpc

A = TypeVar("A")
CALL_S = 3.0
"""For a question, and for a submission that waits for CheckTx at most: a node that takes longer counts as away."""
ANSWER_BYTES_MAX = 16 * 1024 * 1024
REASON_CHARS_MAX = 200
OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
)
"""A node that comes back is found within two seconds; gRPC's own default is two minutes."""
AWAY = frozenset({
    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL,
})
"""Of the node or the way to it, whatever was asked."""
BUSY = (AnswerCode.ENGINE_UNAVAILABLE, AnswerCode.NOT_READY, AnswerCode.MEMPOOL_FULL)
"""Answers of one node that another node may not give."""
_BUSY_NAMES = frozenset(code.name for code in BUSY)


class NodeConnection:
    """The services of one node, host:port. For any thread; ``close`` it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self.query = query_pb2_grpc.QueryStub(self._channel)
        self.tx = tx_service_pb2_grpc.TxStub(self._channel)

    def close(self) -> None:
        """Close the connection; calls under way end."""
        self._channel.close()

    def ask(self, call: Callable[["NodeConnection"], A], is_refusable: bool = True) -> A:
        """Return what ``call`` returns, which gives each question its deadline. Raises NodeAway, NodeRefused.

        ``is_refusable``: whether an honest node may refuse this question; a refusal of another one counts as none.
        ``call`` raises ValueError for an answer that cannot be.
        """
        try:
            return call(self)
        except ValueError as error:
            raise NodeAway(self.address, f"makes no sense: {error}") from error
        except grpc.RpcError as error:
            code, status = _read_code(error), error.code()
            details = " ".join((error.details() or "").split())[:REASON_CHARS_MAX]
            if code and is_refusable and status not in AWAY and code not in _BUSY_NAMES:
                raise NodeRefused(code, details) from error
            raise NodeAway(self.address, f"{code or status.name} {details}".rstrip()) from error


def _read_code(error: grpc.RpcError) -> str:
    """Return the name of our own code in an error's trailing metadata; empty where there is none."""
    found = (each.value for each in error.trailing_metadata() or () if each.key == "code")
    return str(next(found, ""))[:REASON_CHARS_MAX]
