"""Routers on a domain and their liquidity: balances follow events (LIQ-2, LIQ-3), reservations the attempts
(LIQ-1), and a router that takes away what it promised is at fault (FLT-1).
"""

from collections.abc import Sequence
from dataclasses import replace

from abci_app.machine.block_events import Alarm, EventKind
from abci_app.machine.codes import invariant
from abci_app.machine.ledger.transfers import find_open_attempt, get_transfer, put_transfer, with_last_attempt
from abci_app.machine.params import FAULTS_MAX
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId
from abci_app.machine.state.records import Domain, Liquidity, Reference, Router, Transfer
from abci_app.machine.state.view import StateDelta, StateReader

EMPTY_LIQUIDITY = Liquidity(0, 0, False)


# --- reading --------------------------------------------------------------------------------------------------------


def get_router(state: StateReader, domain_id: DomainId, router: Address) -> Router:
    """Return the router's record on a domain; one that no event named is unapproved and eligible."""
    known = state.read(keys.router(domain_id, router), Router)
    return known or Router(router, domain_id, approved=False, eligible=True, faults=0, cool_down_until=0)


def get_liquidity(state: StateReader, domain_id: DomainId, local: Address, router: Address) -> Liquidity:
    """Return the router's liquidity in one local asset, zero where there is none."""
    return state.read(keys.liquidity(domain_id, local, router), Liquidity) or EMPTY_LIQUIDITY


def is_approved(domain: Domain, router: Router) -> bool:
    """Tell whether Connext on ``domain`` takes this router: approved, or the allowlist is off."""
    return domain.allowlist_removed or router.approved


def is_eligible(domain: Domain, router: Router) -> bool:
    """Tell whether the router's balances there can still be derived from events (LIQ-3)."""
    return domain.eligible and router.eligible


# --- balances -------------------------------------------------------------------------------------------------------


def put_liquidity(
    delta: StateDelta, domain_id: DomainId, local: Address, router: Address, liquidity: Liquidity
) -> None:
    """Write a router's liquidity; a fault is over once the balance covers what is reserved (FLT-1)."""
    if liquidity.at_fault and liquidity.balance >= liquidity.reserved:
        liquidity = replace(liquidity, at_fault=False)
    if liquidity != get_liquidity(delta, domain_id, local, router):
        delta.write(keys.liquidity(domain_id, local, router), liquidity)


def add_balance(scope: Scope, domain_id: DomainId, local: Address, router: Address, amount: int) -> None:
    """Credit a router (LIQ-2)."""
    liquidity = get_liquidity(scope.delta, domain_id, local, router)
    put_liquidity(scope.delta, domain_id, local, router, replace(liquidity, balance=liquidity.balance + amount))


def take_balance(scope: Scope, domain_id: DomainId, local: Address, router: Address, amount: int) -> None:
    """Debit a router; a debit above the balance leaves 0 and makes it ineligible there (LIQ-2, LIQ-3)."""
    liquidity = get_liquidity(scope.delta, domain_id, local, router)
    if amount > liquidity.balance:
        mark_ineligible(scope, domain_id, router, Alarm.DEBIT_ABOVE_BALANCE)
    balance = max(0, liquidity.balance - amount)
    put_liquidity(scope.delta, domain_id, local, router, replace(liquidity, balance=balance))


def mark_ineligible(scope: Scope, domain_id: DomainId, router: Address, reason: Alarm) -> None:
    """Exclude a router from assignments and renewals there until governance re-anchors it, with an alarm (LIQ-3)."""
    record = get_router(scope.delta, domain_id, router)
    scope.delta.write(keys.router(domain_id, router), replace(record, eligible=False))
    scope.alarm(reason, domain=domain_id, router=router)


def mark_domain_ineligible(scope: Scope, domain_id: DomainId, reason: Alarm) -> None:
    """Exclude a domain from assignments and renewals until governance re-anchors it, with an alarm (LIQ-3)."""
    domain = scope.delta.must(keys.domain(domain_id), Domain)
    scope.delta.write(keys.domain(domain_id), replace(domain, eligible=False))
    scope.alarm(reason, domain=domain_id)


# --- reservations ---------------------------------------------------------------------------------------------------


