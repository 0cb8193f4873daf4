"""Whole histories of a transfer through ``apply_block``, each ending in a status, balances and queue tags."""

import pytest

from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.observation.stream import (
    Event,
    LiquidityFeeNumeratorUpdated,
    Paused,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    Unpaused,
)
from abci_app.machine.params import CHARGE_SCALE, Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import TransferId
from abci_app.machine.state.records import (
    AttemptEnd,
    DecisionBatch,
    DecisionKind,
    Domain,
    DomainStatus,
    Lane,
    Tombstone,
    Transfer,
)
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

R1, R2, R3, R4 = ROUTERS
SHORT = Params(lease_s=30, slow_spacing_s=30)
CHARGE = 1000 * CHARGE_SCALE
"""Charge of the transfer that ``Network.info`` makes, one router."""


def ends(transfer: Transfer) -> list[str]:
    return [attempt.end.name for attempt in transfer.attempts]


def routers_of(transfer: Transfer) -> list[tuple[bytes, ...]]:
    return [attempt.routers for attempt in transfer.attempts]


def test_normal():
    """ASN-1, BAT-5: accepted at A, decided at A + 1, attested as soon as the votes on A + 1 are injected."""
    net = Network(SHORT)
    transfer_id = net.accept([])
    assert (net.height, net.status(transfer_id)) == (1, "ACCEPTED")
    net.block(txs=[bundle(transfer_id, R1)])
    assert net.status(transfer_id) == "ASSIGNED"
    assert net.must(keys.batch(2), DecisionBatch).attested_height == 0
    net.block()
    assert net.must(keys.batch(2), DecisionBatch).attested_height == 3

    net.block({B: [executed(transfer_id, R1)]})
    assert (net.status(transfer_id), net.liquidity_of(R1).balance) == ("EXECUTED", LIQUIDITY - 999)
    net.block({B: [reconciled(transfer_id, R1)]})
    transfer = net.transfer(transfer_id)
    assert (transfer.status.name, transfer.finished_height) == ("COMPLETED", net.height)
    assert net.liquidity_of(R1).balance == LIQUIDITY + 1
    assert net.tag_of(R1) == CHARGE
    assert ends(transfer) == ["EXECUTED"]


def test_an_early_bid_is_taken_in_the_block_that_accepts():
    """ORD-1, EVT-2: segments come before transactions, so a bid held back until now finds its transfer."""
    net = Network(SHORT)
    info = net.info()
    result = net.block({A: [xcalled(info)]}, [bundle(compute_transfer_id(info), R1)])
    assert [each.code for each in result.results] == [Code.OK] * 4
    net.block()
    assert net.status(compute_transfer_id(info)) == "ASSIGNED"


def test_all_relayers_down_for_one_lease():
    """LSE-2, LSE-3: nobody relayed; the attempt is renewed with the same router, reservation and charge."""
    net = Network(SHORT)
    transfer_id = net.assign(R1, R2)
    winner = net.transfer(transfer_id).attempts[0].routers
    net.let_lease_end()
    transfer = net.transfer(transfer_id)
    assert routers_of(transfer) == [winner, winner]
    assert ends(transfer) == ["RENEWED", "OPEN"]
    assert net.liquidity_of(winner[0]).reserved == 1000
    assert net.tag_of(winner[0]) == CHARGE
    assert "renewed" in net.kinds()
    assert net.batch(net.height) is not None
    net.block({B: [executed(transfer_id, *winner)]})
    assert net.status(transfer_id) == "EXECUTED"
    assert net.liquidity_of(winner[0]).reserved == 0


def test_liquidity_removed_after_winning():
    """FLT-1, LSE-4: the router is at fault, keeps its charge, and at the lease's end another one is chosen."""
    net = Network(SHORT)
    transfer_id = net.assign(R1)
    net.block(
        {B: [RouterLiquidityRemoved(R1, local_of(B), LIQUIDITY - 999)]}, [bundle(transfer_id, R2)]
    )
    assert net.liquidity_of(R1).at_fault
    assert net.router(R1).cool_down_until == net.height + SHORT.cool_down_blocks
    net.let_lease_end()
    transfer = net.transfer(transfer_id)
    assert routers_of(transfer) == [(R1,), (R2,)]
    assert ends(transfer) == ["OVER", "OPEN"]
    assert (net.tag_of(R1), net.liquidity_of(R1).reserved) == (CHARGE, 0)
    assert not net.liquidity_of(R1).at_fault


