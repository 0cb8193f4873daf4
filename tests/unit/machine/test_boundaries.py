"""Rules at their edges: equal times, the exact fee, orders that only two lanes show, what a newcomer starts with."""

import pytest

from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.observation.stream import (
    Paused,
    RelayerFeesIncreased,
    RouterAllowlistRemoved,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    RouterRemoved,
    SlippageUpdated,
)
from abci_app.machine.params import FeeRow, Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Hash
from abci_app.machine.state.records import AttemptEnd, Lane, Liquidity, RelayerFee
from tests.kit.machine.driver import (
    KEY_OF,
    LIQUIDITY,
    ROUTERS,
    A,
    B,
    C,
    Network,
    bundle,
    executed,
    local_of,
    reconciled,
    xcalled,
)
from tests.kit.machine.small_world import STRANGER, STRANGER_KEY

R1, R2, R3, R4 = ROUTERS
PARAMS = Params(lease_s=30, slow_spacing_s=30)


# --- orders that only two lanes show ----------------------------------------------------------------------------------


def test_auctions_of_two_lanes_go_by_acceptance_not_by_lane() -> None:
    """ORD-1, ORD-3: what came from C first takes the liquidity, though A's lane stands before C's."""
    net = Network(PARAMS, domains=(A, B, C), liquidity=1000)
    first, second = net.info(C, B), net.info(A, B)
    ids = [compute_transfer_id(info) for info in (first, second)]
    net.block({C: [xcalled(first)]})
    net.block({A: [xcalled(second)]})
    net.block(txs=[bundle(ids[0], R1), bundle(ids[1], R1)])
    assert [net.status(transfer_id) for transfer_id in ids] == ["ASSIGNED", "ACCEPTED"]


def test_what_is_over_and_what_is_due_go_by_acceptance_not_by_domain() -> None:
    """ORD-1, ORD-2: renewals on two destinations and a slow decision between them, in one block."""
    net = Network(PARAMS, domains=(A, B, C))
    first = net.assign(R1, origin=A, destination=C)
    slow = net.accept(origin=A, destination=B, amount=5)
    last = net.assign(R1, origin=C, destination=B)
    net.block({B: [reconciled(slow, amount=5)]}, seconds=PARAMS.lease_s + 1)
    assert [decision.transfer_id for decision in net.decisions()][2:] == [first, slow, last]


# --- equal times ------------------------------------------------------------------------------------------------------


def test_a_slow_attempt_whose_lease_ends_now_is_not_over() -> None:
    """LSE-2, SLW-2: at its very last second the next slow decision takes its place; a second later it is over first."""
    for late, end in ((0, AttemptEnd.RENEWED), (1, AttemptEnd.OVER)):
        net = Network(Params(lease_s=30, slow_spacing_s=30))
        transfer_id = net.accept(amount=5)
        net.block({B: [reconciled(transfer_id, amount=5)]})
        valid_until_s = net.transfer(transfer_id).attempts[0].valid_until_s
        net.block(seconds=30, clocks={B: valid_until_s + late})
        assert [attempt.end for attempt in net.transfer(transfer_id).attempts] == [end, AttemptEnd.OPEN]


def test_on_a_held_lane_a_slow_attempt_ends_and_none_is_made() -> None:
    """LSE-6, SLW-2: over and due in one block."""
    net = Network(Params(lease_s=5, slow_spacing_s=5))
    transfer_id = net.accept(amount=5)
    net.block({B: [reconciled(transfer_id, amount=5)]})
    net.block({B: [Paused()]}, seconds=6)
    assert [attempt.end for attempt in net.transfer(transfer_id).attempts] == [AttemptEnd.OVER]
    assert net.must(keys.lane(A, B), Lane).held


# --- fees -------------------------------------------------------------------------------------------------------------


def test_the_fee_of_the_second_attempt_is_twice_the_row_exactly() -> None:
    """LIM-6, LSE-3: attempt k needs k times the row, no more and no less."""
    for paid, status in ((20, "ASSIGNED"), (19, "WAITING")):
        net = Network(Params(lease_s=30, fee_table=(FeeRow(A, B, R1, 10),)))
        info = net.info()
        transfer_id = compute_transfer_id(info)
        fees = (RelayerFee(R1, paid),)
        net.block({A: [xcalled(info, relayer_fees=fees)]}, [bundle(transfer_id, R1)])
        net.block()
        net.let_lease_end()
        assert net.status(transfer_id) == status
        ends = [attempt.end for attempt in net.transfer(transfer_id).attempts]
        assert ends == ([AttemptEnd.RENEWED, AttemptEnd.OPEN] if paid == 20 else [AttemptEnd.OVER])


