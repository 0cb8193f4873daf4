"""Whatever was decided in a block had to be, and whatever had to be decided was: looked at from the state around it.

Nothing here asks the code that decides. Records are read; the conditions are written down once more (ASN, LSE, LIM).
"""

from collections.abc import Iterator

from abci_app.machine.params import Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address
from abci_app.machine.state.records import (
    AttemptEnd,
    Bid,
    ChainState,
    Decision,
    DecisionKind,
    Domain,
    Lane,
    Liquidity,
    Router,
    Transfer,
    TransferStatus,
)
from abci_app.machine.state.view import MemoryState, StateDelta

U64_MAX = 2**64 - 1
PATHS = (1, 2, 4)


def check_decisions_of_block(before: MemoryState, after: MemoryState) -> None:
    """Raise AssertionError for a decision that should not have been made, or one that is missing."""
    old, new = StateDelta(before), StateDelta(after)
    first = old.must(keys.CHAIN, ChainState).next_sequence
    for sequence in range(first, new.must(keys.CHAIN, ChainState).next_sequence):
        check_decision(old, new, new.must(keys.decision(sequence), Decision))
    for _, transfer in new.scan(keys.transfers(), Transfer):
        if transfer.status in (TransferStatus.ACCEPTED, TransferStatus.WAITING):
            check_undecided(new, transfer)


# --- what was decided -------------------------------------------------------------------------------------------------


def check_decision(old: StateDelta, new: StateDelta, decision: Decision) -> None:
    """LSE-1, LSE-6, LSE-7, LIM-6, and per kind who was chosen."""
    params = new.must(keys.PARAMS, Params)
    chain = new.must(keys.CHAIN, ChainState)
    domain = new.must(keys.domain(decision.destination), Domain)
    transfer = new.must(keys.transfer(decision.transfer_id), Transfer)
    assert not new.must(keys.lane(decision.origin, decision.destination), Lane).held
    later = max(chain.time_s, domain.cursor.timestamp_s) + params.lease_s
    assert (decision.height, decision.valid_until_s) == (chain.height, min(later, U64_MAX))
    assert decision.gas_limit == count_gas(params, transfer, decision)
    assert is_paid(params, transfer, decision.attempt)
    if decision.kind is DecisionKind.SLOW:
        assert (transfer.status, decision.routers) == (TransferStatus.RECONCILED, ())
        assert transfer.info_known and 1 <= transfer.slow_decisions <= params.slow_attempts
        return
    assert transfer.status is TransferStatus.ASSIGNED
    assert sum(each.kind is DecisionKind.FAST for each in transfer.attempts) <= params.attempts_max
    assert len(decision.routers) in PATHS and len(decision.routers) <= domain.max_routers
    for router in decision.routers:
        check_router(old, new, transfer, domain, router)


def check_router(old: StateDelta, new: StateDelta, transfer: Transfer, domain: Domain, router: Address) -> None:
    """ASN-2, LSE-3: withdraws of this block come after its renewals and before its auctions; faults before both."""
    renewed = [each.end for each in transfer.attempts[-2:-1]] == [AttemptEnd.RENEWED]
    bid = (old if renewed else new).must(keys.bid(transfer.transfer_id, router), Bid)
    assert not bid.withdrawn
    assert len(transfer.attempts[-1].routers) in [each.path_length for each in bid.signatures]
    assert is_admitted(new, domain, router)
    liquidity = new.must(keys.liquidity(domain.domain, transfer.local, router), Liquidity)
    assert liquidity.reserved <= liquidity.balance
    if not renewed:
        known = new.read(keys.router(domain.domain, router), Router)
        assert known is None or known.cool_down_until <= transfer.attempts[-1].decided_height


def is_admitted(state: StateDelta, domain: Domain, router: Address) -> bool:
    """Approved, or nobody needs to be; and neither router nor domain has lost track of balances."""
    known = state.read(keys.router(domain.domain, router), Router)
    approved, eligible = (known.approved, known.eligible) if known else (False, True)
    return (approved or domain.allowlist_removed) and eligible and domain.eligible


def count_gas(params: Params, transfer: Transfer, decision: Decision) -> int:
    """LSE-7, written with a loop."""
    gas = params.gas_with_call_data if transfer.has_call_data else params.gas_base
    for _ in decision.routers[1:]:
        gas += params.gas_per_router
    for _ in range(1, decision.attempt):
        gas *= 2
    if transfer.has_call_data and decision.kind is DecisionKind.SLOW and gas < 6_000_000:
        gas = 6_000_000
    return gas if gas < 13_000_000 else 13_000_000


def is_paid(params: Params, transfer: Transfer, attempt: int) -> bool:
    """LIM-6: where the lane has rows, one of them is met."""
    lane = (transfer.origin, transfer.destination)
    rows = [row for row in params.fee_table if (row.origin, row.destination) == lane]
    paid = {fee.asset: fee.amount for fee in transfer.fees}
    return not rows or any(row.asset in paid and paid[row.asset] >= attempt * row.amount for row in rows)


# --- what was not -----------------------------------------------------------------------------------------------------


def check_undecided(state: StateDelta, transfer: Transfer) -> None:
    """ASN-1, ASN-2: after the block nobody can serve what was tried; later auctions only took liquidity away."""
    params = state.must(keys.PARAMS, Params)
    height = state.must(keys.CHAIN, ChainState).height
    open_blocks = params.auction_window_blocks + params.auction_extra_blocks
    is_tried = transfer.status is TransferStatus.WAITING or height - transfer.accepted_height >= open_blocks
    held = state.must(keys.lane(transfer.origin, transfer.destination), Lane).held
    if not is_tried or held or not is_paid(params, transfer, len(transfer.attempts) + 1):
        return
    domain = state.must(keys.domain(transfer.destination), Domain)
    for length in PATHS:
        able = list(list_able(state, transfer, domain, length, height))
        assert length > domain.max_routers or len(able) < length


def list_able(state: StateDelta, transfer: Transfer, domain: Domain, length: int, height: int) -> Iterator[Address]:
    """Routers that could stand in a path of this length now."""
    share = transfer.amount // length + (length - 1 if length > 1 else 0)
    for _, bid in state.scan(keys.bids(transfer.transfer_id), Bid):
        known = state.read(keys.router(domain.domain, bid.router), Router)
        liquidity = state.read(keys.liquidity(domain.domain, transfer.local, bid.router), Liquidity)
        if (
            not bid.withdrawn and length in [each.path_length for each in bid.signatures]
            and is_admitted(state, domain, bid.router)
            and (known is None or known.cool_down_until <= height)
            and liquidity is not None and liquidity.balance - liquidity.reserved >= share
        ):
            yield bid.router
