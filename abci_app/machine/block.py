"""Execution of one block: (state, block) → (results, decision batch, changes, app hash). Read this first.

The order of the steps is rule ORD-1. Nothing here looks at anything but its arguments (ORD-4).
"""

from dataclasses import replace

from abci_app.machine.assignment.auction import run_auctions
from abci_app.machine.assignment.holds import update_holds
from abci_app.machine.assignment.leases import process_deadlines, process_due
from abci_app.machine.assignment.prune import process_removals
from abci_app.machine.block_events import EventKind
from abci_app.machine.block_parts import BlockParts, split_block
from abci_app.machine.codes import Code, Rejected
from abci_app.machine.commit import process_commit
from abci_app.machine.decisions.batches import close_batch
from abci_app.machine.events.dispatch import process_event
from abci_app.machine.observation.extension import INJECTED_COMMIT, INJECTED_SEGMENT, decode_commit
from abci_app.machine.observation.reports import list_agreed_segments, move_reports
from abci_app.machine.observation.segments import ChainedSegment
from abci_app.machine.params import RECENT_PROPOSERS_MAX
from abci_app.machine.results import Block, BlockResult, TxResult
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.records import ChainState, Domain
from abci_app.machine.state.tree import Tree
from abci_app.machine.state.view import StateDelta, StateView
from abci_app.machine.transactions.dispatch import process_tx
from abci_app.machine.upgrades import compute_app_version


def apply_block(view: StateView, tree: Tree, block: Block) -> BlockResult:
    """Execute ``block`` over the committed state and return the result; store nothing, raise for bugs only."""
    delta = StateDelta(view)
    scope = Scope.open(delta, block.height, block.time_s)
    first_sequence = delta.must(keys.CHAIN, ChainState).next_sequence
    parts = split_block(block.txs)

    results = [*apply_commit(scope, parts), *apply_segments(scope, parts)]
    update_holds(scope)
    process_due(scope)
    results += [apply_tx(scope, raw) for raw in parts.rest]
    run_auctions(scope, block.proposer)
    process_deadlines(scope)
    process_removals(scope)
    batch = close_batch(scope, first_sequence)
    version = advance_chain(delta, block)

    changes = delta.changes()
    after = tree.update(changes)
    return BlockResult(
        tuple(results), batch, changes, after, after.root, tuple(scope.events),
        app_version=None if version == scope.app_version else version,
    )


def apply_commit(scope: Scope, parts: BlockParts) -> list[TxResult]:
    """Apply step 1, reports and signatures; an invalid commit has no effect but its code."""
    if parts.commit is None:
        return []
    own = scope.for_tx()
    try:
        process_commit(own, decode_commit(parts.commit))
    except Rejected as rejection:
        return [TxResult.refused(rejection)]
    return [TxResult(Code.OK, events=tuple(own.events))]


def apply_segments(scope: Scope, parts: BlockParts) -> list[TxResult]:
    """Apply step 2, segments by domain and number: all of them or, where one is invalid, none."""
    try:
        chained = list_agreed_segments(scope, parts.segments)
    except Rejected as rejection:
        return [TxResult.refused(rejection)] * len(parts.segments)
    return [apply_segment(scope, each) for each in chained]


def apply_segment(scope: Scope, chained: ChainedSegment) -> TxResult:
    """Apply a segment's events in stream order, advance the domain's cursor, delete the segment's reports (REP-4)."""
    segment = chained.segment
    own = scope.for_tx()
    for positioned in segment.events:
        process_event(own, segment.domain, positioned.event)
    # The domain is read after its events: they change it too.
    domain = scope.delta.must(keys.domain(segment.domain), Domain)
    scope.delta.write(keys.domain(segment.domain), replace(domain, cursor=chained.after))
    scope.delta.delete(keys.reports(segment.domain, segment.number))
    own.emit(EventKind.SEGMENT, domain=segment.domain, number=segment.number, events=len(segment.events))
    return TxResult(Code.OK, events=tuple(own.events))


def apply_tx(scope: Scope, raw: bytes) -> TxResult:
    """Apply one transaction of step 4; injected kinds are rejected here (COM-3)."""
    if raw.startswith((INJECTED_COMMIT, INJECTED_SEGMENT)):
        return TxResult.refused(Rejected(Code.INJECTED_MISPLACED, "an injected kind out of its place"))
    return process_tx(scope, raw)


def advance_chain(delta: StateDelta, block: Block) -> int:
    """Apply step 7: record what the next block needs of this one, and return the version of its rules (ORD-6).

    Reports follow their members into another set (REP-1).
    """
    chain = delta.must(keys.CHAIN, ChainState)
    proposers = (*chain.recent_proposers, block.proposer)[-RECENT_PROPOSERS_MAX:]
    if chain.epoch_next != chain.epoch_executing:
        move_reports(delta, chain.epoch_executing, chain.epoch_next)
    version = compute_app_version(chain.chain_id, chain.app_version, block.height + 1)
    delta.write(keys.CHAIN, replace(
        chain, height=block.height, time_s=block.time_s, recent_proposers=proposers,
        epoch_last=chain.epoch_executing, epoch_executing=chain.epoch_next, app_version=version,
    ))
    return version
