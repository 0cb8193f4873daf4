"""Whose votes, whose seat, what fits: choices that look alike while the set never changes and room is plenty."""

from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.abci import tx_bytes_in_block
from abci_app.machine.block_parts import split_block
from abci_app.machine.connext import keccak
from abci_app.machine.observation.extension import INJECTED_SEGMENT
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, Hash, decode
from abci_app.machine.state.records import ChainState, ValidatorSet
from abci_app.machine.state.view import StateDelta
from abci_app.node.consensus.injected_commit import get_last_set
from abci_app.node.consensus.segment_proposal import choose_segments, take_agreed
from abci_app.node.consensus.vote_extension import find_member, record_commit, sign_owed
from abci_app.node.signer import Signer
from abci_app.observer.snapshot import ObservedSegment
from tests.kit.machine.small_world import (
    ATTESTATION_KEYS,
    DESTINATION,
    ORIGIN,
    first_state,
    key_address,
    put_record,
)
from tests.kit.node.small_chain import Network, make_info, make_xcalled


@pytest.fixture
def changing() -> StateDelta:
    """Three epochs at once, each without the first member of the one before: last 1, executing 2, next 3."""
    state = first_state()
    genesis = decode(ValidatorSet, state.values[keys.epoch(1)])
    for epoch in (1, 2, 3):
        put_record(state, keys.epoch(epoch), ValidatorSet(epoch, genesis.members[epoch - 1:]))
    chain = decode(ChainState, state.values[keys.CHAIN])
    put_record(state, keys.CHAIN, replace(chain, epoch_last=1, epoch_executing=2, epoch_next=3))
    return StateDelta(state)


def test_the_injected_commit_is_of_the_set_that_voted(changing: StateDelta) -> None:
    """COM-1: block H carries the votes of H-1, whatever set executes it."""
    chain, members = get_last_set(changing)
    assert (chain.epoch_last, len(members)) == (1, 4)


def test_a_validator_s_seat_is_that_of_the_executing_set(changing: StateDelta) -> None:
    """EXT-4: reports count by the places of the set that votes on this block."""
    members = changing.must(keys.epoch(1), ValidatorSet).members
    seats = [find_member(changing, member.attestation) for member in members]
    assert seats == [None, 0, 1, 2]
    assert find_member(changing, Address(b"\x99" * 20)) is None


@pytest.mark.parametrize(("looks", "signed"), [(0, 0), (1, 1), (2, 2), (9, 3)])
def test_signing_ends_with_the_time_budget(monkeypatch: pytest.MonkeyPatch, looks: int, signed: int) -> None:
    """EXT-4: a vote that comes late costs more than a signature that comes one height later."""
    owed = [(height, 1, Hash(keccak(b"batch %d" % height))) for height in (4, 5, 6)]
    monkeypatch.setattr("abci_app.node.consensus.vote_extension.list_owed", lambda state, address: owed)
    answers = iter([False] * looks + [True] * 9)
    made = sign_owed(StateDelta(first_state()), Signer(ATTESTATION_KEYS[0]), lambda: next(answers))
    assert [one.height for one in made] == [4, 5, 6][:signed]
    assert Signer(ATTESTATION_KEYS[0]).address == key_address(ATTESTATION_KEYS[0])


def observed(number: int) -> ObservedSegment:
    return ObservedSegment(number, b"segment %d" % number, Hash(keccak(b"digest %d" % number)))


def test_only_the_digest_that_was_seen_counts_as_agreed() -> None:
    """REP-4: others may have agreed on another segment of that number; this one they would refuse."""
    segments = [observed(1), observed(2)]
    other = Hash(keccak(b"another"))
    assert take_agreed(segments, {1: segments[0].digest, 2: other}, 1000)[0] == [segments[0].raw]
    assert take_agreed(segments, {1: other, 2: other}, 1000) == ([], 1000)
    assert take_agreed(segments, {2: segments[1].digest}, 1000)[0] == [segments[0].raw, segments[1].raw]


def test_what_one_domain_takes_the_next_has_not(tmp_path: Path) -> None:
    """REP-4: ``segments_bytes`` is for all domains together; a block above it is refused by everyone."""
    net = Network(tmp_path)
    net.chains[ORIGIN].add([make_xcalled(make_info(0))])
    net.chains[DESTINATION].add()
    net.see()
    net.step()
    both = [tx for tx in net.prepare() if tx[:2] == INJECTED_SEGMENT]
    need = sum(map(tx_bytes_in_block, both))
    state, observation = counted(net), net.validators[0].observer.observation()
    assert [INJECTED_SEGMENT + raw for raw in choose_segments(Scope.open(state, 2, 0), observation, need)] == both
    for height in (2, 3):  # each domain is first once
        [one] = choose_segments(Scope.open(state, height, 0), observation, need - 1)
        assert INJECTED_SEGMENT + one in both
    net.close()


def counted(net: Network) -> StateDelta:
    """The committed state with the last commit's reports counted."""
    return record_commit(StateDelta(net.committed.view), split_block(net.prepare()))
