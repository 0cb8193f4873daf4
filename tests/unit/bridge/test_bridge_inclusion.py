"""Every nonce ends: confirmed to a depth, replaced, cancelled, given up, opened again after a reorganisation."""

from pathlib import Path

import pytest

from abci_app.bridge.inclusion import FORGOTTEN_AFTER_S, TAKEN_AFTER_S, Limits
from abci_app.bridge.journal import SignedVariant
from abci_app.bridge.submitter import sign_variant
from abci_app.bridge.worker import PAID_FAILURES_MAX
from abci_app.evm.connext import DestinationStatus
from abci_app.evm.errors import RpcUnavailable
from abci_app.evm.types import Fees
from tests.kit.bridge.fake_gate_chain import GWEI, Pooled
from tests.kit.bridge.fake_node import transfer_id_of
from tests.kit.bridge.relay_kit import LEASE_S, Bench, make_offer


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def mined(bench: Bench) -> list[Pooled]:
    return bench.chain.ledger.mined


def test_one_batch_is_one_transaction(bench: Bench) -> None:
    key = bench.decide(make_offer(), make_offer(2))
    bench.step(3)
    bench.chain.mine()
    bench.step()
    assert (len(mined(bench)), len(bench.chain.ledger.executed)) == (1, 2)
    assert bench.journal.is_settled(key)
    assert bench.journal.open_nonces() == ()
    assert bench.worker.is_idle


@pytest.mark.parametrize("confirm_blocks", [1, 2, 5])
def test_it_counts_when_enough_blocks_hold_it(tmp_path: Path, confirm_blocks: int) -> None:
    bench = Bench(tmp_path, limits=Limits(confirm_blocks, 3, 500 * GWEI))
    key = bench.decide(make_offer())
    bench.step()
    for _ in range(confirm_blocks):
        assert not bench.journal.is_settled(key)
        bench.chain.mine()
        bench.step()
    assert bench.journal.is_settled(key)


def test_a_transaction_that_a_reorganisation_drops_is_sent_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limits=Limits(confirm_blocks=3, replace_blocks=2, max_fee_wei=500 * GWEI))
    offer = make_offer()
    key = bench.decide(offer)
    bench.step()
    bench.chain.mine()
    bench.step()
    bench.chain.take_back(1)
    for _ in range(3):
        bench.chain.mine(is_full=True)
        bench.step()
    bench.chain.mine(3)
    bench.step()
    assert bench.journal.is_settled(key)
    assert bench.chain.ledger.executed == [transfer_id_of(offer)]
    assert [one.nonce for one in mined(bench)] == [0]


def test_a_reorganisation_deeper_than_the_depth_opens_nonces_again(bench: Bench) -> None:
    bench.decide(make_offer())
    bench.step()
    bench.chain.mine()
    bench.step()
    bench.chain.take_back(1)
    bench.decide(make_offer())
    bench.step(3)
    assert bench.chain.pool == {}, "nothing new is sent while the endpoint is behind"
    bench.clock.now_s += FORGOTTEN_AFTER_S
    bench.step(3)
    assert sorted(bench.chain.pool) == [0, 1]
    bench.chain.mine()
    bench.step()
    assert [one.nonce for one in mined(bench)] == [0, 1]
    assert len(bench.chain.ledger.executed) == 2


def test_an_endpoint_that_lags_behind_our_own_nonces_is_only_waited_for(bench: Bench) -> None:
    bench.decide(make_offer())
    bench.step()
    bench.chain.mine()
    bench.step()
    nonces, bench.chain.ledger.nonces = bench.chain.ledger.nonces, {}
    bench.decide(make_offer())
    bench.step(3)
    assert bench.chain.pool == {}
    bench.chain.ledger.nonces = nonces
    bench.step()
    assert list(bench.chain.pool) == [1]


def test_what_blocks_pass_over_offers_more_each_time(bench: Bench) -> None:
    bench.decide(make_offer())
    bench.step()
    offers = [bench.chain.pool[0].max_fee_wei]
    for _ in range(4):
        bench.chain.mine(3, is_full=True)
        bench.step()
        offers.append(bench.chain.pool[0].max_fee_wei)
    assert all(9 * before < 8 * after for before, after in zip(offers, offers[1:], strict=False))
    bench.chain.mine()
    bench.step()
    assert len(mined(bench)) == 1
    assert bench.journal.open_nonces() == ()


def test_nothing_is_replaced_while_no_block_comes(bench: Bench) -> None:
    bench.decide(make_offer())
    bench.step(50, seconds=60)
    assert len(bench.chain.sent) == 1


def test_no_replacement_is_above_the_cap(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limits=Limits(1, 1, 4 * GWEI))
    bench.decide(make_offer())
    bench.step()
    for _ in range(8):
        bench.chain.mine(is_full=True)
        bench.step()
    assert bench.chain.pool[0].max_fee_wei <= 4 * GWEI
    assert bench.notices.is_standing("fee-cap")
    bench.chain.mine()
    bench.step()
    assert len(mined(bench)) == 1


