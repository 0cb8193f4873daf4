"""What a failed call means: the node is away, and another one is asked, or its refusal is the answer."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import grpc
import pytest

from abci_app.client import connection
from abci_app.client.connection import NodeConnection
from abci_app.client.errors import NodeAway, NodeRefused, NodeUnavailable
from abci_app.client.nodes import NodeClient
from abci_app.pb import query_pb2 as pb
from abci_app.pb import query_pb2_grpc

STATUSES = [status for status in grpc.StatusCode if status is not grpc.StatusCode.OK]
AWAY = (
    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL,
)


class Node(query_pb2_grpc.QueryServicer):
    """Answers every question the same way."""

    def __init__(self, status: grpc.StatusCode | None = None, code: str = "", details: str = "why") -> None:
        self.status, self.code, self.details = status, code, details
        self.hang_s, self.padding = 0.0, 0
        self.calls = 0

    def end(self, context: grpc.ServicerContext) -> None:
        self.calls += 1
        time.sleep(self.hang_s)
        if self.code:
            context.set_trailing_metadata((("code", self.code),))
        if self.status is not None:
            context.abort(self.status, self.details)

    def Status(self, request: pb.StatusRequest, context: grpc.ServicerContext) -> pb.StatusResponse:
        self.end(context)
        return pb.StatusResponse(chain_id="x" * self.padding)

    def Batch(self, request: pb.BatchRequest, context: grpc.ServicerContext) -> pb.BatchResponse:
        self.end(context)
        return pb.BatchResponse(height=7)

    def Domains(self, request: pb.DomainsRequest, context: grpc.ServicerContext) -> pb.DomainsResponse:
        self.end(context)
        return pb.DomainsResponse(height=7)


@contextmanager
def serving(node: Node) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    query_pb2_grpc.add_QueryServicer_to_server(node, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait(5)


def ask(node: Node, is_refusable: bool = True) -> str:
    """The outcome of one question in words."""
    with serving(node) as address, closing(NodeConnection(address)) as connected:
        try:
            answer = connected.ask(
                lambda one: one.query.Batch(pb.BatchRequest(), timeout=connection.CALL_S), is_refusable
            )
        except NodeRefused as refused:
            return f"refused {refused.code} {refused.reason}"
        except NodeAway as away:
            return f"away {str(away).removeprefix(address + ': ')}"
        return f"answer {answer.height}"


@pytest.mark.parametrize("status", STATUSES, ids=lambda status: status.name)
def test_a_failure_without_our_code_is_no_answer(status: grpc.StatusCode) -> None:
    assert ask(Node(status)) == f"away {status.name} why"


@pytest.mark.parametrize("status", STATUSES, ids=lambda status: status.name)
def test_a_refusal_with_our_code_is_the_answer_unless_its_status_says_that_the_node_is_away(
    status: grpc.StatusCode
) -> None:
    outcome = ask(Node(status, "EXPIRED"))
    assert outcome == ("away EXPIRED why" if status in AWAY else "refused EXPIRED why")


@pytest.mark.parametrize("code", ["NOT_READY", "ENGINE_UNAVAILABLE", "MEMPOOL_FULL"])
def test_a_node_that_is_busy_is_away_whatever_its_status(code: str) -> None:
    assert ask(Node(grpc.StatusCode.FAILED_PRECONDITION, code)) == f"away {code} why"


def test_a_refusal_of_what_no_honest_node_refuses_is_no_answer() -> None:
    assert ask(Node(grpc.StatusCode.NOT_FOUND, "NOT_FOUND"), is_refusable=False) == "away NOT_FOUND why"


def test_an_answer_is_an_answer() -> None:
    assert ask(Node()) == "answer 7"


def test_what_a_node_says_of_itself_is_bounded() -> None:
    node = Node(grpc.StatusCode.NOT_FOUND, "C" * 1000, "d" * 5000)
    assert ask(node) == f"refused {'C' * 200} {'d' * 200}"
    node.code = ""
    assert ask(node) == f"away NOT_FOUND {'d' * 200}"
    node.details = "two\nlines\tand more"
    assert ask(node) == "away NOT_FOUND two lines and more"


def test_a_node_that_hangs_costs_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CALL_S", 0.5)
    node = Node()
    node.hang_s = 3.0
    started_s = time.monotonic()
    with serving(node) as address, closing(NodeConnection(address)) as connected:
        with pytest.raises(NodeAway, match="DEADLINE_EXCEEDED"):
            connected.ask(lambda one: one.query.Batch(pb.BatchRequest(), timeout=connection.CALL_S))
        assert 0.5 <= time.monotonic() - started_s < 2.5


def test_an_answer_that_is_too_large_is_no_answer() -> None:
    large, good = Node(), Node()
    large.padding = connection.ANSWER_BYTES_MAX + 1
    with serving(large) as first, serving(good) as second, NodeClient([first, second]) as client:
        assert client.status().chain_id == "" and (large.calls, good.calls) == (1, 1)


def test_an_answer_that_cannot_be_is_no_answer() -> None:
    def refuse(one: NodeConnection) -> None:
        raise ValueError("two times one")

    with closing(NodeConnection("127.0.0.1:1")) as connected, pytest.raises(
        NodeAway, match=r"^127\.0\.0\.1:1: makes no sense: two times one$"
    ):
        connected.ask(refuse)


# -- several nodes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", AWAY, ids=lambda status: status.name)
def test_the_next_node_answers_where_one_is_away(status: grpc.StatusCode) -> None:
    bad, good = Node(status), Node()
    with serving(bad) as first, serving(good) as second, NodeClient([first, second]) as client:
        assert client.batch(7).height == 7
        assert client.batch(7).height == 7  # and is asked first from then on
    assert (bad.calls, good.calls) == (1, 2)


def test_a_refusal_ends_the_search() -> None:
    bad, good = Node(grpc.StatusCode.NOT_FOUND, "NOT_FOUND"), Node()
    with serving(bad) as first, serving(good) as second, NodeClient([first, second]) as client:
        with pytest.raises(NodeRefused, match=r"^NOT_FOUND: why$"):
            client.batch(7)
        client.pass_over()
        assert client.batch(7).height == 7
    assert (bad.calls, good.calls) == (1, 1)


def test_a_node_that_withholds_what_every_honest_one_tells_is_passed_by() -> None:
    bad, good = Node(grpc.StatusCode.NOT_FOUND, "NOT_FOUND"), Node()
    with serving(bad) as first, serving(good) as second, NodeClient([first, second]) as client:
        assert client.domains().height == 7
        client.pass_over()
        assert client.status().chain_id == ""
    assert (bad.calls, good.calls) == (2, 2)


def test_where_all_are_away_each_is_named_with_its_reason() -> None:
    one, other = Node(grpc.StatusCode.INTERNAL, details="boom"), Node(grpc.StatusCode.UNAVAILABLE, "NOT_READY")
    with serving(one) as first, serving(other) as second, NodeClient([first, second]) as client:
        with pytest.raises(NodeUnavailable) as caught:
            client.batch(7)
        assert str(caught.value) == f"no node answers: {first}: INTERNAL boom; {second}: NOT_READY why"
