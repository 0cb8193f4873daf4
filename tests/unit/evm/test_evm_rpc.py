"""The RPC client against endpoints that hang, hang up, lie about shapes, or answer what was not asked."""

import json
import threading
import time
from typing import Any

import pytest

from abci_app.evm.errors import (
    CallReverted,
    ChainMismatch,
    DeadlineExceeded,
    EvmError,
    NonceUsed,
    RpcMalformed,
    RpcNotFound,
    RpcRefused,
    RpcUnavailable,
)
from abci_app.evm.rpc import LOG_BLOCKS_MAX, Rpc
from abci_app.machine.connext import keccak
from tests.kit.evm.endpoint import http_answer

ADDRESS, OTHER = b"\x11" * 20, b"\x22" * 20
TOPIC = b"\x33" * 32
WORD = "0x" + "44" * 32

def result(value: Any) -> dict[str, Any]:
    return {"result": value}


def make_block(**change: Any) -> dict[str, Any]:
    block = {"number": "0x5", "hash": WORD, "parentHash": WORD, "timestamp": "0x64", "baseFeePerGas": "0x7"}
    return block | change


def make_log(**change: Any) -> dict[str, Any]:
    log = {
        "address": "0x" + ADDRESS.hex(),
        "topics": ["0x" + TOPIC.hex()],
        "data": "0x01",
        "blockNumber": "0x5",
        "blockHash": WORD,
        "transactionHash": WORD,
        "transactionIndex": "0x0",
        "logIndex": "0x2",
        "removed": False,
    }
    return log | change


def make_receipt(**change: Any) -> dict[str, Any]:
    receipt = {
        "transactionHash": WORD,
        "transactionIndex": "0x0",
        "blockNumber": "0x5",
        "blockHash": WORD,
        "status": "0x1",
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x1",
        "from": "0x" + ADDRESS.hex(),
        "to": None,
        "contractAddress": "0x" + OTHER.hex(),
        "logs": [make_log()],
    }
    return receipt | change


# -- transport --------------------------------------------------------------------------------------------------------


def hang_up(wfile: Any) -> None:
    pass


def hang(wfile: Any) -> None:
    time.sleep(1.5)


def trickle(wfile: Any) -> None:
    """A byte every tenth of a second: no single read is slow."""
    wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    for _ in range(30):
        try:
            wfile.write(b" ")
            wfile.flush()
        except OSError:
            return
        time.sleep(0.1)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda *_: hang_up, id="hangs up"),
        pytest.param(lambda *_: hang, id="hangs"),
        pytest.param(lambda *_: trickle, id="trickles"),
        pytest.param(http_answer(b"busy", "503 Service Unavailable"), id="status 503"),
        pytest.param(http_answer(b"", "502 Bad Gateway"), id="status 502"),
        pytest.param(http_answer(b"", "301 Moved\r\nLocation: http://127.0.0.1:1/"), id="redirect"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", id="cut short"),
        pytest.param(b"nonsense\r\n\r\n", id="no HTTP"),
        pytest.param({"error": {"code": -32005, "message": "limit exceeded"}}, id="rate limit"),
    ],
)
def test_no_answer_is_unavailable_within_the_time_allowed(serve: Any, answer: Any) -> None:
    _, rpc = serve(answer if callable(answer) else lambda *_: answer, timeout_s=0.5)
    started = time.monotonic()
    with pytest.raises(RpcUnavailable):
        rpc.block_number()
    assert time.monotonic() - started < 5


def test_nobody_listens() -> None:
    with Rpc("http://127.0.0.1:1", retry_delays_s=()) as rpc, pytest.raises(RpcUnavailable):
        rpc.block_number()


def test_transport_faults_are_repeated_as_the_list_says(serve: Any) -> None:
    endpoint, rpc = serve(http_answer(b"busy", "503 Busy"), retry_delays_s=(0, 0, 0))
    endpoint.answer = lambda self, *_: result("0x10") if len(self.requests) == 4 else http_answer(b"", "503 Busy")
    assert rpc.block_number() == 16
    assert len(endpoint.requests) == 4
    endpoint.requests.clear()
    endpoint.answer = lambda *_: http_answer(b"", "503 Busy")
    with pytest.raises(RpcUnavailable):
        rpc.block_number()
    assert len(endpoint.requests) == 4


def test_an_answer_is_never_repeated(serve: Any) -> None:
    endpoint, rpc = serve({"error": {"code": -32601, "message": "no such method"}}, retry_delays_s=(0, 0, 0))
    with pytest.raises(RpcRefused):
        rpc.block_number()
    endpoint.answer = lambda *_: result("garbage")
    with pytest.raises(RpcMalformed):
        rpc.block_number()
    assert len(endpoint.requests) == 2