def test_fees_are_kept_by_asset_whatever_order_they_come_in() -> None:
    """LIM-6: a record's bytes are hashed."""
    net = Network(PARAMS)
    transfer_id = net.accept()
    high, low = sorted(ROUTERS)[3], sorted(ROUTERS)[0]
    net.block({A: [RelayerFeesIncreased(transfer_id, high, 1), RelayerFeesIncreased(transfer_id, low, 2)]})
    assert net.transfer(transfer_id).fees == (RelayerFee(low, 2), RelayerFee(high, 1))


# --- returned charges -------------------------------------------------------------------------------------------------


def test_returned_charges_stand_by_router_and_go_when_put_back() -> None:
    """ASN-6: of two routers whose charges came back the one that was paid after all has none left to be put back."""
    net = Network(PARAMS)
    amount = LIQUIDITY + 10
    transfer_id = net.assign(R1, R2, lengths=(2,), amount=amount)
    net.change(keys.liquidity(B, local_of(B), R1), Liquidity, balance=0)
    net.let_lease_end()
    returned = net.transfer(transfer_id).returned
    assert [charge.router for charge in returned] == sorted((R1, R2))
    tags = {router: net.tag_of(router) for router in (R1, R2)}
    net.block({B: [executed(transfer_id, R2, amount=amount)]})
    assert [charge.router for charge in net.transfer(transfer_id).returned] == [R1]
    assert net.tag_of(R1) == tags[R1]
    assert net.tag_of(R2) == tags[R2] + next(charge.amount for charge in returned if charge.router == R2)


# --- newcomers and bystanders -----------------------------------------------------------------------------------------


def test_a_router_that_no_event_named_may_win_where_nobody_needs_approval(monkeypatch: pytest.MonkeyPatch) -> None:
    """ASN-2, EVT-5: it starts eligible, without faults and not cooling down."""
    net = Network(PARAMS)
    monkeypatch.setitem(KEY_OF, STRANGER, STRANGER_KEY)
    net.block({B: [RouterAllowlistRemoved(True), RouterLiquidityAdded(STRANGER, local_of(B), 5000)]})
    transfer_id = net.assign(STRANGER)
    assert net.transfer(transfer_id).attempts[0].routers == (STRANGER,)
    candidate, = net.auction(transfer_id).candidates
    assert (candidate.approved, candidate.eligible, candidate.cool_down_until) == (True, True, 0)
    net.block({B: [RouterLiquidityRemoved(STRANGER, local_of(B), 5000)]})
    assert net.router(STRANGER).faults == 1


def test_losing_approval_is_no_fault_while_only_others_serve() -> None:
    """FLT-1: something must be reserved of the router's own, there."""
    net = Network(PARAMS)
    net.assign(R1)
    net.block({B: [RouterRemoved(R2)]})
    assert (net.router(R2).approved, net.router(R2).faults) == (False, 0)
    net.block({B: [RouterRemoved(R1)]})
    assert net.router(R1).faults == 1


# --- what a change of status leaves behind ----------------------------------------------------------------------------


def test_a_deadline_goes_with_the_status_that_has_it() -> None:
    """LSE-5, EVT-3, EVT-4: EXECUTED and RECONCILED out of ACCEPTED have none."""
    for make, status in ((executed, "EXECUTED"), (reconciled, "RECONCILED")):
        net = Network(PARAMS)
        transfer_id = net.accept()
        assert net.transfer(transfer_id).deadline_clock > 0
        net.block({B: [make(transfer_id, R1)]})
        assert (net.status(transfer_id), net.transfer(transfer_id).deadline_clock) == (status, 0)


def test_options_start_nothing_for_what_is_known_by_hash_only() -> None:
    """SLW-1, SLW-3: without the TransferInfo there is nothing to execute; it is kept from being dropped."""
    net = Network(PARAMS)
    info = net.info(amount=1000)
    transfer_id = compute_transfer_id(info)
    net.block({A: [xcalled(info, call_data_hash=Hash(bytes(31) + b"\x01"), call_data_length=9000)]})
    net.block({B: [reconciled(transfer_id)]})
    before = net.transfer(transfer_id)
    net.block({B: [SlippageUpdated(transfer_id, 5)]}, seconds=7)
    after = net.transfer(transfer_id)
    assert (after.status.name, after.slow_next_s, after.attempts) == ("RECONCILED", 0, ())
    assert after.drop_after_s == before.drop_after_s + 7
