"""ORD-1 to ORD-5, COM-3, TRE-3 and the golden vectors: a block as a function of bytes."""

import json
from dataclasses import replace

import pytest

from abci_app.machine.block import apply_block
from abci_app.machine.block_parts import split_block
from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.observation.extension import INJECTED_COMMIT, INJECTED_SEGMENT, encode_commit
from abci_app.machine.observation.stream import RouterLiquidityAdded, encode_segment
from abci_app.machine.params import Params
from abci_app.machine.results import Block
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, TransferId
from abci_app.machine.state.records import ChainState, ValidatorSet
from abci_app.machine.state.tree import Tree
from abci_app.machine.state.view import MemoryState
from tests.kit.machine.driver import LIQUIDITY, ROUTERS, A, B, Network, bundle, executed, local_of, reconciled, xcalled
from tests.vectors import make_block_vectors

R1, R2, R3, R4 = ROUTERS
PARAMS = Params(lease_s=30)
VECTORS = json.loads(make_block_vectors.FILE.read_text())


# --- golden vectors --------------------------------------------------------------------------------------------------


def test_the_vectors_replay():
    """ORD-4, TRE-1: bytes in, codes and app hashes out, from the committed file alone."""
    state = MemoryState({key.encode(): bytes.fromhex(value) for key, value in VECTORS["genesis"].items()})
    tree = Tree.build(state.values)
    assert tree.root.hex() == VECTORS["genesis_app_hash"]
    for expected in VECTORS["blocks"]:
        block = Block(
            expected["height"], expected["time_s"], Address(bytes.fromhex(expected["proposer"])),
            tuple(bytes.fromhex(tx) for tx in expected["txs"]),
        )
        result = apply_block(state, tree, block)
        assert [int(each.code) for each in result.results] == expected["codes"]
        assert [each.data.hex() for each in result.results] == expected["data"]
        assert (result.batch.root.hex() if result.batch else "") == expected["batch_root"]
        assert result.app_hash.hex() == expected["app_hash"]
        state.apply(result.changes)
        tree = result.tree
    assert Tree.build(state.values).root == tree.root


def test_the_vectors_file_is_what_the_rules_give():
    """ORD-4."""
    assert make_block_vectors.make_vectors() == VECTORS


# --- the order of a block --------------------------------------------------------------------------------------------


def test_split_block():
    """COM-3: [commit] [segments] [the rest]; anything injected after that stays with the rest."""
    commit, segment = INJECTED_COMMIT + b"c", INJECTED_SEGMENT + b"s"

    def split(*txs: bytes) -> tuple[bool, int, int]:
        parts = split_block(txs)
        return parts.commit is not None, len(parts.segments), len(parts.rest)

    assert split() == (False, 0, 0)
    assert split(commit, segment, segment, b"tx") == (True, 2, 1)
    assert split(segment, commit) == (False, 1, 1)
    assert split(b"tx", commit, segment) == (False, 0, 3)
    assert split(commit, commit, segment) == (True, 0, 2)


def test_injected_kinds_out_of_place_have_a_code_and_no_effect():
    """COM-3, ORD-5: ProcessProposal refuses such a block; executed all the same, they change nothing."""
    net, plain = Network(PARAMS), Network(PARAMS)
    segment = net.segment(B, [RouterLiquidityAdded(R1, local_of(B), 5)], 1)
    commit = encode_commit(net.commit([segment]))
    raw = INJECTED_SEGMENT + encode_segment(segment)
    result = net.run([b"junk", commit, raw])
    assert [each.code for each in result.results] == [
        Code.TX_MALFORMED, Code.INJECTED_MISPLACED, Code.INJECTED_MISPLACED
    ]
    assert result.app_hash == plain.run([]).app_hash


@pytest.mark.parametrize("corrupt, code", [
    (lambda net, raws: raws, Code.OK),
    (lambda net, raws: [raws[0][:-1], raws[1]], Code.SEGMENT_MALFORMED),
    (lambda net, raws: raws[::-1], Code.SEGMENT_OUT_OF_ORDER),
    (lambda net, raws: [raws[0], raws[0]], Code.SEGMENT_OUT_OF_ORDER),
    (lambda net, raws: [raws[0], encode_segment(net.segment(B, [], 7))], Code.SEGMENT_DIGEST_MISMATCH),
])
def test_segments_are_taken_all_or_none(corrupt, code):
    """REP-4, ORD-5: one that does not fit or was not agreed refuses them all."""
    net, plain = Network(PARAMS), Network(PARAMS)
    segments = [net.segment(A, [], 1), net.segment(B, [RouterLiquidityAdded(R1, local_of(B), 5)], 1)]
    raws = corrupt(net, [encode_segment(segment) for segment in segments])
    commit = encode_commit(net.commit(segments))
    result = net.run([commit, *(INJECTED_SEGMENT + raw for raw in raws)])
    assert [each.code for each in result.results] == [Code.OK, code, code]
    assert (net.liquidity_of(R1).balance == LIQUIDITY + 5) == (code is Code.OK)
    if code is not Code.OK:
        assert result.app_hash == plain.run([commit]).app_hash