def test_an_error_object_counts_whatever_the_http_status(serve: Any) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 0, "error": {"code": -32000, "message": "no"}}).encode()
    _, rpc = serve(lambda *_: http_answer(body, "400 Bad Request"))
    with pytest.raises(RpcRefused, match="no"):
        rpc.block_number()


def test_a_client_works_from_several_threads(serve: Any) -> None:
    _, rpc = serve(result("0x10"))
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.extend(rpc.block_number() for _ in range(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == [16] * 80


@pytest.mark.parametrize("url", ["", "127.0.0.1:8545", "ws://127.0.0.1:8545", "file:///etc/passwd"])
def test_an_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        Rpc(url)


# -- shapes -----------------------------------------------------------------------------------------------------------

NUMBER, BLOCK, LOGS, RECEIPT, CODE = (
    lambda rpc: rpc.block_number(),
    lambda rpc: rpc.block("latest"),
    lambda rpc: rpc.logs(ADDRESS, 0, 10, [TOPIC]),
    lambda rpc: rpc.receipt(bytes.fromhex(WORD[2:])),
    lambda rpc: rpc.code(ADDRESS),
)


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (NUMBER, http_answer(b"not json")),
        (NUMBER, http_answer(b"\xff\xfe")),
        (NUMBER, http_answer(b"[]")),
        (NUMBER, http_answer(b"{}")),
        (NUMBER, result(16)),
        (NUMBER, result("16")),
        (NUMBER, result("0x")),
        (NUMBER, result("0x-1")),
        (NUMBER, result("0x1" + "0" * 64)),
        (NUMBER, result(None)),
        (NUMBER, {"error": "text"}),
        (NUMBER, {"error": {"message": "no code"}}),
        (NUMBER, result("0x1_0")),
        (NUMBER, result("0x 1")),
        (CODE, result("0x123")),
        (CODE, result("0x12 34")),
        (CODE, result(["0x12"])),
        (BLOCK, result([])),
        (BLOCK, result(make_block(hash="0x12"))),
        (BLOCK, result(make_block(number=None))),
        (BLOCK, result(make_block(timestamp="soon"))),
        (BLOCK, result(make_block(timestamp=hex(2**62)))),
        (NUMBER, result(hex(2**62))),
        (LOGS, result({})),
        (LOGS, result(["0x"])),
        (LOGS, result([make_log(topics=None)])),
        (LOGS, result([make_log(topics=[WORD] * 5)])),
        (LOGS, result([make_log(blockHash=None)])),
        (LOGS, result([make_log(logIndex=hex(2**62))])),
        (LOGS, result([make_log(address="0x" + OTHER.hex())])),
        (LOGS, result([make_log(blockNumber="0xb")])),
        (LOGS, result([make_log(topics=[WORD])])),
        (LOGS, result([make_log(topics=[])])),
        (LOGS, result([make_log(), make_log()])),
        (LOGS, result([make_log(logIndex="0x2"), make_log(logIndex="0x1"), make_log(logIndex="0x2")])),
        (RECEIPT, result(make_receipt(status="0x2"))),
        (RECEIPT, result(make_receipt(status=None))),
        (RECEIPT, result(make_receipt(logs=None))),
        (RECEIPT, result(make_receipt(blockNumber=hex(2**62)))),
        (RECEIPT, result(make_receipt(transactionHash="0x" + "55" * 32))),
    ],
)
def test_a_wrong_shape_is_malformed(serve: Any, ask: Any, answer: Any) -> None:
    _, rpc = serve(lambda *_: answer)
    with pytest.raises(RpcMalformed):
        ask(rpc)


def test_good_shapes_pass(serve: Any) -> None:
    answers = {
        "eth_getBlockByNumber": make_block(),
        "eth_getLogs": [make_log(), make_log(logIndex="0x3", removed=True)],
        "eth_getTransactionReceipt": make_receipt(),
        "eth_getStorageAt": "0x1",
        "eth_getCode": "0x60",
    }
    _, rpc = serve(lambda _, method, __: result(answers[method]))
    block = rpc.block(5)
    assert (block.number, block.timestamp_s, block.base_fee_wei) == (5, 100, 7)
    logs = rpc.logs(ADDRESS, 0, 10, [TOPIC])
    assert [(log.block_number, log.log_index, log.removed) for log in logs] == [(5, 2, False), (5, 3, True)]
    receipt = rpc.receipt(bytes.fromhex(WORD[2:]))
    assert receipt is not None
    assert (receipt.status, receipt.to, receipt.contract_address, len(receipt.logs)) == (1, None, OTHER, 1)
    assert rpc.code(ADDRESS) == b"\x60"


