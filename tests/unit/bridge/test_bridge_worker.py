"""A whole worker, stepped by hand: when it pays, when it waits and what it says, and what is left when it is done."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from abci_app.bridge.chain import EvmChain
from abci_app.bridge.inclusion import Limits
from abci_app.bridge.journal import FAILURES_KEPT_S
from abci_app.bridge.plan import Turn
from abci_app.bridge.worker import DENIED_AFTER_FAILURES, OPEN_NONCES_MAX, PAID_FAILURES_MAX
from abci_app.daemon.runner import Next, Retryable
from abci_app.evm.account import Account
from abci_app.evm.connext import Connext, DestinationStatus
from abci_app.evm.errors import DecodeFailed, RpcMalformed, RpcUnavailable
from abci_app.evm.rpc import Rpc
from abci_app.machine.connext import compute_sequencer_digest, keccak
from abci_app.machine.state.codec import Address
from tests.kit.bridge.fake_gate_chain import GWEI
from tests.kit.bridge.fake_node import FakeNode, transfer_id_of
from tests.kit.bridge.relay_kit import PLACE, Bench, make_offer


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_without_work_no_chain_is_asked(bench: Bench) -> None:
    assert bench.step(20) is Next.PAUSE
    assert bench.chain.calls == []
    assert bench.worker.is_idle


def test_a_burst_is_worked_off_a_few_at_a_time(bench: Bench) -> None:
    offers = [make_offer() for _ in range(40)]
    for offer in offers:
        bench.decide(offer)
    for _ in range(20):
        bench.step()
        assert len(bench.chain.pool) <= OPEN_NONCES_MAX
        bench.chain.mine()
    bench.step(2)
    assert bench.chain.ledger.executed == [transfer_id_of(offer) for offer in offers]
    assert bench.worker.is_idle
    assert bench.journal.cursor() == bench.follower.cursor


@pytest.mark.parametrize("status", [DestinationStatus.EXECUTED, DestinationStatus.RECONCILED])
def test_what_somebody_else_did_is_settled_without_a_transaction(bench: Bench, status: DestinationStatus) -> None:
    offer = make_offer()
    key = bench.decide(offer)
    bench.chain.ledger.statuses[transfer_id_of(offer)] = status
    bench.step(2)
    assert bench.journal.is_settled(key)
    assert bench.chain.sent == []


def test_somebody_who_is_faster_between_look_and_simulation_is_success(bench: Bench) -> None:
    offer = make_offer()
    key = bench.decide(offer)
    bench.chain.failing[transfer_id_of(offer)] = "BridgeFacet__execute_badFastLiquidityStatus"
    bench.step()
    bench.chain.ledger.statuses[transfer_id_of(offer)] = DestinationStatus.EXECUTED
    bench.step(2, seconds=1)
    assert bench.journal.is_settled(key)
    assert bench.chain.sent == []


def test_a_slow_decision_waits_for_the_message_layer(bench: Bench) -> None:
    offer = make_offer(routers=0)
    bench.decide(offer)
    bench.step(3)
    assert bench.chain.sent == []
    bench.chain.ledger.statuses[transfer_id_of(offer)] = DestinationStatus.RECONCILED
    bench.step()
    bench.chain.mine()
    bench.step()
    assert bench.chain.ledger.executed == [transfer_id_of(offer)]


@pytest.mark.parametrize("error", ["Systemic", "SetExpired", "Reentered", "InsufficientGas", None])
def test_what_the_gate_refuses_now_is_tried_again_with_growing_pauses(bench: Bench, error: str | None) -> None:
    bench.decide(make_offer())
    bench.chain.batch_error = error or "NobodyKnowsThisError"
    bench.step(100)
    assert bench.chain.calls.count("simulate_batch") == 5  # at 0, 0.5, 1.5, 3.5, 7.5 s of ten
    assert bench.chain.sent == []
    bench.chain.batch_error = None
    bench.step(100)
    assert len(bench.chain.sent) == 1


@pytest.mark.parametrize("error", ["QuorumMissing", "SignatureInvalid", "EpochMismatch", "SignerUnknown"])
def test_a_payload_that_the_gate_refuses_is_fetched_again(bench: Bench, error: str) -> None:
    bench.decide(make_offer())
    bench.chain.batch_error = error
    with pytest.raises(Retryable, match=f"payload-refused.*{error}"):
        bench.step()
    assert bench.nodes.generation == 1
    bench.chain.batch_error = None
    bench.step(10)
    assert len(bench.chain.sent) == 1


def test_a_leaf_whose_transfers_all_fail_costs_nothing(bench: Bench) -> None:
    offers = [make_offer(), make_offer()]
    key = bench.decide(*offers)
    for offer in offers:
        bench.chain.failing[transfer_id_of(offer)] = "Panic"
    bench.step(50)
    assert bench.chain.sent == []
    assert bench.notices.is_standing(f"leaf {key}")
    del bench.chain.failing[transfer_id_of(offers[1])]
    bench.step(80)
    assert len(bench.chain.sent) == 1


def test_it_pays_for_a_transfer_that_only_fails_on_chain_twice_in_all_its_attempts(bench: Bench) -> None:
    """A receiver may behave while simulated and burn the gas of the real call; each attempt allows it more."""
    offer, honest = make_offer(valid_until_s=10**10), make_offer(valid_until_s=10**10)
    bench.chain.failing_when_paid.add(transfer_id_of(offer))
    keys = []
    for _ in range(3):  # the same transfer, decided again
        keys.append(bench.decide(offer))
        for _ in range(60):
            bench.step()
            bench.chain.mine()
        bench.start()
    assert len(bench.chain.ledger.mined) == DENIED_AFTER_FAILURES
    assert all(bench.journal.is_settled(key) for key in keys)
    both = bench.decide(offer, honest)
    for _ in range(60):
        bench.step()
        bench.chain.mine()
    assert bench.chain.ledger.executed == [transfer_id_of(honest)], "it holds up nobody else"
    assert bench.journal.is_settled(both)


def test_what_failed_an_hour_ago_gets_another_try(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slippage passes; what a user changed since then must be found out."""
    offer = make_offer(valid_until_s=10**10)
    bench.chain.failing_when_paid.add(transfer_id_of(offer))
    bench.decide(offer)
    for _ in range(60):
        bench.step()
        bench.chain.mine()
    bench.chain.failing_when_paid.clear()
    later_s = time.time() + FAILURES_KEPT_S + 1
    monkeypatch.setattr("abci_app.bridge.journal.time.time", lambda: later_s)
    bench.decide(offer)
    for _ in range(5):
        bench.step()
        bench.chain.mine()
    assert bench.chain.ledger.executed == [transfer_id_of(offer)]


