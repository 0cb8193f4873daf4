"""Connections: order, independence, fair shares, back-pressure, and how the server ends."""

import gc
import logging
import threading
import time

import pytest

from abci_app.abci import ABCIServer, Application, ApplicationError, FrameError
from abci_app.abci import connection as connection_module
from abci_app.abci import messages as pb
from tests.kit.abci.client import FLUSH, TIMEOUT_S, Client, check_tx, echo, request, serving

ADDRESSES = [None, "tcp://127.0.0.1:0"]
"""None: a unix socket."""


class Scripted(Application):
    """Answers CheckTx with the transaction; some transactions make it slow, large, or fail."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.entered = threading.Event()
        self.gate = threading.Event()

    def check_tx(self, request: pb.RequestCheckTx) -> pb.ResponseCheckTx:
        self.seen.append(request.tx)
        if request.tx == b"raise":
            raise ValueError("told to")
        if request.tx == b"exit":
            raise SystemExit(7)
        if request.tx == b"wait":
            self.entered.set()
            assert self.gate.wait(TIMEOUT_S)
        if request.tx.startswith(b"work"):
            until = time.perf_counter() + 200e-6
            while time.perf_counter() < until:
                pass
        if request.tx.startswith(b"large"):
            return pb.ResponseCheckTx(data=bytes(100_000), log=request.tx.decode())
        return pb.ResponseCheckTx(data=request.tx)


@pytest.mark.parametrize("address", ADDRESSES)
def test_four_connections_each_answered_in_order(address: str | None) -> None:
    with serving(Scripted(), address) as served:
        clients = [served.client() for _ in range(4)]
        for index in range(300):
            for number, client in enumerate(clients):
                tx = b"%d-%d" % (number, index)
                client.send(check_tx(tx) if index % 3 else echo(tx.decode()))
        for number, client in enumerate(clients):
            client.send(FLUSH)
            for index in range(300):
                response, tx = client.receive(), b"%d-%d" % (number, index)
                assert response is not None
                assert (response.check_tx.data if index % 3 else response.echo.message.encode()) == tx
            flush = client.receive()
            assert flush is not None and flush.WhichOneof("value") == "flush"
    assert served.error is None


def test_requests_split_byte_by_byte() -> None:
    with serving(Scripted()) as served:
        client = served.client()
        for byte in echo("a") + check_tx(b"b" * 200) + FLUSH:
            client.send(bytes((byte,)))
        answers = [client.receive() for _ in range(3)]
        assert [answer.WhichOneof("value") for answer in answers if answer] == ["echo", "check_tx", "flush"]


def test_the_end_of_one_connection_leaves_the_others_and_new_ones_come() -> None:
    """CometBFT may die and come back, in the middle of a request too."""
    with serving(Scripted()) as served:
        first, second = served.client(), served.client()
        assert first.call(echo("1")).message == "1"
        first.send(check_tx(b"x" * 1000)[:-1])
        first.close()
        assert second.call(echo("2")).message == "2"
        assert served.client().call(echo("3")).message == "3"
    assert served.error is None
    assert served.server._connections == set()


def test_an_exception_ends_the_server_without_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Scripted()) as served:
        consensus, mempool = served.client(), served.client()
        assert consensus.call(echo("before")).message == "before"
        mempool.send(check_tx(b"raise") + check_tx(b"after") + FLUSH)
        assert mempool.receive() is None
        assert consensus.receive() is None
        error = served.wait_end()
        assert isinstance(error, ApplicationError) and isinstance(error.__cause__, ValueError)
        assert served.server._dispatcher  # the object stays; only the sockets are gone
        with pytest.raises(OSError):
            Client(served.server.address)
    records = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert len(records) == 1 and "check_tx raised ValueError: told to" in records[0].getMessage()
    assert records[0].exc_info and "Traceback" in caplog.text


def test_no_request_is_begun_after_a_failure() -> None:
    """Five connections have a failing request ready at the same moment; only one of them is tried."""
    app = Scripted()
    with serving(app) as served:
        first, *others = (served.client() for _ in range(6))
        first.send(check_tx(b"wait"))
        for other in others:
            other.send(check_tx(b"raise"))
        time.sleep(0.05)  # so that all of them wait in their sockets while the first call is held up
        app.gate.set()
        assert isinstance(served.wait_end(), ApplicationError)
    assert app.seen == [b"wait", b"raise"]


def test_connections_that_come_at_the_very_end_are_closed_too() -> None:
    """Some are accepted in the step in which the server fails. One left open would be an unraisable ResourceWarning."""
    for _ in range(20):
        app = Scripted()
        with serving(app) as served:
            served.client().send(check_tx(b"wait") + check_tx(b"raise"))
            others = [served.client() for _ in range(10)]
            app.gate.set()
            assert isinstance(served.wait_end(), ApplicationError)
            assert [other.receive() for other in others] == [None] * 10
        del served
        gc.collect()


def test_system_exit_in_a_method_leaves_run() -> None:
    with serving(Scripted()) as served:
        client = served.client()
        client.send(check_tx(b"exit"))
        assert client.receive() is None
        error = served.wait_end()
        assert isinstance(error, SystemExit) and error.code == 7


@pytest.mark.parametrize("bad", [b"\xff" * 11, b"\x03\xff\xff\xff", b"\xff\xff\xff\xff\x07", b"\x00"])
def test_a_malformed_frame_ends_the_server(bad: bytes) -> None:
    with serving(Scripted()) as served:
        client = served.client()
        client.send(bad)
        assert client.receive() is None
        assert isinstance(served.wait_end(), FrameError)


def test_a_saturating_connection_does_not_starve_another() -> None:
    """3,000 requests of 0.2 ms each wait on one connection; the other's single request passes nearly all of them."""
    app = Scripted()
    with serving(app) as served:
        mempool, consensus = served.client(), served.client()
        mempool.send(check_tx(b"wait"))
        assert app.entered.wait(TIMEOUT_S)
        mempool.send(check_tx(b"work") * 3000)  # both lie in their sockets before the first of them is answered
        consensus.send(check_tx(b"urgent"))
        app.gate.set()
        assert consensus.receive() is not None
        for _ in range(3001):
            assert mempool.receive() is not None
    assert app.seen.index(b"urgent") < 500


