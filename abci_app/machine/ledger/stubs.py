"""Stubs: an Executed or Reconciled observed before its XCalled, kept until that comes or the stub expires (LIM-4)."""

from dataclasses import replace

from abci_app.machine.block_events import Alarm, EventKind
from abci_app.machine.observation.stream import Executed, Reconciled
from abci_app.machine.scope import U64_MAX, Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import DomainId, TransferId
from abci_app.machine.state.records import EMPTY_HASH, Domain, HeightEntry, Stub
from abci_app.machine.state.view import StateDelta, StateReader


def keep_executed(scope: Scope, domain_id: DomainId, event: Executed) -> None:
    """Store a stub for an Executed of an unknown transfer; one without routers was reconciled before."""
    stub = find_stub(scope, domain_id, event.transfer_id, event.origin)
    if stub is not None:
        slow = event.routers.count == 0
        _put(scope, event.transfer_id, replace(
            stub, executed=True, reconciled=stub.reconciled or slow, executed_by=event.routers.routers,
            executed_tx=event.tx_hash,
        ))


def keep_reconciled(scope: Scope, domain_id: DomainId, event: Reconciled) -> None:
    """Store a stub for a Reconciled of an unknown transfer."""
    stub = find_stub(scope, domain_id, event.transfer_id, event.origin)
    if stub is not None:
        _put(scope, event.transfer_id, replace(stub, reconciled=True, reconciled_tx=event.tx_hash))


def find_stub(scope: Scope, domain_id: DomainId, transfer_id: TransferId, origin: DomainId) -> Stub | None:
    """Return the stub that an event on ``domain_id`` belongs to, a new one where there is none.

    None where its origin is not another one of our domains, or where the id's stub is of other domains (alarm).
    """
    if not is_foreign_origin(scope.delta, domain_id, origin):
        return None
    known = scope.delta.read(keys.stub(transfer_id), Stub)
    if known is None:
        return Stub(origin, domain_id, False, False, (), EMPTY_HASH, EMPTY_HASH, 0)
    if (known.origin, known.destination) != (origin, domain_id):
        scope.alarm(Alarm.STUB_EVENT_ELSEWHERE, domain=domain_id, transfer_id=transfer_id)
        return None
    return known


def is_foreign_origin(state: StateReader, domain_id: DomainId, origin: DomainId) -> bool:
    """Tell whether ``origin`` is one of our domains and not the event's own."""
    return origin != domain_id and state.read(keys.domain(origin), Domain) is not None


def delete_stub(delta: StateDelta, transfer_id: TransferId, stub: Stub) -> None:
    """Remove a stub and its place among the expiries."""
    delta.delete(keys.stub(transfer_id))
    delta.delete(keys.stub_expiry(stub.expires_s, transfer_id))


def _put(scope: Scope, transfer_id: TransferId, stub: Stub) -> None:
    if stub.expires_s:
        scope.delta.delete(keys.stub_expiry(stub.expires_s, transfer_id))
    expires_s = min(scope.time_s + scope.params.stub_ttl_s, U64_MAX)
    scope.delta.write(keys.stub(transfer_id), replace(stub, expires_s=expires_s))
    scope.delta.write(keys.stub_expiry(expires_s, transfer_id), HeightEntry(scope.height))
    scope.emit(EventKind.STUB, transfer_id=transfer_id, executed=int(stub.executed), reconciled=int(stub.reconciled))
