"""A submitted TransferInfo completes a transfer that the network knows by hash only (TX-2, LIM-1, LIM-4, SLW-1)."""

from dataclasses import replace

from abci_app.machine import keys
from abci_app.machine.codec import Address, TransferId
from abci_app.machine.codes import Code, Rejected, require
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.params import Params
from abci_app.machine.records import (
    EMPTY_ADDRESS,
    EMPTY_HASH,
    Asset,
    ChainState,
    Reference,
    Stub,
    Transfer,
    TransferInfo,
    TransferStatus,
)
from abci_app.machine.results import BlockEvent, TxResult
from abci_app.machine.state import StateDelta
from abci_app.machine.tx import TransferInfoSubmission

_FINISHED = (TransferStatus.EXECUTED, TransferStatus.COMPLETED)


def process_transfer_info(
    delta: StateDelta, submission: TransferInfoSubmission, height: int, time_s: int
) -> TxResult:
    """Store the TransferInfo of a transfer known by hash only, or make a reconciled stub a RECONCILED transfer."""
    transfer_id = compute_transfer_id(submission.info)
    transfer = delta.read(keys.transfer(transfer_id), Transfer)
    if transfer is None:
        transfer = _admit_stub(delta, transfer_id, submission.info, height, time_s)
    else:
        _require_lacking(transfer, submission.info)

    transfer = replace(transfer, info_known=True, has_call_data=bool(submission.info.call_data))
    delta.write(keys.transfer_info(transfer_id), submission.info)
    delta.write(keys.transfer(transfer_id), transfer)
    if transfer.status is TransferStatus.RECONCILED:
        schedule_slow(delta, transfer, time_s)
    attributes = (("transfer_id", transfer_id.hex()), ("status", transfer.status.name))
    return TxResult(Code.OK, events=(BlockEvent("info", attributes),))


def _require_lacking(transfer: Transfer, info: TransferInfo) -> None:
    """Refuse what adds nothing, or what is not the transfer that the origin's XCalled announced."""
    if transfer.info_known:
        raise Rejected(Code.TRANSFER_INFO_KNOWN, "nothing to add")
    if transfer.status in _FINISHED:
        raise Rejected(Code.TRANSFER_FINISHED, f"{transfer.status.name}: paid out")
    announced = (transfer.origin, transfer.destination, transfer.nonce, transfer.amount)
    if announced != (info.origin_domain, info.destination_domain, info.nonce, info.bridged_amt):
        raise Rejected(Code.TRANSFER_INFO_MISMATCH, "domains, nonce or amount differ from the accepted XCalled")


def _admit_stub(
    delta: StateDelta, transfer_id: TransferId, info: TransferInfo, height: int, time_s: int
) -> Transfer:
    """Return the RECONCILED transfer that takes a reconciled stub's place, with the next acceptance number (ORD-3)."""
    stub = require(delta.read(keys.stub(transfer_id), Stub), Code.TRANSFER_UNKNOWN, transfer_id.hex())
    require(stub.reconciled, Code.TRANSFER_UNKNOWN, "its XCalled is not accepted, nor is it reconciled")
    if stub.executed:
        raise Rejected(Code.TRANSFER_FINISHED, "executed and reconciled")
    if (stub.origin, stub.destination) != (info.origin_domain, info.destination_domain):
        raise Rejected(Code.TRANSFER_INFO_MISMATCH, "domains differ from those of the Reconciled")

    chain = delta.must(keys.CHAIN, ChainState)
    delta.write(keys.CHAIN, replace(chain, next_acceptance=chain.next_acceptance + 1))
    delta.delete(keys.stub(transfer_id))
    delta.delete(keys.stub_expiry(stub.expires_s, transfer_id))
    transfer = Transfer(
        transfer_id=transfer_id, status=TransferStatus.RECONCILED, acceptance=chain.next_acceptance,
        origin=info.origin_domain, destination=info.destination_domain, nonce=info.nonce, amount=info.bridged_amt,
        local=_find_local(delta, info), has_call_data=bool(info.call_data), info_known=True, origin_tx=EMPTY_HASH,
        accepted_height=height, accepted_time_s=time_s, deadline_clock=0, fees=(), attempts=(), returned=(),
        slow_decisions=0, slow_next_s=0, drop_after_s=time_s + delta.must(keys.PARAMS, Params).slow_ttl_s,
        executed_by=(), executed_tx=EMPTY_HASH, reconciled_tx=stub.reconciled_tx, finished_height=0,
    )
    delta.write(keys.drop(transfer.drop_after_s, transfer.acceptance), Reference(transfer_id))
    return transfer


def _find_local(delta: StateDelta, info: TransferInfo) -> Address:
    asset = delta.read(keys.asset(info.canonical_domain, info.canonical_id), Asset)
    listed = [
        local.address for local in (asset.locals if asset else ())
        if local.domain == info.destination_domain and local.listed
    ]
    return listed[0] if listed else EMPTY_ADDRESS


def schedule_slow(delta: StateDelta, transfer: Transfer, time_s: int) -> None:
    """Make the transfer's next slow decision due from ``time_s`` on, in step 3 of a block still to come (SLW-1)."""
    if transfer.slow_next_s:
        delta.delete(keys.slow_due(transfer.slow_next_s, transfer.acceptance))
    delta.write(keys.transfer(transfer.transfer_id), replace(transfer, slow_next_s=time_s))
    delta.write(keys.slow_due(time_s, transfer.acceptance), Reference(transfer.transfer_id))
