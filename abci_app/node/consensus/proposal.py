"""PrepareProposal and ProcessProposal: building and validating proposals.

Both count reports with the same functions over state and the block's own injected commit, so an honest proposal is
always accepted. ``check_block`` looks at bytes and state only: no RPC, no opinion.
"""

from collections.abc import Container, Sequence
from itertools import accumulate

from abci_app.abci import messages as pb
from abci_app.abci import tx_bytes_in_block, txs_within
from abci_app.machine.block_parts import check_placement, is_injected, split_block
from abci_app.machine.codes import Code, Rejected
from abci_app.machine.commit import process_commit
from abci_app.machine.observation.extension import INJECTED_SEGMENT, InjectedCommit, encode_commit
from abci_app.machine.observation.reports import check_segments
from abci_app.machine.params import BLOCK_SIGNATURES_MAX, BLOCK_TXS_MAX
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import TransferId
from abci_app.machine.state.records import ChainState
from abci_app.machine.state.view import StateDelta, StateReader, StateView
from abci_app.machine.transactions.admission import check_accepted, count_signatures, list_unknown_bids, parse_tx
from abci_app.node.consensus.injected_commit import build_commit, check_commit, prune
from abci_app.node.consensus.segment_proposal import choose_segments, list_named_transfers
from abci_app.observer.snapshot import Observation


def is_commit_due(state: StateReader, height: int) -> bool:
    """Tell whether the block of ``height`` begins with an injected commit (COM-1)."""
    return state.must(keys.CHAIN, ChainState).extensions_from <= height - 1


def prepare_block(
    view: StateView, observation: Observation, request: pb.RequestPrepareProposal
) -> list[bytes]:
    """Return the transactions of this validator's proposal, within ``max_tx_bytes`` (COM-3, COM-4)."""
    committed = StateDelta(view)
    counted = Scope.open_next(committed.fork())
    block: list[bytes] = []
    room = int(request.max_tx_bytes)
    if is_commit_due(committed, request.height):
        commit = build_commit(committed, request.local_last_commit)
        if tx_bytes_in_block(encode_commit(commit)) > room:
            commit = InjectedCommit(commit.round, tuple(map(prune, commit.entries)))
        block.append(encode_commit(commit))
        room -= tx_bytes_in_block(block[0])
        process_commit(counted, commit)

    segments = choose_segments(counted, observation, room)
    block += [INJECTED_SEGMENT + raw for raw in segments]
    room -= sum(map(tx_bytes_in_block, block[-len(segments):] if segments else []))
    return (block + txs_within(order_txs(committed, request.txs, segments), room))[:BLOCK_TXS_MAX]


def order_txs(committed: StateDelta, txs: Sequence[bytes], segments: Sequence[bytes]) -> list[bytes]:
    """Return the mempool's transactions that this block may hold: those it was waiting for first, then the rest.

    A bundle with a bid for a transfer that neither state nor these segments know stays behind, whole (BID-7); so does
    what comes after as many signatures as a block may hold (COM-4).
    """
    named = list_named_transfers(segments)
    awaited: list[tuple[bytes, int]] = []
    rest: list[tuple[bytes, int]] = []
    for tx in txs:
        transaction = parse_tx(tx)
        unknown = list_unknown_bids(committed, transaction, frozenset())
        if not is_injected(tx) and named.issuperset(unknown):
            (awaited if unknown else rest).append((tx, count_signatures(transaction)))
    signed = accumulate(count for _, count in awaited + rest)
    return [tx for (tx, _), total in zip(awaited + rest, signed, strict=True) if total <= BLOCK_SIGNATURES_MAX]


def check_block(view: StateView, request: pb.RequestProcessProposal) -> None:
    """Raise ``Rejected`` with the code of the first rule that a proposed block breaks."""
    if len(request.txs) > BLOCK_TXS_MAX:
        raise Rejected(Code.BLOCK_TOO_MANY_TXS, f"{len(request.txs)} transactions, at most {BLOCK_TXS_MAX}")
    committed = StateDelta(view)
    counted = Scope.open_next(committed.fork())
    parts = split_block(request.txs)
    if not is_commit_due(committed, request.height):
        if parts.commit is not None:
            raise Rejected(Code.COMMIT_UNEXPECTED, f"height {request.height} has no extended commit before it")
    elif parts.commit is None:
        raise Rejected(Code.COMMIT_MISSING, "the first transaction is not the injected commit")
    else:
        process_commit(counted, check_commit(committed, parts.commit, request.proposed_last_commit))
    check_placement(parts)
    check_segments(counted, parts.segments)
    check_rest(committed, parts.rest, list_named_transfers(parts.segments))


def check_rest(committed: StateDelta, txs: Sequence[bytes], named: Container[TransferId]) -> None:
    """Refuse user transactions with bids for what this block does not accept (BID-7), or too many signatures (COM-4).

    Nothing else that is wrong in them is a reason: executed, they have their codes.
    """
    signatures = 0
    for tx in txs:
        transaction = parse_tx(tx)
        check_accepted(committed, transaction, named)
        signatures += count_signatures(transaction)
        if signatures > BLOCK_SIGNATURES_MAX:
            raise Rejected(Code.BLOCK_TOO_MANY_SIGNATURES, f"more than {BLOCK_SIGNATURES_MAX}")
