"""LIQ-1 to LIQ-3, FLT-1 and FLT-2 on routers' records, without blocks around them."""

import pytest

from abci_app.machine.codes import InvariantBroken
from abci_app.machine.ledger.liquidity import (
    add_balance,
    clear_faults,
    count_fault,
    get_liquidity,
    get_router,
    put_liquidity,
    release,
    remove_liquidity,
    reserve,
    take_balance,
)
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.records import Liquidity
from abci_app.machine.state.view import StateDelta
from tests.kit.machine.small_world import (
    DESTINATION,
    LIQUIDITY,
    LOCALS,
    ORIGIN,
    ROUTERS,
    STRANGER,
    first_state,
    valid_transfer,
)

R1, R2, R3 = ROUTERS
LOCAL = LOCALS[DESTINATION]


@pytest.fixture
def scope() -> Scope:
    return Scope.open(StateDelta(first_state()), 50, 1_700_000_500)


def liquidity(scope: Scope, router=R1) -> Liquidity:
    return get_liquidity(scope.delta, DESTINATION, LOCAL, router)


def reasons(scope: Scope) -> list[str]:
    return [dict(event.attributes)["reason"] for event in scope.events if event.kind == "alarm"]


def test_balances_follow_events(scope):
    """LIQ-2: on this domain, for this router, in this asset only."""
    add_balance(scope, DESTINATION, LOCAL, R1, 7)
    take_balance(scope, DESTINATION, LOCAL, R1, 10)
    assert liquidity(scope) == Liquidity(LIQUIDITY - 3, 0, False)
    assert liquidity(scope, R2).balance == LIQUIDITY
    assert get_liquidity(scope.delta, ORIGIN, LOCALS[ORIGIN], R1).balance == LIQUIDITY
    assert reasons(scope) == []


@pytest.mark.parametrize("amount, balance, eligible", [
    (LIQUIDITY, 0, True), (LIQUIDITY + 1, 0, False), (2**256 - 1, 0, False), (0, LIQUIDITY, True),
])
def test_a_debit_above_the_balance_leaves_zero(scope, amount, balance, eligible):
    """LIQ-3: never negative; the router is out there, and only there."""
    take_balance(scope, DESTINATION, LOCAL, R1, amount)
    assert liquidity(scope).balance == balance
    assert get_router(scope.delta, DESTINATION, R1).eligible == eligible
    assert get_router(scope.delta, ORIGIN, R1).eligible
    assert bool(reasons(scope)) == (not eligible)


def test_a_stranger_has_a_balance_too(scope):
    """LIQ-2: Connext credits whoever adds liquidity, approved or not."""
    assert liquidity(scope, STRANGER) == Liquidity(0, 0, False)
    add_balance(scope, DESTINATION, LOCAL, STRANGER, 5)
    assert liquidity(scope, STRANGER).balance == 5
    assert not get_router(scope.delta, DESTINATION, STRANGER).approved


def test_reservations(scope):
    """LIQ-1: a share per router, until released."""
    transfer = valid_transfer()
    reserve(scope, transfer, [R1, R2], 600_000)
    assert [liquidity(scope, router).reserved for router in ROUTERS] == [600_000, 600_000, 0]
    release(scope, transfer, [R1], 600_000)
    assert [liquidity(scope, router).reserved for router in ROUTERS] == [0, 600_000, 0]


def test_what_is_not_free_is_never_reserved(scope):
    """LIQ-1: at assignment free ≥ share; anything else is a bug and stops the node."""
    transfer = valid_transfer()
    reserve(scope, transfer, [R1], LIQUIDITY)
    with pytest.raises(InvariantBroken):
        reserve(scope, transfer, [R1], 1)
    with pytest.raises(InvariantBroken):
        release(scope, transfer, [R2], 1)


@pytest.mark.parametrize("amount, faults", [(500_000, 0), (500_001, 1), (LIQUIDITY, 1)])
def test_a_fault_is_to_leave_less_than_is_reserved(scope, amount, faults):
    """FLT-1: strictly less."""
    reserve(scope, valid_transfer(), [R1], 500_000)
    remove_liquidity(scope, DESTINATION, LOCAL, R1, amount)
    router = get_router(scope.delta, DESTINATION, R1)
    assert (router.faults, router.cool_down_until) == (faults, 150 if faults else 0)
    assert liquidity(scope).at_fault == bool(faults)
    remove_liquidity(scope, DESTINATION, LOCAL, R1, 1)
    assert get_router(scope.delta, DESTINATION, R1).faults == (faults or 1)


def test_faults_double_the_cool_down_up_to_ten(scope):
    """FLT-1: 100 · 2^(k−1), k ≤ 10; FLT-2: an Executed starts again at none."""
    seen = []
    for _ in range(12):
        count_fault(scope, DESTINATION, R1, "test")
        router = get_router(scope.delta, DESTINATION, R1)
        seen.append((router.faults, router.cool_down_until - 50))
    assert seen[:3] == [(1, 100), (2, 200), (3, 400)]
    assert seen[9:] == [(10, 51_200)] * 3
    clear_faults(scope, DESTINATION, R1)
    assert get_router(scope.delta, DESTINATION, R1).faults == 0
    assert get_router(scope.delta, DESTINATION, R1).cool_down_until == 50 + 51_200


def test_a_fault_ends_with_enough_balance(scope):
    """FLT-1: at_fault goes once balance ≥ reserved, by more balance or less reservation."""
    transfer = valid_transfer()
    reserve(scope, transfer, [R1], 1000)
    remove_liquidity(scope, DESTINATION, LOCAL, R1, LIQUIDITY - 1)
    add_balance(scope, DESTINATION, LOCAL, R1, 998)
    assert liquidity(scope).at_fault
    add_balance(scope, DESTINATION, LOCAL, R1, 1)
    assert not liquidity(scope).at_fault
    remove_liquidity(scope, DESTINATION, LOCAL, R1, 1)
    assert liquidity(scope).at_fault
    release(scope, transfer, [R1], 1000)
    assert not liquidity(scope).at_fault


def test_writing_what_is_there_writes_nothing(scope):
    """TRE-3's economy: no change, no key."""
    put_liquidity(scope.delta, DESTINATION, LOCAL, R1, liquidity(scope))
    put_liquidity(scope.delta, DESTINATION, LOCAL, STRANGER, Liquidity(0, 0, False))
    assert keys.liquidity(DESTINATION, LOCAL, STRANGER) not in scope.delta.changes()
    assert scope.delta.changes() == {}
