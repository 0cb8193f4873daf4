"""PrepareProposal: what goes in, in which order, what waits, within how many bytes; always accepted by others."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abci_app.abci import messages as pb
from abci_app.abci import tx_bytes_in_block
from abci_app.machine.codes import InvariantBroken
from abci_app.machine.observation.extension import INJECTED_COMMIT, INJECTED_SEGMENT, VoteFlag, decode_commit
from abci_app.machine.observation.stream import compute_digest, decode_segment, encode_segment
from abci_app.machine.transactions.tx import encode_bundle
from abci_app.observer.snapshot import ObservedDomain, ObservedSegment
from tests.kit.machine.small_world import DESTINATION, ORIGIN, ROUTER_KEYS, valid_bid
from tests.kit.node.small_chain import Network, make_info, make_xcalled

XCALLED = [make_xcalled(make_info(nonce)) for nonce in range(12)]
BIDS = [encode_bundle([valid_bid(each.transfer_id)]) for each in XCALLED]
JUNK = b"junk of no kind"


@pytest.fixture
def net(tmp_path: Path):
    made = Network(tmp_path)
    yield made
    made.close()


def kinds(block: list[bytes]) -> list[bytes]:
    return [tx[:2] if tx[:1] == b"\0" else tx for tx in block]


def test_order_is_commit_segments_awaited_bids_the_rest(net: Network) -> None:
    """COM-3."""
    net.chains[ORIGIN].add([XCALLED[0]])
    net.chains[DESTINATION].add()
    net.see()
    net.step()
    net.step()
    net.chains[ORIGIN].add([XCALLED[1]])
    net.see()
    net.step()
    block = net.prepare(0, [JUNK, BIDS[0], BIDS[1]])
    assert kinds(block) == [INJECTED_COMMIT, INJECTED_SEGMENT, BIDS[1], JUNK, BIDS[0]]
    assert all(net.is_accepted(block, node) for node in range(4))


def test_bundles_wait_whole_for_their_last_transfer(net: Network) -> None:
    """BID-7."""
    both = encode_bundle([valid_bid(XCALLED[index].transfer_id, ROUTER_KEYS[1]) for index in (0, 1)])
    net.chains[ORIGIN].add([XCALLED[0]])
    net.see()
    net.step()
    assert kinds(net.prepare(0, [both, BIDS[1], BIDS[0]])) == [INJECTED_COMMIT, INJECTED_SEGMENT, BIDS[0]]
    net.step()
    net.chains[ORIGIN].add([XCALLED[1]])
    net.see()
    assert kinds(net.prepare(0, [both, BIDS[0]])) == [INJECTED_COMMIT, BIDS[0]]
    net.step()
    assert kinds(net.prepare(0, [both])) == [INJECTED_COMMIT, INJECTED_SEGMENT, both]
    assert net.step([both]).codes == [0, 0, 0]


def test_injected_kinds_in_the_mempool_stay_there(net: Network) -> None:
    net.step()
    injected = [INJECTED_COMMIT + b"x", INJECTED_SEGMENT + b"x", b"\0\0", b"\0"]
    assert kinds(net.prepare(0, [*injected, JUNK])) == [INJECTED_COMMIT, JUNK]


def test_only_what_is_agreed_on_the_own_digest_is_proposed(net: Network) -> None:
    """Node 3 (power 1 of 10) sees another stream: the others' agreed one is proposed by them, never by it."""
    net.chains[ORIGIN].add([XCALLED[0]])
    net.see([0, 1, 2])
    other = Network(net.validators[0].path.parent / "other")
    other.chains[ORIGIN].add([XCALLED[5]])
    net.validators[3].observer.see(other.chains[ORIGIN])
    other.close()
    net.step()
    assert kinds(net.prepare(3)) == [INJECTED_COMMIT]
    assert kinds(net.prepare(2)) == [INJECTED_COMMIT, INJECTED_SEGMENT]


def test_two_thirds_are_not_enough_and_more_is(tmp_path: Path) -> None:
    """REP-2."""
    for powers, agreed in (((2, 2, 2), False), ((3, 2, 2), True)):
        net = Network(tmp_path / str(agreed), powers=powers)
        net.chains[ORIGIN].add([XCALLED[0]])
        net.see([0, 1])
        net.step()
        assert (kinds(net.prepare(0)) == [INJECTED_COMMIT, INJECTED_SEGMENT]) is agreed
        net.close()


def test_votes_that_do_not_verify_are_pruned_and_the_rest_counts(net: Network) -> None:
    """COM-2."""
    net.chains[ORIGIN].add([XCALLED[0]])
    net.see()
    net.step()
    net.votes[3].extension_signature = bytes(64)
    net.votes[2].vote_extension = b"not what was signed"
    block = net.prepare(0)
    assert [bool(entry.signature) for entry in decode_commit(block[0]).entries] == [True, True, False, False]
    assert kinds(block) == [INJECTED_COMMIT, INJECTED_SEGMENT]  # 7 of 10
    assert net.is_accepted(block, node=1)


@pytest.mark.parametrize("flag", [VoteFlag.NIL, VoteFlag.ABSENT])
def test_what_votes_otherwise_says_nothing(net: Network, flag: VoteFlag) -> None:
    """COM-2: even where an engine hands its extension on, signed and all."""
    net.chains[ORIGIN].add([XCALLED[0]])
    net.see()
    net.step()
    net.votes[3].block_id_flag = flag
    block = net.prepare(0)
    assert [bool(entry.signature) for entry in decode_commit(block[0]).entries] == [True, True, True, False]
    assert net.is_accepted(block, node=1)


