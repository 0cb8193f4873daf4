"""Submission of the TransferInfo of a transfer known by hash only (TX-2, LIM-1, LIM-4, SLW-1)."""

from dataclasses import replace

from abci_app.machine.block_events import EventKind
from abci_app.machine.codes import Code, Rejected, require
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.events.acceptance import make_transfer, with_stub
from abci_app.machine.ledger.stubs import delete_stub
from abci_app.machine.ledger.transfers import FINISHED, get_transfer, put_transfer
from abci_app.machine.results import TxResult
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import TransferId
from abci_app.machine.state.records import Stub, Transfer, TransferInfo, TransferStatus
from abci_app.machine.state.view import StateReader
from abci_app.machine.transactions.tx import TransferInfoSubmission


def process_transfer_info(scope: Scope, submission: TransferInfoSubmission) -> TxResult:
    """Store the TransferInfo of a transfer known by hash only, or make a reconciled stub a RECONCILED transfer.

    This block's slow decisions are made already (ORD-1), so a reconciled one gets its own in the next (SLW-1).
    """
    info = submission.info
    transfer_id = compute_transfer_id(info)
    known = get_transfer(scope.delta, transfer_id)
    if known is None:
        transfer = admit_stub(scope, transfer_id, info, require_waiting_stub(scope.delta, transfer_id, info))
    else:
        require_lacking(known, info)
        due_s = scope.time_s if known.status is TransferStatus.RECONCILED else known.slow_next_s
        transfer = replace(known, info_known=True, slow_next_s=due_s)

    put_transfer(scope.delta, known, transfer)
    scope.delta.write(keys.transfer_info(transfer_id), info)
    scope.emit(EventKind.INFO, transfer_id=transfer_id, status=transfer.status)
    return TxResult(Code.OK, events=tuple(scope.events))


def admit_stub(scope: Scope, transfer_id: TransferId, info: TransferInfo, stub: Stub) -> Transfer:
    """Return the RECONCILED transfer that takes a reconciled stub's place (LIM-4)."""
    delete_stub(scope.delta, transfer_id, stub)
    fresh = make_transfer(scope, transfer_id, info, has_call_data=bool(info.call_data), info_known=True)
    return with_stub(scope, fresh, stub)


def require_lacking(transfer: Transfer, info: TransferInfo) -> None:
    """Reject a TransferInfo that adds nothing or differs from the origin's XCalled."""
    if transfer.info_known:
        raise Rejected(Code.TRANSFER_INFO_KNOWN, "nothing to add")
    if transfer.status in FINISHED:
        raise Rejected(Code.TRANSFER_FINISHED, f"{transfer.status.name}: paid out")
    announced = (transfer.origin, transfer.destination, transfer.nonce, transfer.amount)
    if announced != (info.origin_domain, info.destination_domain, info.nonce, info.bridged_amt):
        raise Rejected(Code.TRANSFER_INFO_MISMATCH, "domains, nonce or amount differ from the accepted XCalled")


def require_waiting_stub(state: StateReader, transfer_id: TransferId, info: TransferInfo) -> Stub:
    """Return the stub if it is reconciled and not executed, else reject: only then is the TransferInfo of use."""
    stub = require(state.read(keys.stub(transfer_id), Stub), Code.TRANSFER_UNKNOWN, transfer_id.hex())
    require(stub.reconciled, Code.TRANSFER_UNKNOWN, "its XCalled is not accepted, nor is it reconciled")
    if stub.executed:
        raise Rejected(Code.TRANSFER_FINISHED, "executed and reconciled")
    if (stub.origin, stub.destination) != (info.origin_domain, info.destination_domain):
        raise Rejected(Code.TRANSFER_INFO_MISMATCH, "domains differ from those of the Reconciled")
    return stub
