"""How a transfer enters the state: by an XCalled of its origin, in the status that its stub or its size gives it
(EVT-1, EVT-2, LIM-1, LIM-2, LIM-4).
"""

from dataclasses import replace

from abci_app.machine.assignment.holds import get_lane_clock
from abci_app.machine.assignment.leases import compute_drop_time
from abci_app.machine.block_events import Alarm, EventKind
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.ledger.stubs import delete_stub
from abci_app.machine.ledger.transfers import add_fees, get_transfer, put_transfer
from abci_app.machine.observation.stream import XCalled
from abci_app.machine.scope import U64_MAX, Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId, TransferId
from abci_app.machine.state.records import (
    EMPTY_ADDRESS,
    EMPTY_HASH,
    Asset,
    ChainState,
    Domain,
    Stub,
    Transfer,
    TransferInfo,
    TransferStatus,
)
from abci_app.machine.state.view import StateReader


def process_xcalled(scope: Scope, domain_id: DomainId, event: XCalled) -> None:
    """Accept a user's transfer (EVT-1); skip one that contradicts itself with an alarm."""
    domain = scope.delta.must(keys.domain(domain_id), Domain)
    if event.nonce != domain.next_nonce:
        scope.alarm(Alarm.NONCE_GAP, domain=domain_id, nonce=event.nonce, expected=domain.next_nonce)
    scope.delta.write(keys.domain(domain_id), replace(domain, next_nonce=min(event.nonce + 1, U64_MAX)))
    problem = find_problem(scope, domain_id, event)
    if problem is not None:
        scope.alarm(problem, domain=domain_id, transfer_id=event.transfer_id)
        return
    known = get_transfer(scope.delta, event.transfer_id)
    if known is not None:
        fill_in(scope, known, event)
    else:
        accept_transfer(scope, event)


def find_problem(scope: Scope, domain_id: DomainId, event: XCalled) -> Alarm | None:
    """Return why an XCalled is inconsistent, or None."""
    info = event.info
    if info.origin_domain != domain_id or info.nonce != event.nonce:
        return Alarm.XCALLED_ORIGIN_MISMATCH
    if event.call_data_hash is None and compute_transfer_id(info) != event.transfer_id:
        return Alarm.XCALLED_ID_MISMATCH
    if info.destination_domain == domain_id:
        return Alarm.XCALLED_TO_ORIGIN
    if scope.delta.read(keys.domain(info.destination_domain), Domain) is None:
        return Alarm.XCALLED_UNKNOWN_DOMAIN
    return None


def fill_in(scope: Scope, known: Transfer, event: XCalled) -> None:
    """Add what a transfer that entered through its stub lacks; a second XCalled of one id adds nothing."""
    if known.origin_tx != EMPTY_HASH:
        scope.alarm(Alarm.XCALLED_TWICE, domain=known.origin, transfer_id=known.transfer_id)
        return
    filled = add_fees(scope.params, replace(known, origin_tx=event.tx_hash), event.relayer_fees)
    put_transfer(scope.delta, known, filled)


def accept_transfer(scope: Scope, event: XCalled) -> None:
    """Make the transfer, in the status that its stub, its amount and its size give it (EVT-2)."""
    delta, info = scope.delta, event.info
    stub = take_stub(scope, event)
    info_known = event.call_data_hash is None
    fresh = make_transfer(scope, event.transfer_id, info, event.call_data_length > 0, info_known)
    transfer = add_fees(scope.params, replace(fresh, origin_tx=event.tx_hash), event.relayer_fees)
    if stub is not None:
        transfer = with_stub(scope, transfer, stub)
    elif not info_known or is_slow_by_limits(scope, info, transfer):
        transfer = replace(transfer, status=TransferStatus.SLOW, drop_after_s=compute_drop_time(scope))
    else:
        clock = get_lane_clock(delta, transfer.origin, transfer.destination, scope.height)
        transfer = replace(transfer, deadline_clock=clock + scope.params.decision_deadline_blocks)
    if info_known:
        delta.write(keys.transfer_info(event.transfer_id), info)
    put_transfer(delta, None, transfer)
    scope.emit(
        EventKind.ACCEPTED, transfer_id=transfer.transfer_id, acceptance=transfer.acceptance, origin=transfer.origin,
        destination=transfer.destination, amount=transfer.amount, status=transfer.status,
    )


