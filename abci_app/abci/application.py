"""Base class of an application: one method per ABCI call, each with a safe answer."""

from collections.abc import Iterable

from abci_app.abci.framing import encode_uvarint
from abci_app.abci.messages import (
    ExecTxResult,
    RequestApplySnapshotChunk,
    RequestCheckTx,
    RequestCommit,
    RequestExtendVote,
    RequestFinalizeBlock,
    RequestInfo,
    RequestInitChain,
    RequestInsertTx,
    RequestListSnapshots,
    RequestLoadSnapshotChunk,
    RequestOfferSnapshot,
    RequestPrepareProposal,
    RequestProcessProposal,
    RequestQuery,
    RequestReapTxs,
    RequestVerifyVoteExtension,
    ResponseApplySnapshotChunk,
    ResponseCheckTx,
    ResponseCommit,
    ResponseExtendVote,
    ResponseFinalizeBlock,
    ResponseInfo,
    ResponseInitChain,
    ResponseInsertTx,
    ResponseListSnapshots,
    ResponseLoadSnapshotChunk,
    ResponseOfferSnapshot,
    ResponsePrepareProposal,
    ResponseProcessProposal,
    ResponseQuery,
    ResponseReapTxs,
    ResponseVerifyVoteExtension,
)


class Application:
    """Base class with a method for each ABCI call; override those that the application needs.

    Calls come one at a time, in one thread: no method needs a lock against another. A method that raises ends the
    server, because an engine that has had no answer can be restarted and one that has had a wrong answer cannot.
    The server itself answers Echo and Flush.
    """

    # ---- any connection ----

    def info(self, request: RequestInfo) -> ResponseInfo:
        """Return the last committed height and app hash, from disk; the engine replays what is missing."""
        return ResponseInfo()

    def query(self, request: RequestQuery) -> ResponseQuery:
        """Read committed state. The default finds nothing."""
        return ResponseQuery()

    # ---- mempool ----

    def check_tx(self, request: RequestCheckTx) -> ResponseCheckTx:
        """Admit a transaction to the mempool, or keep it there (type RECHECK), by code 0. The default admits all."""
        return ResponseCheckTx()

    def insert_tx(self, request: RequestInsertTx) -> ResponseInsertTx:
        """Take a transaction into the application's own mempool (CometBFT ≥ 0.40 with mempool.type = "app")."""
        return ResponseInsertTx()

    def reap_txs(self, request: RequestReapTxs) -> ResponseReapTxs:
        """Return transactions of the application's own mempool to gossip (CometBFT ≥ 0.40, mempool.type = "app")."""
        return ResponseReapTxs()

    # ---- consensus ----

    def init_chain(self, request: RequestInitChain) -> ResponseInitChain:
        """Build the first state, once, at height 0; an empty answer keeps what the genesis file says."""
        return ResponseInitChain()

    def prepare_proposal(self, request: RequestPrepareProposal) -> ResponsePrepareProposal:
        """Return the block this validator proposes. The default takes the mempool's order within max_tx_bytes."""
        return ResponsePrepareProposal(txs=txs_within(request.txs, request.max_tx_bytes))

    def process_proposal(self, request: RequestProcessProposal) -> ResponseProcessProposal:
        """Whether to prevote a proposed block. The default accepts."""
        return ResponseProcessProposal(status=ResponseProcessProposal.ACCEPT)

    def extend_vote(self, request: RequestExtendVote) -> ResponseExtendVote:
        """Return bytes to attach to this validator's precommit. The default attaches none."""
        return ResponseExtendVote()

    def verify_vote_extension(self, request: RequestVerifyVoteExtension) -> ResponseVerifyVoteExtension:
        """Whether another validator's precommit counts; refusing drops the whole vote. The default accepts."""
        return ResponseVerifyVoteExtension(status=ResponseVerifyVoteExtension.ACCEPT)

    def finalize_block(self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock:
        """Execute a decided block: one result a transaction, and the new app hash. Persist nothing yet."""
        return ResponseFinalizeBlock(tx_results=[ExecTxResult() for _ in request.txs])

    def commit(self, request: RequestCommit) -> ResponseCommit:
        """Persist the block executed last, atomically, before answering. retain_height lets the engine prune."""
        return ResponseCommit()

    # ---- state sync ----

    def list_snapshots(self, request: RequestListSnapshots) -> ResponseListSnapshots:
        """Return snapshots that peers may fetch. The default has none."""
        return ResponseListSnapshots()

    def offer_snapshot(self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot:
        """Whether to restore a peer's snapshot. The default aborts state sync, which it could not finish."""
        return ResponseOfferSnapshot(result=ResponseOfferSnapshot.ABORT)

    def load_snapshot_chunk(self, request: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk:
        """Return a chunk of an own snapshot. The default has none."""
        return ResponseLoadSnapshotChunk()

    def apply_snapshot_chunk(self, request: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk:
        """Restore one chunk. The default aborts state sync."""
        return ResponseApplySnapshotChunk(result=ResponseApplySnapshotChunk.ABORT)


def txs_within(txs: Iterable[bytes], bytes_max: int) -> list[bytes]:
    """Return the longest prefix of txs that fits in bytes_max, counted as the engine counts: see tx_bytes_in_block."""
    chosen: list[bytes] = []
    for tx in txs:
        bytes_max -= tx_bytes_in_block(tx)
        if bytes_max < 0:
            break
        chosen.append(tx)
    return chosen


def tx_bytes_in_block(tx: bytes) -> int:
    """Return the bytes that tx takes of max_tx_bytes: its own, its length as a uvarint, and one of field tag."""
    return 1 + len(encode_uvarint(len(tx))) + len(tx)
