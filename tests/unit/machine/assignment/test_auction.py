"""ASN-1 to ASN-6 and LIM-6: when an auction is due, who is feasible, who wins, and what is recorded."""

from dataclasses import replace

import pytest

from abci_app.machine.assignment.auction import compute_assignment, compute_feasibility, is_auction_due
from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_debits, compute_share, keccak
from abci_app.machine.observation.stream import (
    MaxRoutersPerTransferUpdated,
    RelayerFeesIncreased,
    RouterAllowlistRemoved,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    RouterRemoved,
)
from abci_app.machine.params import CHARGE_SCALE, FeeRow, Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address
from abci_app.machine.state.records import Auction, Candidate, QueueTag, Router
from tests.kit.machine.driver import (
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
from tests.kit.machine.small_world import valid_transfer

R1, R2, R3, R4 = ROUTERS
PARAMS = Params(lease_s=30)
P1, P2 = Address(b"\1" * 20), Address(b"\2" * 20)


# --- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("age, proposers, alone, due", [
    (0, (P2, P1), False, False),
    (0, (P1,), True, False),
    (1, (P1, P2), False, True),
    (1, (P1, P1), False, False),
    (1, (P1, P1), True, True),
    (1, (P2, P1, P1), False, False),
    (2, (P1, P1, P1), False, False),
    (2, (P1, P1, P2), False, True),
    (3, (P1, P1, P1, P1), False, True),
    (9, (P1,) * 8, False, True),
])
def test_when_an_auction_is_due(age, proposers, alone, due):
    """ASN-1: after the window, once two proposers had their chance, at the latest ``auction_extra_blocks`` later."""
    transfer = replace(valid_transfer(), accepted_height=5)
    assert is_auction_due(Params(), 5 + age, transfer, proposers, alone) == due


def test_a_waiting_transfer_is_always_due():
    """ASN-1."""
    net = Network(PARAMS)
    transfer_id = net.assign(R1)
    net.block(txs=[withdraw(transfer_id, R1)])
    net.let_lease_end()
    assert net.status(transfer_id) == "WAITING"
    net.block(txs=[bundle(transfer_id, R2)], proposer=0)
    assert net.status(transfer_id) == "ASSIGNED"


def test_one_proposer_alone_keeps_the_auction_open_for_a_while():
    """ASN-1: with w = 1 and 2 extra blocks, decided at A + 3 at the latest."""
    net = Network(PARAMS)
    info = net.info()
    net.block({A: [xcalled(info)]}, proposer=1)
    transfer_id = xcalled(info).transfer_id
    net.block(txs=[bundle(transfer_id, R1)], proposer=1)
    net.block(proposer=1)
    assert net.status(transfer_id) == "ACCEPTED"
    net.block(proposer=1)
    assert net.status(transfer_id) == "ASSIGNED"


def test_a_single_validator_waits_for_nobody():
    """ASN-1."""
    net = Network(PARAMS, powers=(1,))
    transfer_id = net.assign(R1)
    assert (net.height, net.status(transfer_id)) == (2, "ASSIGNED")


# --- who is feasible -------------------------------------------------------------------------------------------------

GOOD = Candidate(
    router=R1, path_lengths=(1,), approved=True, eligible=True, cool_down_until=0, withdrawn=False, balance=100,
    reserved=0, finish=0, weight=1, code=0,
)