def test_it_pays_for_a_leaf_that_always_reverts_three_times_and_no_more(bench: Bench) -> None:
    key = bench.decide(make_offer(valid_until_s=10**10))
    for _ in range(100):
        bench.chain.batch_error = None
        bench.step()
        bench.chain.batch_error = "Systemic"
        bench.chain.mine()
    assert len(bench.chain.ledger.mined) == PAID_FAILURES_MAX
    assert bench.journal.is_settled(key)


def test_a_mined_revert_is_paid_for_again_only_after_a_pause(bench: Bench) -> None:
    bench.decide(make_offer())
    bench.step()
    bench.chain.batch_error = "Systemic"
    bench.chain.mine()
    bench.step()
    bench.chain.batch_error = None
    bench.step(3)
    assert len(bench.chain.sent) == 1
    bench.step(5)
    bench.chain.mine()
    bench.step()
    assert [one.nonce for one in bench.chain.ledger.mined] == [0, 1]
    assert len(bench.chain.ledger.executed) == 1


def test_no_money_is_logged_once_and_asked_for_now_and_then(bench: Bench) -> None:
    bench.chain.balances[bench.account.address] = 10**9
    for _ in range(3):
        bench.decide(make_offer())
    bench.step(10)
    assert bench.notices.is_standing("gas-money")
    assert bench.chain.calls.count("balance_wei") <= 3
    assert bench.chain.sent == []
    bench.chain.balances.clear()
    bench.step(30)
    assert len(bench.chain.sent) == 3
    assert not bench.notices.is_standing("gas-money")


def test_money_that_open_transactions_may_take_is_not_spent_twice(bench: Bench) -> None:
    bench.decide(make_offer())
    bench.step()
    [one] = bench.journal.open_nonces()
    bench.chain.balances[bench.account.address] = one.newest.gas * one.newest.fees.max_fee_wei * 3 // 2
    bench.decide(make_offer())
    bench.step(5)
    assert len(bench.chain.pool) == 1
    assert bench.notices.is_standing("gas-money")


def test_gas_above_the_cap_is_waited_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limits=Limits(1, 3, 10 * GWEI))
    bench.chain.base_fee_wei = 10 * GWEI
    bench.decide(make_offer())
    bench.step(5)
    assert bench.chain.sent == []
    assert bench.notices.is_standing("gas-price")
    bench.chain.base_fee_wei = 6 * GWEI
    bench.step()
    assert bench.chain.pool[0].max_fee_wei == 10 * GWEI  # twice the base fee would be above the cap


def test_turns_are_waited_for_and_others_work_is_seen(tmp_path: Path) -> None:
    others = tuple(Address(bytes([index]) * 20) for index in range(1, 200))
    bench = Bench(tmp_path)
    bench.turn = Turn(bench.account.address, (Address(bench.account.address), *others), 1.0)
    bench.start()
    offer = make_offer()
    key = bench.decide(offer)
    bench.step(3)
    assert bench.chain.sent == []
    bench.chain.ledger.statuses[transfer_id_of(offer)] = DestinationStatus.EXECUTED
    bench.step(20, seconds=1)
    assert bench.journal.is_settled(key)
    assert bench.chain.sent == []


