"""The application without an engine: genesis, mempool, blocks, restarts, queries; what it refuses and what ends it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from abci_app.abci import messages as pb
from abci_app.gateway.codes import AnswerCode
from abci_app.machine.block import apply_block
from abci_app.machine.codes import Code, InvariantBroken
from abci_app.machine.params import TX_BYTES_MAX, Params
from abci_app.machine.results import ValidatorUpdate
from abci_app.machine.state import keys
from abci_app.machine.state.codec import TransferId, decode
from abci_app.machine.state.records import ChainState, Domain, Transfer, TransferStatus
from abci_app.machine.state.tree import Tree
from abci_app.machine.state.view import StateDelta
from abci_app.machine.transactions.tx import encode_bundle
from abci_app.node.consensus.proposal import is_commit_due
from abci_app.node.errors import NodeError, StoreError
from abci_app.node.run import PublishedReads
from abci_app.node.view import CommittedBlock
from tests.kit.machine.small_world import CHAIN_ID, DESTINATION, ORIGIN, ROUTER_KEYS, STRANGER_KEY, valid_bid
from tests.kit.node.small_chain import Network, Validator, make_info, make_xcalled

XCALLED = [make_xcalled(make_info(nonce)) for nonce in range(8)]
BIDS = [encode_bundle([valid_bid(each.transfer_id)]) for each in XCALLED]
NEW, RECHECK = 0, 1


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path, params=Params(early_bids_per_router=3, early_bid_blocks=4))
    yield made
    made.close()


def check(net: Network, tx: bytes, kind: int = NEW) -> int:
    return net.validators[0].app.check_tx(pb.RequestCheckTx(tx=tx, type=kind)).code


def accept(net: Network, *nonces: int) -> None:
    """Has these transfers accepted."""
    net.chains[ORIGIN].add([XCALLED[nonce] for nonce in nonces])
    net.see()
    net.step()
    net.step()


ABCI_VERSION = pb.RequestInitChain(consensus_params={"version": {"app": 1}}).consensus_params
"""All that InitChain changes of the parameters: without it ``cometbft rollback`` leaves a version no header has."""


# --- genesis --------------------------------------------------------------------------------------------------------


def test_genesis_is_the_same_for_all_and_writes_nothing(net: Network, tmp_path: Path) -> None:
    assert len(set(net.genesis_hashes)) == 1 and len(net.genesis_hashes[0]) == 32
    assert list(tmp_path.rglob("*")) == []
    info = net.validators[0].app.info(pb.RequestInfo())
    assert info.last_block_height == 0 and info.last_block_app_hash == b"" and info.app_version == 1
    again = net.validators[0].app.init_chain(net.init_request)
    assert again.app_hash == net.genesis_hashes[0]
    assert again.consensus_params == ABCI_VERSION


def test_extensions_are_enabled_where_genesis_forgot(net: Network) -> None:
    request = pb.RequestInitChain.FromString(net.init_request.SerializeToString())
    request.consensus_params.abci.vote_extensions_enable_height = 0
    answer = net.validators[0].app.init_chain(request)
    assert answer.consensus_params.abci.vote_extensions_enable_height == 1
    request.consensus_params.abci.vote_extensions_enable_height = 5
    app = net.validators[0].app
    assert app.init_chain(request).consensus_params == ABCI_VERSION
    commit = pb.RequestProcessProposal(height=5, txs=[b"\0\1"])
    app.process_proposal(commit)
    assert app.metrics.proposals_refused == {Code.COMMIT_UNEXPECTED: 1}
    app.process_proposal(pb.RequestProcessProposal(height=6, txs=[]))
    assert app.metrics.proposals_refused[Code.COMMIT_MISSING] == 1


def corrupt_state(change: Any) -> Any:
    def corrupt(request: pb.RequestInitChain) -> None:
        state = json.loads(request.app_state_bytes)
        change(state)
        request.app_state_bytes = json.dumps(state).encode()
    return corrupt


def corrupt_bytes(part: bytes, other: bytes) -> Any:
    def corrupt(request: pb.RequestInitChain) -> None:
        assert part in request.app_state_bytes
        request.app_state_bytes = request.app_state_bytes.replace(part, other)
    return corrupt


@pytest.mark.parametrize("block_bytes", [-1, 0, 2**18, 2**22])
def test_blocks_that_hold_the_largest_segment_will_do(net: Network, block_bytes: int) -> None:
    """GEN-2: -1 is as large as there are, 0 an engine that says nothing."""
    request = pb.RequestInitChain.FromString(net.init_request.SerializeToString())
    request.consensus_params.block.max_bytes = block_bytes
    assert net.validators[0].app.init_chain(request).app_hash == net.genesis_hashes[0]


@pytest.mark.parametrize(("corrupt", "message"), [
    (lambda request: setattr(request, "chain_id", "routing-2"), "the engine's chain is 'routing-2', config.toml says"),
    (lambda request: setattr(request, "initial_height", 7), "initial_height is 7, must be 1"),
    (lambda request: setattr(request, "app_state_bytes", b""), "app_state is not JSON"),
    (lambda request: setattr(request, "app_state_bytes", b"[]"), "app_state must be an object"),
    (lambda request: setattr(request, "app_state_bytes", b"\xff{}"), "app_state is not JSON"),
    (corrupt_bytes(b'"params"', b'"params": {}, "params"'), "one name twice among assets, domains, params"),
    (corrupt_bytes(b'"chain_id"', b'"gate": "0x", "chain_id"'), "one name twice among"),
    (lambda request: setattr(request.consensus_params.block, "max_bytes", 2**18 - 1), "must be at least 262144"),
    (corrupt_state(lambda state: state.pop("domains")), "domains"),
    (corrupt_state(lambda state: state["validators"].pop()), "validators"),
    (corrupt_state(lambda state: state["validators"][0].update(power=9)), "validators"),
    (lambda request: request.validators.pop(), "validators"),
])
def test_a_wrong_genesis_ends_the_node(net: Network, tmp_path: Path, corrupt: Any, message: str) -> None:
    request = pb.RequestInitChain.FromString(net.init_request.SerializeToString())
    corrupt(request)
    with pytest.raises(NodeError) as refusal:
        net.validators[0].app.init_chain(request)
    assert message in str(refusal.value) and "\n" not in str(refusal.value)
    assert list(tmp_path.rglob("*")) == []


def test_before_genesis_nothing_is_taken(tmp_path: Path) -> None:
    app = Validator(0, 1, tmp_path).app
    assert app.check_tx(pb.RequestCheckTx(tx=BIDS[0])).code == AnswerCode.NOT_READY
    assert app.query(pb.RequestQuery(path="key", data=b"chain")).code == AnswerCode.NOT_FOUND
    with pytest.raises(NodeError):
        app.commit(pb.RequestCommit())
    with pytest.raises(NodeError):
        app.finalize_block(pb.RequestFinalizeBlock(height=1))


# --- mempool --------------------------------------------------------------------------------------------------------


def test_bids_for_accepted_transfers_are_admitted(net: Network) -> None:
    assert check(net, BIDS[0]) == Code.TRANSFER_UNKNOWN
    accept(net, 0)
    assert check(net, BIDS[0]) == Code.OK
    assert check(net, encode_bundle([valid_bid(XCALLED[0].transfer_id, STRANGER_KEY)])) == Code.ROUTER_NOT_APPROVED
    net.step([BIDS[0]])
    assert check(net, BIDS[0], RECHECK) == Code.BID_DUPLICATE


def test_early_bids_are_for_what_the_own_observer_saw(net: Network) -> None:
    """BID-6."""
    net.validators[0].observer.see_transfer(XCALLED[0].transfer_id)
    assert check(net, BIDS[0]) == Code.OK
    assert check(net, BIDS[1]) == Code.TRANSFER_UNKNOWN
    assert net.validators[1].app.check_tx(pb.RequestCheckTx(tx=BIDS[0])).code == Code.TRANSFER_UNKNOWN


def test_early_bids_are_bounded_per_router(net: Network) -> None:
    """BID-6."""
    for xcalled in XCALLED:
        net.validators[0].observer.see_transfer(xcalled.transfer_id)
    assert [check(net, bid) for bid in BIDS[:5]] == [0, 0, 0, Code.EARLY_BIDS_FULL, Code.EARLY_BIDS_FULL]
    other = encode_bundle([valid_bid(XCALLED[4].transfer_id, ROUTER_KEYS[1])])
    assert check(net, other) == Code.OK


def test_early_bids_leave_after_their_blocks(net: Network) -> None:
    """BID-6."""
    net.validators[0].observer.see_transfer(XCALLED[0].transfer_id)
    assert check(net, BIDS[0]) == Code.OK
    for _ in range(3):
        net.step()
        assert check(net, BIDS[0], RECHECK) == Code.OK
    net.step()
    assert check(net, BIDS[0], RECHECK) == Code.TRANSFER_UNKNOWN


def test_an_accepted_transfer_takes_its_early_bids_off_the_books(net: Network) -> None:
    for xcalled in XCALLED:
        net.validators[0].observer.see_transfer(xcalled.transfer_id)
    assert [check(net, bid) for bid in BIDS[:4]] == [0, 0, 0, Code.EARLY_BIDS_FULL]
    net.chains[ORIGIN].add([XCALLED[0], XCALLED[1]])
    net.see()
    net.step()
    step = net.step([BIDS[0]])  # committed with its transfer
    assert BIDS[0] in step.txs
    assert check(net, BIDS[1], RECHECK) == Code.OK  # no longer early
    assert [check(net, bid) for bid in BIDS[3:6]] == [0, 0, Code.EARLY_BIDS_FULL]


def test_what_a_recheck_refuses_is_off_the_books(net: Network) -> None:
    """BID-6: a fifth copy is refused while four wait, and taken once they do not."""
    accept(net, 0)
    transfer_id = XCALLED[0].transfer_id
    wide = [
        encode_bundle([valid_bid(transfer_id, key, lengths) for key in (ROUTER_KEYS[0], *others)])
        for others in ((), ROUTER_KEYS[1:2]) for lengths in ((1,), (2,), (1, 2))
    ]
    assert [check(net, tx) for tx in wide] == [0, 0, 0, 0, 0, 0]
    alone = encode_bundle([valid_bid(transfer_id, ROUTER_KEYS[0], (1, 2, 4))])
    assert check(net, alone) == Code.BID_DUPLICATE
    net.step([wide[2]])  # all other copies of the first router's bid add nothing now
    assert [check(net, tx, RECHECK) for tx in wide[:2]] == [Code.BID_DUPLICATE] * 2
    assert [check(net, tx, RECHECK) for tx in wide[3:]] == [0, 0, 0]
    assert check(net, alone) == 0


def test_a_committed_copy_does_not_drop_the_bundle_it_was_copied_from(net: Network) -> None:
    """BID-6, BID-7: a bundle waits, whole, for its second transfer; meanwhile somebody submits its first bid alone."""
    accept(net, 0)
    net.validators[0].observer.see_transfer(XCALLED[1].transfer_id)
    bids = [valid_bid(each.transfer_id) for each in XCALLED[:2]]
    both = encode_bundle(bids)
    assert check(net, both) == Code.OK
    step = net.step([both, encode_bundle(bids[:1])])
    assert both not in step.txs and encode_bundle(bids[:1]) in step.txs
    assert check(net, both, RECHECK) == Code.OK

    net.chains[ORIGIN].add([XCALLED[1]])
    net.see()
    net.step([both])
    step = net.step([both])  # the block that accepts its transfer
    assert step.datas[step.txs.index(both)] in (bytes([0, Code.BID_DUPLICATE]), bytes([Code.BID_DUPLICATE, 0]))


JUNK = [
    (b"", Code.TX_EMPTY),
    (b"junk", Code.TX_MALFORMED),
    (b"\0\1" + bytes(50), Code.TX_INJECTED_KIND),
    (b"\0\2", Code.TX_INJECTED_KIND),
    (b"\0\x63", Code.TX_INJECTED_KIND),
    (bytes([255]) * (TX_BYTES_MAX + 1), Code.TX_TOO_LARGE),
    (BIDS[0] + b"\x20\x01", Code.TX_NOT_CANONICAL),
    (encode_bundle([valid_bid(TransferId(b"\x09" * 32))]), Code.TRANSFER_UNKNOWN),
]


@pytest.mark.parametrize(("tx", "code"), JUNK)
def test_junk_gets_its_code(net: Network, tx: bytes, code: Code) -> None:
    answer = net.validators[0].app.check_tx(pb.RequestCheckTx(tx=tx))
    assert answer.code == code and answer.log and answer.codespace == "routing"


def test_ten_thousand_junk_transactions_write_no_log_and_leave_no_trace(
    net: Network, caplog: pytest.LogCaptureFixture
) -> None:
    before = dict(net.committed.view.scan(b""))
    with caplog.at_level("DEBUG"):
        for number in range(10_000):
            tx, code = JUNK[number % len(JUNK)]
            assert check(net, tx) == code
    assert caplog.records == []
    assert sum(net.validators[0].app.metrics.txs_checked.values()) == 10_000
    assert dict(net.committed.view.scan(b"")) == before
    executed = [(tx, code) for tx, code in JUNK if code not in (Code.TX_INJECTED_KIND, Code.TRANSFER_UNKNOWN)]
    assert net.step([tx for tx, _ in JUNK]).codes == [code for _, code in executed]


# --- blocks and restarts --------------------------------------------------------------------------------------------


def test_blocks_follow_one_another(net: Network) -> None:
    app = net.validators[0].app
    for height in (0, 2, 7):
        with pytest.raises(InvariantBroken):
            app.finalize_block(pb.RequestFinalizeBlock(height=height))
    net.step()
    with pytest.raises(InvariantBroken):
        app.finalize_block(pb.RequestFinalizeBlock(height=1))
    with pytest.raises(NodeError, match="not finalized"):
        app.commit(pb.RequestCommit())


def test_finalizing_writes_nothing_and_may_be_repeated(net: Network) -> None:
    net.step()
    app, before = net.validators[0].app, dict(net.committed.view.scan(b""))
    request = pb.RequestFinalizeBlock(**net.block_fields(net.prepare(), 0))
    first = app.finalize_block(request)
    assert net.validators[0].store.head is not None and net.validators[0].store.head.height == 1
    assert dict(net.committed.view.scan(b"")) == before
    assert app.finalize_block(request) == first
    app.commit(pb.RequestCommit())
    assert app.info(pb.RequestInfo()).last_block_height == 2


def test_validator_updates_of_a_block_reach_the_engine(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """None by default: no rule makes any yet; what a block brings about is answered as it is."""
    app, request = net.validators[0].app, pb.RequestFinalizeBlock(**net.block_fields(net.prepare(), 0))
    assert not app.finalize_block(request).validator_updates
    updates = (ValidatorUpdate(b"\1" * 32, 0), ValidatorUpdate(b"\2" * 32, 7))
    monkeypatch.setattr(
        "abci_app.node.app.apply_block", lambda *given: replace(apply_block(*given), validator_updates=updates)
    )
    answered = [(each.pub_key.ed25519, each.power) for each in app.finalize_block(request).validator_updates]
    assert answered == [(b"\1" * 32, 0), (b"\2" * 32, 7)]


def test_where_extensions_begin_is_under_the_app_hash(net: Network) -> None:
    """COM-1, GEN-3: a later start of vote extensions is another state, and no commit is due before it."""
    request = pb.RequestInitChain.FromString(net.init_request.SerializeToString())
    request.consensus_params.abci.vote_extensions_enable_height = 5
    app = net.validators[0].app
    assert app.init_chain(request).app_hash != net.genesis_hashes[0]
    state = StateDelta(app.published.latest().view)  # type: ignore[union-attr]
    assert state.must(keys.CHAIN, ChainState).extensions_from == 5
    assert [is_commit_due(state, height) for height in (1, 5, 6, 7)] == [False, False, True, True]


@pytest.mark.parametrize("stop_after", ["commit", "finalize"])
def test_a_restart_takes_up_where_the_store_is(net: Network, stop_after: str) -> None:
    accept(net, 0)
    victim = net.validators[2]
    if stop_after == "finalize":
        victim.app.finalize_block(pb.RequestFinalizeBlock(**net.block_fields(net.prepare(), 0)))
    head = victim.store.head
    victim.store.close()
    victim.open()
    info = victim.app.info(pb.RequestInfo())
    assert head is not None and (info.last_block_height, info.last_block_app_hash) == (head.height, head.app_hash)
    for _ in range(4):
        step = net.step([BIDS[0]] if net.height == 2 else [])
        assert step.accepted == [True] * 4 and len(set(step.app_hashes)) == 1


def test_replay_from_genesis_gives_the_same_hashes(net: Network, tmp_path: Path) -> None:
    blocks, hashes = [], []
    net.chains[ORIGIN].add([XCALLED[0]])
    net.see()
    for height in range(6):
        fields: dict = {}
        step = net.step([BIDS[0]] if height == 1 else [], proposer=height % 4)
        net.height -= 1
        fields = net.block_fields(step.txs, height % 4)
        net.height += 1
        blocks.append(pb.RequestFinalizeBlock(**fields))
        hashes.append(step.app_hashes[0])
    fresh = Validator(0, 4, tmp_path / "fresh")
    fresh.app.init_chain(net.init_request)
    replayed = []
    for block in blocks:
        replayed.append(fresh.app.finalize_block(block).app_hash)
        fresh.app.commit(pb.RequestCommit())
    assert replayed == hashes
    assert Tree.build(fresh.store.view().scan(b"")).root == hashes[-1]
    fresh.store.close()


def test_a_damaged_state_is_noticed_at_the_start(net: Network) -> None:
    net.step()
    victim = net.validators[0]
    victim.store._db.put(b"s/extra", b"1")
    victim.store.close()
    with pytest.raises(StoreError, match="does not hash"):
        victim.open()


def test_listeners_hear_of_every_result(net: Network) -> None:
    heard: list[CommittedBlock] = []
    listeners = net.validators[0].app.listeners
    listeners.subscribe("test", lambda notice: heard.append(notice) if isinstance(notice, CommittedBlock) else None)
    listeners.start()
    accept(net, 0)
    step = net.step([BIDS[0], b"junk"])
    listeners.stop()
    assert [block.height for block in heard] == [1, 2, 3]
    assert sorted(result.code for result in heard[-1].results.values()) == sorted(step.codes)
    assert net.validators[0].app.metrics.counters()["txs_executed_TX_MALFORMED"] == 1


def test_others_learn_which_transfers_the_observer_saw(net: Network) -> None:
    reads = PublishedReads(net.validators[0].app)
    seen, unseen = XCALLED[0].transfer_id, XCALLED[1].transfer_id
    net.validators[0].observer.see_transfer(seen)
    assert reads.has_seen(seen) and not reads.has_seen(unseen)


def test_a_transfer_walks_through_the_application(net: Network) -> None:
    accept(net, 0)
    net.step([BIDS[0]], proposer=1)
    raw = net.committed.view.get(keys.transfer(XCALLED[0].transfer_id))
    assert raw is not None and decode(Transfer, raw).status is TransferStatus.ASSIGNED
    assert net.validators[0].published.read_domains()[ORIGIN].cursor.number == 1


# --- queries --------------------------------------------------------------------------------------------------------


def query(net: Network, **fields: Any) -> pb.ResponseQuery:
    return net.validators[0].app.query(pb.RequestQuery(**fields))


def test_a_key_is_answered_at_recent_heights(net: Network) -> None:
    for _ in range(20):
        net.step()
    for height in (20, 12, 5):
        answer = query(net, path="key", data=keys.CHAIN, height=height)
        assert answer.height == height and decode(ChainState, answer.value).height == height
    assert decode(ChainState, query(net, path="/key", data=keys.CHAIN).value).chain_id == CHAIN_ID
    domain = decode(Domain, query(net, path="key", data=keys.domain(DESTINATION)).value)
    assert domain.domain == DESTINATION


@pytest.mark.parametrize("fields", [
    {"path": "store", "data": keys.CHAIN},
    {"path": "key", "data": keys.CHAIN, "height": 21},
    {"path": "key", "data": keys.CHAIN, "height": 4},
    {"path": "key", "data": keys.CHAIN, "height": -1},
])
def test_other_questions_are_refused(net: Network, fields: dict) -> None:
    for _ in range(20):
        net.step()
    answer = query(net, **fields)
    assert answer.code == AnswerCode.NOT_FOUND and answer.value == b"" and answer.log


def test_an_absent_key_is_no_error_and_both_can_be_proven(net: Network) -> None:
    net.step()
    absent = query(net, path="key", data=b"none", prove=True)
    assert absent.code == 0 and absent.value == b"" and absent.log == "does not exist"
    present = query(net, path="key", data=keys.CHAIN, prove=True)
    for answer in (absent, present):
        (op,) = answer.proof_ops.ops
        assert op.type == "ics23:routing" and len(op.key) == 32 and len(op.data) > 100
    assert present.proof_ops.ops[0].data[:1] == b"\x0a" and absent.proof_ops.ops[0].data[:1] == b"\x12"
    assert not query(net, path="key", data=keys.CHAIN).HasField("proof_ops")
