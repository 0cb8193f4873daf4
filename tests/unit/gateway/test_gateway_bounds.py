"""Exact bounds of the gateway, and the reasons it gives: at the bound and one beyond it."""

import http.client
import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core import bundler, questions, submission, waiters
from abci_app.gateway.core.engine import Checked
from abci_app.gateway.core.reads import QueryError
from abci_app.gateway.core.submission import WAIT_DEFAULT_S, WAIT_MAX_S, Submission, Wait, compute_deadline
from abci_app.gateway.core.waiters import CommitWaiters
from abci_app.gateway.engine import CALL_TIMEOUT_S, CometBftEngine
from abci_app.machine.codes import Code
from abci_app.machine.params import TX_BYTES_MAX
from abci_app.machine.results import TxResult
from abci_app.machine.state import keys
from abci_app.machine.state.records import Decision, TransferStatus
from abci_app.machine.transactions.tx import encode_bundle
from abci_app.node.signer import Signer
from tests.kit.gateway.gateway_kit import Committed, FakeNode, make_block, serving
from tests.kit.gateway.memory_engine import MemoryEngine
from tests.kit.machine.driver import ROUTERS, B, Network, bid_of, bundle

FIRST, SECOND, THIRD = ROUTERS[:3]


def committed_of(node: FakeNode) -> Committed:
    """What the node committed last."""
    node.publish()
    committed = node.committed()
    assert committed is not None
    return committed


# --- questions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds_left", "expected"), [(1, ""), (0, ""), (-1, "EXPIRED")])
def test_a_leaf_can_execute_until_the_last_second_of_its_lease(seconds_left: int, expected: str) -> None:
    network = Network()
    node = FakeNode(network, Signer(network.validators[0].attestation_key))
    network.assign(FIRST)
    network.wait(2)
    decision = network.must(keys.decision(1), Decision)
    valid_until_s = network.domain(B).cursor.timestamp_s + seconds_left
    network.change_or_write(keys.decision(1), replace(decision, valid_until_s=valid_until_s))
    committed = committed_of(node)
    try:
        answer = questions.get_execution(committed, node, decision.height, 0)
    except QueryError as refusal:
        assert refusal.code.name == expected
    else:
        assert expected == "" and [bool(entry.sequencer_signature) for entry in answer.entries] == [True]


def test_a_leaf_whose_terms_are_pruned_is_over() -> None:
    network = Network()
    node = FakeNode(network, Signer(network.validators[0].attestation_key))
    transfer_id = network.assign(FIRST)
    network.wait(2)
    network.state.values.pop(keys.transfer_info(transfer_id))
    with pytest.raises(QueryError, match=f"EXPIRED: transfer 0x{transfer_id.hex()} is pruned"):
        questions.get_execution(committed_of(node), node, 2, 0)


