"""Pruning of the state: dropped and finished transfers, expired stubs, empty batches (SLW-4, LIM-3 … LIM-5)."""

from collections.abc import Callable

from abci_app.machine.block_events import EventKind
from abci_app.machine.connext import hash_routers
from abci_app.machine.ledger.stubs import delete_stub
from abci_app.machine.ledger.transfers import put_transfer
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Hash, TransferId
from abci_app.machine.state.records import (
    Auction,
    Bid,
    Decision,
    DecisionBatch,
    HeightEntry,
    Reference,
    Stub,
    Tombstone,
    Transfer,
)

PRUNED_PER_BLOCK_MAX = 64
"""Of each kind: a flood that ends at one time is cleared over many blocks instead of in one long one."""


def process_removals(scope: Scope) -> None:
    """Drop, expire and prune what is due, in this order, at most 64 of each a block."""
    for transfer_id in list_due(scope, keys.drops(), keys.parse_drop, scope.time_s):
        scope.emit(EventKind.DROPPED, transfer_id=transfer_id)
        remove_transfer(scope, transfer_id)
    expire_stubs(scope)
    finished_before = scope.height - scope.params.retention_blocks + 1
    for transfer_id in list_due(scope, keys.finished_transfers(), keys.parse_finished, finished_before):
        remove_transfer(scope, transfer_id)


def list_due(
    scope: Scope, prefix: bytes, parse: Callable[[bytes], tuple[int, int]], now: int
) -> list[TransferId]:
    """Return the first transfers of an index by time or height whose entry lies before ``now``."""
    due: list[TransferId] = []
    for key, reference in scope.delta.scan(prefix, Reference):
        if parse(key)[0] >= now or len(due) == PRUNED_PER_BLOCK_MAX:
            break
        due.append(reference.transfer_id)
    return due


def expire_stubs(scope: Scope) -> None:
    """Remove stubs whose XCalled never came (LIM-4)."""
    due: list[TransferId] = []
    for key, _ in scope.delta.scan(keys.stub_expiries(), HeightEntry):
        time_s, transfer_id = keys.parse_stub_expiry(key)
        if time_s >= scope.time_s or len(due) == PRUNED_PER_BLOCK_MAX:
            break
        due.append(transfer_id)
    for expired in due:
        delete_stub(scope.delta, expired, scope.delta.must(keys.stub(expired), Stub))
        scope.emit(EventKind.STUB_EXPIRED, transfer_id=expired)


def remove_transfer(scope: Scope, transfer_id: TransferId) -> None:
    """Remove a transfer with its TransferInfo, bids, auctions and decisions; one ever decided leaves a tombstone."""
    delta = scope.delta
    transfer = delta.must(keys.transfer(transfer_id), Transfer)
    if transfer.attempts:
        put_tombstone(scope, transfer)
    for key, _ in [*delta.scan(keys.bids(transfer_id), Bid)]:
        delta.delete(key)
    for key, _ in [*delta.scan(keys.auctions(transfer_id), Auction)]:
        delta.delete(key)
    heights = []
    for attempt in transfer.attempts:
        decision = delta.must(keys.decision(attempt.sequence), Decision)
        heights.append(decision.height)
        delta.delete(keys.decision(attempt.sequence))
    delta.delete(keys.transfer_info(transfer_id))
    put_transfer(delta, transfer, None)
    for height in sorted(set(heights)):
        remove_batch_without_decisions(scope, height)


def put_tombstone(scope: Scope, transfer: Transfer) -> None:
    """Store the hash of each router list ever decided, permanently (LIM-5); an id may be removed more than once."""
    key = keys.tombstone(transfer.transfer_id)
    known = scope.delta.read(key, Tombstone)
    lists: set[Hash] = {hash_routers(attempt.routers) for attempt in transfer.attempts}
    lists.update(known.router_lists if known else ())
    scope.delta.write(key, Tombstone(tuple(sorted(lists))))


def remove_batch_without_decisions(scope: Scope, height: int) -> None:
    """Remove a batch once the last of its decisions is gone (LIM-3)."""
    batch = scope.delta.must(keys.batch(height), DecisionBatch)
    sequences = [sequence for leaf in batch.leaves for sequence in leaf.sequences]
    if all(scope.delta.read(keys.decision(sequence), Decision) is None for sequence in sequences):
        scope.delta.delete(keys.batch(height))
        scope.delta.delete(keys.unattested(height))