@pytest.mark.parametrize("change, code", [
    ({}, Code.OK),
    ({"path_lengths": (2, 4)}, Code.INFEASIBLE_NO_BID_FOR_PATH),
    ({"path_lengths": ()}, Code.INFEASIBLE_NO_BID_FOR_PATH),
    ({"withdrawn": True}, Code.INFEASIBLE_WITHDRAWN),
    ({"approved": False}, Code.INFEASIBLE_NOT_APPROVED),
    ({"eligible": False}, Code.INFEASIBLE_NOT_ELIGIBLE),
    ({"cool_down_until": 51}, Code.INFEASIBLE_COOLING_DOWN),
    ({"cool_down_until": 50}, Code.OK),
    ({"balance": 99}, Code.INFEASIBLE_LIQUIDITY_SHORT),
    ({"balance": 150, "reserved": 51}, Code.INFEASIBLE_LIQUIDITY_SHORT),
    ({"balance": 10, "reserved": 50}, Code.INFEASIBLE_LIQUIDITY_SHORT),
    ({"balance": 150, "reserved": 50}, Code.OK),
    ({"path_lengths": (2,), "withdrawn": True, "approved": False}, Code.INFEASIBLE_NO_BID_FOR_PATH),
    ({"withdrawn": True, "approved": False, "eligible": False}, Code.INFEASIBLE_WITHDRAWN),
    ({"approved": False, "eligible": False, "balance": 0}, Code.INFEASIBLE_NOT_APPROVED),
    ({"eligible": False, "cool_down_until": 99}, Code.INFEASIBLE_NOT_ELIGIBLE),
    ({"cool_down_until": 99, "balance": 0}, Code.INFEASIBLE_COOLING_DOWN),
])
def test_feasibility(change, code):
    """ASN-2: the first reason in this order."""
    assert compute_feasibility(50, replace(GOOD, **change), 1, 100) is code


@pytest.mark.parametrize("max_routers, lengths, path", [
    (5, [(1, 2, 4)] * 4, 2), (5, [(1, 4)] * 4, 4), (4, [(4,)] * 4, 4), (3, [(4,)] * 4, 0), (1, [(1, 2, 4)] * 4, 0),
    (5, [(2,)], 0), (5, [(4,)] * 3, 0), (5, [(2,), (4,), (4,), (4,)], 0), (0, [(1,)] * 4, 0),
])
def test_the_first_path_length_with_enough_routers_decides(max_routers, lengths, path):
    """ASN-2: 1, 2, 4, at most ``max_routers``; a signature of one length does not stand in for another."""
    candidates = [
        replace(GOOD, router=router, path_lengths=each, balance=60)
        for router, each in zip(ROUTERS, lengths, strict=False)
    ]
    transfer = replace(valid_transfer(), amount=100)
    result = compute_assignment(50, transfer, max_routers, 0, candidates)
    assert (result.path_length, len(result.winners)) == (path, path)
    assert len({winner.router for winner in result.winners}) == path


@pytest.mark.parametrize("amount, count, share", [
    (100, 1, 100), (100, 2, 51), (101, 2, 51), (100, 4, 28), (103, 4, 28), (1, 4, 3), (0, 2, 1),
])
def test_shares_bound_every_debit(amount, count, share):
    """ASN-3: for every position and every fee numerator up to 10,000."""
    assert compute_share(amount, count) == share
    for fee in (0, 1, 9995, 10_000):
        assert max(compute_debits(amount, count, fee)) <= share


@pytest.mark.parametrize("events, changes, withdrawn, code", [
    ([RouterLiquidityRemoved(R1, local_of(B), LIQUIDITY - 999)], {}, False, Code.INFEASIBLE_LIQUIDITY_SHORT),
    ([RouterRemoved(R1)], {}, False, Code.INFEASIBLE_NOT_APPROVED),
    ([MaxRoutersPerTransferUpdated(0)], {}, False, Code.INFEASIBLE_NO_BID_FOR_PATH),
    ([], {"eligible": False}, False, Code.INFEASIBLE_NOT_ELIGIBLE),
    ([], {"cool_down_until": 10**6}, False, Code.INFEASIBLE_COOLING_DOWN),
    ([], {}, True, Code.INFEASIBLE_WITHDRAWN),
])
def test_why_nobody_was_feasible_is_recorded(events, changes, withdrawn, code):
    """ASN-2, ASN-5: the bid was taken; the auction names it infeasible, with its own code."""
    net = Network(PARAMS)
    info = net.info()
    transfer_id = xcalled(info).transfer_id
    txs = [bundle(transfer_id, R1), *([withdraw(transfer_id, R1)] if withdrawn else [])]
    result = net.block({A: [xcalled(info)]}, txs)
    assert [each.code for each in result.results[-len(txs):]] == [Code.OK] * len(txs)
    net.change(keys.router(B, R1), Router, **changes)
    net.block({B: events})
    assert net.status(transfer_id) == "ACCEPTED"
    record = net.auction(transfer_id)
    assert (record.path_length, record.winners, record.share) == (0, (), 0)
    assert [(each.router, each.code) for each in record.candidates] == [(R1, code)]


