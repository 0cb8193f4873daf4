"""The gRPC server: Query, Tx, health and reflection in a pool of threads."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from abci_app.gateway.core.engine import Engine
from abci_app.gateway.core.reads import NodeReads
from abci_app.gateway.core.submission import Submission
from abci_app.gateway.query import QueryService
from abci_app.gateway.tx import TxService
from abci_app.pb import query_pb2, query_pb2_grpc, tx_service_pb2, tx_service_pb2_grpc

CALLS_MAX = 256
"""Calls at once; more are refused (RESOURCE_EXHAUSTED). Each has a thread: one that never sends its request holds
nothing else. What runs is bounded where it runs: query.RUNNING_MAX, SUBMITTING_MAX, WAITING_MAX."""
REFLECTIONS_MAX = 4
"""A reflection is a stream that holds a thread for as long as its client likes."""
REQUEST_BYTES_MAX = 1024 * 1024
"""1,024 bids take 300 kB, a transaction at most 96 KiB."""
ANSWER_BYTES_MAX = 16 * 1024 * 1024
STOP_GRACE_S = 1.0


class _Reflection(reflection.ReflectionServicer):
    """grpc's own reflection, REFLECTIONS_MAX streams at once."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self._slots = threading.BoundedSemaphore(REFLECTIONS_MAX)

    def ServerReflectionInfo(self, request_iterator: Any, context: Any) -> Iterator[Any]:  # type: ignore[override]
        """Answer until the client ends its stream."""
        if not self._slots.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{REFLECTIONS_MAX} reflections are open already")
        try:
            yield from super().ServerReflectionInfo(request_iterator, context)  # type: ignore[misc]
        finally:
            self._slots.release()


class Gateway:
    """One gRPC endpoint of a node: ``start`` binds or raises OSError, ``stop`` ends it."""

    def __init__(self, node: NodeReads, address: str, engine: Engine) -> None:
        self._address = address
        self._health = health.HealthServicer()
        self._server = grpc.server(
            ThreadPoolExecutor(CALLS_MAX, thread_name_prefix="grpc"),
            options=[
                ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
                ("grpc.max_send_message_length", ANSWER_BYTES_MAX),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=CALLS_MAX,
        )
        self._submission = Submission(node, engine)
        query_pb2_grpc.add_QueryServicer_to_server(QueryService(node), self._server)
        tx_service_pb2_grpc.add_TxServicer_to_server(TxService(self._submission), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [
            file.services_by_name[name].full_name
            for file, name in ((query_pb2.DESCRIPTOR, "Query"), (tx_service_pb2.DESCRIPTOR, "Tx"))
        ]
        reflected = _Reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME))
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflected, self._server)
        for name in ("", *names):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def start(self) -> None:
        """Bind and serve; ``OSError`` where the address cannot be bound."""
        try:
            self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise OSError(f"cannot bind gRPC to {self._address}: address in use or not local") from error
        self._server.start()

    def stop(self) -> None:
        """Tell health checks, then end within ``STOP_GRACE_S``."""
        self._health.enter_graceful_shutdown()
        self._submission.close()
        self._server.stop(STOP_GRACE_S).wait(STOP_GRACE_S + 1)