def test_only_the_lowest_nonce_is_replaced(bench: Bench) -> None:
    for _ in range(3):
        bench.decide(make_offer())
    bench.step(3)
    before = {nonce: one.max_fee_wei for nonce, one in bench.chain.pool.items()}
    bench.chain.mine(3, is_full=True)
    bench.step()
    after = {nonce: one.max_fee_wei for nonce, one in bench.chain.pool.items()}
    assert after[0] > before[0]
    assert (after[1], after[2]) == (before[1], before[2])


@pytest.mark.parametrize("reason", ["expired", "executed"])
def test_what_is_stuck_and_of_no_use_is_cancelled(bench: Bench, reason: str) -> None:
    offer = make_offer()
    key = bench.decide(offer)
    bench.step()
    if reason == "expired":
        bench.chain.ledger.timestamp_s = offer.valid_until_s
    else:
        bench.chain.ledger.statuses[transfer_id_of(offer)] = DestinationStatus.EXECUTED
    bench.chain.mine(3, is_full=True)
    bench.step()
    assert (bench.chain.pool[0].to, bench.chain.pool[0].data) == (bench.account.address, b"")
    bench.chain.mine()
    bench.step()
    assert bench.journal.is_settled(key)
    assert bench.journal.open_nonces() == ()
    assert bench.chain.ledger.executed == []


def test_a_nonce_used_by_somebody_else_is_given_up_and_the_leaf_gets_another(bench: Bench) -> None:
    offer = make_offer()
    bench.decide(offer)
    bench.step()
    bench.chain.spend_nonce(bench.account.address)
    bench.step()
    assert len(bench.journal.open_nonces()) == 1, "a receipt may only be late"
    bench.step(2, seconds=TAKEN_AFTER_S)
    bench.step(2)
    bench.chain.mine()
    bench.step()
    assert [one.nonce for one in mined(bench)] == [1]
    assert bench.chain.ledger.executed == [transfer_id_of(offer)]


def test_however_often_somebody_takes_the_nonce_no_decision_is_given_up(bench: Bench) -> None:
    """Nothing was paid for those: a leaf is given up for what it costs, not for a thief."""
    offer = make_offer(valid_until_s=10**10)
    bench.decide(offer)
    for _ in range(PAID_FAILURES_MAX + 1):
        bench.step()
        bench.chain.spend_nonce(bench.account.address)
        bench.step()
        bench.step(3, seconds=TAKEN_AFTER_S)
    bench.step(3, seconds=TAKEN_AFTER_S)
    bench.chain.mine()
    bench.step()
    assert bench.chain.ledger.executed == [transfer_id_of(offer)]


def test_after_a_restart_what_was_signed_is_handed_over_as_it_was(bench: Bench) -> None:
    def die(name: str) -> None:
        if name == "send":
            raise KeyboardInterrupt

    bench.decide(make_offer())
    bench.chain.error = die
    with pytest.raises(KeyboardInterrupt):
        bench.step()
    [stored] = bench.journal.open_nonces()
    bench.chain.error = lambda name: None
    bench.start()
    bench.step()
    assert [one.raw for one in bench.chain.pool.values()] == [stored.newest.raw]
    bench.chain.mine()
    bench.step()
    assert (len(mined(bench)), bench.worker.is_idle) == (1, True)


def test_an_endpoint_that_loses_its_pool_gets_it_all_again(bench: Bench) -> None:
    for _ in range(3):
        bench.decide(make_offer())
    bench.step(3)
    bench.chain.pool.clear()
    bench.chain.mine(3)
    bench.step()
    assert sorted(bench.chain.pool) == [0, 1, 2]


def test_a_refused_transaction_is_offered_again_and_said_once(bench: Bench) -> None:
    bench.decide(make_offer())
    bench.chain.refusal = "insufficient funds for gas * price + value"
    bench.step(30)
    assert 2 <= len(bench.chain.sent) <= 5, "once a second, not ten times"
    assert bench.notices.is_standing("transaction-refused")
    bench.chain.refusal = None
    bench.step(12)
    bench.chain.mine()
    bench.step()
    assert len(mined(bench)) == 1
    assert not bench.notices.is_standing("transaction-refused")


def signed_then_dearer(bench: Bench) -> None:
    """A transaction that is signed and refused, because the base fee rose between the two."""
    def rise(name: str) -> None:
        if name == "send":
            bench.chain.base_fee_wei = 20 * GWEI

    bench.chain.is_strict, bench.chain.error = True, rise
    bench.step()
    bench.chain.error = lambda name: None
    assert bench.chain.pool == {} and len(bench.journal.open_nonces()) == 1


@pytest.mark.parametrize("is_restarted", [False, True])
def test_what_is_refused_below_the_base_fee_offers_more(bench: Bench, is_restarted: bool) -> None:
    """Such an endpoint would refuse the same bytes for ever, and with them every later nonce."""
    first, second = make_offer(), make_offer()
    bench.decide(first)
    signed_then_dearer(bench)
    if is_restarted:
        bench.start()
    bench.decide(second)
    for _ in range(3):
        bench.chain.mine()
        bench.step(2, seconds=1.0)
    assert bench.chain.pool[0].max_fee_wei >= bench.chain.base_fee_wei
    bench.chain.mine()
    bench.step(2)
    assert bench.chain.ledger.executed == [transfer_id_of(first), transfer_id_of(second)]