def test_another_block_than_asked_for_is_malformed(serve: Any) -> None:
    _, rpc = serve(result(make_block(number="0x6")))
    with pytest.raises(RpcMalformed, match="asked for block 5"):
        rpc.block(5)


def test_a_block_that_is_not_there_yet(serve: Any) -> None:
    _, rpc = serve(result(None))
    with pytest.raises(RpcNotFound):
        rpc.block(5)


def test_an_answer_without_end_is_cut(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abci_app.evm.transport.ANSWER_BYTES_MAX", 100_000)
    _, rpc = serve(result("0x" + "00" * 1_000_000))
    with pytest.raises(RpcMalformed, match="more than 100000 bytes"):
        rpc.code(ADDRESS)


@pytest.mark.parametrize(("tag", "error"), [(-1, "block number"), ("newest", "block tag")])
def test_a_tag_that_does_not_exist_is_the_callers_mistake(serve: Any, tag: Any, error: str) -> None:
    endpoint, rpc = serve(result(make_block()))
    with pytest.raises(ValueError, match=error):
        rpc.block(tag)
    assert endpoint.requests == []


# -- logs -------------------------------------------------------------------------------------------------------------


def test_a_long_range_is_asked_for_in_pieces_without_gap_or_overlap(serve: Any) -> None:
    endpoint, rpc = serve(result([]))
    last = 3 * LOG_BLOCKS_MAX
    assert rpc.logs(ADDRESS, 7, last, [TOPIC]) == ()
    ranges = [(int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)) for _, params in endpoint.requests]
    assert ranges[0][0] == 7
    assert ranges[-1][1] == last
    assert all(end - start < LOG_BLOCKS_MAX for start, end in ranges)
    assert [end + 1 for _, end in ranges[:-1]] == [start for start, _ in ranges[1:]]


def test_logs_in_any_order_are_sorted(serve: Any) -> None:
    """A Moonbeam endpoint once gave the newest first."""
    given = [make_log(blockNumber="0x6", logIndex="0x0"), make_log(logIndex="0x3"), make_log(logIndex="0x2")]
    _, rpc = serve(result(given))
    found = rpc.logs(ADDRESS, 0, 10, [TOPIC])
    assert [(log.block_number, log.log_index) for log in found] == [(5, 2), (5, 3), (6, 0)]


@pytest.mark.parametrize("limit", [1, 5, 10, 999, LOG_BLOCKS_MAX])
def test_a_limit_of_blocks_is_found_and_remembered(serve: Any, limit: int) -> None:
    def answer(_: int, __: str, params: Any) -> dict[str, Any]:
        blocks = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
        return result([]) if blocks <= limit else {"error": {"code": -32602, "message": f"at most {limit} blocks"}}

    endpoint, rpc = serve(answer)
    for _ in range(3):
        rpc.logs(ADDRESS, 0, 20 * limit - 1, [TOPIC])
    assert rpc.log_blocks == limit
    endpoint.requests.clear()
    rpc.logs(ADDRESS, 0, 20 * limit - 1, [TOPIC])
    assert len(endpoint.requests) == 20


def test_an_endpoint_that_refuses_one_block_of_logs_is_not_taken_for_one_with_a_limit(serve: Any) -> None:
    _, rpc = serve({"error": {"code": -32000, "message": "header not found"}})
    with pytest.raises(RpcRefused, match="header not found"):
        rpc.logs(ADDRESS, 0, 500, [TOPIC])
    assert rpc.log_blocks == LOG_BLOCKS_MAX


def test_a_missing_method_for_logs_is_asked_for_once(serve: Any) -> None:
    endpoint, rpc = serve({"error": {"code": -32601, "message": "Method not found"}})
    with pytest.raises(RpcRefused):
        rpc.logs(ADDRESS, 0, 500, [TOPIC])
    assert len(endpoint.requests) == 1


FEES: list[tuple[str, Any, dict[str, Any], tuple[int, int]]] = [
    ("as on geth", result("0x3"), {}, (17, 3)),
    ("no method", {"error": {"code": -32601, "message": "Method not found"}}, {}, (107, 93)),
    ("refused", {"error": {"code": -32000, "message": "not supported"}}, {}, (107, 93)),
    ("0x", result("0x"), {}, (107, 93)),
    ("null", result(None), {}, (107, 93)),
    ("no method, no base fee", {"error": {"code": -32601, "message": "x"}}, {"baseFeePerGas": None}, (100, 100)),
    ("a price below the base fee", result("0x"), {"baseFeePerGas": "0x70"}, (224, 0)),
]


