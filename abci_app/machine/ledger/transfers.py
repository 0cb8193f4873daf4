"""Transfers and their indexes: the only module that writes either, so that they always agree."""

from dataclasses import replace

from abci_app.machine.params import Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import TransferId
from abci_app.machine.state.records import (
    Attempt,
    AttemptEnd,
    DecisionKind,
    Reference,
    RelayerFee,
    Transfer,
    TransferStatus,
)
from abci_app.machine.state.view import StateDelta, StateReader

UNDECIDED = (TransferStatus.ACCEPTED, TransferStatus.WAITING)
"""No attempt runs and one may be made."""
BEFORE_EXECUTION = (*UNDECIDED, TransferStatus.ASSIGNED, TransferStatus.SLOW)
"""Neither paid out nor reconciled: an Executed with routers or a Reconciled is believed (EVT-3, EVT-4)."""
FINISHED = (TransferStatus.EXECUTED, TransferStatus.COMPLETED)
"""Paid out: neither a bid nor a TransferInfo adds anything (BID-3, TX-2)."""
ON_SLOW_PATH = (TransferStatus.SLOW, TransferStatus.RECONCILED)
"""No router is asked any more (BID-3); dropped where nothing more happens (SLW-4)."""
FEE_ASSETS_MAX = 16
"""Relayer fee assets kept per transfer; those of the fee table are always kept (LIM-6)."""


def get_transfer(state: StateReader, transfer_id: TransferId) -> Transfer | None:
    """Return the transfer, or None."""
    return state.read(keys.transfer(transfer_id), Transfer)


def put_transfer(delta: StateDelta, before: Transfer | None, after: Transfer | None) -> None:
    """Replace ``before`` by ``after`` (None: no record) and update all indexes."""
    old = compute_index_keys(before) if before else ()
    new = compute_index_keys(after) if after else ()
    for key in old:
        if key not in new:
            delta.delete(key)
    if after is None:
        if before is not None:
            delta.delete(keys.transfer(before.transfer_id))
        return
    for key in new:
        if key not in old:
            delta.write(key, Reference(after.transfer_id))
    delta.write(keys.transfer(after.transfer_id), after)


def put_bidder(delta: StateDelta, transfer: Transfer) -> None:
    """Count one more bidder (BID-3); no index depends on their number."""
    delta.write(keys.transfer(transfer.transfer_id), replace(transfer, bidders=transfer.bidders + 1))


def compute_index_keys(transfer: Transfer) -> tuple[bytes, ...]:
    """Return the index keys that lead to ``transfer``, a function of its record alone."""
    entries = []
    if transfer.status in UNDECIDED:
        entries.append(keys.open_transfer(transfer.origin, transfer.destination, transfer.acceptance))
    attempt = find_open_attempt(transfer)
    if attempt is not None:
        entries.append(keys.lease(transfer.destination, attempt.valid_until_s, transfer.acceptance))
    if transfer.slow_next_s:
        lane = (transfer.origin, transfer.destination)
        entries.append(keys.slow_due(*lane, transfer.slow_next_s, transfer.acceptance))
    if transfer.drop_after_s:
        entries.append(keys.drop(transfer.drop_after_s, transfer.acceptance))
    if transfer.finished_height:
        entries.append(keys.finished(transfer.finished_height, transfer.acceptance))
    return tuple(entries)


def find_open_attempt(transfer: Transfer) -> Attempt | None:
    """Return the attempt that has not ended, fast or slow: always the last one."""
    if transfer.attempts and transfer.attempts[-1].end is AttemptEnd.OPEN:
        return transfer.attempts[-1]
    return None


def count_fast_attempts(transfer: Transfer) -> int:
    """Return how many fast attempts were made, ended or not."""
    return sum(attempt.kind is DecisionKind.FAST for attempt in transfer.attempts)


def with_last_attempt(transfer: Transfer, attempt: Attempt) -> Transfer:
    """Return the transfer with its last attempt replaced."""
    return replace(transfer, attempts=(*transfer.attempts[:-1], attempt))


def is_fee_there(params: Params, transfer: Transfer, attempt: int) -> bool:
    """Tell whether the relayer fees paid suffice for attempt number ``attempt`` on this lane (LIM-6)."""
    lane = (transfer.origin, transfer.destination)
    rows = [row for row in params.fee_table if (row.origin, row.destination) == lane]
    paid = {fee.asset: fee.amount for fee in transfer.fees}
    return not rows or any(paid.get(row.asset, 0) >= attempt * row.amount for row in rows)


def add_fees(params: Params, transfer: Transfer, fees: tuple[RelayerFee, ...]) -> Transfer:
    """Return the transfer with ``fees`` summed in; a 17th asset is left out unless the fee table names it."""
    paid = {fee.asset: fee.amount for fee in transfer.fees}
    for fee in fees:
        if fee.asset in paid or len(paid) < FEE_ASSETS_MAX or any(fee.asset == row.asset for row in params.fee_table):
            paid[fee.asset] = paid.get(fee.asset, 0) + fee.amount
    return replace(transfer, fees=tuple(RelayerFee(asset, paid[asset]) for asset in sorted(paid)))