def test_two_saturating_connections_share_evenly() -> None:
    app = Scripted()
    with serving(app) as served:
        served.client().send(check_tx(b"wait"))
        busy = [(b"work-a", served.client()), (b"work-b", served.client())]
        for tx, client in busy:
            client.send(check_tx(tx) * 1000)
        app.gate.set()
        for _, client in busy:
            for _ in range(1000):
                assert client.receive() is not None
    for tx, _ in busy:
        assert 300 <= app.seen[:1000].count(tx) <= 700


def test_a_peer_that_does_not_read_is_waited_for_and_loses_nothing() -> None:
    """1,000 answers of 100 kB: beyond what the sockets hold, the server stops answering, not reading; then goes on."""
    app = Scripted()
    with serving(app) as served:
        silent, other = served.client(), served.client()
        for index in range(1000):
            silent.send(check_tx(b"large%d" % index))
        assert other.call(echo("alive")).message == "alive"
        while True:  # until it makes no progress any more
            before = len(app.seen)
            time.sleep(0.1)
            if len(app.seen) == before:
                break
        assert before < 1000
        for index in range(1000):
            response = silent.receive()
            assert response is not None and response.check_tx.log == f"large{index}"
    assert served.error is None


def test_unread_requests_are_bounded_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that takes no answers can make the server keep INPUT_BYTES_MAX of its requests, not all of them."""
    monkeypatch.setattr(connection_module, "INPUT_BYTES_MAX", 300_000)
    with serving(Scripted()) as served:
        client, other = served.client(), served.client()
        requests = check_tx(b"large") * 200 + check_tx(b"x" * 1000) * 5000
        sender = threading.Thread(target=client.send, args=(requests,))
        sender.start()
        sender.join(0.5)
        assert sender.is_alive()  # 5 MB do not fit
        assert other.call(echo("alive")).message == "alive"
        for _ in range(5200):
            assert client.receive() is not None
        sender.join(TIMEOUT_S)
        assert not sender.is_alive()
    assert served.error is None


def test_a_20_mb_block_is_answered() -> None:
    with serving(Scripted()) as served:
        client = served.client()
        block = request(finalize_block=pb.RequestFinalizeBlock(txs=[bytes(2000)] * 10_000))
        assert len(client.call(block).tx_results) == 10_000


@pytest.mark.parametrize("address", ADDRESSES)
def test_stop_from_another_thread_ends_run_cleanly(address: str | None) -> None:
    with serving(Scripted(), address) as served:
        client = served.client()
        assert client.call(echo("a")).message == "a"
        served.server.stop()
        assert client.receive() is None
        assert served.wait_end() is None
        served.server.stop()  # again, after the end
        with pytest.raises(OSError):
            Client(served.server.address)


def test_stop_waits_for_the_call_in_progress_and_sends_its_answer() -> None:
    app = Scripted()
    with serving(app) as served:
        client = served.client()
        client.send(check_tx(b"wait"))
        while not app.seen:
            time.sleep(0.001)
        served.server.stop()
        app.gate.set()
        answer = client.receive()
        assert answer is not None and answer.check_tx.data == b"wait"
        assert client.receive() is None
        assert served.wait_end() is None


def test_stop_before_run_makes_run_return() -> None:
    server = ABCIServer(app=Application(), address="tcp://127.0.0.1:0")
    server.stop()
    server.run()


def test_a_server_runs_once() -> None:
    server = ABCIServer(app=Application(), address="tcp://127.0.0.1:0")
    server.stop()
    server.run()
    with pytest.raises(RuntimeError, match="has run before"):
        server.run()


def test_a_peer_that_takes_no_answers_does_not_hold_up_the_end() -> None:
    app = Scripted()
    with serving(app) as served:
        client = served.client()
        client.send(b"".join(check_tx(b"large%d" % index) for index in range(50)))
        while len(app.seen) < 10:
            time.sleep(0.001)
        served.server.stop()
        assert served.wait_end() is None