@pytest.mark.parametrize("error", [RpcUnavailable("down"), RpcMalformed("junk")])
@pytest.mark.parametrize("method", [
    "head", "next_nonce", "balance_wei", "fees", "status", "validator_set", "simulate_batch", "simulate_entry", "send",
])
def test_a_call_that_fails_leaves_nothing_half_done(bench: Bench, method: str, error: Exception) -> None:
    def fail(name: str) -> None:
        if name == method:
            raise error

    offer = make_offer()
    bench.decide(offer)
    bench.chain.error = fail
    for _ in range(3):
        with pytest.raises(type(error)):
            bench.step()
    bench.chain.error = lambda name: None
    bench.step(3)
    bench.chain.mine()
    bench.step(2)
    assert bench.chain.ledger.executed == [transfer_id_of(offer)]
    assert [one.nonce for one in bench.chain.ledger.mined] == [0]
    assert bench.worker.is_idle


def test_numbers_that_no_chain_has_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would not fit the journal; a status that Connext does not have means nothing."""
    chain = EvmChain("http://127.0.0.1:1", PLACE)
    answers: dict[str, Any] = {
        "eth_getTransactionCount": hex(2**62),
        "eth_getBlockByNumber": {
            "number": hex(2**62), "hash": "0x" + "11" * 32, "parentHash": "0x" + "11" * 32, "timestamp": "0x1",
        },
    }
    monkeypatch.setattr(Rpc, "request", lambda self, method, params: answers[method])
    with pytest.raises(RpcMalformed, match="nonce"):
        chain.next_nonce(Address(bytes(20)))
    with pytest.raises(RpcMalformed, match="block"):
        chain.head()
    monkeypatch.setattr(EvmChain, "connext", Connext(Rpc("http://127.0.0.1:1"), b"\x01" * 20))
    monkeypatch.setattr(Rpc, "call", lambda self, to, data, **_: (9).to_bytes(32, "big"))
    with pytest.raises(DecodeFailed, match="DestinationStatus 9"):
        chain.status(bytes(32))


@pytest.mark.parametrize("corrupt", ["withheld", "forged"])
def test_a_node_that_corrupts_the_sequencers_signature_is_left(bench: Bench, corrupt: str) -> None:
    """A signature of any key says that it is of this key; what Connext wants is a validator's."""
    liar = FakeNode(bench.node.quorum)
    liar.stored = bench.node.stored
    stranger = Account(keccak(b"no validator"))

    def corrupted(answer: Any) -> Any:
        for entry in getattr(answer, "entries", ()):
            entry.sequencer = entry.sequencer_signature = b""
            if corrupt == "forged":
                digest = compute_sequencer_digest(entry.decision.transfer_id, list(entry.decision.routers))
                entry.sequencer, entry.sequencer_signature = stranger.address, stranger.sign_digest(digest)
        return answer

    liar.corrupt = corrupted
    offer = make_offer()
    bench.decide(offer)
    liar.height = bench.node.height
    bench.nodes.nodes = (liar, bench.node)
    with pytest.raises(Retryable, match="payload-refused"):
        bench.step()
    assert bench.chain.sent == []
    bench.step(12)
    bench.chain.mine()
    bench.step()
    assert bench.chain.ledger.executed == [transfer_id_of(offer)]


def test_a_dry_run_sends_nothing_and_settles_each_leaf_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, is_dry=True)
    for _ in range(3):
        bench.decide(make_offer())
    bench.step(20)
    assert bench.chain.sent == []
    assert bench.chain.calls.count("simulate_batch") == 3
    assert bench.worker.is_idle


def test_waiting_for_a_turn_asks_the_chain_seldom(tmp_path: Path) -> None:
    bench = Bench(tmp_path, poll_s=1.0)
    bench.turn = Turn(bench.account.address, tuple(Address(bytes([index]) * 20) for index in range(1, 200)), 1.0)
    bench.start()
    bench.decide(make_offer())
    bench.step(50)
    assert bench.chain.calls.count("head") <= 6


def test_a_restart_goes_on_where_it_was(bench: Bench) -> None:
    offers = [make_offer() for _ in range(5)]
    for offer in offers:
        bench.decide(offer)
        bench.step()
        bench.start()
    bench.chain.mine()
    bench.step()
    assert sorted(bench.chain.ledger.executed) == sorted(transfer_id_of(offer) for offer in offers)
    assert [one.nonce for one in bench.chain.ledger.mined] == [0, 1, 2, 3, 4]


def test_a_lost_journal_costs_no_second_payment(bench: Bench) -> None:
    offer = make_offer()
    bench.decide(offer)
    bench.step()
    bench.chain.mine()
    bench.journal.close()
    for path in bench.folder.glob("journal.sqlite*"):
        path.unlink()
    bench.start()
    bench.decide(make_offer())
    bench.step()
    bench.chain.mine()
    bench.step()
    assert [one.nonce for one in bench.chain.ledger.mined] == [0, 1]
    assert len(bench.chain.ledger.executed) == 2


def test_expired_leaves_are_settled_without_a_transaction(bench: Bench) -> None:
    offer = make_offer()
    late = replace(offer, valid_until_s=bench.chain.ledger.timestamp_s - 1)
    key = bench.decide(late)
    bench.step(2)
    assert bench.journal.is_settled(key)
    assert bench.chain.sent == []