def test_reverting_receiver():
    """FLT-3: four attempts in vain cost the router nothing but time; the transfer goes SLOW, its message pays."""
    net = Network(SHORT)
    transfer_id = net.assign(R1)
    for _ in range(SHORT.attempts_max):
        net.let_lease_end()
    transfer = net.transfer(transfer_id)
    assert transfer.status.name == "SLOW"
    assert ends(transfer) == ["RENEWED", "RENEWED", "RENEWED", "OVER"]
    assert (net.tag_of(R1), net.liquidity_of(R1).reserved, net.router(R1).faults) == (0, 0, 0)
    net.block({B: [reconciled(transfer_id)]})
    transfer = net.transfer(transfer_id)
    assert (transfer.status.name, transfer.attempts[-1].kind) == ("RECONCILED", DecisionKind.SLOW)
    net.block({B: [executed(transfer_id)]})
    assert net.status(transfer_id) == "COMPLETED"


def test_an_older_attempt_executed():
    """EVT-3, ASN-6: attempt 2 is R2's when attempt 1 is executed: R1's charge is put back, R2's returned."""
    net = Network(SHORT)
    transfer_id = net.assign(R1)
    net.block(txs=[bundle(transfer_id, R2)])
    net.change(keys.router(B, R1), type(net.router(R1)), eligible=False)
    net.let_lease_end()
    assert routers_of(net.transfer(transfer_id)) == [(R1,), (R2,)]
    assert (net.tag_of(R1), net.tag_of(R2)) == (0, CHARGE)
    net.block({B: [executed(transfer_id, R1)]})
    transfer = net.transfer(transfer_id)
    assert (transfer.status.name, ends(transfer)) == ("EXECUTED", ["OVER", "EXECUTED"])
    assert (net.tag_of(R1), net.tag_of(R2)) == (CHARGE, 0)
    assert (net.liquidity_of(R1).balance, net.liquidity_of(R2).balance) == (LIQUIDITY - 999, LIQUIDITY)
    assert net.liquidity_of(R2).reserved == 0


def test_reconciled_while_assigned():
    """EVT-4, SLW-1: the attempt ends, its reservation and charge with it; a slow decision is made in the same block."""
    net = Network(SHORT)
    transfer_id = net.assign(R1)
    net.block({B: [reconciled(transfer_id)]})
    transfer = net.transfer(transfer_id)
    assert transfer.status.name == "RECONCILED"
    assert ends(transfer) == ["RECONCILED", "OPEN"]
    assert (transfer.attempts[1].kind, transfer.attempts[1].routers) == (DecisionKind.SLOW, ())
    assert (net.tag_of(R1), net.liquidity_of(R1).reserved) == (0, 0)
    assert net.liquidity_of(R1).balance == LIQUIDITY
    net.block({B: [executed(transfer_id)]})
    assert ends(net.transfer(transfer_id)) == ["RECONCILED", "EXECUTED"]
    assert net.status(transfer_id) == "COMPLETED"


def test_a_withdraw_before_renewal():
    """BID-5, LSE-4: no renewal without the router, nobody else bids: WAITING until one does. Its charge is kept."""
    net = Network(SHORT)
    transfer_id = net.assign(R1)
    net.block(txs=[withdraw(transfer_id, R1)])
    assert net.status(transfer_id) == "ASSIGNED"
    net.let_lease_end()
    assert net.status(transfer_id) == "WAITING"
    assert (net.tag_of(R1), net.liquidity_of(R1).reserved) == (CHARGE, 0)
    net.block(txs=[bundle(transfer_id, R2)])
    assert routers_of(net.transfer(transfer_id)) == [(R1,), (R2,)]


@pytest.mark.parametrize("fee, debit", [(9995, 999), (9500, 950), (10_000, 1000)])
def test_fee_numerator_changed_in_between(fee, debit):
    """LIQ-2: the debit is made with the fee of the Executed's place in the stream, and never exceeds the share."""
    net = Network(SHORT)
    transfer_id = net.assign(R1)
    before, after = LiquidityFeeNumeratorUpdated(fee), LiquidityFeeNumeratorUpdated(9999)
    events: list[Event] = [before, executed(transfer_id, R1), after]
    net.block({B: events})
    assert net.liquidity_of(R1).balance == LIQUIDITY - debit
    assert net.domain(B).fee_numerator == 9999
    assert net.alarms() == []


