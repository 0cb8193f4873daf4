"""The server itself: reflection, health, the address, sizes; and the walks over numbered keys."""

import queue
import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from hypothesis import given
from hypothesis import strategies as st

from abci_app.gateway.core.scan import scan_from
from abci_app.gateway.core.waiters import REMEMBERED_MAX, CommitWaiters
from abci_app.gateway.engine import CometBftEngine
from abci_app.gateway.query import RUNNING_MAX
from abci_app.gateway.server import CALLS_MAX, REFLECTIONS_MAX, REQUEST_BYTES_MAX, Gateway
from abci_app.machine.codes import Code
from abci_app.machine.results import TxResult
from abci_app.machine.state import keys
from abci_app.machine.state.codec import encode
from abci_app.machine.state.records import HeightEntry
from abci_app.machine.state.view import MemoryState, StateDelta
from abci_app.pb import query_pb2, tx_service_pb2
from tests.kit.gateway.gateway_kit import CALL_S, FakeNode, Served, make_block, refused, serve


@pytest.fixture
def served() -> Iterator[Served]:
    node = FakeNode()
    node.publish()
    with serve(node) as running:
        yield running


def test_reflection_lists_the_services_and_their_messages(served: Served) -> None:
    database = ProtoReflectionDescriptorDatabase(served.channel)
    services = set(database.get_services())
    assert services == {
        "routing.v1.Query", "routing.v1.Tx", "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection",
    }
    described = database.FindFileContainingSymbol("routing.v1.Query")
    assert "AuctionResponse" in [message.name for message in described.message_type]


@pytest.mark.parametrize("service", ["", "routing.v1.Query", "routing.v1.Tx"])
def test_health_of_every_service(served: Served, service: str) -> None:
    stub = health_pb2_grpc.HealthStub(served.channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=CALL_S)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_an_unknown_service(served: Served) -> None:
    stub = health_pb2_grpc.HealthStub(served.channel)
    request = health_pb2.HealthCheckRequest(service="routing.v1.Nothing")
    assert refused(lambda: stub.Check(request, timeout=CALL_S))[0] is grpc.StatusCode.NOT_FOUND


def test_an_address_in_use_is_an_os_error(served: Served) -> None:
    second = Gateway(FakeNode(), served.address, CometBftEngine("http://127.0.0.1:1"))
    with pytest.raises(OSError, match=served.address):
        second.start()
    second.stop()


def test_after_its_end_it_answers_nobody_and_leaves_the_address(served: Served) -> None:
    served.gateway.stop()
    with pytest.raises(grpc.RpcError) as refusal:
        served.query.Status(query_pb2.StatusRequest(), timeout=CALL_S)
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    again = Gateway(FakeNode(), served.address, CometBftEngine("http://127.0.0.1:1"))
    again.start()
    again.stop()


def test_an_oversized_request_is_refused(served: Served) -> None:
    request = tx_service_pb2.SubmitRequest(tx=b"\1" * (REQUEST_BYTES_MAX + 1))
    assert refused(lambda: served.tx.Submit(request, timeout=CALL_S))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def never(released: threading.Event) -> Iterator[bytes]:
    """Requests that do not come."""
    released.wait(120)
    yield from ()


def test_a_client_that_never_sends_its_requests_stops_no_other(served: Served, released: threading.Event) -> None:
    """Each such call holds a thread, and no deadline of ours ends it."""
    with grpc.insecure_channel(served.address, options=[("grpc.use_local_subchannel_pool", 1)]) as idle:
        ask = idle.stream_unary("/routing.v1.Query/Status", None, None)
        calls = [ask.future(never(released)) for _ in range(CALLS_MAX // 2)]
        for _ in range(20):
            assert served.query.Status(query_pb2.StatusRequest(), timeout=CALL_S).chain_id
        for call in calls:
            call.cancel()


def test_few_questions_run_at_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait: a crowd of clients must not take the interpreter from consensus."""
    real, lock, running, most = served.node.committed, threading.Lock(), [0], [0]

    def committed() -> object:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1
        return real()

    monkeypatch.setattr(served.node, "committed", committed)
    asked = [served.query.Status.future(query_pb2.StatusRequest(), timeout=60) for _ in range(8 * RUNNING_MAX)]
    assert all(one.result().chain_id for one in asked)
    assert 1 < most[0] <= RUNNING_MAX


def test_reflections_are_bounded(served: Served, released: threading.Event) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    streams = [stub.ServerReflectionInfo(never(released), timeout=CALL_S) for _ in range(REFLECTIONS_MAX + 1)]
    refusals: queue.SimpleQueue[grpc.StatusCode] = queue.SimpleQueue()
    for stream in streams:
        stream.add_done_callback(lambda done: refusals.put(done.code()))
    assert refusals.get(timeout=60) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert served.query.Status(query_pb2.StatusRequest(), timeout=CALL_S).chain_id
    for stream in streams:
        stream.cancel()


# --- walks ----------------------------------------------------------------------------------------------------------


NUMBERS = st.integers(0, 400) | st.integers(0, keys.NUMBER_MAX)


@given(st.sets(NUMBERS, max_size=40), st.integers(0, 500), st.integers(0, 10**6))
def test_a_walk_finds_what_a_filter_finds(numbers: set[int], start: int, length: int) -> None:
    values = {b"batch/%020d" % number: encode(HeightEntry(number % 2**64)) for number in numbers}
    state = StateDelta(MemoryState({**values, b"batches": encode(HeightEntry(0)), b"bid/x": encode(HeightEntry(0))}))
    found = [mark.height for mark in scan_from(state, b"batch/", keys.parse_batch, start, start + length, HeightEntry)]
    assert found == sorted(number for number in numbers if start <= number <= start + length)


def test_a_walk_looks_at_a_bounded_number_of_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abci_app.gateway.core.scan.SCAN_MAX", 3)
    state = StateDelta(MemoryState({b"batch/%020d" % number: encode(HeightEntry(number)) for number in range(9)}))
    assert [mark.height for mark in scan_from(state, b"batch/", keys.parse_batch, 2, 8, HeightEntry)] == [2, 3, 4]


# --- waiters --------------------------------------------------------------------------------------------------------


def test_results_are_remembered_up_to_a_bound() -> None:
    waiters = CommitWaiters()
    waiters.hand_over(make_block(1, {b"first": TxResult(Code.OK)}))
    assert waiters.wait(b"first", 0) == (1, TxResult(Code.OK))
    filler = {number.to_bytes(32, "big"): TxResult(Code.OK) for number in range(REMEMBERED_MAX)}
    waiters.hand_over(make_block(2, filler))
    assert waiters.wait(b"first", 0) is None
