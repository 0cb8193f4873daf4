"""Ten thousand transactions that nobody should take, through one node's CometBFT: a code each, and nothing else."""

import base64
import http.client
import json
import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import grpc
import pytest

from abci_app.machine.state.codec import TransferId
from abci_app.machine.transactions.tx import decode_tx
from abci_app.pb import query_pb2
from testnet.connext.deployment import dev_account
from tests.kit.process.junk import list_kinds
from tests.kit.process.local_network import LocalNetwork, Validator

COUNT = 10_000
RARE = {"too large": 50, "an empty bundle": 1}
"""130 kB of base64 each; and one that has no room for a number, so that two at once would be one."""
CONNECTIONS = 4
RESTED_HEIGHTS = 10
LOG_BYTES_MAX = 10_000
"""By which a log may grow beyond what its blocks write: a byte for each refusal."""
QUESTIONS = 300
ANSWERS = {
    grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INTERNAL,
}
"""INTERNAL is the server library's word for bytes that are no message of the method."""
ALL = range(4)


class Door:
    """A connection to a node's CometBFT that stays open."""

    def __init__(self, node: Validator) -> None:
        parts = urlsplit(node.place.rpc_url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def submit(self, tx: bytes) -> int:
        """CheckTx's code. Fails where the engine itself refuses."""
        parameters = {"tx": base64.b64encode(tx).decode()}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "broadcast_tx_sync", "params": parameters})
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answer = json.loads(self._connection.getresponse().read())
        assert "error" not in answer, answer
        return int(answer["result"]["code"])


def submit_all(node: Validator, txs: Sequence[tuple[str, bytes]]) -> Counter[tuple[str, int]]:
    """(kind, code) → how many."""
    with Door(node) as door:
        return Counter((kind, door.submit(tx)) for kind, tx in txs)


def measure_logs(node: Validator) -> list[int]:
    """Bytes of both logs of a validator."""
    return [path.stat().st_size for path in (node.log_path, node.engine_log_path)]


def read_world(node: Validator) -> tuple[bytes, ...]:
    """Everything that transactions could have changed: transfers, their bids, routers."""
    transfers = node.query.Transfers(query_pb2.TransfersRequest(), timeout=5).transfers
    answers = [node.query.Transfer(query_pb2.TransferRequest(transfer_id=each.transfer_id), timeout=5)
               for each in transfers]
    return tuple(part.SerializeToString() for answer in answers for part in (answer.transfer, *answer.bids))


def count_refused(node: Validator) -> dict[str, int]:
    """Transactions in blocks that were refused, by code."""
    return {
        name: count for name, count in node.counters().items()
        if name.startswith("txs_executed_") and name != "txs_executed_OK"
    }


def test_ten_thousand_junk_transactions_get_a_code_each_and_change_nothing(network: LocalNetwork) -> None:
    node = network.nodes[1]
    finished = network.send("USDC", 61)
    network.wait_step(finished, "executed")
    network.command("stop", "relayer")  # so that the next one stays assigned
    assigned = network.send("USDC", 62)
    network.wait_step(assigned, "attested")
    network.wait_height(assigned.attested_height, ALL)
    ids = TransferId(finished.sent.transfer_id), TransferId(assigned.sent.transfer_id)
    kinds = list_kinds(dev_account("router-0"), *ids)

    start, logs = node.height(), measure_logs(node)
    network.wait_height(start + RESTED_HEIGHTS, [1])
    rested = [(now - then) / (node.height() - start) for now, then in zip(measure_logs(node), logs, strict=True)]
    before = [(read_world(each), count_refused(each)) for each in network.nodes]

    often = [name for name in kinds if name not in RARE]
    names = [name for name, count in RARE.items() for _ in range(count)]
    names += [often[at % len(often)] for at in range(COUNT - len(names))]
    txs = [(name, kinds[name][1](at)) for at, name in enumerate(names)]
    start, logs = node.height(), measure_logs(node)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        found = sum(pool.map(lambda part: submit_all(node, txs[part::CONNECTIONS]), range(CONNECTIONS)), Counter())
    assert set(found) == {(name, int(code)) for name, (code, _) in kinds.items()}
    assert sum(found.values()) == COUNT

    height = node.height()
    for now, then, a_height in zip(measure_logs(node), logs, rested, strict=True):
        assert now - then <= 2 * a_height * (height - start + 2) + LOG_BYTES_MAX
    assert [(read_world(each), count_refused(each)) for each in network.nodes] == before
    assert node.rpc("num_unconfirmed_txs")["total"] == "0"
    assert len(network.app_hashes(height - 1, ALL)) == 1
    network.command("start", "relayer")
    network.wait_step(assigned, "executed")


def test_a_transaction_that_is_there_already_is_logged_to_be(network: LocalNetwork) -> None:
    """The engine remembers what it took: the very same bytes get its own answer, no second place in a block."""
    transfer = network.send("DAI", 63)
    network.wait_step(transfer, "decided")
    node = network.nodes[1]
    blocks = [node.rpc("block", height=str(height))["block"]["data"]["txs"]
              for height in range(transfer.accepted_height, transfer.decided_height + 1)]
    bundles = [raw for txs in blocks for raw in map(base64.b64decode, txs) if not raw.startswith(b"\0")]
    assert bundles and all(decode_tx(raw) for raw in bundles)
    for raw in bundles:
        with Door(node) as door, pytest.raises(AssertionError, match="tx already exists in cache"):
            door.submit(raw)
    network.wait_step(transfer, "executed")


def ask(call: grpc.UnaryUnaryMultiCallable, question: bytes) -> grpc.StatusCode:
    """The status of a call."""
    try:
        call(question, timeout=10)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_junk_questions_are_answered_and_end_nothing(network: LocalNetwork) -> None:
    """Queries of random paths, data and heights, through CometBFT and gRPC: an answer each, the node lives."""
    chance, node = random.Random(7), network.nodes[1]
    pid = node.pid("app")
    for _ in range(QUESTIONS):
        path = chance.choice(["", "key", "/key", "store", "proof", "key/prove", "\x00", "k" * 1000, "état"])
        answer = node.rpc(
            "abci_query", path=path, data=chance.randbytes(chance.choice([0, 1, 32, 500])).hex(),
            height=str(chance.choice([0, 1, 5, 2**62])), prove=chance.random() < 0.5,
        )
        assert "code" in answer["response"]
    for method in query_pb2.DESCRIPTOR.services_by_name["Query"].methods:
        call = node.channel.unary_unary(f"/routing.v1.Query/{method.name}", bytes, bytes)
        for size in (0, 1, 10, 100, 1000):
            assert ask(call, chance.randbytes(size)) in ANSWERS
    height = network.height()
    network.wait_height(height + 2, ALL)
    assert node.pid("app") == pid