@pytest.mark.parametrize(("tip", "block", "expected"), [row[1:] for row in FEES], ids=[row[0] for row in FEES])
def test_fees_with_and_without_a_method_for_tips(
    serve: Any, tip: Any, block: dict[str, Any], expected: tuple[int, int]
) -> None:
    answers = {
        "eth_maxPriorityFeePerGas": tip, "eth_gasPrice": result("0x64"),
        "eth_getBlockByNumber": result(make_block(**block)),
    }
    _, rpc = serve(lambda _, method, __: answers[method])
    fees = rpc.fees()
    assert (fees.max_fee_wei, fees.priority_fee_wei) == expected


def test_no_fees_where_neither_tip_nor_price_is_given(serve: Any) -> None:
    _, rpc = serve({"error": {"code": -32601, "message": "Method not found"}})
    with pytest.raises(RpcRefused):
        rpc.fees()


@pytest.mark.parametrize("empty", [None, "", "0x", []])
def test_empty_fields_of_a_receipt_are_missing_ones(serve: Any, empty: Any) -> None:
    _, rpc = serve(result(make_receipt(to=empty, contractAddress=empty, effectiveGasPrice=None)))
    receipt = rpc.receipt(bytes.fromhex(WORD[2:]))
    assert (receipt.to, receipt.contract_address, receipt.effective_gas_price_wei) == (None, None, 0)


@pytest.mark.parametrize(("first", "last"), [(5, 4), (-1, 4)])
def test_a_range_backwards_is_refused(serve: Any, first: int, last: int) -> None:
    _, rpc = serve(result([]))
    with pytest.raises(ValueError, match="block range"):
        rpc.logs(ADDRESS, first, last)


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind", "name"),
    [
        ({"code": 3, "message": "execution reverted", "data": "0x7c32a2b3"}, CallReverted, "unapprovedSender"),
        ({"code": -32015, "message": "VM execution error.", "data": "Reverted 0x7c32a2b3"}, CallReverted, "unapproved"),
        ({"code": -32000, "message": "execution reverted", "data": {"data": "0x7c32a2b3"}}, CallReverted, "unapproved"),
        ({"code": 3, "message": "execution reverted"}, CallReverted, None),
        ({"code": 3, "message": "execution reverted", "data": "zz"}, CallReverted, None),
        ({"code": -32003, "message": "nonce too low"}, NonceUsed, None),
        ({"code": -32000, "message": "insufficient funds"}, RpcRefused, None),
    ],
)
def test_refusals_have_kinds_and_names(serve: Any, error: Any, kind: type[EvmError], name: str | None) -> None:
    _, rpc = serve({"error": error})
    with pytest.raises(RpcRefused) as caught:
        rpc.call(ADDRESS, b"")
    assert type(caught.value) is kind
    if isinstance(caught.value, CallReverted):
        assert (name or "None") in str(caught.value.name)


def test_another_chain_is_refused(serve: Any) -> None:
    _, rpc = serve(result("0x7a6a"))
    rpc.require_chain(31338)
    with pytest.raises(ChainMismatch, match="serves chain id 31338, configured is 31337"):
        rpc.require_chain(31337)


# -- transactions -----------------------------------------------------------------------------------------------------


def test_a_transaction_that_is_known_already_counts_as_sent(serve: Any) -> None:
    _, rpc = serve({"error": {"code": -32000, "message": "already known"}})
    assert rpc.send_raw_transaction(b"\x02raw") == keccak(b"\x02raw")


def test_the_hash_of_another_transaction_is_malformed(serve: Any) -> None:
    _, rpc = serve(result(WORD))
    with pytest.raises(RpcMalformed):
        rpc.send_raw_transaction(b"\x02raw")


def test_waiting_for_a_receipt_ends(serve: Any) -> None:
    endpoint, rpc = serve(result(None))
    with pytest.raises(DeadlineExceeded):
        rpc.wait_receipt(bytes(32), deadline_s=0.2, poll_s=0.02)
    assert len(endpoint.requests) > 2
    endpoint.requests.clear()
    endpoint.answer = lambda self, *_: result(make_receipt() if len(self.requests) > 2 else None)
    assert rpc.wait_receipt(bytes.fromhex(WORD[2:]), poll_s=0.01).block_number == 5
