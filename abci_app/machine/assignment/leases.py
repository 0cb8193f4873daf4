"""Expired attempts, due slow decisions and transfers past their deadline (LSE-2 … LSE-5, SLW-1, SLW-2)."""

from dataclasses import replace

from abci_app.machine.assignment.attempts import (
    ATTEMPTS_TOTAL_MAX,
    end_attempt,
    has_withdrawn,
    make_attempt,
    renew_attempt,
)
from abci_app.machine.assignment.holds import get_lane_clock, is_held, list_free_lanes, list_undecided
from abci_app.machine.block_events import Alarm, EventKind
from abci_app.machine.ledger.liquidity import get_liquidity, get_router, is_approved, is_eligible
from abci_app.machine.ledger.transfers import count_fast_attempts, find_open_attempt, is_fee_there, put_transfer
from abci_app.machine.scope import U64_MAX, Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import TransferId
from abci_app.machine.state.records import (
    AttemptEnd,
    DecisionKind,
    Domain,
    Reference,
    Transfer,
    TransferStatus,
)


def process_due(scope: Scope) -> None:
    """Process step 3: expired attempts and due slow decisions, by acceptance number (ORD-1)."""
    due = {**list_over(scope), **list_slow_due(scope)}
    for acceptance in sorted(due):
        transfer = scope.delta.must(keys.transfer(due[acceptance]), Transfer)
        if is_over(scope, transfer):
            transfer = process_over(scope, transfer)
        if transfer.slow_next_s and transfer.slow_next_s <= scope.time_s:
            process_slow_due(scope, transfer)


def list_over(scope: Scope) -> dict[int, TransferId]:
    """Return the transfers whose open attempt has expired, by acceptance number."""
    found = {}
    for _, domain in list(scope.delta.scan(keys.domains(), Domain)):
        for key, reference in scope.delta.scan(keys.leases(domain.domain), Reference):
            _, valid_until_s, acceptance = keys.parse_lease(key)
            if valid_until_s >= domain.cursor.timestamp_s:
                break
            found[acceptance] = reference.transfer_id
    return found


def list_slow_due(scope: Scope) -> dict[int, TransferId]:
    """Return the transfers of lanes that are not held whose next slow decision is due, by acceptance number."""
    found = {}
    for lane in list_free_lanes(scope.delta):
        for key, reference in scope.delta.scan(keys.slow_dues(lane.origin, lane.destination), Reference):
            _, _, time_s, acceptance = keys.parse_slow_due(key)
            if time_s > scope.time_s:
                break
            found[acceptance] = reference.transfer_id
    return found


def is_over(scope: Scope, transfer: Transfer) -> bool:
    """Tell whether the open attempt has expired: the destination's clock is strictly past its lease (LSE-2)."""
    attempt = find_open_attempt(transfer)
    cursor = scope.delta.must(keys.domain(transfer.destination), Domain).cursor
    return attempt is not None and cursor.timestamp_s > attempt.valid_until_s


def process_over(scope: Scope, transfer: Transfer) -> Transfer:
    """End an expired attempt: renew it, or release its reservation and make the transfer WAITING or SLOW.

    Why it was in vain is nobody's fault here: it counts against the transfer, by its attempts (FLT-3).
    """
    attempt = transfer.attempts[-1]
    if attempt.kind is DecisionKind.SLOW:
        after = end_attempt(scope, transfer, AttemptEnd.OVER)
    elif count_fast_attempts(transfer) >= scope.params.attempts_max:
        after = make_slow(scope, end_attempt(scope, transfer, AttemptEnd.OVER))
        scope.emit(EventKind.SLOW, transfer_id=transfer.transfer_id, reason="attempts spent")
    elif is_renewable(scope, transfer):
        after = renew_attempt(scope, transfer)
        scope.emit(
            EventKind.RENEWED, transfer_id=transfer.transfer_id, attempt=after.attempts[-1].number,
            routers=attempt.routers, sequence=after.attempts[-1].sequence,
        )
    else:
        after = make_waiting(scope, end_attempt(scope, transfer, AttemptEnd.OVER))
        scope.emit(EventKind.WAITING, transfer_id=transfer.transfer_id, attempt=attempt.number)
    put_transfer(scope.delta, transfer, after)
    return after