def test_held_and_released():
    """LSE-6, LSE-5: nothing is decided while Connext is paused, and the deadline stands still meanwhile."""
    net = Network(SHORT)
    net.block({B: [Paused()]})
    transfer_id = net.accept()
    net.block(txs=[bundle(transfer_id, R1)])
    net.wait(SHORT.decision_deadline_blocks + 5)
    assert net.status(transfer_id) == "ACCEPTED"
    lane = net.must(keys.lane(A, B), Lane)
    assert (lane.held, lane.held_since) == (True, 1)
    assert not net.must(keys.lane(B, A), Lane).held
    net.block({B: [Unpaused()]})
    assert net.status(transfer_id) == "ASSIGNED"
    lane = net.must(keys.lane(A, B), Lane)
    assert (lane.held, lane.held_blocks) == (False, net.height - 1)


def test_held_while_assigned():
    """LSE-6, LSE-4: an attempt on a held lane still ends; it is not renewed; its time to wait begins when released."""
    net = Network(SHORT)
    transfer_id = net.assign(R1)
    net.block({B: [Paused()]})
    net.let_lease_end()
    assert (net.status(transfer_id), net.liquidity_of(R1).reserved, net.tag_of(R1)) == ("WAITING", 0, 0)
    net.wait(5)
    assert net.status(transfer_id) == "WAITING"
    net.block({B: [Unpaused()]})
    transfer = net.transfer(transfer_id)
    assert (transfer.status.name, routers_of(transfer)) == ("ASSIGNED", [(R1,), (R1,)])


@pytest.mark.parametrize("status", [DomainStatus.PAUSED, DomainStatus.HALTED])
def test_a_lane_by_its_own_status(status):
    """LSE-6: a lane, or either of its domains, that is not open holds it."""
    for key, cls in ((keys.lane(A, B), Lane), (keys.domain(A), Domain), (keys.domain(B), Domain)):
        net = Network(SHORT)
        transfer_id = net.accept()
        net.change(key, cls, status=status)
        net.block(txs=[bundle(transfer_id, R1)], idle=False)
        net.wait(2, idle=False)
        assert net.status(transfer_id) == "ACCEPTED"
        net.change(key, cls, status=DomainStatus.OPEN)
        net.block()
        assert net.status(transfer_id) == "ASSIGNED"


def test_slow_by_deadline_then_executed_from_outside():
    """LSE-5, EVT-3: nobody bids up to the deadline: SLOW; an execution is believed all the same."""
    net = Network(SHORT)
    transfer_id = net.accept()
    net.wait(SHORT.decision_deadline_blocks - 1)
    assert net.status(transfer_id) == "ACCEPTED"
    net.block()
    assert net.status(transfer_id) == "SLOW"
    result = net.block(txs=[bundle(transfer_id, R1)])
    assert result.results[-1].code is Code.TRANSFER_SLOW
    net.block({B: [executed(transfer_id, R1)]})
    assert net.status(transfer_id) == "EXECUTED"


def test_waiting_ends_in_slow():
    """LSE-5: a WAITING transfer has ``waiting_blocks`` on its lane's clock."""
    params = Params(lease_s=30, waiting_blocks=5)
    net = Network(params)
    transfer_id = net.assign(R1)
    net.block(txs=[withdraw(transfer_id, R1)])
    net.let_lease_end()
    net.wait(4)
    assert net.status(transfer_id) == "WAITING"
    net.block()
    assert net.status(transfer_id) == "SLOW"


