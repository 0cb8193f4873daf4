"""ABCI application: translates each ABCI call to the state machine; only Commit writes.

Nothing here fails for what comes from outside: bad input gets a code. What raises is a bug or a foreign engine, and
ends the process, because a node that stops can be repaired and one that diverges cannot.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic
from typing import Any, Protocol

from abci_app import __version__
from abci_app.abci import Application
from abci_app.abci import messages as pb
from abci_app.gateway.codes import AnswerCode
from abci_app.machine import upgrades
from abci_app.machine.block import apply_block
from abci_app.machine.block_events import EventKind
from abci_app.machine.codes import Code, Rejected, invariant
from abci_app.machine.genesis.build import FIRST_HEIGHT, build_state
from abci_app.machine.observation.extension import is_acceptable
from abci_app.machine.params import Params
from abci_app.machine.results import Block, BlockEvent, BlockResult
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, TransferId
from abci_app.machine.state.records import ChainState
from abci_app.machine.state.tree import Tree
from abci_app.machine.state.view import MemoryState, StateDelta
from abci_app.machine.transactions.admission import check_tx
from abci_app.machine.upgrades import FIRST_VERSION
from abci_app.node.consensus.proposal import check_block, prepare_block
from abci_app.node.consensus.vote_extension import extend
from abci_app.node.errors import NodeError
from abci_app.node.genesis import BLOCK_BYTES_MIN, parse_app_state
from abci_app.node.listeners import BlockDispatcher
from abci_app.node.mempool_limits import MempoolLimits
from abci_app.node.metrics import Metrics
from abci_app.node.query import answer_query
from abci_app.node.signer import Signer
from abci_app.node.store import Head, Store
from abci_app.node.view import CommittedBlock, CommittedState, Published
from abci_app.observer.snapshot import Observation

CHECKS_PER_MEMORY = 50_000
"""Transactions after which CheckTx forgets what it read: in an engine that stands still no commit would ever do so."""
PENDING_REASONS = {
    Code.BID_DUPLICATE: "as many waiting transactions as may do so carry each of its bids already",
    Code.EARLY_BIDS_FULL: "too many bids of one router for transfers that are not accepted yet",
    Code.TRANSFER_UNKNOWN: "bids for transfers that were not accepted in time",
}
FREQUENT_EVENTS = (EventKind.BID, EventKind.WITHDRAWN)
"""Kinds of which a block may hold thousands: in the log for those who ask for debug only."""

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Interface of the node's observer."""

    def observation(self) -> Observation:
        """Return what was published last; immutable, never waits."""


@dataclass(frozen=True, slots=True)
class _Staged:
    """A finalized block, not yet committed."""

    block: Block
    block_hash: bytes
    result: BlockResult