def reserve(scope: Scope, transfer: Transfer, routers: Sequence[Address], share: int) -> None:
    """Reserve one share for each router of a new attempt; the caller found it free (LIQ-1)."""
    for router in routers:
        liquidity = get_liquidity(scope.delta, transfer.destination, transfer.local, router)
        invariant(liquidity.balance - liquidity.reserved >= share, "reserved more than is free")
        reserved = replace(liquidity, reserved=liquidity.reserved + share)
        put_liquidity(scope.delta, transfer.destination, transfer.local, router, reserved)


def release(scope: Scope, transfer: Transfer, routers: Sequence[Address], share: int) -> None:
    """Free the shares of an attempt that ends (LIQ-1)."""
    for router in routers:
        liquidity = get_liquidity(scope.delta, transfer.destination, transfer.local, router)
        invariant(liquidity.reserved >= share, "released more than was reserved")
        freed = replace(liquidity, reserved=liquidity.reserved - share)
        put_liquidity(scope.delta, transfer.destination, transfer.local, router, freed)


# --- faults ---------------------------------------------------------------------------------------------------------


def remove_liquidity(scope: Scope, domain_id: DomainId, local: Address, router: Address, amount: int) -> None:
    """Debit a router that removed liquidity; a balance below its reservations is a fault, once per asset (FLT-1)."""
    take_balance(scope, domain_id, local, router, amount)
    liquidity = get_liquidity(scope.delta, domain_id, local, router)
    if liquidity.balance < liquidity.reserved and not liquidity.at_fault:
        put_liquidity(scope.delta, domain_id, local, router, replace(liquidity, at_fault=True))
        count_fault(scope, domain_id, router, "liquidity removed while reserved")


def remove_approval(scope: Scope, domain_id: DomainId, router: Address) -> None:
    """Revoke a router's approval; with liquidity reserved there and the allowlist on this is a fault (FLT-1)."""
    record = get_router(scope.delta, domain_id, router)
    scope.delta.write(keys.router(domain_id, router), replace(record, approved=False))
    allowlist_on = not scope.delta.must(keys.domain(domain_id), Domain).allowlist_removed
    if record.approved and allowlist_on and list_attempts_of(scope.delta, domain_id, router):
        count_fault(scope, domain_id, router, "approval lost while reserved")


def count_fault(scope: Scope, domain_id: DomainId, router: Address, reason: str) -> None:
    """Keep the router's charges in its open attempts there and start its cool-down, doubled each time (FLT-1)."""
    record = get_router(scope.delta, domain_id, router)
    # While it cools down it is charged for nothing new, so what it was charged is kept already: no second scan. Else
    # a router could make every node scan all leases 128 times a segment by moving a token in and out.
    is_charged = scope.height >= record.cool_down_until
    for transfer in list_attempts_of(scope.delta, domain_id, router) if is_charged else ():
        attempt = transfer.attempts[-1]
        kept = replace(attempt, charges=tuple(charge for charge in attempt.charges if charge.router != router))
        put_transfer(scope.delta, transfer, with_last_attempt(transfer, kept))
    faults = min(record.faults + 1, FAULTS_MAX)
    until = scope.height + (scope.params.cool_down_blocks << (faults - 1))
    scope.delta.write(keys.router(domain_id, router), replace(record, faults=faults, cool_down_until=until))
    scope.emit(EventKind.FAULT, domain=domain_id, router=router, reason=reason, faults=faults, cool_down_until=until)


def clear_faults(scope: Scope, domain_id: DomainId, router: Address) -> None:
    """Clear a router's earlier faults after it served a transfer there (FLT-2)."""
    record = get_router(scope.delta, domain_id, router)
    if record.faults:
        scope.delta.write(keys.router(domain_id, router), replace(record, faults=0))


def list_attempts_of(state: StateReader, domain_id: DomainId, router: Address) -> list[Transfer]:
    """Return the transfers to a domain whose open attempt names the router: one scan of its leases, faults are rare."""
    found = []
    for _, reference in state.scan(keys.leases(domain_id), Reference):
        transfer = get_transfer(state, reference.transfer_id)
        attempt = find_open_attempt(transfer) if transfer else None
        if transfer and attempt and router in attempt.routers:
            found.append(transfer)
    return found
