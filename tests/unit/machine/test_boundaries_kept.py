"""What is kept of queues, stubs, tombstones and limits, field by field: all of it is hashed."""

import pytest

from abci_app.machine.assignment.prune import PRUNED_PER_BLOCK_MAX
from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_transfer_id, hash_routers, keccak
from abci_app.machine.params import FeeRow, Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Hash, TransferId
from abci_app.machine.state.records import (
    Asset,
    ChainState,
    DecisionBatch,
    HeightEntry,
    Liquidity,
    Queue,
    Stub,
    Tombstone,
    Transfer,
    ValidatorSet,
)
from abci_app.machine.transactions.tx import encode_info_submission
from tests.kit.machine.driver import (
    CANONICAL_ID,
    LIQUIDITY,
    ROUTERS,
    A,
    B,
    Network,
    bundle,
    executed,
    local_of,
    reconciled,
    withdraw,
    xcalled,
)

R1, R2, R3, R4 = ROUTERS
PARAMS = Params(lease_s=30, slow_spacing_s=30)


# --- queues -----------------------------------------------------------------------------------------------------------


def test_the_queues_time_is_the_least_start_among_the_winners() -> None:
    """ASN-4: of two winners one stands far behind its charges; the next newcomer starts where the other did."""
    net = Network(PARAMS)
    net.assign(R1, amount=1000)
    net.assign(R2, amount=10)
    net.change(keys.liquidity(B, local_of(B), R3), Liquidity, balance=0)
    transfer_id = net.assign(R1, R2, lengths=(2,), amount=100)
    record = net.auction(transfer_id)
    assert net.must(keys.queue(B, local_of(B)), Queue).virtual == record.virtual_after
    starts = {each.router: max(record.virtual_before, each.finish) for each in record.candidates}
    assert record.virtual_after == min(starts.values()) == starts[R2] < starts[R1]


# --- when -------------------------------------------------------------------------------------------------------------


def test_a_waiting_transfer_does_not_wait_for_a_second_proposer() -> None:
    """ASN-1: its auction was open before."""
    net = Network(Params(lease_s=1, auction_extra_blocks=6))
    info = net.info()
    transfer_id = compute_transfer_id(info)
    net.block({A: [xcalled(info)]}, [bundle(transfer_id, R1)], proposer=0)
    net.block(proposer=1)
    net.block(txs=[withdraw(transfer_id, R1), bundle(transfer_id, R2)], proposer=1)
    net.change(keys.transfer(transfer_id), Transfer, accepted_height=net.height)  # as if no second one had been
    net.block(proposer=1, seconds=5)
    assert net.transfer(transfer_id).attempts[-1].routers == (R2,)


@pytest.mark.parametrize("max_routers, lengths, code", [
    (1, (1,), Code.INFEASIBLE_LIQUIDITY_SHORT),
    (0, (1,), Code.INFEASIBLE_NO_BID_FOR_PATH),
    (2, (2,), Code.INFEASIBLE_LIQUIDITY_SHORT),
    (1, (2,), Code.INFEASIBLE_NO_BID_FOR_PATH),
])
def test_a_failure_is_told_for_lengths_that_the_destination_takes(
    max_routers: int, lengths: tuple[int, ...], code: Code
) -> None:
    """ASN-5: the limit itself is one of them."""
    net = Network(PARAMS)
    transfer_id = net.accept(amount=10 * LIQUIDITY)
    net.run([bundle(transfer_id, R1, lengths=lengths)])  # no domain moves; the auction sees the limit below only later
    net.change(keys.domain(B), type(net.domain(B)), max_routers=max_routers)
    net.block()
    assert [candidate.code for candidate in net.auction(transfer_id).candidates] == [code]


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount, min_fast, status", [
    (0, 0, "SLOW"), (1, 0, "ACCEPTED"), (1, 1, "ACCEPTED"), (1, 2, "SLOW"),
])
def test_zero_is_slow_whatever_an_asset_allows(amount: int, min_fast: int, status: str) -> None:
    """LIM-2: there is nothing to front."""
    net = Network(PARAMS, min_fast=min_fast)
    assert net.status(net.accept(amount=amount)) == status


def test_an_asset_that_nobody_knows_is_slow() -> None:
    """LIM-2: not even its record is there."""
    net = Network(PARAMS)
    assert net.status(net.accept(canonical_id=Hash(keccak(b"another")))) == "SLOW"
    net.change(keys.asset(A, CANONICAL_ID), Asset, locals=())
    assert net.status(net.accept()) == "SLOW"


def test_a_fee_of_one_is_not_there_before_it_is_paid() -> None:
    """LIM-6: nothing paid in the row's asset is nothing."""
    net = Network(Params(fee_table=(FeeRow(A, B, R1, 1),)))
    transfer_id = net.assign(R1)
    assert net.status(transfer_id) == "ACCEPTED"


def test_one_byte_of_call_data_is_call_data() -> None:
    """LSE-7: a decision's gas depends on it."""
    net = Network(PARAMS)
    for length in (0, 1):
        transfer_id = net.assign(R1, call_data=bytes(length))
        assert net.transfer(transfer_id).has_call_data is bool(length)


def test_the_call_data_of_a_blocks_decisions_counts_in_its_leaves() -> None:
    """BAT-1: fifteen calls of 8 KiB are what a leaf holds; the sixteenth begins the next."""
    net = Network(PARAMS)
    infos = [net.info(call_data=bytes(8192)) for _ in range(16)]
    net.block({A: [xcalled(info) for info in infos[:8]]})
    txs = [bundle(compute_transfer_id(info), R1) for info in infos]
    net.block({A: [xcalled(info) for info in infos[8:]]})
    net.block(txs=txs)
    batch = net.batch(net.height)
    assert batch is not None
    assert [len(leaf.sequences) for leaf in batch.leaves] == [15, 1]


