"""Submission over gRPC: every wait, a code a bid, and an engine that is full, slow, away or talks nonsense."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256

import grpc
import pytest

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core import bundler, submission
from abci_app.gateway.engine import CometBftEngine
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.state.codec import TransferId
from abci_app.machine.transactions.tx import decode_tx, encode_bundle
from abci_app.pb import query_pb2, tx_pb2
from abci_app.pb import tx_service_pb2 as pb
from tests.kit.gateway.gateway_kit import CALL_S, FakeNode, Served, find_free_port, refused, serve, serving
from tests.kit.machine.driver import ROUTERS, A, bid_of, bundle, withdraw, xcalled
from tests.kit.machine.small_world import STRANGER, STRANGER_KEY, valid_bid

FIRST, SECOND, THIRD, FOURTH = ROUTERS
UNKNOWN = TransferId(b"\x0f" * 32)
FULL = {"code": -32603, "message": "Internal error", "data": "mempool is full: number of txs 5000 (max: 5000)"}
CACHED = {"code": -32603, "message": "Internal error", "data": "tx already exists in cache"}


@pytest.fixture
def served() -> Iterator[Served]:
    node = FakeNode()
    node.publish()
    with serve(node) as running:
        yield running


def accept(served: Served) -> TransferId:
    transfer_id = served.node.network.accept()
    served.node.publish()
    return transfer_id


def as_pb(*bids_: object) -> list[tx_pb2.Bid]:
    """Bids as a client sends them."""
    return list(tx_pb2.Transaction.FromString(encode_bundle(bids_)).bid_bundle.bids)  # type: ignore[arg-type]


def submit(served: Served, raw: bytes, wait: int = pb.WAIT_CHECKED, timeout_ms: int = 0) -> pb.SubmitResponse:
    request = pb.SubmitRequest(tx=raw, wait=pb.Wait.Name(wait), timeout_ms=timeout_ms)
    return served.tx.Submit(request, timeout=CALL_S)


def submit_bids(
    served: Served, bids_: list[tx_pb2.Bid], wait: int = pb.WAIT_CHECKED, timeout_ms: int = 0
) -> list[pb.SubmitBidsResponse.Answer]:
    request = pb.SubmitBidsRequest(bids=bids_, wait=pb.Wait.Name(wait), timeout_ms=timeout_ms)
    return list(served.tx.SubmitBids(request, timeout=CALL_S).answers)


@contextmanager
def committing(served: Served) -> Iterator[None]:
    """A block as soon as the mempool holds something, as an engine makes them."""
    stopping = threading.Event()

    def make_blocks() -> None:
        while not stopping.wait(0.02):
            if served.node.mempool:
                served.node.commit()
    thread = threading.Thread(target=make_blocks)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(5)


# --- Submit ---------------------------------------------------------------------------------------------------------


def test_submit_waits_for_what_it_is_asked_to(served: Served) -> None:
    transfer_id = accept(served)
    raw = bundle(transfer_id, FIRST)
    none = submit(served, raw, pb.WAIT_NONE)
    assert (none.code, none.height, none.tx_hash) == (0, 0, sha256(raw).digest())
    checked = submit(served, bundle(transfer_id, SECOND))
    assert (checked.code_name, checked.height) == ("OK", 0)
    served.node.commit()
    with committing(served):
        committed = submit(served, bundle(transfer_id, THIRD), pb.WAIT_COMMITTED)
    assert (committed.code, committed.height, committed.data) == (0, 3, b"\0")
    assert served.node.network.bid(transfer_id, THIRD) is not None


def test_submit_gives_the_checks_code_unless_nobody_waits_for_it(served: Served) -> None:
    accept(served)
    refused_ = submit(served, bundle(UNKNOWN, FIRST))
    assert (refused_.code_name, refused_.reason) == ("TRANSFER_UNKNOWN", UNKNOWN.hex())
    assert submit(served, bundle(UNKNOWN, FIRST), pb.WAIT_NONE).code == 0
    assert submit(served, b"\xff" * 10).code_name == "TX_MALFORMED"
    assert submit(served, bundle(UNKNOWN, FIRST), pb.WAIT_COMMITTED).code_name == "TRANSFER_UNKNOWN"
    assert served.node.mempool == []


def test_submit_gives_the_blocks_code_where_it_differs(served: Served) -> None:
    transfer_id = accept(served)
    for raw in (withdraw(transfer_id, FIRST), bundle(transfer_id, FIRST)):
        assert submit(served, raw).code == 0
    with committing(served):
        late = submit(served, bundle(transfer_id, FIRST), pb.WAIT_COMMITTED)
    assert (late.code_name, late.height) == ("ROUTER_WITHDRAWN", 2)


def test_what_was_committed_before_is_found(served: Served) -> None:
    transfer_id = accept(served)
    raw = bundle(transfer_id, FIRST)
    submit(served, raw)
    served.node.commit()
    served.engine.error = CACHED  # what CometBFT answers to a transaction it knows
    assert submit(served, raw, pb.WAIT_COMMITTED).height == 2
    assert submit(served, raw).code == 0


def test_what_is_not_committed_in_time_says_so(served: Served) -> None:
    raw = bundle(accept(served), FIRST)
    answer = submit(served, raw, pb.WAIT_COMMITTED, timeout_ms=50)
    assert (answer.code_name, answer.height) == ("TIMED_OUT", 0)
    [bid] = submit_bids(served, as_pb(bid_of(accept(served), SECOND)), pb.WAIT_COMMITTED, timeout_ms=50)
    assert (bid.code_name, bid.height) == ("TIMED_OUT", 0)


@pytest.mark.parametrize("raw", [b"", b"\1" * (96 * 1024 + 1)])
def test_a_transaction_of_a_wrong_size_is_refused(served: Served, raw: bytes) -> None:
    expected = (grpc.StatusCode.INVALID_ARGUMENT, "ARGUMENT_INVALID")
    assert refused(lambda: submit(served, raw)) == expected
    assert served.engine.broadcast == []


# --- SubmitBids -----------------------------------------------------------------------------------------------------


def test_bids_that_arrive_together_leave_in_one_bundle(served: Served) -> None:
    ids = [accept(served) for _ in range(3)]
    bids_ = as_pb(*(bid_of(transfer_id, router) for transfer_id in ids for router in ROUTERS))
    with committing(served):
        answers = submit_bids(served, bids_, pb.WAIT_COMMITTED)
    assert [(one.code, one.height) for one in answers] == [(0, 4)] * 12
    assert len(served.engine.broadcast) == 1 and len({one.tx_hash for one in answers}) == 1
    assert len(decode_tx(served.engine.broadcast[0]).bids) == 12  # type: ignore[union-attr]


def test_bids_of_several_callers_share_a_bundle(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundler, "GATHER_S", 0.5)
    transfer_id = accept(served)
    with ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda router: submit_bids(served, as_pb(bid_of(transfer_id, router)))[0], ROUTERS))
    assert [one.code for one in answers] == [0] * 4 and len(served.engine.broadcast) == 1


def test_every_bid_gets_its_own_code(served: Served) -> None:
    transfer_id, other = accept(served), accept(served)
    served.node.network.block(txs=[bundle(other, FIRST), withdraw(transfer_id, FOURTH)])
    served.node.publish()
    forged = as_pb(bid_of(transfer_id, SECOND))[0]
    forged.router = THIRD
    high_s, short = as_pb(bid_of(transfer_id, SECOND))[0], as_pb(bid_of(transfer_id, SECOND))[0]
    high_s.signatures[0].signature = b"\x01" * 32 + b"\xff" * 32 + b"\x1b"
    short.signatures[0].signature = b"\x01" * 64
    stranger = as_pb(valid_bid(transfer_id, STRANGER_KEY))[0]
    assert stranger.router == STRANGER
    [good] = as_pb(bid_of(transfer_id, FIRST))
    [duplicate] = as_pb(bid_of(other, FIRST))
    [withdrawn] = as_pb(bid_of(transfer_id, FOURTH))
    [unknown] = as_pb(bid_of(UNKNOWN, FIRST))
    wide = as_pb(bid_of(transfer_id, THIRD, (1, 2, 4)))[0]
    bids_ = [forged, high_s, good, short, stranger, duplicate, withdrawn, unknown, tx_pb2.Bid(), wide]
    with committing(served):
        answers = submit_bids(served, bids_, pb.WAIT_COMMITTED)
    assert [one.code_name for one in answers] == [
        "SIGNATURE_WRONG_SIGNER", "SIGNATURE_HIGH_S", "OK", "SIGNATURE_LENGTH", "ROUTER_NOT_APPROVED",
        "BID_DUPLICATE", "ROUTER_WITHDRAWN", "TRANSFER_UNKNOWN", "TX_MALFORMED", "OK",
    ]
    assert [one.height > 0 for one in answers] == [one.code == 0 for one in answers]


def test_what_became_wrong_in_the_mempool_has_the_blocks_code_inside_a_bundle(served: Served) -> None:
    transfer_id, other = accept(served), accept(served)
    served.node.mempool.append(withdraw(transfer_id, FIRST))
    with ThreadPoolExecutor(1) as caller:
        bids_ = as_pb(bid_of(transfer_id, FIRST), bid_of(other, FIRST))
        waiting = caller.submit(submit_bids, served, bids_, pb.WAIT_COMMITTED)
        wait_until(lambda: len(served.node.mempool) == 2)
        served.node.commit()
        answers = waiting.result(CALL_S)
    by_transfer = dict(zip((bid.transfer_id for bid in bids_), answers, strict=True))
    assert by_transfer[transfer_id].code_name == "ROUTER_WITHDRAWN" and by_transfer[transfer_id].reason
    assert (by_transfer[other].code, by_transfer[other].reason, by_transfer[other].height) == (0, "", 3)


def test_an_early_bid_passes_once_the_transfer_was_seen(served: Served) -> None:
    info = served.node.network.info()
    transfer_id = compute_transfer_id(info)
    [bid] = as_pb(bid_of(transfer_id, FIRST))
    assert submit_bids(served, [bid])[0].code_name == "TRANSFER_UNKNOWN"
    served.node.seen.add(transfer_id)
    assert submit_bids(served, [bid])[0].code == 0
    served.node.commit({A: [xcalled(info)]})
    assert served.node.network.bid(transfer_id, FIRST) is not None


def test_two_bids_of_one_router_for_one_transfer_go_into_two_bundles(served: Served) -> None:
    transfer_id = accept(served)
    bids_ = [*as_pb(bid_of(transfer_id, FIRST, (1,))), *as_pb(bid_of(transfer_id, FIRST, (2,)))]
    assert [one.code for one in submit_bids(served, bids_)] == [0, 0]
    assert len(served.engine.broadcast) == 2


def test_a_bundle_holds_at_most_64_bids(served: Served) -> None:
    network = served.node.network
    infos = [network.info() for _ in range(17)]
    network.block({A: [xcalled(info) for info in infos]})
    served.node.publish()
    bids_ = [bid for info in infos for bid in as_pb(*(bid_of(compute_transfer_id(info), one) for one in ROUTERS))]
    assert {one.code for one in submit_bids(served, bids_)} == {0}
    sizes = sorted(len(decode_tx(raw).bids) for raw in served.engine.broadcast)  # type: ignore[union-attr]
    assert sizes == [4, 64]


@pytest.mark.parametrize("count", [0, submission.BIDS_PER_CALL_MAX + 1])
def test_a_wrong_number_of_bids_is_refused(served: Served, count: int) -> None:
    expected = (grpc.StatusCode.INVALID_ARGUMENT, "ARGUMENT_INVALID")
    assert refused(lambda: submit_bids(served, [tx_pb2.Bid()] * count)) == expected


def test_bids_before_genesis_are_not_taken() -> None:
    with serve(FakeNode()) as running:
        [answer] = submit_bids(running, as_pb(bid_of(UNKNOWN, FIRST)))
        assert answer.code_name == "NOT_READY"


# --- the engine -----------------------------------------------------------------------------------------------------


ENGINE_FAULTS = [
    (FULL, None, "MEMPOOL_FULL", grpc.StatusCode.RESOURCE_EXHAUSTED),
    ({"code": -32603, "message": "boom"}, None, "ENGINE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
    (None, b"<html>", "ENGINE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
    (None, b"[]", "ENGINE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
    (None, b"{}", "ENGINE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
    (None, b'{"result": {"code": "x"}}', "ENGINE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
    (None, b'{"result": null}', "ENGINE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
    (None, b'{"error": "no"}', "ENGINE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
]


@pytest.mark.parametrize(("error", "junk", "code", "status"), ENGINE_FAULTS)
@pytest.mark.parametrize("wait", [pb.WAIT_NONE, pb.WAIT_CHECKED, pb.WAIT_COMMITTED])
def test_an_engine_that_refuses_has_a_code(
    served: Served, error: dict[str, object] | None, junk: bytes | None, code: str, status: grpc.StatusCode, wait: int
) -> None:
    transfer_id = accept(served)
    served.engine.error, served.engine.junk = error, junk
    assert refused(lambda: submit(served, bundle(transfer_id, FIRST), wait)) == (status, code)
    answers = submit_bids(served, as_pb(bid_of(transfer_id, FIRST), bid_of(transfer_id, SECOND)), wait)
    assert [one.code_name for one in answers] == (["OK", "OK"] if wait == pb.WAIT_NONE else [code, code])


def test_an_engine_that_is_down_has_a_code() -> None:
    node = FakeNode()
    node.publish()
    with serve(node, f"http://127.0.0.1:{find_free_port()}") as running:
        expected = (grpc.StatusCode.UNAVAILABLE, "ENGINE_UNAVAILABLE")
        transfer_id = accept(running)
        assert refused(lambda: submit(running, bundle(transfer_id, FIRST))) == expected
        assert submit_bids(running, as_pb(bid_of(transfer_id, FIRST)))[0].code_name == "ENGINE_UNAVAILABLE"
        assert running.query.Status(query_pb2.StatusRequest(), timeout=CALL_S).height == 1


def test_an_engine_that_hangs_has_a_deadline() -> None:
    released = threading.Event()

    def hang(_: object) -> bytes:
        released.wait(20)
        return b"{}"
    with serving(hang) as url:
        started = time.monotonic()
        with pytest.raises(Exception, match="ENGINE_UNAVAILABLE"):
            CometBftEngine(url, timeout_s=0.2).broadcast(b"\1")
        assert time.monotonic() - started < 10
        released.set()


def test_questions_are_answered_while_submissions_hang(served: Served) -> None:
    transfer_id = accept(served)
    served.engine.hang = threading.Event()
    # More callers than the service takes, each with a transaction of its own.
    with ThreadPoolExecutor(submission.SUBMITTING_MAX + 8) as callers:
        calls = [
            callers.submit(lambda: refused(lambda: submit(served, bundle(transfer_id, FIRST), pb.WAIT_COMMITTED, 1)))
            for _ in range(submission.SUBMITTING_MAX + 8)
        ]
        full = (grpc.StatusCode.RESOURCE_EXHAUSTED, "MEMPOOL_FULL")
        wait_until(lambda: sum(call.done() and call.result() == full for call in calls) == 8)
        started = time.monotonic()
        assert served.query.Status(query_pb2.StatusRequest(), timeout=CALL_S).height == 1
        assert time.monotonic() - started < 5
        served.engine.junk = b"{}"
        served.engine.hang.set()
        late = (grpc.StatusCode.UNAVAILABLE, "ENGINE_UNAVAILABLE")
        assert [call.result(CALL_S) for call in calls].count(late) == submission.SUBMITTING_MAX


def test_bids_that_nobody_waits_for_are_bounded_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundler, "PENDING_BIDS_MAX", 2)
    transfer_id = accept(served)
    served.engine.hang = threading.Event()
    answers = submit_bids(served, as_pb(bid_of(transfer_id, FIRST), bid_of(transfer_id, SECOND)), pb.WAIT_NONE)
    assert [one.code for one in answers] == [0, 0]
    third = as_pb(bid_of(transfer_id, THIRD))
    assert submit_bids(served, third)[0].code_name == "MEMPOOL_FULL"
    served.engine.hang.set()
    wait_until(lambda: submit_bids(served, third)[0].code == 0)
    assert len(served.node.mempool) == 2


# --- the end --------------------------------------------------------------------------------------------------------


def test_stopping_lets_everybody_go(served: Served) -> None:
    transfer_id = accept(served)
    with ThreadPoolExecutor(2) as callers:
        raw = bundle(transfer_id, FIRST)
        waiting = callers.submit(lambda: submit(served, raw, pb.WAIT_COMMITTED, 60_000))
        wait_until(lambda: len(served.node.mempool) == 1)
        started = time.monotonic()
        served.gateway.stop()
        assert time.monotonic() - started < 5
        assert waiting.result(CALL_S).code_name == "TIMED_OUT"


def test_a_call_that_its_client_gives_up_frees_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "WAITING_MAX", 1)
    node = FakeNode()
    node.publish()
    with serve(node) as running:
        transfer_id = accept(running)
        request = pb.SubmitRequest(tx=bundle(transfer_id, FIRST), wait=pb.WAIT_COMMITTED, timeout_ms=60_000)
        call = running.tx.Submit.future(request, timeout=CALL_S)
        wait_until(lambda: len(node.mempool) == 1)
        full = (grpc.StatusCode.RESOURCE_EXHAUSTED, "MEMPOOL_FULL")
        assert refused(lambda: submit(running, bundle(transfer_id, SECOND), pb.WAIT_COMMITTED)) == full
        call.cancel()
        with committing(running):
            wait_until(lambda: is_committed(running, bundle(transfer_id, SECOND)))


def is_committed(served: Served, raw: bytes) -> bool:
    """Whether a submission is taken and committed; False while every place to wait is held."""
    try:
        return submit(served, raw, pb.WAIT_COMMITTED).height > 0
    except grpc.RpcError:
        return False


def test_a_bundler_that_is_closed_answers_at_once() -> None:
    closed = bundler.Bundler(CometBftEngine("http://127.0.0.1:1"), lambda _: None)
    closed.close()
    assert [future.result(1).code for future in closed.add([valid_bid(UNKNOWN)])] == [AnswerCode.ENGINE_UNAVAILABLE]


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return once ``holds``; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
