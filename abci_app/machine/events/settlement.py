"""Settlement events of a transfer: executed, reconciled, fees and options changed (EVT-3, EVT-4, SLW-3)."""

from dataclasses import replace

from abci_app.machine.assignment.attempts import end_attempt, put_back_charges
from abci_app.machine.assignment.leases import compute_drop_time
from abci_app.machine.block_events import Alarm, EventKind
from abci_app.machine.connext import compute_credits, compute_debits
from abci_app.machine.ledger.liquidity import add_balance, clear_faults, mark_domain_ineligible, take_balance
from abci_app.machine.ledger.stubs import keep_executed, keep_reconciled
from abci_app.machine.ledger.transfers import BEFORE_EXECUTION, ON_SLOW_PATH, add_fees, get_transfer, put_transfer
from abci_app.machine.observation.stream import (
    Executed,
    ForceReceiveLocal,
    Reconciled,
    RelayerFeesIncreased,
    SlippageUpdated,
)
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import DomainId, TransferId
from abci_app.machine.state.records import AttemptEnd, Domain, RelayerFee, Transfer, TransferStatus

# --- paid out -------------------------------------------------------------------------------------------------------


def process_executed(scope: Scope, domain_id: DomainId, event: Executed) -> None:
    """Debit the routers, then record the execution in every status in which it can happen (EVT-3)."""
    debit_routers(scope, domain_id, event)
    transfer = get_transfer(scope.delta, event.transfer_id)
    if transfer is None:
        keep_executed(scope, domain_id, event)
    elif transfer.destination != domain_id:
        scope.alarm(Alarm.EXECUTED_ELSEWHERE, domain=domain_id, transfer_id=event.transfer_id)
    elif event.routers.count and transfer.status in BEFORE_EXECUTION:
        put_executed(scope, transfer, event)
    elif not event.routers.count and transfer.status is TransferStatus.RECONCILED:
        put_completed(scope, end_attempt(scope, transfer, AttemptEnd.EXECUTED), transfer, event)
    else:
        scope.alarm(Alarm.EXECUTED_OUT_OF_TURN, domain=domain_id, transfer_id=event.transfer_id, status=transfer.status)


def debit_routers(scope: Scope, domain_id: DomainId, event: Executed) -> None:
    """Debit each router as Connext did at the fee in force at this event (LIQ-2); clear its faults."""
    routers = event.routers.routers
    if event.routers.digest is not None:
        mark_domain_ineligible(scope, domain_id, Alarm.EXECUTED_ROUTERS_TOO_MANY)
    if not routers:
        return
    fee_numerator = scope.delta.must(keys.domain(domain_id), Domain).fee_numerator
    debits = compute_debits(event.bridged_amt, len(routers), fee_numerator)
    for router, debit in zip(routers, debits, strict=True):
        take_balance(scope, domain_id, event.local, router, debit)
        clear_faults(scope, domain_id, router)


def put_executed(scope: Scope, transfer: Transfer, event: Executed) -> None:
    """Record a fast execution: end the current attempt, whichever was executed; its routers' charges stay."""
    named = event.routers.routers
    ended = end_attempt(scope, transfer, AttemptEnd.EXECUTED, named)
    settled = put_back_charges(scope, ended, named)
    put_transfer(scope.delta, transfer, replace(
        settled, status=TransferStatus.EXECUTED, deadline_clock=0, drop_after_s=0, executed_by=named,
        executed_tx=event.tx_hash,
    ))
    scope.emit(EventKind.EXECUTED, transfer_id=transfer.transfer_id, routers=named, tx_hash=event.tx_hash)


def put_completed(scope: Scope, ended: Transfer, before: Transfer, event: Executed | Reconciled) -> None:
    """Record a transfer as COMPLETED after the second of its two events."""
    if isinstance(event, Executed):
        ended = replace(ended, executed_tx=event.tx_hash)
    else:
        ended = replace(ended, reconciled_tx=event.tx_hash)
    put_transfer(scope.delta, before, replace(
        ended, status=TransferStatus.COMPLETED, slow_next_s=0, drop_after_s=0, finished_height=scope.height,
    ))
    scope.emit(EventKind.COMPLETED, transfer_id=before.transfer_id, tx_hash=event.tx_hash)


# --- reconciled -----------------------------------------------------------------------------------------------------


