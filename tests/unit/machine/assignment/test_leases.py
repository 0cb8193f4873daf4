"""LSE-1 to LSE-7, SLW-1 to SLW-4, LIM-3 to LIM-5: what time does to a transfer."""

import pytest

from abci_app.machine.assignment.attempts import ATTEMPTS_TOTAL_MAX, compute_gas_limit
from abci_app.machine.assignment.holds import get_lane_clock
from abci_app.machine.connext import hash_routers
from abci_app.machine.observation.stream import (
    DiamondCut,
    MaxRoutersPerTransferUpdated,
    RelayerFeesIncreased,
    RouterAdded,
    RouterAllowlistRemoved,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    RouterRemoved,
    SlippageUpdated,
)
from abci_app.machine.params import FeeRow, Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Hash, TransferId
from abci_app.machine.state.records import (
    AttemptEnd,
    DecisionBatch,
    DecisionKind,
    Domain,
    DomainStatus,
    Lane,
    Router,
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
PARAMS = Params(lease_s=30, slow_spacing_s=30)
FAST, SLOW = DecisionKind.FAST, DecisionKind.SLOW


# --- leases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_s, expected", [(-50, 30), (0, 30), (10, 40), (2**64, None)])
def test_valid_until(ahead_s, expected):
    """LSE-1: counted from block time or the destination's clock, whichever is later; the end of time still encodes."""
    net = Network(PARAMS)
    transfer_id = net.accept()
    clock_s = min(net.time_s + 1 + ahead_s, 2**64 - 1)
    net.block(txs=[bundle(transfer_id, R1)], clocks={B: clock_s})
    valid_until_s = net.transfer(transfer_id).attempts[0].valid_until_s
    assert valid_until_s == (net.time_s + expected if expected else 2**64 - 1)


RENEWALS = [
    ([], {}, "", True),
    ([RouterLiquidityRemoved(R1, local_of(B), LIQUIDITY - 1000)], {}, "", True),
    ([RouterLiquidityRemoved(R1, local_of(B), LIQUIDITY - 999)], {}, "", False),
    ([RouterLiquidityRemoved(R1, local_of(B), LIQUIDITY), RouterLiquidityAdded(R1, local_of(B), 1000)], {}, "", True),
    ([RouterRemoved(R1)], {}, "", False),
    ([RouterRemoved(R1), RouterAdded(R1)], {}, "", True),
    ([RouterRemoved(R1), RouterAllowlistRemoved(True)], {}, "", True),
    ([MaxRoutersPerTransferUpdated(0)], {}, "", False),
    ([MaxRoutersPerTransferUpdated(1)], {}, "", True),
    ([DiamondCut(Hash(b"\1" * 32))], {}, "", False),
    ([], {"eligible": False}, "", False),
    ([], {"cool_down_until": 10**6}, "", True),
    ([], {}, "withdraw", False),
]


@pytest.mark.parametrize("events, changes, tx, renewed", RENEWALS)
def test_when_an_attempt_is_renewed(events, changes, tx, renewed):
    """LSE-3, LSE-4, FLT-2: each condition on its own; a cool-down is none of them."""
    net = Network(PARAMS)
    transfer_id = net.assign(R1)
    net.block({B: events}, [withdraw(transfer_id, R1)] if tx else [])
    net.change(keys.router(B, R1), Router, **changes)
    net.let_lease_end()
    transfer = net.transfer(transfer_id)
    first = transfer.attempts[0]
    assert (first.end is AttemptEnd.RENEWED) == renewed
    assert first.charges == ()
    assert transfer.status.name == ("ASSIGNED" if renewed else "WAITING")
    assert net.liquidity_of(R1).reserved == (1000 if renewed else 0)


def test_renewal_of_a_path_is_of_the_whole_path():
    """LSE-3, LSE-4: one of two routers withdrew: no substitution, both are freed and all bids that stand are tried."""
    net = Network(PARAMS)
    amount = LIQUIDITY + 10
    transfer_id = net.assign(R1, R2, lengths=(2,), amount=amount)
    net.block(txs=[withdraw(transfer_id, R1), bundle(transfer_id, R3, R4, lengths=(2,))])
    tags = {router: net.tag_of(router) for router in ROUTERS}
    net.let_lease_end()
    transfer = net.transfer(transfer_id)
    assert sorted(transfer.attempts[1].routers) != sorted((R1, R2))
    assert R1 not in transfer.attempts[1].routers
    assert net.tag_of(R1) == tags[R1] > 0
    assert net.liquidity_of(R1).reserved == 0


def test_attempts_are_spent():
    """LSE-4: after ``attempts_max`` fast attempts SLOW, however they went."""
    net = Network(Params(lease_s=30, attempts_max=2))
    transfer_id = net.assign(R1, R2)
    winner, = net.transfer(transfer_id).attempts[0].routers
    net.change(keys.router(B, winner), Router, eligible=False)
    net.let_lease_end()
    assert len(net.transfer(transfer_id).attempts) == 2
    net.let_lease_end()
    transfer = net.transfer(transfer_id)
    assert (transfer.status.name, [a.end.name for a in transfer.attempts]) == ("SLOW", ["OVER", "OVER"])
    assert [net.tag_of(router) for router in (R1, R2)] == [0, 0]
    assert transfer.drop_after_s == net.time_s + net.params.slow_ttl_s


def test_a_lease_on_a_halted_clock_stands_still():
    """LSE-2: over is judged by the destination's cursor alone."""
    net = Network(Params(lease_s=30, stale_after_s=10**6))
    transfer_id = net.assign(R1)
    net.wait(5, seconds=1000, idle=False)
    assert net.transfer(transfer_id).attempts[-1].end is AttemptEnd.OPEN


@pytest.mark.parametrize("seconds, held", [(1800, False), (1801, True)])
def test_a_stale_destination_is_held(seconds, held):
    """LSE-6: strictly more than ``stale_after_s`` behind block time; the other direction is not."""
    net = Network(PARAMS)
    net.block()
    net.block({A: []}, seconds=seconds, clocks={A: net.time_s + seconds, B: net.time_s})
    assert net.must(keys.lane(A, B), Lane).held == held
    assert not net.must(keys.lane(B, A), Lane).held


def test_more_than_eight_live_unattested_batches_hold_every_lane():
    """LSE-6: live ones only; signatures release it."""
    net = Network(Params(lease_s=300), signing=False)
    ids = [net.assign(R1) for _ in range(9)]
    assert [net.status(each) for each in ids] == ["ASSIGNED"] * 9
    late = net.assign(R1)
    assert net.status(late) == "ACCEPTED"
    assert net.must(keys.lane(B, A), Lane).held
    net.block({B: [executed(ids[0], R1)]})
    assert net.status(late) == "ASSIGNED"
    assert not net.must(keys.lane(A, B), Lane).held
    later = net.assign(R1)
    assert net.status(later) == "ACCEPTED"
    net.signing = True
    net.block()
    assert net.status(later) == "ASSIGNED"


def test_the_lane_clock():
    """LSE-6: blocks less the held ones, over several holds."""
    net = Network(PARAMS)
    clocks = []
    for held in (0, 0, 1, 1, 0, 1, 0, 0):
        net.change(keys.domain(B), Domain, connext_paused=bool(held))
        net.block()
        clocks.append(get_lane_clock(net.delta, A, B, net.height))
    assert clocks == [1, 2, 3, 3, 3, 4, 4, 5]


@pytest.mark.parametrize("call_data, kind, attempt, routers, gas", [
    (False, FAST, 1, 1, 350_000), (False, FAST, 1, 2, 395_000), (False, FAST, 1, 4, 485_000),
    (False, FAST, 2, 1, 700_000), (False, FAST, 4, 4, 3_880_000), (True, FAST, 1, 1, 750_000),
    (True, FAST, 1, 2, 795_000), (True, FAST, 5, 1, 12_000_000), (True, FAST, 6, 1, 13_000_000),
    (False, SLOW, 1, 0, 350_000), (True, SLOW, 1, 0, 6_000_000), (True, SLOW, 4, 0, 6_000_000),
    (True, SLOW, 5, 0, 12_000_000), (False, SLOW, 255, 0, 13_000_000),
])
def test_gas_limits(call_data, kind, attempt, routers, gas):
    """LSE-7."""
    assert compute_gas_limit(Params(), call_data, kind, attempt, routers) == gas


@pytest.mark.parametrize("call_data, kind, attempt", [
    (True, FAST, 6), (True, SLOW, 6), (False, FAST, 7), (False, SLOW, 255),
])
def test_gas_never_exceeds_what_a_block_has_room_for(call_data, kind, attempt):
    """LSE-7: at most 13,000,000, however often it doubles."""
    assert compute_gas_limit(Params(), call_data, kind, attempt, 0) == 13_000_000


def test_attempts_in_vain_are_no_fault():
    """FLT-3: three leases without an execution: no fault, no cool-down; the router may bid and win elsewhere."""
    net = Network(PARAMS)
    net.assign(R1)
    for _ in range(3):
        net.let_lease_end()
    assert (net.router(R1).faults, net.router(R1).cool_down_until) == (0, 0)
    assert net.status(net.assign(R1)) == "ASSIGNED"


# --- slow attempts ---------------------------------------------------------------------------------------------------


def make_reconciled(net: Network) -> TransferId:
    transfer_id = net.accept(amount=5)
    net.block({B: [reconciled(transfer_id, amount=5)]})
    assert net.status(transfer_id) == "RECONCILED"
    return transfer_id


def test_slow_decisions_double_their_spacing():
    """SLW-1, SLW-2: at once, then after 1, 2, 4 … times the spacing, up to ``slow_attempts``."""
    net = Network(Params(lease_s=30, slow_spacing_s=10, slow_attempts=4))
    transfer_id = make_reconciled(net)
    start = net.height
    net.wait(100)
    heights = [attempt.decided_height - start for attempt in net.transfer(transfer_id).attempts]
    assert heights == [0, 10, 30, 70]
    assert net.transfer(transfer_id).slow_next_s == 0


def test_a_new_slow_decision_takes_the_place_of_one_that_is_open():
    """SLW-2: one open attempt at a time; the older decision may still be executed."""
    net = Network(Params(lease_s=100, slow_spacing_s=10))
    transfer_id = make_reconciled(net)
    net.wait(10)
    assert [attempt.end.name for attempt in net.transfer(transfer_id).attempts] == ["RENEWED", "OPEN"]
    net.block({B: [executed(transfer_id)]})
    transfer = net.transfer(transfer_id)
    assert [attempt.end.name for attempt in transfer.attempts] == ["RENEWED", "EXECUTED"]
    assert (transfer.status.name, transfer.slow_next_s, transfer.drop_after_s) == ("COMPLETED", 0, 0)
    net.wait(30)
    assert len(net.transfer(transfer_id).attempts) == 2


def test_an_open_slow_attempt_ends_with_its_lease():
    """LSE-2: reservations it has none, but a batch is live only while an attempt is open."""
    net = Network(Params(lease_s=5, slow_spacing_s=1000))
    transfer_id = make_reconciled(net)
    net.block(seconds=6)
    assert net.transfer(transfer_id).attempts[0].end is AttemptEnd.OVER
    assert net.status(transfer_id) == "RECONCILED"


def test_slow_decisions_wait_for_a_held_lane():
    """SLW-1, LSE-6: due, but nothing is decided while held."""
    net = Network(PARAMS)
    net.change(keys.lane(A, B), Lane, status=DomainStatus.PAUSED)
    transfer_id = net.accept(amount=5)
    net.block({B: [reconciled(transfer_id, amount=5)]})
    net.wait(3)
    assert net.transfer(transfer_id).attempts == ()
    net.change(keys.lane(A, B), Lane, status=DomainStatus.OPEN)
    net.block()
    assert len(net.transfer(transfer_id).attempts) == 1


def test_slow_decisions_need_their_fee():
    """LIM-6, SLW-3: a slow decision whose fee is short is not made; a paid fee starts them again."""
    row = FeeRow(A, B, R1, 10)
    net = Network(Params(lease_s=30, slow_spacing_s=10, fee_table=(row,)))
    transfer_id = make_reconciled(net)
    assert net.transfer(transfer_id).attempts == ()
    assert net.alarms() == ["slow decisions stopped"]
    net.block({A: [RelayerFeesIncreased(transfer_id, R1, 10)]})
    assert len(net.transfer(transfer_id).attempts) == 1


def test_attempts_of_one_transfer_are_bounded():
    """SLW-3: events that start slow attempts again cannot grow a record for ever."""
    net = Network(PARAMS)
    transfer_id = make_reconciled(net)
    before = net.transfer(transfer_id)
    for _ in range(ATTEMPTS_TOTAL_MAX + 5):
        net.block({B: [SlippageUpdated(transfer_id, 1)]}, idle=False)
    transfer = net.transfer(transfer_id)
    assert (len(before.attempts), len(transfer.attempts), transfer.slow_next_s) == (1, ATTEMPTS_TOTAL_MAX, 0)


# --- leaving the state -----------------------------------------------------------------------------------------------


def traces(net: Network, transfer_id: TransferId) -> list[bytes]:
    """Keys whose name or value mentions the transfer."""
    name, raw = transfer_id.hex().encode(), bytes(transfer_id)
    return [key for key, value in net.state.values.items() if name in key or raw in value]


@pytest.mark.parametrize("decided", [False, True])
def test_slow_and_reconciled_transfers_are_dropped(decided):
    """SLW-4, LIM-5: ``slow_ttl_s`` after the last decision or event; a tombstone stays where it was ever decided."""
    net = Network(Params(lease_s=30, slow_ttl_s=500, slow_attempts=1))
    transfer_id = make_reconciled(net) if decided else net.accept(amount=5)
    net.block({B: [SlippageUpdated(transfer_id, 1)]}, seconds=400)
    net.block(seconds=500)
    assert net.read(keys.transfer(transfer_id), Transfer) is not None
    net.block()
    assert traces(net, transfer_id) == ([keys.tombstone(transfer_id)] if decided else [])
    assert "dropped" in net.kinds()
    if decided:
        assert net.must(keys.tombstone(transfer_id), Tombstone).router_lists == (hash_routers(()),)


def test_a_dropped_transfer_that_reconciles_after_all_leaves_a_stub():
    """LIM-4, LIM-5: and one that is submitted and dropped once more adds to its tombstone."""
    net = Network(Params(lease_s=30, slow_ttl_s=500, attempts_max=1))
    transfer_id = net.assign(R1)
    net.let_lease_end()
    assert net.status(transfer_id) == "SLOW"
    net.block(seconds=501)
    assert net.read(keys.transfer(transfer_id), Transfer) is None
    first = net.must(keys.tombstone(transfer_id), Tombstone)
    assert first.router_lists == (hash_routers((R1,)),)
    net.block({B: [reconciled(transfer_id)]})
    assert keys.stub(transfer_id) in net.state.values


def test_at_most_64_a_block_are_pruned():
    """LIM-3."""
    net = Network(Params(lease_s=30, retention_blocks=1))
    infos = [net.info(amount=50) for _ in range(70)]
    ids = [xcalled(info).transfer_id for info in infos]
    done = [event for each in ids for event in (executed(each, R1, amount=50), reconciled(each, R1, amount=50))]
    net.block({A: [xcalled(info) for info in infos], B: done})
    assert {net.status(each) for each in ids} == {"COMPLETED"}
    net.block()
    assert sum(keys.transfer(each) in net.state.values for each in ids) == 6
    net.block()
    assert sum(keys.transfer(each) in net.state.values for each in ids) == 0


def test_batches_go_with_the_last_of_their_decisions():
    """LIM-3: a batch with one decision left stays."""
    net = Network(Params(lease_s=30, retention_blocks=5))
    infos = [net.info(), net.info()]
    first, second = (xcalled(info).transfer_id for info in infos)
    net.block({A: [xcalled(info) for info in infos]}, [bundle(first, R1), bundle(second, R1)])
    net.block()
    height = net.height
    assert net.batch(height) is not None
    net.block({B: [executed(first, R1), reconciled(first, R1)]})
    net.wait(5)
    assert net.read(keys.transfer(first), Transfer) is None
    assert net.read(keys.batch(height), DecisionBatch) is not None
    net.block({B: [executed(second, R1), reconciled(second, R1)]})
    net.wait(5)
    assert net.read(keys.batch(height), DecisionBatch) is None
    assert net.decisions() == []


def test_an_unattested_batch_of_pruned_transfers_leaves_no_mark():
    """LIM-3, LSE-6: nothing points at a batch that is gone."""
    net = Network(Params(lease_s=30, retention_blocks=2), signing=False)
    transfer_id = net.assign(R1)
    net.block({B: [executed(transfer_id, R1), reconciled(transfer_id, R1)]})
    net.wait(4)
    assert [key for key in net.state.values if key.startswith((b"batch/", b"unattested/"))] == []