def test_what_is_refused_and_of_no_use_any_more_is_cancelled(bench: Bench) -> None:
    key = bench.decide(make_offer())
    bench.chain.refusal = "exceeds block gas limit"
    bench.step()
    bench.chain.mine(3, seconds=1)
    bench.step(2, seconds=1.0)
    assert len(bench.journal.open_nonces()[0].variants) == 1, "while it is of use it stays as it is"
    bench.chain.mine(3, seconds=LEASE_S)
    bench.step(2, seconds=1.0)
    bench.chain.refusal = None
    bench.step(12, seconds=1.0)
    assert (bench.chain.pool[0].to, bench.chain.pool[0].data) == (bench.account.address, b"")
    bench.chain.mine()
    bench.step()
    assert bench.journal.is_settled(key) and bench.journal.open_nonces() == ()


def test_without_money_for_it_a_cancellation_does_not_grow(bench: Bench) -> None:
    bench.decide(make_offer())
    bench.chain.refusal = "insufficient funds for gas * price + value"
    bench.step()
    for _ in range(6):
        bench.chain.mine(3, seconds=LEASE_S)
        bench.step(2, seconds=1.0)
    [stuck] = bench.journal.open_nonces()
    assert [variant.key is None for variant in stuck.variants] == [False, True]


def test_a_head_that_goes_back_starts_the_wait_anew(bench: Bench) -> None:
    """A chain that lost its blocks, or an endpoint that once invented a head: nothing waits for that height."""
    bench.decide(make_offer())
    bench.chain.ledger.number = 2**60
    bench.step()
    bench.chain.ledger.number = 50
    bench.chain.pool.clear()
    bench.step()
    bench.chain.mine(3)
    bench.step()
    assert list(bench.chain.pool) == [0]
    bench.chain.mine()
    bench.step()
    assert len(mined(bench)) == 1


def test_a_send_without_an_answer_is_repeated_not_renewed(bench: Bench) -> None:
    """Nobody knows whether it arrived; the same bytes again do no harm."""
    def fail(name: str) -> None:
        if name == "send":
            raise RpcUnavailable("timed out")

    bench.decide(make_offer())
    bench.chain.error = fail
    for _ in range(3):
        with pytest.raises(RpcUnavailable):
            bench.step()
    bench.chain.error = lambda name: None
    bench.step()
    bench.chain.mine()
    bench.step()
    assert (len(mined(bench)), bench.journal.next_nonce()) == (1, 1)


def test_a_gap_is_filled_with_a_cancellation(bench: Bench) -> None:
    """Nonces that the journal has never seen, below one that it has sent: nothing above would ever be mined."""
    bench.journal.sign(own_variant(bench, nonce=2))
    bench.decide(make_offer())
    bench.step(2)
    assert sorted(bench.chain.pool) == [0, 1, 2, 3]
    bench.chain.mine()
    bench.step()
    assert [one.nonce for one in mined(bench)] == [0, 1, 2, 3]
    assert bench.journal.open_nonces() == ()


def test_a_nonce_that_an_endpoint_invented_poisons_nothing(bench: Bench) -> None:
    """While it lies our transaction gets a number that is never reached; afterwards the leaf gets a real one."""
    offers = [make_offer(), make_offer()]
    bench.decide(offers[0])
    bench.step()
    honest = dict(bench.chain.ledger.nonces)
    bench.chain.ledger.nonces[bench.account.address] = 1_000_000
    bench.decide(offers[1])
    bench.step(5, seconds=3)
    assert max(one.nonce for one in bench.journal.open_nonces()) >= 1_000_000
    bench.chain.ledger.nonces = honest
    bench.step(40, seconds=2)
    assert [one.nonce for one in bench.journal.open_nonces()] == [0, 1]
    bench.chain.mine()
    bench.step()
    assert [one.nonce for one in mined(bench)] == [0, 1]
    assert sorted(bench.chain.ledger.executed) == sorted(map(transfer_id_of, offers))
    assert bench.journal.next_nonce() == 2


def test_a_receipt_that_an_endpoint_invented_is_found_out(bench: Bench) -> None:
    bench.decide(make_offer())
    bench.step()
    bench.chain.mine()
    invented = bench.chain.ledger
    bench.chain.take_back(1)
    real, bench.chain.ledger = bench.chain.ledger, invented
    bench.step()
    assert bench.journal.open_nonces() == ()
    bench.chain.ledger = real
    bench.decide(make_offer())
    bench.step(4, seconds=FORGOTTEN_AFTER_S / 2)
    bench.chain.mine()
    bench.step()
    assert [one.nonce for one in mined(bench)] == [0, 1]
    assert len(bench.chain.ledger.executed) == 2


def own_variant(bench: Bench, nonce: int) -> SignedVariant:
    return sign_variant(
        bench.sender, nonce=nonce, recipient=bench.account.address, calldata=b"", gas=21_000,
        fees=Fees(3 * GWEI, GWEI), key=None, valid_until_s=0, head_number=100,
    )