def process_reconciled(scope: Scope, domain_id: DomainId, event: Reconciled) -> None:
    """Credit the routers and record the reconciliation, after which no fast execution is possible (EVT-4)."""
    credit_routers(scope, domain_id, event)
    transfer = get_transfer(scope.delta, event.transfer_id)
    if transfer is None:
        keep_reconciled(scope, domain_id, event)
    elif transfer.destination != domain_id:
        scope.alarm(Alarm.RECONCILED_ELSEWHERE, domain=domain_id, transfer_id=event.transfer_id)
    elif transfer.status in BEFORE_EXECUTION:
        put_reconciled(scope, transfer, event)
    elif transfer.status is TransferStatus.EXECUTED:
        put_completed(scope, transfer, transfer, event)
    else:
        scope.alarm(
            Alarm.RECONCILED_OUT_OF_TURN, domain=domain_id, transfer_id=event.transfer_id, status=transfer.status
        )


def credit_routers(scope: Scope, domain_id: DomainId, event: Reconciled) -> None:
    """Credit each router as Connext did: the whole amount, split (LIQ-2)."""
    routers = event.routers.routers
    if event.routers.digest is not None:
        mark_domain_ineligible(scope, domain_id, Alarm.RECONCILED_ROUTERS_TOO_MANY)
    credits = compute_credits(event.amount, len(routers)) if routers else ()
    for router, credit in zip(routers, credits, strict=True):
        add_balance(scope, domain_id, event.local, router, credit)


def put_reconciled(scope: Scope, transfer: Transfer, event: Reconciled) -> None:
    """Record a message that came first: release reservations; slow decisions need the TransferInfo (SLW-1)."""
    ended = end_attempt(scope, transfer, AttemptEnd.RECONCILED)
    put_transfer(scope.delta, transfer, replace(
        ended, status=TransferStatus.RECONCILED, deadline_clock=0, reconciled_tx=event.tx_hash,
        slow_next_s=scope.time_s if transfer.info_known else 0, drop_after_s=compute_drop_time(scope),
    ))
    scope.emit(EventKind.RECONCILED, transfer_id=transfer.transfer_id, tx_hash=event.tx_hash)


# --- fees and options -----------------------------------------------------------------------------------------------


def process_fees_increased(scope: Scope, domain_id: DomainId, event: RelayerFeesIncreased) -> None:
    """Add relayer fees paid on the origin after XCalled (LIM-6)."""
    transfer = get_transfer(scope.delta, event.transfer_id)
    if transfer is None or transfer.origin != domain_id:
        scope.alarm(Alarm.FEES_ELSEWHERE, domain=domain_id, transfer_id=event.transfer_id)
    else:
        fee = RelayerFee(event.asset, event.amount)
        put_transfer(scope.delta, transfer, start_again(scope, add_fees(scope.params, transfer, (fee,))))


def process_slippage_updated(scope: Scope, domain_id: DomainId, event: SlippageUpdated) -> None:
    """Record the transfer's new slippage, with which a failed execution may succeed (SLW-3)."""
    change_option(scope, domain_id, event.transfer_id)


def process_force_receive_local(scope: Scope, domain_id: DomainId, event: ForceReceiveLocal) -> None:
    """Record that the local asset is received, with which a failed execution may succeed (SLW-3)."""
    change_option(scope, domain_id, event.transfer_id)


def change_option(scope: Scope, domain_id: DomainId, transfer_id: TransferId) -> None:
    """Apply a change of a transfer's options from its destination, where Connext keeps them; else raise an alarm."""
    transfer = get_transfer(scope.delta, transfer_id)
    if transfer is None or transfer.destination != domain_id:
        scope.alarm(Alarm.OPTION_ELSEWHERE, domain=domain_id, transfer_id=transfer_id)
    else:
        put_transfer(scope.delta, transfer, start_again(scope, transfer))


def start_again(scope: Scope, transfer: Transfer) -> Transfer:
    """Return the transfer kept from being dropped and, RECONCILED, its slow attempts due at once (SLW-3, SLW-4)."""
    if transfer.status not in ON_SLOW_PATH:
        return transfer
    kept = replace(transfer, drop_after_s=compute_drop_time(scope))
    if transfer.status is TransferStatus.RECONCILED and transfer.info_known:
        return replace(kept, slow_decisions=0, slow_next_s=scope.time_s)
    return kept