class RoutingApplication(Application):
    """State machine, store and key behind CometBFT."""

    def __init__(self, chain_id: str, store: Store, signer: Signer, observer: Observer, published: Published) -> None:
        """Resume at the store's last block. Raises StoreError where its state does not hash to its app hash."""
        self.metrics = Metrics()
        self.signer = signer
        self.observer = observer
        self.published = published
        self._chain_id = chain_id
        self._store = store
        self._genesis: dict[bytes, bytes] = {}
        """The first state until the first block is committed: only Commit writes."""
        self._staged: _Staged | None = None
        self._pending = MempoolLimits()
        self._records = StateDelta(MemoryState())
        """The committed records that CheckTx reads, each decoded once a height."""
        self._checks = 0
        self.listeners = BlockDispatcher()
        self.listeners.subscribe("metrics", self.metrics.take)
        if store.head is not None:
            self._publish(CommittedState(store.head.height, store.head.app_hash, store.view(), store.load_tree()))
            check_app_version(self._records.must(keys.CHAIN, ChainState).app_version, "the database")

    # ---- any connection ----

    def info(self, request: pb.RequestInfo) -> pb.ResponseInfo:
        response = pb.ResponseInfo(data="routerd", version=__version__, app_version=upgrades.APP_VERSION)
        if self._store.head is not None:
            response.app_version = self._records.must(keys.CHAIN, ChainState).app_version
            response.last_block_height = self._store.head.height
            response.last_block_app_hash = self._store.head.app_hash
        return response

    def query(self, request: pb.RequestQuery) -> pb.ResponseQuery:
        return answer_query(self.published, request)

    # ---- mempool ----

    def check_tx(self, request: pb.RequestCheckTx) -> pb.ResponseCheckTx:
        """Admit what the next block would take, and early bids within their bounds (BID-6)."""
        committed = self.published.latest()
        if committed is None:
            return pb.ResponseCheckTx(code=AnswerCode.NOT_READY, log="no genesis yet")
        self._checks += 1
        if self._checks % CHECKS_PER_MEMORY == 0:
            self._records = StateDelta(committed.view)
        transfers = self.observer.observation().transfers
        again = request.type == pb.CheckTxType.RECHECK
        answer = check_tx(self._records, request.tx, lambda transfer_id: transfer_id in transfers, again)
        code, reason = answer.code, answer.log
        if answer.subjects:
            params = self._records.must(keys.PARAMS, Params)
            code = self._pending.check(sha256(request.tx).digest(), answer.subjects, committed.height, params)
            reason = PENDING_REASONS.get(code, "")
        elif again:
            self._pending.forget(sha256(request.tx).digest())
        self.metrics.txs_checked[code] += 1
        return pb.ResponseCheckTx(code=code, log=reason, codespace="routing" if code else "")

    # ---- consensus ----

    def init_chain(self, request: pb.RequestInitChain) -> pb.ResponseInitChain:
        """Build the first state from the genesis file; a wrong one ends the process."""
        if request.chain_id != self._chain_id:
            raise NodeError(f"the engine's chain is {request.chain_id!r}, config.toml says {self._chain_id!r}")
        if request.initial_height not in (0, FIRST_HEIGHT):
            raise NodeError(f"genesis: initial_height is {request.initial_height}, must be {FIRST_HEIGHT}")
        block_bytes = request.consensus_params.block.max_bytes
        if 0 < block_bytes < BLOCK_BYTES_MIN:  # -1: as many as there are
            raise NodeError(f"genesis: block.max_bytes is {block_bytes}, must be at least {BLOCK_BYTES_MIN}")
        validators = [(update.pub_key.ed25519, update.power) for update in request.validators]
        response = pb.ResponseInitChain()
        extensions_from = request.consensus_params.abci.vote_extensions_enable_height
        if extensions_from == 0:  # nothing is ever decided without extensions
            extensions_from = FIRST_HEIGHT
            response.consensus_params.abci.vote_extensions_enable_height = FIRST_HEIGHT
        app_version = request.consensus_params.version.app or FIRST_VERSION
        check_app_version(app_version, "genesis")
        app_state = request.app_state_bytes
        try:
            self._genesis = build_state(
                parse_app_state(app_state), self._chain_id, validators, extensions_from, app_version
            )
        except Rejected as error:
            raise NodeError(f"genesis: {error.reason}") from error
        # Also where nothing else changes: the engine takes a rolled back state's version from its parameters, and
        # refuses its own blocks ever after where those and the headers (which follow Info) disagree.
        response.consensus_params.version.app = app_version
        tree = Tree.build(self._genesis)
        self._publish(CommittedState(0, tree.root, MemoryState(self._genesis), tree))
        response.app_hash = tree.root
        return response

    def prepare_proposal(self, request: pb.RequestPrepareProposal) -> pb.ResponsePrepareProposal:
        self.metrics.proposals_prepared += 1
        observation = self.observer.observation()
        txs = prepare_block(self._committed().view, observation, request)
        return pb.ResponsePrepareProposal(txs=txs)

    def process_proposal(self, request: pb.RequestProcessProposal) -> pb.ResponseProcessProposal:
        """Refuse a block that breaks a rule, and name the rule in counters and log."""
        try:
            check_block(self._committed().view, request)
        except Rejected as refusal:
            self.metrics.proposals_refused[refusal.code] += 1
            log.warning("proposal refused", extra={
                "height": request.height, "proposer": request.proposer_address, "code": refusal.code.name,
                "reason": refusal.reason, "hash": request.hash,
            })
            return pb.ResponseProcessProposal(status=pb.ResponseProcessProposal.REJECT)
        self.metrics.proposals_accepted += 1
        return pb.ResponseProcessProposal(status=pb.ResponseProcessProposal.ACCEPT)

    def extend_vote(self, request: pb.RequestExtendVote) -> pb.ResponseExtendVote:
        view, observation = self._committed().view, self.observer.observation()
        self.metrics.extensions_made += 1
        return pb.ResponseExtendVote(
            vote_extension=extend(view, request.height, request.txs, observation, self.signer)
        )

    def verify_vote_extension(self, request: pb.RequestVerifyVoteExtension) -> pb.ResponseVerifyVoteExtension:
        """Refuse only what is too long or not canonical (EXT-3): refusing drops the whole vote."""
        if is_acceptable(request.vote_extension):
            return pb.ResponseVerifyVoteExtension(status=pb.ResponseVerifyVoteExtension.ACCEPT)
        self.metrics.extensions_refused += 1
        log.warning("extension refused", extra={
            "height": request.height, "validator": request.validator_address, "bytes": len(request.vote_extension),
        })
        return pb.ResponseVerifyVoteExtension(status=pb.ResponseVerifyVoteExtension.REJECT)

    def finalize_block(self, request: pb.RequestFinalizeBlock) -> pb.ResponseFinalizeBlock:
        """Execute the decided block on committed state; nothing is written yet."""
        committed = self._committed()
        invariant(request.height == committed.height + 1, f"block {request.height} after {committed.height}")
        block = Block(
            request.height, request.time.seconds, Address(bytes(request.proposer_address)), tuple(request.txs)
        )
        result = apply_block(committed.view, committed.tree, block)
        self._staged = _Staged(block, bytes(request.hash), result)
        response = pb.ResponseFinalizeBlock(app_hash=result.app_hash)
        for each in result.results:
            answer = response.tx_results.add(code=each.code, data=each.data, log=each.log)
            put_events(answer.events, each.events)
        for update in result.validator_updates:
            response.validator_updates.add(power=update.power).pub_key.ed25519 = update.consensus_key
        if result.app_version is not None:  # the headers of the next heights name it (ORD-6)
            response.consensus_param_updates.version.app = result.app_version
        put_events(response.events, result.events)
        return response

    def commit(self, request: pb.RequestCommit) -> pb.ResponseCommit:
        """Write the finalized block, all or nothing, then publish it to the other threads."""
        staged, started = self._staged, monotonic()
        if staged is None:
            raise NodeError("the engine commits a block that was not finalized")
        changes: dict[bytes, bytes | None] = {**self._genesis, **staged.result.changes}
        height, result = staged.block.height, staged.result
        self._store.write(Head(height, result.app_hash), changes)

        self._genesis, self._staged = {}, None
        self._publish(CommittedState(height, result.app_hash, self._store.view(), result.tree))
        hashes = tuple(sha256(tx).digest() for tx in staged.block.txs)
        self._tidy_mempool(hashes, height)
        # After the state is published: who hears of a block finds at least its state.
        block = CommittedBlock(
            height, staged.block.time_s, staged.block_hash, result.app_hash, hashes, result.results,
            result.list_events(), list_changed_transfers(result.changes),
        )
        self.listeners.publish(block)
        log_block(block, len(result.changes), monotonic() - started)
        return pb.ResponseCommit()

    def _committed(self) -> CommittedState:
        committed = self.published.latest()
        if committed is None:
            raise NodeError("the engine skipped InitChain")
        return committed

    def _publish(self, committed: CommittedState) -> None:
        self.published.publish(committed)
        self._records = StateDelta(committed.view)

    def _tidy_mempool(self, hashes: Sequence[bytes], height: int) -> None:
        for tx_hash in hashes:
            self._pending.forget(tx_hash)
        self._pending.sweep(height, self._records.must(keys.PARAMS, Params))


