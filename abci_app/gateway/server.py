"""The gRPC server: Query, Tx, health and reflection in a pool of threads."""

from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from abci_app.gateway.bundler import Bundler
from abci_app.gateway.engine import Engine
from abci_app.gateway.query import QueryService
from abci_app.gateway.reads import NodeReads
from abci_app.gateway.tx import TxService
from abci_app.gateway.waiters import CommitWaiters
from abci_app.pb import query_pb2, query_pb2_grpc, tx_service_pb2, tx_service_pb2_grpc

THREADS = 32
"""Those who wait for a commit hold a thread each, up to tx.SUBMITTING_MAX; queries are short."""
CALLS_MAX = 256
"""Running and queued; more are refused at once (RESOURCE_EXHAUSTED)."""
REQUEST_BYTES_MAX = 1024 * 1024
"""1,024 bids take 300 kB, a transaction at most 96 KiB."""
ANSWER_BYTES_MAX = 16 * 1024 * 1024
STOP_GRACE_S = 1.0


class Gateway:
    """One gRPC endpoint of a node: ``start`` binds or raises OSError, ``stop`` ends it."""

    def __init__(self, node: NodeReads, address: str, engine_rpc_url: str) -> None:
        self._address = address
        self._health = health.HealthServicer()
        self._server = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="grpc"),
            options=[
                ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
                ("grpc.max_send_message_length", ANSWER_BYTES_MAX),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=CALLS_MAX,
        )
        self._waiters = CommitWaiters()
        node.subscribe(self._waiters.hand_over)
        engine = Engine(engine_rpc_url)
        self._bundler = Bundler(engine)
        service = TxService(node, engine, self._waiters, self._bundler)
        query_pb2_grpc.add_QueryServicer_to_server(QueryService(node), self._server)
        tx_service_pb2_grpc.add_TxServicer_to_server(service, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [
            file.services_by_name[name].full_name
            for file, name in ((query_pb2.DESCRIPTOR, "Query"), (tx_service_pb2.DESCRIPTOR, "Tx"))
        ]
        reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
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
        self._waiters.close()
        self._bundler.close()
        self._server.stop(STOP_GRACE_S).wait(STOP_GRACE_S + 1)