def test_a_failure_is_rewritten_only_when_a_reason_changes():
    """ASN-5: a transfer that waits does not write at every block; once assigned, the record is the assignment's."""
    net = Network(PARAMS, liquidity=10)
    transfer_id = net.accept()
    net.block(txs=[bundle(transfer_id, R1)])
    first = net.auction(transfer_id)
    net.block()
    assert net.auction(transfer_id) == first
    net.block(txs=[bundle(transfer_id, R2)])
    assert [each.router for each in net.auction(transfer_id).candidates] == sorted([R1, R2])
    net.block({B: [RouterLiquidityAdded(R2, local_of(B), 5000)]})
    record = net.auction(transfer_id)
    assert (record.path_length, record.winners[0].router, record.height) == (1, R2, net.height)


def test_the_allowlist_off_needs_no_approval():
    """ASN-2: approved on the destination, or the allowlist is off."""
    net = Network(PARAMS)
    net.block({B: [RouterRemoved(R1), RouterAllowlistRemoved(True)]})
    assert net.transfer(net.assign(R1)).status.name == "ASSIGNED"


# --- what is recorded ------------------------------------------------------------------------------------------------


def recompute(record: Auction) -> list[tuple[Address, int]]:
    """Winners and charges from an Auction record alone, as anyone can do it."""
    for count in (1, 2, 4):
        if count > record.max_routers:
            continue
        share = record.amount if count == 1 else record.amount // count + count - 1
        feasible = [
            each for each in record.candidates
            if count in each.path_lengths and not each.withdrawn and each.approved and each.eligible
            and record.height >= each.cool_down_until and each.balance - each.reserved >= share
        ]
        if len(feasible) >= count:
            starts = {each.router: max(record.virtual_before, each.finish) for each in feasible}
            order = sorted(feasible, key=lambda e: (starts[e.router], keccak(record.transfer_id + e.router)))[:count]
            assert record.virtual_after == min(starts[each.router] for each in order)
            return [(each.router, share * 2**32 // each.weight) for each in order]
    return []


@pytest.mark.parametrize("cool_down_until, paths", [(0, {1, 2, 4}), (12, {0, 1, 2})])
def test_the_winners_can_be_recomputed_from_the_record(cool_down_until, paths):
    """ASN-5: over a run of auctions of all path lengths, with losers of every kind."""
    net = Network(PARAMS)
    net.change(keys.router(B, R4), Router, cool_down_until=cool_down_until)
    seen = set()
    for number in range(12):
        amount = (1000, LIQUIDITY + 500_000, 3 * LIQUIDITY)[number % 3]
        transfer_id = net.assign(*ROUTERS, lengths=(1, 2, 4), amount=amount)
        record = net.auction(transfer_id)
        assert recompute(record) == [(each.router, each.amount) for each in record.winners]
        seen.add(record.path_length)
        routers = net.transfer(transfer_id).attempts[0].routers if record.winners else ()
        assert routers == tuple(each.router for each in record.winners)
        if record.winners:
            losers = {Code(each.code) for each in record.candidates if each.code}
            assert losers <= {
                Code.INFEASIBLE_LOST, Code.INFEASIBLE_COOLING_DOWN, Code.INFEASIBLE_LIQUIDITY_SHORT,
                Code.INFEASIBLE_NO_BID_FOR_PATH,
            }
        if record.winners:
            net.block({B: [
                executed(transfer_id, *routers, amount=amount), reconciled(transfer_id, *routers, amount=amount)
            ]})
    assert seen == paths


def test_auctions_see_the_reservations_of_those_before():
    """ORD-1, LIQ-1: two transfers in one block, liquidity for one: the earlier acceptance number has it."""
    net = Network(PARAMS)
    infos = [net.info(amount=LIQUIDITY), net.info(amount=LIQUIDITY)]
    ids = [xcalled(info).transfer_id for info in infos]
    net.block({A: [xcalled(info) for info in infos]}, [bundle(each, R1) for each in ids])
    net.block()
    assert [net.status(each) for each in ids] == ["ASSIGNED", "ACCEPTED"]
    assert net.liquidity_of(R1).reserved == LIQUIDITY
    assert net.auction(ids[1]).candidates[0].reserved == LIQUIDITY


def test_weights_share_in_proportion():
    """ASN-4: weight 3 serves three times as much as weight 1."""
    net = Network(PARAMS)
    net.change_or_write(keys.queue_tag(B, local_of(B), R1), QueueTag(0, 3))
    won = [net.transfer(net.assign(R1, R2)).attempts[0].routers[0] for _ in range(12)]
    assert (won.count(R1), won.count(R2)) == (9, 3)


def test_queues_are_per_destination():
    """ASN-4: what a router serves there does not count here."""
    net = Network(PARAMS)
    net.assign(R1)
    assert net.tag_of(R1) == 1000 * CHARGE_SCALE
    assert net.tag_of(R1, A) == 0


# --- fees and charges ------------------------------------------------------------------------------------------------


def test_the_fee_table():
    """LIM-6: attempt k needs k times the row, in the asset of at least one row; other lanes need nothing."""
    token = Address(b"\xfe" * 20)
    rows = (FeeRow(A, B, token, 10), FeeRow(A, B, Address(b"\xfd" * 20), 3))
    net = Network(Params(lease_s=30, fee_table=rows))
    transfer_id = net.accept()
    net.block({A: [RelayerFeesIncreased(transfer_id, token, 9)]}, [bundle(transfer_id, R1)])
    net.wait(2)
    assert net.status(transfer_id) == "ACCEPTED"
    net.block({A: [RelayerFeesIncreased(transfer_id, token, 1)]})
    assert net.status(transfer_id) == "ASSIGNED"
    net.let_lease_end()
    assert net.status(transfer_id) == "WAITING"
    net.block({A: [RelayerFeesIncreased(transfer_id, rows[1].asset, 6)]})
    transfer = net.transfer(transfer_id)
    assert (transfer.status.name, len(transfer.attempts)) == ("ASSIGNED", 2)
    assert net.transfer(net.assign(R1, origin=B, destination=A)).status.name == "ASSIGNED"


def test_a_router_charged_again_has_nothing_to_be_put_back():
    """ASN-6: returned at the first end, charged at the second assignment, kept by its Executed: charged once."""
    net = Network(PARAMS)
    transfer_id = net.assign(R1)
    net.change(keys.router(B, R1), Router, eligible=False)
    net.let_lease_end()
    assert (net.status(transfer_id), net.tag_of(R1)) == ("WAITING", 0)
    assert len(net.transfer(transfer_id).returned) == 1
    net.change(keys.router(B, R1), Router, eligible=True)
    net.block()
    assert net.transfer(transfer_id).returned == ()
    net.block({B: [executed(transfer_id, R1)]})
    assert net.tag_of(R1) == 1000 * CHARGE_SCALE


def test_destinations_have_their_own_max_routers():
    """ASN-2."""
    net = Network(PARAMS)
    net.block({B: [MaxRoutersPerTransferUpdated(1)]})
    transfer_id = net.accept(amount=LIQUIDITY + 1)
    codes = net.block(txs=[bundle(transfer_id, R1, R2, lengths=(1, 2))]).results[-1]
    assert codes.code is Code.PATH_LENGTH_ABOVE_MAX
    back = net.accept(origin=B, destination=A, amount=LIQUIDITY + 1)
    assert net.block(txs=[bundle(back, R1, R2, lengths=(1, 2))]).results[-1].code is Code.OK
    assert (net.status(transfer_id), net.status(back)) == ("ACCEPTED", "ASSIGNED")