def check_app_version(app_version: int, where: str) -> None:
    """Raise NodeError for rules that this program does not know (ORD-6): a newer one went on with them."""
    if app_version > upgrades.APP_VERSION:
        reason = f"has version {app_version} of the rules, this program knows those up to {upgrades.APP_VERSION}"
        raise NodeError(f"{where} {reason}: install the release that brought it")


def list_changed_transfers(changes: Mapping[bytes, bytes | None]) -> tuple[TransferId, ...]:
    """Return the transfers whose record a block writes or deletes, ascending as ``changes`` is."""
    return tuple(keys.parse_transfer(key) for key in changes if key.startswith(keys.transfers()))


def put_events(target: Any, events: tuple[BlockEvent, ...]) -> None:
    """Append our events to a list of the engine's, indexed, so that a client can subscribe by id."""
    for event in events:
        message = target.add(type=event.kind)
        for name, value in event.attributes:
            message.attributes.add(key=name, value=value, index=True)


def log_block(block: CommittedBlock, changes: int, commit_s: float) -> None:
    """Log a committed block, and each of its own events: what was accepted, decided, attested; alarms as warnings."""
    log.info("committed", extra={
        "height": block.height, "app_hash": block.app_hash, "txs": len(block.tx_results), "changes": changes,
        "transfers": len(block.changed_transfers), "commit_ms": round(commit_s * 1000, 1),
    })
    for event in block.events:
        level = logging.DEBUG if event.kind in FREQUENT_EVENTS else logging.INFO
        level = logging.WARNING if event.kind is EventKind.ALARM else level
        if log.isEnabledFor(level):
            log.log(level, event.kind, extra={"height": block.height, "attributes": dict(event.attributes)})
