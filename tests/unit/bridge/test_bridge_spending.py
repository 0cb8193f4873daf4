"""What a relayer pays for: nothing twice, nothing too early, nothing that is over, nothing above the cap."""

from collections.abc import Callable
from pathlib import Path

import pytest

from abci_app.bridge.inclusion import Inclusion, Limits
from abci_app.bridge.leaves import LeafKey
from abci_app.bridge.submitter import Submitter, sign_variant
from abci_app.evm.types import Fees
from tests.kit.bridge.fake_gate_chain import GWEI
from tests.kit.bridge.fake_node import transfer_id_of
from tests.kit.bridge.relay_kit import Bench, make_offer

LIMITS = Limits(confirm_blocks=1, replace_blocks=3, max_fee_wei=500 * GWEI)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def look_after(bench: Bench, is_useful: Callable[[LeafKey], bool]) -> None:
    """One step of a new process that looks after the nonces of the journal, whatever the leaves are worth."""
    submitter = Submitter(bench.chain, bench.journal, bench.sender, is_dry=False)
    submitter.handed.update(one.newest.hash for one in bench.journal.open_nonces())
    inclusion = Inclusion(bench.chain, bench.journal, bench.sender, submitter, LIMITS, bench.notices, bench.clock)
    inclusion.step(bench.chain.head(), bench.chain.next_nonce(bench.account.address), is_useful)


def test_a_leaf_with_a_payout_that_failed_is_not_done(bench: Bench) -> None:
    """A receiver may refuse once and take later: the leaf is planned again while its lease runs."""
    good, bad = make_offer(), make_offer()
    bench.chain.failing_when_paid.add(transfer_id_of(bad))
    key = bench.decide(good, bad)
    bench.step()
    bench.chain.mine()
    bench.step()
    assert (bench.chain.ledger.executed, bench.journal.is_settled(key)) == ([transfer_id_of(good)], False)
    bench.chain.failing_when_paid.clear()
    bench.step(10, seconds=1.0)
    bench.chain.mine()
    bench.step()
    assert bench.chain.ledger.executed == [transfer_id_of(good), transfer_id_of(bad)]
    assert bench.journal.is_settled(key)


def test_a_replacement_is_in_the_journal_before_it_is_sent(bench: Bench) -> None:
    """A process that dies between the two finds it again, and its receipt is known for ours."""
    bench.decide(make_offer())
    bench.step()
    known: list[bool] = []

    def look(name: str) -> None:
        if name == "send":
            [one] = bench.journal.open_nonces()
            known.append(len(one.variants) == 2)

    bench.chain.error = look
    bench.chain.mine(3, is_full=True)
    bench.step()
    [one] = bench.journal.open_nonces()
    assert known == [True]
    assert bench.chain.pool[0].hash == one.newest.hash


def test_one_wait_is_one_replacement(bench: Bench) -> None:
    """It is sent once, not once a step, and the next one waits for as many blocks again."""
    bench.decide(make_offer())
    bench.step()
    bench.chain.mine(2, is_full=True)
    bench.step(3)
    assert len(bench.chain.sent) == 1
    bench.chain.mine(is_full=True)
    bench.step(3)
    assert len(bench.chain.sent) == 2
    bench.chain.mine(2, is_full=True)
    bench.step(3)
    assert len(bench.chain.sent) == 2


@pytest.mark.parametrize("left_s", [1, 0])
def test_a_replacement_past_its_lease_is_a_cancellation(bench: Bench, left_s: int) -> None:
    """Whatever the leaf seems to be worth: a gate takes nothing for it any more, and takes the gas all the same."""
    offer = make_offer()
    bench.decide(offer)
    bench.step()
    bench.chain.mine(3, is_full=True)
    bench.chain.ledger.timestamp_s = offer.valid_until_s - left_s
    look_after(bench, lambda key: True)
    [one] = bench.journal.open_nonces()
    assert (len(one.variants), one.newest.key is None) == (2, left_s == 0)


def test_a_gap_filler_is_not_above_the_cap(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limits=Limits(1, 3, 4 * GWEI))
    bench.journal.sign(sign_variant(
        bench.sender, nonce=1, recipient=bench.account.address, calldata=b"", gas=21_000,
        fees=Fees(3 * GWEI, GWEI), key=None, valid_until_s=0, head_number=100,
    ))
    bench.chain.base_fee_wei = 10 * GWEI
    bench.step()
    assert sorted(bench.chain.pool) == [0, 1]
    assert bench.chain.pool[0].max_fee_wei == 4 * GWEI
