"""What HTTP answers can do to a process: bytes that drip, bodies that blow up, JSON that no parser should meet."""

import gzip
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from abci_app.evm.errors import EvmError, RpcMalformed, RpcUnavailable
from abci_app.evm.rpc import Rpc, hide_secrets, name_endpoint
from tests.kit.evm.endpoint import http_answer

DRIPS = 600
"""Bytes at a tenth of a second: a minute, which nobody may wait for."""


def dripping(head: bytes, piece: bytes) -> Callable[[Any], None]:
    """An answer that goes on coming, slowly, after its head."""

    def answer(wfile: Any) -> None:
        try:
            wfile.write(head)
            for _ in range(DRIPS):
                wfile.write(piece)
                wfile.flush()
                time.sleep(0.1)
        except OSError:
            return

    return answer


GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
EMPTY_BLOCK = b"\0\0\0\xff\xff"
"""Of deflate: stored, no bytes. Any number of them decodes to nothing."""


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(dripping(b"HTTP/1.1 ", b"2"), id="status line"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x"), id="header"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", b" "), id="body"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"), id="chunk size"),
        pytest.param(
            dripping(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + GZIP_HEAD, EMPTY_BLOCK),
            id="compressed nothing",
        ),
    ],
)
def test_one_deadline_covers_all_of_an_answer(serve: Any, answer: Any) -> None:
    """Each byte in time, the whole never: the caller is free long before the endpoint is done."""
    _, rpc = serve(lambda *_: answer, timeout_s=0.5)
    outcome: list[BaseException] = []

    def ask() -> None:
        try:
            rpc.block_number()
        except EvmError as error:
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(30)
    assert [type(error) for error in outcome] == [RpcUnavailable]


def test_connections_are_kept_between_calls(serve: Any) -> None:
    """The deadline of one answer is not left over for the next."""
    clients: set[Any] = set()
    endpoint, rpc = serve({"result": "0x10"}, timeout_s=5.0)

    def verify(request: Any, address: Any) -> bool:
        clients.add(address)
        return True

    endpoint.verify_request = verify
    assert [rpc.block_number() for _ in range(5)] == [16] * 5
    assert len(clients) == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 50_000, id="nested lists"),
        pytest.param(b'{"a":' * 50_000, id="nested objects"),
        pytest.param(b'{"result":' + b"1" * 5_000 + b"}", id="a number of 5,000 digits"),
        pytest.param(b'{"result":"\xff"}', id="no UTF-8"),
        pytest.param(b"<html>busy</html>", id="HTML"),
        pytest.param(b'{"result":"0x1"}{', id="more than one"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_is_no_json_is_malformed(serve: Any, body: bytes) -> None:
    _, rpc = serve(lambda *_: http_answer(body))
    with pytest.raises(RpcMalformed):
        rpc.block_number()


NESTED = """
import sys
import abci_app.evm.{module}
from abci_app.evm.errors import RpcMalformed
from abci_app.evm.transport import BoundedProvider
try:
    BoundedProvider.decode_rpc_response(b"[" * 1_000_000)
except RpcMalformed:
    print("refused")
"""


@pytest.mark.parametrize("module", ["account", "rpc", "gate"])
def test_nested_brackets_do_not_end_the_process(module: str) -> None:
    """Whatever was imported first: libraries raise the recursion limit, and the C stack does not grow with it."""
    done = subprocess.run([sys.executable, "-c", NESTED.format(module=module)], capture_output=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, b"refused\n")


def test_a_compressed_bomb_is_cut(serve: Any) -> None:
    """A gigabyte of spaces, twice compressed, is a kilobyte on its way."""
    bomb = gzip.compress(gzip.compress(bytes(1 << 20)) * 1024)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    _, rpc = serve(lambda *_: head + bomb, timeout_s=30.0)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(EvmError):
        rpc.block_number()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 200_000


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://user:word@node.example:8545/v3/key?token=abc", "https://node.example:8545"),
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("no-url", "no-url"),
    ],
)
def test_an_endpoint_is_named_without_its_keys(url: str, name: str) -> None:
    assert name_endpoint(url) == name


def test_access_keys_stay_out_of_errors() -> None:
    url = "http://user:word@127.0.0.1:1/v3/0123456789abcdef?token=fedcba"
    with Rpc(url, retry_delays_s=()) as rpc, pytest.raises(RpcUnavailable) as caught:
        rpc.block_number()
    for secret in ("0123456789abcdef", "fedcba", "word"):
        assert secret not in str(caught.value)
    assert caught.value.__cause__ is None
    assert hide_secrets("at /v3/0123456789abcdef", url) == "at …"
    assert hide_secrets("at http://127.0.0.1:1/", "http://127.0.0.1:1/") == "at http://127.0.0.1:1/"