def test_undecided_transfers_are_found_without_looking_at_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many transfers as one call looks at are past their decision; those that wait stand behind them."""
    network = Network()
    node = FakeNode(network)
    for _ in range(3):
        network.assign(FIRST)
    waiting = [network.accept() for _ in range(2)]
    monkeypatch.setattr(questions, "SCAN_MAX", 3)
    found = questions.get_transfers(committed_of(node), 0, 0, TransferStatus.ACCEPTED.name)
    assert [one.transfer_id for one in found.transfers] == waiting and not found.truncated


def test_a_router_without_liquidity_in_a_token_has_no_row_for_it() -> None:
    network = Network()
    node = FakeNode(network)
    before = {one.domain: len(one.liquidity) for one in questions.get_router(committed_of(node), FIRST).domains}
    held = keys.liquidity(B, network.transfer(network.accept()).local, FIRST)
    network.state.values.pop(held)
    after = {one.domain: len(one.liquidity) for one in questions.get_router(committed_of(node), FIRST).domains}
    assert after == {**before, B: before[B] - 1}


def test_an_attempt_outlives_its_decision_and_its_batch() -> None:
    network = Network()
    node = FakeNode(network, Signer(network.validators[0].attestation_key))
    transfer_id = network.assign(FIRST)
    network.wait(2)
    [attempt] = questions.get_transfer(committed_of(node), transfer_id).transfer.attempts
    assert (attempt.lane_sequence, attempt.signatures > 0, attempt.attested_height > 0) == (1, True, True)
    network.state.values.pop(keys.decision(1))
    network.state.values.pop(keys.batch(attempt.decided_height))
    [pruned] = questions.get_transfer(committed_of(node), transfer_id).transfer.attempts
    assert pruned == replace(attempt, lane_sequence=0, signatures=0, attested_height=0)


def test_lists_have_a_default_and_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network()
    for _ in range(4):
        network.assign(FIRST)
    network.wait(2)
    for name, value in (("LIST_DEFAULT", 2), ("LIST_MAX", 3), ("BATCHES_DEFAULT", 2), ("BATCHES_MAX", 3)):
        monkeypatch.setattr(questions, name, value)
    committed = committed_of(FakeNode(network))
    for asked, given in ((0, 2), (1, 1), (3, 3), (4, 3)):
        assert len(questions.get_transfers(committed, limit=asked).transfers) == given
        assert len(questions.get_decisions(committed, limit=asked).decisions) == given
    for asked, given in ((0, 2), (1, 1), (3, 3), (4, 3)):
        assert len(questions.get_batches(committed, limit=asked).batches) == given
    assert questions.get_transfers(committed) == questions.get_transfers(committed, 0, 0, "")
    assert questions.get_decisions(committed) == questions.get_decisions(committed, 0, 0)
    assert questions.get_batches(committed) == questions.get_batches(committed, 0, 0, False)


def test_a_page_that_holds_the_last_transfer_says_so() -> None:
    network = Network()
    for _ in range(3):
        network.accept()
    committed = committed_of(FakeNode(network))
    assert questions.get_transfers(committed, limit=2).next_acceptance == 3
    for last in (questions.get_transfers(committed, limit=3), questions.get_transfers(committed, 3, limit=1)):
        assert (last.next_acceptance, last.truncated) == (0, False)


@pytest.mark.parametrize("status", ["", "ASSIGNED", "ACCEPTED"])
def test_a_page_goes_on_behind_the_last_one_looked_at(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """Where a call has looked at as many as it may, each transfer stands in one page, and none between two."""
    network = Network()
    for _ in range(5):
        network.accept() if status == "ACCEPTED" else network.assign(FIRST)
    monkeypatch.setattr(questions, "SCAN_MAX", 2)
    committed = committed_of(FakeNode(network))
    pages, first = [], 0
    for _ in range(3):
        page = questions.get_transfers(committed, first, 0, status)
        pages.append([one.acceptance for one in page.transfers])
        first = page.next_acceptance
    assert pages == [[1, 2], [3, 4], [5]] and first == 0


@pytest.mark.parametrize(("start", "end"), [(0, 0), (7, 7), (0, 12), (95, 130), (999, 1_000), (1, keys.NUMBER_MAX)])
def test_no_prefix_begins_above_the_end(start: int, end: int) -> None:
    """One that did would let a call read keys that cannot be asked for."""
    first_of = [int(prefix[6:].ljust(keys.DIGITS, b"0")) for prefix in keys.list_range(b"batch/", start, end)]
    assert first_of == sorted(first_of) and start == first_of[0] and first_of[-1] <= end


# --- submission -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("timeout_s", "waits_s"), [
    (0, WAIT_DEFAULT_S), (0.5, 0.5), (WAIT_MAX_S, WAIT_MAX_S), (WAIT_MAX_S + 1, WAIT_MAX_S), (1e12, WAIT_MAX_S),
])
def test_a_wait_has_a_default_and_a_most(timeout_s: float, waits_s: float) -> None:
    before = time.monotonic()
    deadline = compute_deadline(timeout_s)
    assert before + waits_s <= deadline <= time.monotonic() + waits_s


class EchoEngine:
    """Takes everything; says how many bytes it got."""

    def broadcast(self, tx: bytes, wait_checked: bool = True) -> Checked:
        return Checked(Code.OK, f"{len(tx)} bytes")


@pytest.mark.parametrize(("size", "expected"), [(0, "ARGUMENT_INVALID"), (1, ""), (TX_BYTES_MAX, ""),
                                                (TX_BYTES_MAX + 1, "ARGUMENT_INVALID")])
def test_the_size_of_a_transaction(size: int, expected: str) -> None:
    made = Submission(FakeNode(), EchoEngine())
    try:
        outcome = made.submit(b"\1" * size, Wait.CHECKED)
        assert expected == "" and outcome.reason == f"{size} bytes"
    except QueryError as refusal:
        assert refusal.code.name == expected and f"{size} bytes, 1 to {TX_BYTES_MAX} allowed" in refusal.reason


def test_the_number_of_bids_in_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "BIDS_PER_CALL_MAX", 2)
    node = FakeNode()
    transfer_id = node.network.accept()
    node.publish()
    made = Submission(node, MemoryEngine(node))
    bids = [bundle(transfer_id, router) for router in (FIRST, SECOND, THIRD)]
    assert [one.code for one in made.submit_bids(bids[:2], Wait.CHECKED)] == [0, 0]
    with pytest.raises(QueryError, match="3 bids, 1 to 2 allowed"):
        made.submit_bids(bids, Wait.CHECKED)
    with pytest.raises(QueryError, match="0 bids"):
        made.submit_bids([], Wait.CHECKED)


def test_a_bid_gets_the_reason_of_its_own_code_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle's log tells of its first refusal; bids of another code must not be given it as theirs."""
    node = FakeNode()
    transfer_id = node.network.accept()
    node.publish()
    made = Submission(node, MemoryEngine(node))
    bids = [bid_of(transfer_id, router) for router in (FIRST, SECOND, THIRD)]
    data = bytes([Code.BID_DUPLICATE, Code.OK, Code.ROUTER_NOT_APPROVED])
    result = TxResult(Code.OK, data, f"{Code.BID_DUPLICATE.name}: adds no path length")
    outcomes: list[submission.SubmissionOutcome] = []
    caller = threading.Thread(
        target=lambda: outcomes.extend(made.submit_bids([encode_bundle([bid]) for bid in bids], Wait.COMMITTED, 20))
    )
    caller.start()
    deadline = time.monotonic() + 20
    while not node.mempool:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    [raw] = node.mempool
    made._waiters.hand_over(make_block(7, {raw: result}))
    caller.join(20)
    ordered = sorted(bids, key=lambda bid: bid.router)
    by_router = {bid.router: outcome for bid, outcome in zip(bids, outcomes, strict=True)}
    assert [by_router[bid.router].code for bid in ordered] == list(data)
    assert [by_router[bid.router].reason for bid in ordered] == [result.log, "", ""]
    assert {outcome.height for outcome in outcomes} == {7}