# --- stubs ------------------------------------------------------------------------------------------------------------


def test_a_stub_keeps_what_both_events_said() -> None:
    """LIM-4: and hands it to the transfer that takes its place."""
    net = Network(PARAMS)
    info = net.info(amount=777)
    transfer_id = compute_transfer_id(info)
    net.block({B: [reconciled(transfer_id, R2, amount=777)]})
    stub = net.must(keys.stub(transfer_id), Stub)
    assert (stub.executed, stub.reconciled, stub.executed_by) == (False, True, ())
    assert stub.reconciled_tx == keccak(b"reconcile" + transfer_id)
    net.block({B: [executed(transfer_id, R2, R1, amount=777)]})
    stub = net.must(keys.stub(transfer_id), Stub)
    assert (stub.executed, stub.reconciled, stub.executed_by) == (True, True, (R2, R1))
    net.block({A: [xcalled(info)]})
    transfer = net.transfer(transfer_id)
    assert (transfer.status.name, transfer.executed_by) == ("COMPLETED", (R2, R1))
    assert transfer.executed_tx == keccak(b"execute" + transfer_id)
    assert transfer.reconciled_tx == keccak(b"reconcile" + transfer_id)


def test_a_reconciled_stub_known_by_hash_only_is_not_due() -> None:
    """LIM-4, SLW-1: there is nothing to execute yet."""
    net = Network(PARAMS)
    info = net.info()
    transfer_id = compute_transfer_id(info)
    net.block({B: [reconciled(transfer_id)]})
    net.block({A: [xcalled(info, call_data_hash=Hash(bytes(31) + b"\1"), call_data_length=9000)]})
    transfer = net.transfer(transfer_id)
    assert (transfer.status.name, transfer.slow_next_s, transfer.attempts) == ("RECONCILED", 0, ())


def test_at_most_64_stubs_expire_in_a_block() -> None:
    """SLW-4: of one expiry, by id."""
    net = Network(Params(lease_s=30, stub_ttl_s=50))
    ids = [TransferId(bytes([number]) * 32) for number in range(1, PRUNED_PER_BLOCK_MAX + 4)]
    net.block({B: [reconciled(each) for each in ids]})
    net.block(seconds=51)
    assert [each for each in ids if net.read(keys.stub(each), Stub)] == ids[PRUNED_PER_BLOCK_MAX:]
    net.block()
    assert not [each for each in ids if net.read(keys.stub(each), Stub)]


# --- tombstones and what a drop leaves --------------------------------------------------------------------------------


def test_a_tombstone_grows_and_is_sorted() -> None:
    """LIM-5: an id that leaves the state a second time keeps every list that was ever decided for it."""
    net = Network(Params(lease_s=5, slow_ttl_s=20, attempts_max=3))
    info = net.info()
    transfer_id = compute_transfer_id(info)
    net.block({A: [xcalled(info)]}, [bundle(transfer_id, R1)])
    net.block()
    for gone, comes in ((R1, R2), (R2, R3)):
        net.block(txs=[withdraw(transfer_id, gone), bundle(transfer_id, comes)])
        net.block(seconds=6)
    net.block(seconds=6)
    net.block(seconds=21)
    fast = {hash_routers((router,)) for router in (R1, R2, R3)}
    assert net.must(keys.tombstone(transfer_id), Tombstone).router_lists == tuple(sorted(fast))

    net.block({B: [reconciled(transfer_id)]})
    net.block(txs=[encode_info_submission(info)])
    net.block()
    net.block(seconds=21)
    assert net.read(keys.transfer(transfer_id), Transfer) is None
    assert net.must(keys.tombstone(transfer_id), Tombstone).router_lists == tuple(sorted(fast | {hash_routers(())}))


def test_a_transfer_dropped_with_an_open_unattested_decision_leaves_nothing_behind() -> None:
    """SLW-4, LSE-6: its destination stands still for all of its time, and a third of the power signs nothing."""
    net = Network(Params(lease_s=10, slow_ttl_s=60, slow_attempts=1, stale_after_s=1000), signing=False)
    transfer_id = net.accept(amount=5)
    net.block({B: [reconciled(transfer_id, amount=5)]})
    height = net.height
    assert net.must(keys.unattested(height), HeightEntry).height == height
    net.block(seconds=61, idle=False)
    assert net.read(keys.transfer(transfer_id), Transfer) is None
    assert net.read(keys.batch(height), DecisionBatch) is None
    assert not [key for key in net.state.values if key.startswith((b"unattested/", b"lease/", b"decision/", b"drop/"))]
    net.wait(2)


# --- the chain's record -----------------------------------------------------------------------------------------------


def test_epochs_move_on_with_the_blocks() -> None:
    """COM-1, BAT-1: who votes on H+1 is not who executes it, once sets change."""
    net = Network(PARAMS)
    members = net.must(keys.epoch(1), ValidatorSet).members
    for epoch in (2, 3):
        net.change_or_write(keys.epoch(epoch), ValidatorSet(epoch, members))
    net.change(keys.CHAIN, ChainState, epoch_last=1, epoch_executing=2, epoch_next=3)
    net.run([])
    assert (net.chain.epoch_last, net.chain.epoch_executing, net.chain.epoch_next) == (2, 3, 3)
    net.run([])
    assert (net.chain.epoch_last, net.chain.epoch_executing, net.chain.epoch_next) == (3, 3, 3)
