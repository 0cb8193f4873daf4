"""Attempts to serve a transfer: decision and end, with reservation and charges (ORD-2, ASN-6)."""

from collections.abc import Sequence
from dataclasses import replace

from abci_app.machine.codes import invariant
from abci_app.machine.ledger.fair_queue import put_back_charge, return_charge
from abci_app.machine.ledger.liquidity import release
from abci_app.machine.ledger.transfers import find_open_attempt, with_last_attempt
from abci_app.machine.params import GAS_LIMIT_MAX, SLOW_CALL_DATA_GAS_MIN, Params
from abci_app.machine.scope import U64_MAX, Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address
from abci_app.machine.state.records import (
    Attempt,
    AttemptEnd,
    Bid,
    ChainState,
    Charge,
    Decision,
    DecisionKind,
    Domain,
    Lane,
    Transfer,
)

ATTEMPTS_TOTAL_MAX = 255
"""Attempts of one transfer, slow ones included: events that start slow attempts again cannot grow a record for ever."""


def make_attempt(
    scope: Scope, transfer: Transfer, kind: DecisionKind, routers: tuple[Address, ...], share: int,
    charges: tuple[Charge, ...],
) -> Transfer:
    """Decide the transfer's next attempt and return the transfer with it; the caller stores it.

    The decision takes the next global and lane sequence (ORD-2).
    """
    delta = scope.delta
    number = len(transfer.attempts) + 1
    invariant(number <= ATTEMPTS_TOTAL_MAX and find_open_attempt(transfer) is None, "one attempt too many")
    chain = delta.must(keys.CHAIN, ChainState)
    lane = delta.must(keys.lane(transfer.origin, transfer.destination), Lane)
    cursor = delta.must(keys.domain(transfer.destination), Domain).cursor
    # LSE-1: never shorter than a lease on either clock; a timestamp at the end of time stays encodable.
    valid_until_s = min(max(scope.time_s, cursor.timestamp_s) + scope.params.lease_s, U64_MAX)
    decision = Decision(
        sequence=chain.next_sequence, height=scope.height, origin=transfer.origin,
        destination=transfer.destination, lane_sequence=lane.next_sequence, transfer_id=transfer.transfer_id,
        attempt=number, kind=kind, routers=routers, valid_until_s=valid_until_s,
        gas_limit=compute_gas_limit(scope.params, transfer.has_call_data, kind, number, len(routers)),
    )
    delta.write(keys.CHAIN, replace(chain, next_sequence=chain.next_sequence + 1))
    delta.write(keys.lane(lane.origin, lane.destination), replace(lane, next_sequence=lane.next_sequence + 1))
    delta.write(keys.decision(decision.sequence), decision)
    attempt = Attempt(
        number=number, kind=kind, sequence=decision.sequence, routers=routers, share=share,
        valid_until_s=valid_until_s, charges=charges, decided_height=scope.height, end=AttemptEnd.OPEN,
        ended_height=0,
    )
    return replace(transfer, attempts=(*transfer.attempts, attempt))


def compute_gas_limit(params: Params, has_call_data: bool, kind: DecisionKind, attempt: int, routers: int) -> int:
    """Return the gas limit of a decision: doubles with each attempt, at most 13,000,000 (LSE-7)."""
    base = params.gas_with_call_data if has_call_data else params.gas_base
    gas = (base + params.gas_per_router * max(0, routers - 1)) << (attempt - 1)
    if kind is DecisionKind.SLOW and has_call_data:
        gas = max(gas, SLOW_CALL_DATA_GAS_MIN)
    return min(gas, GAS_LIMIT_MAX)


def end_attempt(scope: Scope, transfer: Transfer, end: AttemptEnd, named: Sequence[Address] = ()) -> Transfer:
    """Return the transfer with its open attempt, if any, ended (LSE-2); the caller stores it.

    The reservation ends with it. Charges of routers that an Executed ``named`` are spent; others are returned
    unless the router withdrew; those kept for a fault are in the attempt no more (ASN-6, FLT-1).
    """
    attempt = find_open_attempt(transfer)
    if attempt is None:
        return transfer
    if attempt.kind is DecisionKind.FAST:
        release(scope, transfer, attempt.routers, attempt.share)
    returned = {charge.router: charge for charge in transfer.returned}
    for charge in attempt.charges:
        if charge.router not in named and not has_withdrawn(scope, transfer, charge.router):
            return_charge(scope, transfer, charge)
            returned[charge.router] = charge
    ended = replace(attempt, charges=(), end=end, ended_height=scope.height)
    return replace(
        with_last_attempt(transfer, ended), returned=tuple(returned[router] for router in sorted(returned))
    )


def renew_attempt(scope: Scope, transfer: Transfer) -> Transfer:
    """Return the transfer with its open fast attempt renewed: same routers, order, reservation and charges (LSE-3)."""
    attempt = transfer.attempts[-1]
    ended = replace(attempt, charges=(), end=AttemptEnd.RENEWED, ended_height=scope.height)
    renewed = with_last_attempt(transfer, ended)
    return make_attempt(scope, renewed, DecisionKind.FAST, attempt.routers, attempt.share, attempt.charges)


def put_back_charges(scope: Scope, transfer: Transfer, named: Sequence[Address]) -> Transfer:
    """Return the transfer with the returned charges of ``named`` routers applied again: they were debited (ASN-6)."""
    for charge in transfer.returned:
        if charge.router in named:
            put_back_charge(scope, transfer, charge)
    return replace(transfer, returned=tuple(charge for charge in transfer.returned if charge.router not in named))


def has_withdrawn(scope: Scope, transfer: Transfer, router: Address) -> bool:
    """Tell whether the router withdrew its bid (BID-5)."""
    bid = scope.delta.read(keys.bid(transfer.transfer_id, router), Bid)
    return bid is not None and bid.withdrawn