def test_bids_beyond_the_bound_are_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundler, "PENDING_BIDS_MAX", 2)
    node = FakeNode()
    transfer_id = node.network.accept()
    node.publish()
    engine = MemoryEngine(node, hang=threading.Event())
    made = bundler.Bundler(engine, lambda bid: None)
    taken = made.add([bid_of(transfer_id, router) for router in (FIRST, SECOND, THIRD)])
    refusal = taken[2].result(20)
    assert (refusal.code, refusal.reason) == (AnswerCode.MEMPOOL_FULL, "2 bids wait for an answer already")
    assert engine.hang is not None
    engine.hang.set()
    assert [future.result(20).code for future in taken[:2]] == [0, 0]
    made.close()
    [late] = made.add([bid_of(transfer_id, THIRD)])
    assert (late.result(20).code, late.result(20).reason) == (AnswerCode.ENGINE_UNAVAILABLE, "the node stops")


def test_answered_bids_are_taken_off_the_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice would let in more than the bound; not at all would shut everybody out."""
    monkeypatch.setattr(bundler, "PENDING_BIDS_MAX", 2)
    node = FakeNode()
    ids = [node.network.accept() for _ in range(4)]
    node.publish()
    engine = MemoryEngine(node)
    made = bundler.Bundler(engine, lambda bid: None)
    for transfer_id in ids[:3]:
        sent = made.add([bid_of(transfer_id, router) for router in (FIRST, SECOND)])
        assert [future.result(20).code for future in sent] == [0, 0]
    engine.hang = threading.Event()
    last = made.add([bid_of(ids[3], router) for router in (FIRST, SECOND, THIRD)])
    assert last[2].result(20).code == AnswerCode.MEMPOOL_FULL
    engine.hang.set()
    assert [future.result(20).code for future in last[:2]] == [0, 0]
    made.close()


def test_closing_answers_bids_that_still_wait_for_their_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundler, "GATHER_S", 1.0)
    node = FakeNode()
    transfer_id = node.network.accept()
    node.publish()
    engine = MemoryEngine(node)
    made = bundler.Bundler(engine, lambda bid: None)
    [waiting] = made.add([bid_of(transfer_id, FIRST)])
    made.close()
    assert waiting.done() and waiting.result().reason == "the node stops"
    assert engine.calls == 0


def test_a_wait_goes_on_while_its_caller_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiters, "CALLER_CHECK_S", 0.01)
    kept, asked = CommitWaiters(), threading.Event()
    checks = iter(range(10_000))

    def is_wanted() -> bool:
        if next(checks) == 5:
            asked.set()
        return True

    found: list[tuple[int, TxResult] | None] = []
    caller = threading.Thread(target=lambda: found.append(kept.wait(b"a", 20, is_wanted)))
    caller.start()
    assert asked.wait(20) and not found
    kept.hand_over(make_block(3, {b"a": TxResult(Code.OK)}))
    caller.join(20)
    assert found == [(3, TxResult(Code.OK))]


def test_a_block_and_the_end_wake_a_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at the next look after the caller, which is far here."""
    monkeypatch.setattr(waiters, "CALLER_CHECK_S", 60.0)
    for wake, expected in (
        (lambda kept: kept.hand_over(make_block(3, {b"a": TxResult(Code.OK)})), [(3, TxResult(Code.OK))]),
        (lambda kept: kept.close(), [None]),
    ):
        kept = CommitWaiters()
        found: list[tuple[int, TxResult] | None] = []
        caller = threading.Thread(target=lambda kept=kept, found=found: found.append(kept.wait(b"a", 60)), daemon=True)
        caller.start()
        deadline = time.monotonic() + 20
        while not kept._condition._waiters:  # type: ignore[attr-defined]
            assert time.monotonic() < deadline
            time.sleep(0.005)
        wake(kept)
        caller.join(20)
        assert found == expected