def test_empty_extensions_travel_as_pruned(net: Network) -> None:
    net.step()
    (commit,) = net.prepare(0)
    assert all(not entry.signature and entry.flag is VoteFlag.COMMIT for entry in decode_commit(commit).entries)
    assert len(commit) < 60


def test_injected_bytes_are_reserved_first(net: Network) -> None:
    net.chains[ORIGIN].add([XCALLED[0]])
    net.see()
    net.step()
    commit, segment, bid = net.prepare(0, [BIDS[0]])
    need = list(map(tx_bytes_in_block, (commit, segment, bid)))
    assert net.prepare(0, [BIDS[0]], max_tx_bytes=sum(need)) == [commit, segment, bid]
    assert net.prepare(0, [BIDS[0]], max_tx_bytes=sum(need) - 1) == [commit, segment]
    assert net.prepare(0, [BIDS[0]], max_tx_bytes=sum(need[:2]) - 1) == [commit]
    (pruned,) = net.prepare(0, [BIDS[0]], max_tx_bytes=need[0] - 1)
    assert not any(entry.signature for entry in decode_commit(pruned).entries)
    assert net.is_accepted([pruned], node=1)


def test_a_segment_that_fits_to_the_byte_is_proposed(net: Network) -> None:
    net.chains[ORIGIN].add([XCALLED[0]])
    net.see()
    net.step()
    commit, segment = net.prepare(0)
    need = tx_bytes_in_block(commit) + tx_bytes_in_block(segment)
    assert net.prepare(0, max_tx_bytes=need) == [commit, segment]
    assert net.prepare(0, max_tx_bytes=need - 1) == [commit]


def test_what_is_agreed_and_against_a_rule_is_withheld(net: Network) -> None:
    """SEG-3, REP-4: more than two thirds may be wrong alike; a block with it would be refused by themselves."""
    chain = net.chains[ORIGIN]
    segment, _ = chain.next_segment([XCALLED[0]])
    raw = encode_segment(replace(segment, end_index=7))
    wrong = ObservedDomain(ORIGIN, (ObservedSegment(1, raw, compute_digest(chain.digest, raw)),))
    net.chains[DESTINATION].add()
    net.see()
    for validator in net.validators:
        validator.observer.domains[ORIGIN] = wrong
    net.step()
    block = net.prepare(0)
    assert [decode_segment(tx[2:]).domain for tx in block[1:]] == [DESTINATION]
    assert [net.is_accepted(block, node) for node in range(4)] == [True] * 4
    assert not net.is_accepted([block[0], INJECTED_SEGMENT + raw, *block[1:]])


MEMPOOL = st.lists(st.sampled_from([*BIDS, JUNK, b"", b"\0\1x", b"\0\2x", b"\0\7", encode_bundle(
    [valid_bid(XCALLED[index].transfer_id, ROUTER_KEYS[2]) for index in range(6)]
)]), max_size=8)
FLAG = st.sampled_from([VoteFlag.COMMIT] * 6 + [VoteFlag.ABSENT, VoteFlag.NIL])
HEIGHT = st.fixed_dictionaries({
    "events": st.lists(st.integers(0, 2), max_size=3),
    "idle": st.booleans(),
    "seeing": st.sets(st.integers(0, 3)),
    "txs": MEMPOOL,
    "proposer": st.integers(0, 3),
    "flags": st.fixed_dictionaries(dict.fromkeys(range(4), FLAG)),
    "round": st.integers(0, 3),
    "corrupted": st.sets(st.integers(0, 3), max_size=2),
    "bytes": st.sampled_from([1_000_000, 1_000, 600, 200]),
})


@settings(
    max_examples=30, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(heights=st.lists(HEIGHT, min_size=2, max_size=7), number=st.integers(0, 2**32))
def test_an_honest_proposal_is_always_accepted(
    tmp_path_factory: pytest.TempPathFactory, heights: list[dict], number: int
) -> None:
    """Whatever was seen, voted, corrupted in the votes, or lies in the mempool, and however little room there is."""
    net = Network(tmp_path_factory.mktemp("prepare"))
    calls = iter(XCALLED)
    try:
        for height in heights:
            for count in height["events"]:
                events = [event for event, _ in zip(calls, range(count), strict=False)]
                net.chains[ORIGIN].add(events)
            if height["idle"]:
                net.chains[DESTINATION].add()
            net.see(height["seeing"])
            for index in height["corrupted"]:
                if net.votes and net.votes[index].extension_signature:
                    net.votes[index].extension_signature = bytes(64)
            block = net.prepare(height["proposer"], height["txs"], height["bytes"])
            assert sum(map(tx_bytes_in_block, block)) <= height["bytes"]
            assert [net.is_accepted(block, node, height["proposer"]) for node in range(4)] == [True] * 4
            step = net.step(
                height["txs"], height["proposer"], height["flags"], height["round"], corrupt=partial(give, block)
            )
            assert len(set(step.app_hashes)) == 1
    finally:
        net.close()


def give(block: list[bytes], _prepared: list[bytes]) -> list[bytes]:
    return block


def test_a_last_commit_of_another_set_ends_the_node(net: Network) -> None:
    net.step()
    net.votes.pop()
    with pytest.raises(InvariantBroken):
        net.validators[0].app.prepare_proposal(pb.RequestPrepareProposal(
            max_tx_bytes=1000, height=2, local_last_commit=pb.ExtendedCommitInfo(votes=net.votes)
        ))