def make_transfer(
    scope: Scope, transfer_id: TransferId, info: TransferInfo, has_call_data: bool, info_known: bool
) -> Transfer:
    """Return a transfer as ACCEPTED with the next acceptance number (ORD-3); the caller finishes and stores it."""
    chain = scope.delta.must(keys.CHAIN, ChainState)
    scope.delta.write(keys.CHAIN, replace(chain, next_acceptance=chain.next_acceptance + 1))
    return Transfer(
        transfer_id=transfer_id, status=TransferStatus.ACCEPTED, acceptance=chain.next_acceptance,
        origin=info.origin_domain, destination=info.destination_domain, nonce=info.nonce, amount=info.bridged_amt,
        local=get_local(scope.delta, info), has_call_data=has_call_data, info_known=info_known, origin_tx=EMPTY_HASH,
        accepted_height=scope.height, accepted_time_s=scope.time_s, deadline_clock=0, fees=(), attempts=(),
        returned=(), slow_decisions=0, slow_next_s=0, drop_after_s=0, executed_by=(), executed_tx=EMPTY_HASH,
        reconciled_tx=EMPTY_HASH, finished_height=0,
    )


def get_local(state: StateReader, info: TransferInfo) -> Address:
    """Return the asset's token on the destination, the zero address where it is not listed there."""
    asset = state.read(keys.asset(info.canonical_domain, info.canonical_id), Asset)
    for local in asset.locals if asset else ():
        if local.domain == info.destination_domain and local.listed:
            return local.address
    return EMPTY_ADDRESS


def is_slow_by_limits(scope: Scope, info: TransferInfo, transfer: Transfer) -> bool:
    """Tell whether a transfer takes the slow path at once: zero amount, unlisted asset or amount too small (LIM-2)."""
    asset = scope.delta.read(keys.asset(info.canonical_domain, info.canonical_id), Asset)
    return (
        asset is None or transfer.local == EMPTY_ADDRESS or transfer.amount == 0 or transfer.amount < asset.min_fast
    )


# --- stubs ----------------------------------------------------------------------------------------------------------


def take_stub(scope: Scope, event: XCalled) -> Stub | None:
    """Return and remove the transfer's stub; one of other domains than the XCalled's is forgotten with an alarm."""
    stub = scope.delta.read(keys.stub(event.transfer_id), Stub)
    if stub is None:
        return None
    delete_stub(scope.delta, event.transfer_id, stub)
    if (stub.origin, stub.destination) != (event.info.origin_domain, event.info.destination_domain):
        scope.alarm(Alarm.STUB_CONTRADICTED, domain=stub.destination, transfer_id=event.transfer_id)
        return None
    return stub


def with_stub(scope: Scope, transfer: Transfer, stub: Stub) -> Transfer:
    """Return the transfer in its stub's status, without an auction (LIM-4)."""
    transfer = replace(
        transfer, executed_by=stub.executed_by, executed_tx=stub.executed_tx, reconciled_tx=stub.reconciled_tx
    )
    if stub.executed and stub.reconciled:
        return replace(transfer, status=TransferStatus.COMPLETED, finished_height=scope.height)
    if stub.executed:
        return replace(transfer, status=TransferStatus.EXECUTED)
    due = scope.time_s if transfer.info_known else 0
    return replace(
        transfer, status=TransferStatus.RECONCILED, slow_next_s=due, drop_after_s=compute_drop_time(scope)
    )