def test_results_are_kept_up_to_the_bound_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiters, "REMEMBERED_MAX", 3)
    kept = CommitWaiters()
    for height, tx in enumerate([b"a", b"b", b"c", b"a"], start=1):
        kept.hand_over(make_block(height, {tx: TxResult(Code.OK)}))
    assert [kept.wait(tx, 0) is not None for tx in (b"a", b"b", b"c")] == [True, True, True]
    kept.hand_over(make_block(5, {b"d": TxResult(Code.OK)}))
    assert [kept.wait(tx, 0) is not None for tx in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    assert kept.wait(b"a", 0) == (4, TxResult(Code.OK))


# --- CometBFT's words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "code", "reason"), [
    ({"message": "Internal error", "data": "mempool is full: 5000 txs"}, "MEMPOOL_FULL", "mempool is full: 5000 txs"),
    ({"message": "mempool is full"}, "MEMPOOL_FULL", "mempool is full"),
    ({"message": "Internal error", "data": "boom"}, "ENGINE_UNAVAILABLE", "boom"),
    ({"message": "Internal error", "data": ""}, "ENGINE_UNAVAILABLE", "Internal error"),
    ("mempool is full, says a proxy", "MEMPOOL_FULL", "mempool is full, says a proxy"),
    ({"message": "x" * 301}, "ENGINE_UNAVAILABLE", "x" * 300),
])
def test_a_refusal_has_the_engines_reason(error: object, code: str, reason: str) -> None:
    with (
        serving(lambda request: json.dumps({"error": error}).encode()) as url,
        pytest.raises(QueryError) as refusal,
    ):
        CometBftEngine(url).broadcast(b"\1")
    assert (refusal.value.code.name, refusal.value.reason) == (code, reason)


def test_a_transaction_that_the_mempool_holds_already_is_taken() -> None:
    answer = json.dumps({"error": {"message": "Internal error", "data": "tx already exists in cache"}}).encode()
    with serving(lambda request: answer) as url:
        assert CometBftEngine(url).broadcast(b"\1") == Checked(Code.OK, "already in the mempool")


@pytest.mark.parametrize(("url", "host", "port"), [
    ("tcp://10.1.2.3:26661", "10.1.2.3", 26661), ("http://validator.example:80", "validator.example", 80),
    ("tcp://10.1.2.3", "10.1.2.3", 26657), ("http://[::1]:9", "::1", 9), ("tcp://:26662", "127.0.0.1", 26662),
])
def test_the_engine_that_is_called(monkeypatch: pytest.MonkeyPatch, url: str, host: str, port: int) -> None:
    called: list[tuple[str, int, float]] = []

    def connect(host: str, port: int, timeout: float) -> None:
        called.append((host, port, timeout))
        raise OSError("not in a test")

    monkeypatch.setattr(http.client, "HTTPConnection", connect)
    with pytest.raises((QueryError, OSError)):
        CometBftEngine(url).broadcast(b"\1")
    assert called == [(host, port, CALL_TIMEOUT_S)]


@pytest.mark.parametrize(("wait_checked", "method"), [(True, "broadcast_tx_sync"), (False, "broadcast_tx_async")])
def test_the_call_that_is_made(wait_checked: bool, method: str) -> None:
    asked: list[dict[str, Any]] = []

    def answer(request: dict[str, Any]) -> bytes:
        asked.append(request)
        return b'{"result": {"code": "21", "log": "why"}}'

    with serving(answer) as url:
        checked = CometBftEngine(url.replace("http://", "tcp://")).broadcast(b"\1\2", wait_checked)
    assert checked == Checked(21, "why")
    assert asked == [{"jsonrpc": "2.0", "id": 1, "method": method, "params": {"tx": "AQI="}}]