@pytest.mark.parametrize("raw, code", [
    (INJECTED_COMMIT, Code.COMMIT_MALFORMED),
    (INJECTED_COMMIT + b"junk", Code.COMMIT_MALFORMED),
])
def test_a_commit_that_does_not_count(raw, code):
    """COM-1, ORD-5: a code, and no effect."""
    net, plain = Network(PARAMS), Network(PARAMS)
    result = net.run([raw])
    assert [each.code for each in result.results] == [code]
    assert result.app_hash == plain.run([]).app_hash


def test_an_execution_in_time_goes_before_the_leases_end():
    """ORD-1: the segment that takes the clock past a lease also brings its Executed: events come first."""
    net = Network(PARAMS)
    transfer_id = net.assign(R1)
    net.block({B: [executed(transfer_id, R1)]}, seconds=PARAMS.lease_s + 1)
    assert net.status(transfer_id) == "EXECUTED"
    assert len(net.transfer(transfer_id).attempts) == 1


def test_renewals_come_before_auctions_and_both_by_acceptance():
    """ORD-1, ORD-2: step 3, then step 5; within a step the earlier acceptance number first."""
    net = Network(PARAMS)
    first, second = net.assign(R1), net.assign(R2)
    info = net.info()
    late = compute_transfer_id(info)
    net.block({A: [xcalled(info)]}, [bundle(late, R3)], seconds=20)
    net.let_lease_end()
    assert [decision.transfer_id for decision in net.decisions()] == [first, second, first, second, late]


def test_reservations_freed_in_this_block_are_seen_by_its_auctions():
    """ORD-1: Reconciled in step 2 frees what an auction in step 5 takes."""
    net = Network(PARAMS)
    holder = net.assign(R1, amount=LIQUIDITY)
    waiting = net.assign(R1, amount=LIQUIDITY)
    assert net.status(waiting) == "ACCEPTED"
    net.block({B: [reconciled(holder, amount=LIQUIDITY)]})
    assert net.status(waiting) == "ASSIGNED"


def test_rejected_transactions_leave_no_trace():
    """ORD-5: the same app hash as without them, whatever they are."""
    net, plain = Network(PARAMS), Network(PARAMS)
    ids = [each.accept() for each in (net, plain)]
    good = bundle(ids[0], R1)
    bad = [b"", b"junk", b"\0", good + b"\0", bundle(TransferId(bytes(32)), R1), b"\xff" * 100_000]
    result = net.block(txs=[bad[0], good, *bad[1:], good])
    plain.block(txs=[good])
    assert [each.code is Code.OK for each in result.results[3:]] == [False, True, *[False] * len(bad)]
    assert net.result and plain.result and net.result.app_hash == plain.result.app_hash


def test_the_chain_record_follows():
    """ORD-4: height, time, the last eight proposers, epochs."""
    net = Network(PARAMS)
    net.change(keys.CHAIN, ChainState, epoch_next=1)
    for number in range(10):
        net.block(proposer=number % 3)
    chain = net.chain
    assert (chain.height, chain.time_s, len(chain.recent_proposers)) == (10, net.time_s, 8)
    assert chain.recent_proposers[-1] == net.blocks[-1].proposer
    assert (chain.epoch_last, chain.epoch_executing, chain.epoch_next) == (1, 1, 1)


def test_a_batch_has_the_epoch_of_the_set_that_signs_it():
    """BAT-1: V(H+1)."""
    net = Network(PARAMS)
    info = net.info()
    net.block({A: [xcalled(info)]}, [bundle(compute_transfer_id(info), R1)])
    members = net.must(keys.epoch(1), ValidatorSet).members
    net.change_or_write(keys.epoch(2), ValidatorSet(2, members))
    net.change(keys.CHAIN, ChainState, epoch_next=2)
    result = net.block()
    assert result.batch is not None and result.batch.epoch == 2
    assert (net.chain.epoch_last, net.chain.epoch_executing, net.chain.epoch_next) == (1, 2, 2)


def test_a_block_in_which_nothing_is_due_writes_next_to_nothing():
    """TRE-3's economy: the chain record and nothing else, with open transfers and a failed auction around."""
    net = Network(PARAMS, liquidity=10)
    transfer_id = net.accept()
    net.block(txs=[bundle(transfer_id, R1)])
    result = net.run([])
    assert list(result.changes) == [keys.CHAIN]
    assert result.batch is None


def test_changes_are_all_there_is():
    """TRE-3: a tree built afresh over the changed state has the block's app hash; the old view is untouched."""
    net = Network(PARAMS)
    before = dict(net.state.values)
    info = net.info()
    block = Block(1, net.time_s + 1, Address(bytes(20)), ())
    result = apply_block(net.state, net.tree, block)
    assert net.state.values == before
    assert apply_block(net.state, net.tree, block).app_hash == result.app_hash
    net.block({A: [xcalled(info)]})
    assert net.result is not None
    assert Tree.build(net.state.values).root == net.result.app_hash == net.tree.root
    other = apply_block(MemoryState(before), Tree.build(before), replace(block, time_s=block.time_s + 1))
    assert other.app_hash != result.app_hash