def test_two_routers_share_one_transfer():
    """ASN-2, ASN-3: 1.5 × what any router holds goes to two: ⌊A/2⌋ + 1 reserved, what Connext takes debited."""
    net = Network(SHORT)
    amount = LIQUIDITY * 3 // 2 + 1
    transfer_id = net.assign(R1, R2, R3, lengths=(1, 2), amount=amount)
    attempt = net.transfer(transfer_id).attempts[0]
    assert (len(attempt.routers), attempt.share) == (2, amount // 2 + 1)
    net.block({B: [executed(transfer_id, *attempt.routers, amount=amount)]})
    to_swap = amount * 9995 // 10_000
    first, second = (LIQUIDITY - net.liquidity_of(router).balance for router in attempt.routers)
    assert (first, second) == (to_swap // 2, to_swap // 2 + to_swap % 2)
    net.block({B: [reconciled(transfer_id, *attempt.routers, amount=amount)]})
    assert net.status(transfer_id) == "COMPLETED"


def test_four_routers_share_one_transfer():
    """ASN-2: with 2 not enough, 4 do."""
    net = Network(SHORT)
    transfer_id = net.assign(*ROUTERS, lengths=(1, 2, 4), amount=LIQUIDITY * 3)
    assert sorted(net.transfer(transfer_id).attempts[0].routers) == sorted(ROUTERS)
    assert net.auction(transfer_id).path_length == 4


def test_completed_transfers_are_pruned():
    """LIM-3, LIM-5: after the retention nothing but a tombstone is left."""
    net = Network(Params(lease_s=30, retention_blocks=3))
    untouched = len(net.state.values)
    transfer_id = net.assign(R1)
    net.block({B: [executed(transfer_id, R1)]})
    net.block({B: [reconciled(transfer_id, R1)]})
    net.wait(2)
    assert net.status(transfer_id) == "COMPLETED"
    net.block()
    left = [key for key in net.state.values if transfer_id.hex().encode() in key]
    assert left == [keys.tombstone(transfer_id)]
    assert len(net.must(keys.tombstone(transfer_id), Tombstone).router_lists) == 1
    # One tombstone, one queue and one tag more than at first: no decision, batch or index is left behind.
    assert len(net.state.values) == untouched + 3


def test_topping_up_ends_a_fault():
    """FLT-1: one fault per asset until the balance covers what is reserved again."""
    net = Network(SHORT)
    net.assign(R1)
    removed = RouterLiquidityRemoved(R1, local_of(B), LIQUIDITY - 500)
    net.block({B: [removed, RouterLiquidityRemoved(R1, local_of(B), 100)]})
    assert net.router(R1).faults == 1
    net.block({B: [RouterLiquidityAdded(R1, local_of(B), 600)]})
    assert not net.liquidity_of(R1).at_fault
    net.block({B: [RouterLiquidityRemoved(R1, local_of(B), 1)]})
    assert net.router(R1).faults == 2
    assert net.router(R1).cool_down_until == net.height + 2 * SHORT.cool_down_blocks


def test_decisions_are_numbered_without_gaps():
    """ORD-2: one counter for all, one per lane, in the order of decisions."""
    net = Network(SHORT)
    infos = [net.info(A, B), net.info(B, A), net.info(A, B)]
    ids = [compute_transfer_id(info) for info in infos]
    net.block({A: [xcalled(infos[0]), xcalled(infos[2])], B: [xcalled(infos[1])]}, [bundle(i, R1) for i in ids])
    net.block()
    net.let_lease_end()
    decisions = net.decisions()
    assert [decision.sequence for decision in decisions] == [1, 2, 3, 4, 5, 6]
    assert [d.lane_sequence for d in decisions if d.origin == A] == [1, 2, 3, 4]
    assert [d.lane_sequence for d in decisions if d.origin == B] == [1, 2]
    assert net.chain.next_sequence == 7


def test_acceptance_numbers_are_one_counter():
    """ORD-3: over all domains, in the order of segments and events."""
    net = Network(SHORT)
    infos = [net.info(A, B), net.info(B, A), net.info(A, B)]
    net.block({A: [xcalled(infos[0]), xcalled(infos[2])], B: [xcalled(infos[1])]})
    order = [net.transfer(compute_transfer_id(info)).acceptance for info in infos]
    assert order == [1, 3, 2]
    assert net.chain.next_acceptance == 4


def test_an_attempt_over_by_a_second_is_not_over_at_its_last():
    """LSE-1, LSE-2: over means strictly later than valid_until, on the destination's clock, not on ours."""
    net = Network(SHORT)
    transfer_id: TransferId = net.assign(R1)
    valid_until_s = net.transfer(transfer_id).attempts[0].valid_until_s
    assert valid_until_s == net.time_s + SHORT.lease_s
    net.block(seconds=100, clocks={B: valid_until_s})
    assert net.transfer(transfer_id).attempts[-1].end is AttemptEnd.OPEN
    assert len(net.transfer(transfer_id).attempts) == 1
    net.block(clocks={B: valid_until_s + 1})
    assert len(net.transfer(transfer_id).attempts) == 2