def is_renewable(scope: Scope, transfer: Transfer) -> bool:
    """Tell whether the attempt may be renewed with the same routers (LSE-3), cool-downs aside (FLT-2)."""
    attempt = transfer.attempts[-1]
    domain = scope.delta.must(keys.domain(transfer.destination), Domain)
    if (
        is_held(scope.delta, transfer.origin, transfer.destination)
        or len(attempt.routers) > domain.max_routers
        or not is_fee_there(scope.params, transfer, len(transfer.attempts) + 1)
    ):
        return False
    for address in attempt.routers:
        router = get_router(scope.delta, domain.domain, address)
        liquidity = get_liquidity(scope.delta, domain.domain, transfer.local, address)
        if (
            has_withdrawn(scope, transfer, address)
            or not is_approved(domain, router)
            or not is_eligible(domain, router)
            or liquidity.balance < liquidity.reserved
        ):
            return False
    return True


def make_waiting(scope: Scope, transfer: Transfer) -> Transfer:
    """Return the transfer as WAITING, eligible for this block's auctions already (LSE-4)."""
    clock = get_lane_clock(scope.delta, transfer.origin, transfer.destination, scope.height)
    return replace(transfer, status=TransferStatus.WAITING, deadline_clock=clock + scope.params.waiting_blocks)


def make_slow(scope: Scope, transfer: Transfer) -> Transfer:
    """Return the transfer as SLOW: only Connext's message or a fast execution by others changes it from here."""
    return replace(
        transfer, status=TransferStatus.SLOW, deadline_clock=0, drop_after_s=compute_drop_time(scope)
    )


def compute_drop_time(scope: Scope) -> int:
    """Return the block time after which a SLOW or RECONCILED transfer without further events is dropped (SLW-4)."""
    return min(scope.time_s + scope.params.slow_ttl_s, U64_MAX)


def process_slow_due(scope: Scope, transfer: Transfer) -> None:
    """Make the next slow decision of a RECONCILED transfer, unless its lane is held: then it stays due (SLW-1)."""
    if is_held(scope.delta, transfer.origin, transfer.destination):
        return
    number = len(transfer.attempts) + 1
    if number > ATTEMPTS_TOTAL_MAX or not is_fee_there(scope.params, transfer, number):
        put_transfer(scope.delta, transfer, replace(transfer, slow_next_s=0))
        scope.alarm(Alarm.SLOW_DECISIONS_STOPPED, transfer_id=transfer.transfer_id, attempts=number - 1)
        return
    decided = make_attempt(
        scope, end_attempt(scope, transfer, AttemptEnd.RENEWED), DecisionKind.SLOW, (), 0, ()
    )
    count = transfer.slow_decisions + 1
    again = count < scope.params.slow_attempts
    next_s = min(scope.time_s + (scope.params.slow_spacing_s << (count - 1)), U64_MAX) if again else 0
    put_transfer(scope.delta, transfer, replace(
        decided, slow_decisions=count, slow_next_s=next_s, drop_after_s=compute_drop_time(scope)
    ))
    scope.emit(
        EventKind.ASSIGNED, transfer_id=transfer.transfer_id, attempt=number, routers=(),
        sequence=decided.attempts[-1].sequence,
    )


def process_deadlines(scope: Scope) -> None:
    """Make transfers SLOW that are undecided at their deadline, unless their lane is held (LSE-5)."""
    for transfer_id in list_undecided(scope.delta):
        transfer = scope.delta.must(keys.transfer(transfer_id), Transfer)
        clock = get_lane_clock(scope.delta, transfer.origin, transfer.destination, scope.height)
        if clock >= transfer.deadline_clock:
            put_transfer(scope.delta, transfer, make_slow(scope, transfer))
            scope.emit(EventKind.SLOW, transfer_id=transfer.transfer_id, reason="undecided at its deadline")
