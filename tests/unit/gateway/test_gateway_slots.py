"""What holds a place at the server: how many there are, and that each is free again afterwards."""

import threading
import time
from collections.abc import Callable, Iterator

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from abci_app.gateway.server import REFLECTIONS_MAX
from abci_app.pb import query_pb2
from tests.kit.gateway.gateway_kit import CALL_S, FakeNode, Served, serve

CALLS = 6
"""More than REFLECTIONS_MAX: reflections have their own bound."""
WAIT_S = 20.0


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A gateway with room for few calls at once."""
    monkeypatch.setattr("abci_app.gateway.server.CALLS_MAX", CALLS)
    node = FakeNode()
    node.publish()
    with serve(node) as running:
        yield running


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def never(released: threading.Event) -> Iterator[bytes]:
    """Requests that do not come."""
    released.wait(120)
    yield from ()


def status_of(served: Served) -> grpc.StatusCode:
    """How one question ends."""
    try:
        served.query.Status(query_pb2.StatusRequest(), timeout=2.0)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def wait_for(code: grpc.StatusCode, ask: Callable[[], grpc.StatusCode]) -> bool:
    """Whether a question ends like this within WAIT_S."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if ask() is code:
            return True
        time.sleep(0.05)
    return False


def test_a_call_too_many_is_refused_at_once_and_taken_later(served: Served, released: threading.Event) -> None:
    """It does not wait behind calls that may never end."""
    with grpc.insecure_channel(served.address, options=[("grpc.use_local_subchannel_pool", 1)]) as idle:
        ask = idle.stream_unary("/routing.v1.Query/Status", None, None)
        calls = [ask.future(never(released)) for _ in range(CALLS)]

        def ask_after_one_more() -> grpc.StatusCode:
            calls.append(ask.future(never(released)))  # the question before may have had the place of one
            return status_of(served)

        assert wait_for(grpc.StatusCode.RESOURCE_EXHAUSTED, ask_after_one_more)
        for call in calls:
            call.cancel()
        assert wait_for(grpc.StatusCode.OK, lambda: status_of(served))


def test_a_reflection_that_ends_makes_room_for_the_next(served: Served) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    for _ in range(3 * REFLECTIONS_MAX):
        [answer] = stub.ServerReflectionInfo(iter([request]), timeout=CALL_S)
        assert answer.list_services_response.service


def test_a_reflection_that_breaks_off_makes_room_for_the_next(served: Served, released: threading.Event) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    def reflect() -> grpc.StatusCode:
        try:
            list(stub.ServerReflectionInfo(iter([request]), timeout=2.0))
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    streams = [stub.ServerReflectionInfo(never(released), timeout=CALL_S) for _ in range(REFLECTIONS_MAX)]

    def reflect_after_one_more() -> grpc.StatusCode:
        streams.append(stub.ServerReflectionInfo(never(released), timeout=CALL_S))
        return reflect()

    assert wait_for(grpc.StatusCode.RESOURCE_EXHAUSTED, reflect_after_one_more)
    for stream in streams:
        stream.cancel()
    assert wait_for(grpc.StatusCode.OK, reflect)
