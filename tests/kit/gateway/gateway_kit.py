"""A gateway in front of a whole state machine: real gRPC, real blocks; the engine is a small JSON-RPC server.

The engine checks transactions with the machine's own rules and holds them until ``FakeNode.commit`` makes a block.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc

from abci_app.gateway.engine import CometBftEngine
from abci_app.gateway.server import Gateway
from abci_app.machine.observation.stream import Event
from abci_app.machine.results import CheckResult, TxResult
from abci_app.machine.state.codec import DomainId, TransferId
from abci_app.machine.state.records import Decision
from abci_app.machine.state.view import MemoryState
from abci_app.machine.transactions.admission import check_tx
from abci_app.node.errors import SignatureRefused
from abci_app.node.signer import Signer
from abci_app.node.view import BlockNotice, CommittedBlock, list_accepted
from abci_app.pb import query_pb2_grpc, tx_service_pb2_grpc
from testnet.processes.ports import find_free_port as find_free_port
from tests.kit.machine.driver import Network

CALL_S = 20.0


@dataclass(frozen=True)
class Committed:
    """One height, as the gateway reads it."""

    height: int
    app_hash: bytes
    view: MemoryState

    def list_accepted(self, start: int) -> Iterator[TransferId]:
        return list_accepted(self.view, start)


def make_block(height: int, results: Mapping[bytes, TxResult]) -> CommittedBlock:
    """A committed block of these transactions, by their bytes."""
    return CommittedBlock(
        height=height, time_s=0, block_hash=b"", app_hash=b"", changed_transfers=(), tx_results=tuple(results.values()),
        tx_hashes=tuple(sha256(tx).digest() for tx in results),
        events=tuple(event for result in results.values() for event in result.events),
    )


class FakeNode:
    """The read side of a node over a driven state machine, and its mempool."""

    def __init__(self, network: Network | None = None, signer: Signer | None = None) -> None:
        self.network = network or Network()
        self.signer = signer
        self.mempool: list[bytes] = []
        self.seen: set[TransferId] = set()
        """Transfers that this node's observer saw."""
        self.asked_unseen = 0
        """How often a bid was checked whose transfer this node's observer has not seen."""
        self._lock = threading.Lock()
        self._listeners: list[Callable[[BlockNotice], None]] = []
        self._committed: Committed | None = None

    @property
    def attestation(self) -> bytes:
        return self.signer.address if self.signer else b""

    def committed(self) -> Committed | None:
        return self._committed

    def counters(self) -> Mapping[str, int]:
        return {"proposals_refused_SEGMENT_NOT_AGREED": 3, "blocks": 7}

    def sequencer_signature(self, decision: Decision) -> tuple[bytes, bytes] | None:
        if self.signer is None or self._committed is None:
            return None
        try:
            return self.signer.address, self.signer.sequencer_signature(self._committed.view, decision)
        except SignatureRefused:
            return None

    def has_seen(self, transfer_id: TransferId) -> bool:
        is_seen = transfer_id in self.seen
        self.asked_unseen += not is_seen
        return is_seen

    def subscribe(self, name: str, listener: Callable[[BlockNotice], None]) -> None:
        self._listeners.append(listener)

    def publish(self) -> None:
        """Show the machine's state as it is now."""
        network = self.network
        self._committed = Committed(network.height, network.tree.root, MemoryState(network.state.values))

    def check(self, tx: bytes) -> CheckResult:
        """CheckTx; what passes is in the mempool."""
        with self._lock:
            assert self._committed is not None
            result = check_tx(self._committed.view, tx, self.seen.__contains__)
            if not result.code:
                self.mempool.append(tx)
            return result

    def commit(self, events: Mapping[DomainId, Sequence[Event]] | None = None, **kwargs: Any) -> None:
        """Make a block of the mempool and these events, publish, and tell those who wait."""
        with self._lock:
            txs, self.mempool = self.mempool, []
            result = self.network.block(events, txs, **kwargs)
            self.publish()
        own = result.results[len(result.results) - len(txs):]
        block = make_block(self.network.height, dict(zip(txs, own, strict=True)))
        for listener in self._listeners:
            listener(block)


@dataclass
class FakeEngine:
    """CometBFT's broadcast calls; ``error`` set: every call is answered with it; ``junk`` set: with these bytes."""

    node: FakeNode
    error: dict[str, object] | None = None
    junk: bytes | None = None
    broadcast: list[bytes] = field(default_factory=list)
    hang: threading.Event | None = None
    """Calls are not answered before it is set."""
    calls: int = 0
    answered: int = 0

    def answer(self, request: dict[str, Any]) -> bytes:
        """The body for one call."""
        self.calls += 1
        try:
            return self._answer(request)
        finally:
            self.answered += 1

    def _answer(self, request: dict[str, Any]) -> bytes:
        if self.hang is not None:
            self.hang.wait(30)
        if self.junk is not None:
            return self.junk
        if self.error is not None:
            return json.dumps({"jsonrpc": "2.0", "id": 1, "error": self.error}).encode()
        tx = base64.b64decode(request["params"]["tx"])
        self.broadcast.append(tx)
        checked = self.node.check(tx)
        result = {"code": 0, "log": "", "hash": "00"}
        if request["method"] == "broadcast_tx_sync":
            result = {"code": int(checked.code), "log": checked.log, "hash": "00"}
        return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()


@contextmanager
def serving(answer: Callable[[dict[str, Any]], bytes]) -> Iterator[str]:
    """A JSON-RPC server; gives its URL."""
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            return  # the caller's deadline came first and it hung up

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@dataclass(frozen=True)
class Served:
    """A running gateway with clients of it."""

    node: FakeNode
    engine: FakeEngine
    gateway: Gateway
    address: str
    channel: grpc.Channel

    @property
    def query(self) -> query_pb2_grpc.QueryStub:
        return query_pb2_grpc.QueryStub(self.channel)

    @property
    def tx(self) -> tx_service_pb2_grpc.TxStub:
        return tx_service_pb2_grpc.TxStub(self.channel)


@contextmanager
def serve(node: FakeNode, engine_url: str | None = None) -> Iterator[Served]:
    """A gateway over ``node`` on a free port, its engine behind it."""
    engine = FakeEngine(node)
    with serving(engine.answer) as url:
        address = f"127.0.0.1:{find_free_port()}"
        gateway = Gateway(node, address, CometBftEngine(engine_url or url))
        gateway.start()
        try:
            with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
                yield Served(node, engine, gateway, address, channel)
        finally:
            gateway.stop()


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    """gRPC status and our code of a call that must fail."""
    try:
        answer = call()
    except grpc.RpcError as error:
        codes = [each.value for each in error.trailing_metadata() or () if each.key == "code"]
        return error.code(), str(codes[0]) if codes else ""
    raise AssertionError(f"answered: {answer}")
