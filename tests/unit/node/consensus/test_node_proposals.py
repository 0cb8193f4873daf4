"""ProcessProposal: an honest block is taken; each way to corrupt one is refused with its own code (COM, SEG, BID-7)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.machine.codes import Code
from abci_app.machine.observation.extension import (
    INJECTED_COMMIT,
    INJECTED_SEGMENT,
    CommitEntry,
    InjectedCommit,
    VoteFlag,
    decode_commit,
    encode_commit,
)
from abci_app.machine.observation.stream import Segment, decode_segment, encode_segment
from abci_app.machine.params import CALL_DATA_INLINE_MAX, EXTENSION_BYTES_MAX, Params
from abci_app.machine.state.codec import DomainId, encode
from abci_app.machine.transactions.tx import encode_bundle
from tests.kit.machine.small_world import DESTINATION, ORIGIN, ROUTER_KEYS, valid_bid
from tests.kit.node.small_chain import Network, make_info, make_xcalled

Block = list[bytes]
XCALLED = [make_xcalled(make_info(nonce)) for nonce in range(4)]
BID = encode_bundle([valid_bid(XCALLED[0].transfer_id)])
SEGMENTS_BYTES_MIN = 132_096
"""The least that a genesis may say: one segment of the largest size."""
ABSENT = 3
"""The node whose vote for the first height is missing."""


class World:
    """A network before height 3: two segments of ORIGIN and one of DESTINATION agreed, a third one seen by node 0 only.

    The honest block: [commit, ORIGIN 1, ORIGIN 2, DESTINATION 1, bid].
    """

    def __init__(self, path: Path, params: Params | None = None) -> None:
        self.net = Network(path, params=params)
        self.first_votes = self.net.step().extensions  # nothing seen yet
        origin, destination = self.net.chains[ORIGIN], self.net.chains[DESTINATION]
        origin.add([XCALLED[0]])
        origin.add([XCALLED[1], XCALLED[2]])
        destination.add()
        self.net.see()
        self.early = self.net.votes
        self.net.step(flags={ABSENT: VoteFlag.ABSENT}, commit_round=2)
        origin.add([XCALLED[3]])
        self.net.see([0])
        self.honest = self.net.prepare(0, [BID])

    def corrupt(self, corrupt: Callable[["World", Block], Block]) -> Code:
        """What node 1 says to the corrupted block: OK, or the code it counts."""
        refused = self.net.validators[1].app.metrics.proposals_refused
        before = refused.copy()
        if self.net.is_accepted(corrupt(self, list(self.honest)), node=1):
            return Code.OK
        (code,) = refused - before
        return code

    def commit(self, **changes: object) -> bytes:
        """The honest commit, changed."""
        return encode_commit(replace(decode_commit(self.honest[0]), **changes))  # type: ignore[arg-type]

    def with_entry(self, index: int, **changes: object) -> bytes:
        """The honest commit with one entry changed."""
        entries = list(decode_commit(self.honest[0]).entries)
        entries[index] = replace(entries[index], **changes)  # type: ignore[arg-type]
        return self.commit(entries=tuple(entries))

    def signed(self, index: int, extension: bytes, height: int = 2, commit_round: int = 2, **more: str) -> bytes:
        """The honest commit with an extension that validator ``index`` signed."""
        signature = self.net.validators[index].sign(extension, height, commit_round, **more)
        return self.with_entry(index, extension=extension, signature=signature)

    def segment(self, chain: DomainId, index: int, /, **changes: object) -> bytes:
        """A segment of a chain, changed, as a transaction."""
        segment = decode_segment(self.net.chains[chain].segments[index].raw)
        return INJECTED_SEGMENT + encode_segment(replace(segment, **changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory):
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.net.close()


def with_commit(make: Callable[[World], bytes]) -> Callable[[World, Block], Block]:
    return lambda world, block: [make(world), *block[1:]]


def entry_of(world: World, index: int) -> CommitEntry:
    return decode_commit(world.honest[0]).entries[index]


def test_the_honest_block_is_as_meant(world: World) -> None:
    """COM-1, COM-2, COM-3, REP-4 and BID-7 kept: every node takes it."""
    block = world.honest
    assert [tx[:2] for tx in block[:4]] == [INJECTED_COMMIT] + [INJECTED_SEGMENT] * 3 and block[4:] == [BID]
    commit = decode_commit(block[0])
    assert commit.round == 2
    assert [bool(entry.signature) for entry in commit.entries] == [True, True, True, False]
    assert [world.net.is_accepted(block, node) for node in range(4)] == [True] * 4


@pytest.mark.parametrize("corrupt", [
    lambda world, block: [],
    lambda world, block: block[1:],
    lambda world, block: [block[1], block[0], *block[2:]],
    lambda world, block: [BID, *block],
])
def test_a_commit_must_be_first(world: World, corrupt) -> None:
    """COM-1."""
    assert world.corrupt(corrupt) is Code.COMMIT_MISSING


@pytest.mark.parametrize("make", [
    lambda world: INJECTED_COMMIT,
    lambda world: world.honest[0][:-1],
    lambda world: world.honest[0] + b"\x00",
    lambda world: world.honest[0].replace(b"\x00\x01\x00\x01", b"\x00\x01\x00\x02", 1),  # version
    lambda world: world.with_entry(ABSENT, extension=b"x", signature=b"\x01" * 64),  # content without a vote
    lambda world: world.with_entry(ABSENT, signature=b"\x01" * 64),
    lambda world: world.with_entry(0, signature=b""),
    lambda world: world.with_entry(0, signature=entry_of(world, 0).signature[:-1]),
    lambda world: world.signed(0, b"x" * (EXTENSION_BYTES_MAX + 1)),
])
def test_a_commit_must_be_well_formed(world: World, make) -> None:
    """COM-1, COM-2."""
    assert world.corrupt(with_commit(make)) is Code.COMMIT_MALFORMED


@pytest.mark.parametrize(("make", "code"), [
    (lambda world: world.commit(round=1), Code.COMMIT_ROUND_MISMATCH),
    (lambda world: world.commit(round=3), Code.COMMIT_ROUND_MISMATCH),
    (lambda world: world.with_entry(0, flag=VoteFlag.ABSENT, extension=b"", signature=b""), Code.COMMIT_FLAGS_MISMATCH),
    (lambda world: world.with_entry(0, flag=VoteFlag.NIL, extension=b"", signature=b""), Code.COMMIT_FLAGS_MISMATCH),
    (lambda world: world.with_entry(ABSENT, flag=VoteFlag.COMMIT), Code.COMMIT_FLAGS_MISMATCH),
    (lambda world: world.commit(entries=()), Code.COMMIT_FLAGS_MISMATCH),
    (lambda world: world.commit(entries=decode_commit(world.honest[0]).entries[:3]), Code.COMMIT_FLAGS_MISMATCH),
    (lambda world: world.commit(entries=(*decode_commit(world.honest[0]).entries, entry_of(world, 0))),
     Code.COMMIT_FLAGS_MISMATCH),
    (lambda world: world.commit(entries=tuple(reversed(decode_commit(world.honest[0]).entries))),
     Code.COMMIT_FLAGS_MISMATCH),
])
def test_round_and_flags_must_be_the_block_s(world: World, make, code: Code) -> None:
    """COM-2."""
    assert world.corrupt(with_commit(make)) is code


@pytest.mark.parametrize("make", [
    lambda world: world.with_entry(0, extension=b"forged"),
    lambda world: world.with_entry(0, extension=b""),
    lambda world: world.with_entry(0, signature=bytes(64)),
    lambda world: world.with_entry(0, signature=entry_of(world, 1).signature),  # the same words, another's name
    lambda world: world.signed(0, b"replayed", height=1),  # an older vote
    lambda world: world.signed(0, b"replayed", height=3),
    lambda world: world.signed(0, b"replayed", commit_round=1),  # a vote of another round
    lambda world: world.signed(0, b"replayed", chain_id="routing-test-2"),
    lambda world: world.commit(entries=tuple(entry_of(world, index) for index in (1, 0, 2, 3))),  # swapped
])
def test_every_complete_entry_must_be_signed_by_its_validator(world: World, make) -> None:
    """COM-2: forged, replayed, of another round, of another chain, in another's name."""
    assert world.corrupt(with_commit(make)) is Code.COMMIT_SIGNATURE_INVALID


@pytest.mark.parametrize("make", [
    lambda world: world.with_entry(0, extension=b"", signature=b""),
    lambda world: world.signed(0, b"junk inside a signed extension"),
    lambda world: world.signed(0, b""),
    lambda world: world.signed(1, b"\x01" * EXTENSION_BYTES_MAX),
])
def test_pruning_and_junk_inside_an_extension_are_legal(world: World, make) -> None:
    """What an extension holds is its validator's business; without it there may be no segments to agree on."""
    assert world.corrupt(lambda world, block: [make(world)]) is Code.OK


def test_a_fully_pruned_commit_is_legal_but_agrees_on_nothing(world: World) -> None:
    def prune(world: World, block: Block) -> Block:
        entries = tuple(CommitEntry(entry.flag, b"", b"") for entry in decode_commit(block[0]).entries)
        return [encode_commit(InjectedCommit(2, entries)), *block[1:]]

    assert world.corrupt(lambda world, block: prune(world, block)[:1]) is Code.OK
    assert world.corrupt(prune) is Code.SEGMENT_NOT_AGREED


def raw_of(tx: bytes) -> Segment:
    return decode_segment(tx[len(INJECTED_SEGMENT):])


@pytest.mark.parametrize(("corrupt", "code"), [
    # not agreed: only the proposer has seen it
    (lambda world, block: [*block[:3], world.segment(ORIGIN, 2), *block[3:]], Code.SEGMENT_NOT_AGREED),
    # not what was agreed
    (lambda world, block: [block[0], world.segment(ORIGIN, 0, events=()), *block[2:]], Code.SEGMENT_MALFORMED),
    (lambda world, block: [*block[:2], world.segment(ORIGIN, 1, events=raw_of(block[2]).events[:1]), *block[3:]],
     Code.SEGMENT_DIGEST_MISMATCH),
    (lambda world, block: [*block[:2], world.segment(ORIGIN, 1, events=raw_of(block[2]).events[1:]), *block[3:]],
     Code.SEGMENT_DIGEST_MISMATCH),
    (lambda world, block: [*block[:2], world.segment(ORIGIN, 1, end_timestamp_s=1), *block[3:]],
     Code.SEGMENT_DIGEST_MISMATCH),
    (lambda world, block: [block[0], world.segment(ORIGIN, 0, end_timestamp_s=1), *block[2:]],
     Code.SEGMENT_DIGEST_MISMATCH),
    # duplicated, re-ordered, with a gap
    (lambda world, block: [*block[:2], block[1], *block[2:]], Code.SEGMENT_OUT_OF_ORDER),
    (lambda world, block: [block[0], block[2], block[1], *block[3:]], Code.SEGMENT_OUT_OF_ORDER),
    (lambda world, block: [block[0], block[3], *block[1:3]], Code.SEGMENT_OUT_OF_ORDER),
    (lambda world, block: [block[0], *block[2:]], Code.SEGMENT_OUT_OF_ORDER),
    # cut
    (lambda world, block: [block[0], block[1][:-1], *block[2:]], Code.SEGMENT_MALFORMED),
    (lambda world, block: [block[0], INJECTED_SEGMENT, *block[2:]], Code.SEGMENT_MALFORMED),
    (lambda world, block: [block[0], block[1] + b"\x00", *block[2:]], Code.SEGMENT_MALFORMED),
    # foreign
    (lambda world, block: [block[0], world.segment(ORIGIN, 0, domain=DomainId(3333)), *block[2:]],
     Code.SEGMENT_UNKNOWN_DOMAIN),
    (lambda world, block: [block[0], world.segment(ORIGIN, 0, domain=DESTINATION), *block[2:]], Code.SEGMENT_MALFORMED),
    (lambda world, block: [block[0], world.segment(ORIGIN, 0, chain_id=1), *block[2:]], Code.SEGMENT_MALFORMED),
    (lambda world, block: [block[0], world.segment(ORIGIN, 0, idle_blocks=4), *block[2:]], Code.SEGMENT_MALFORMED),
])
def test_segments_must_be_the_agreed_ones_in_order(world: World, corrupt, code: Code) -> None:
    """SEG-2, SEG-3, SEG-4, REP-2, REP-4."""
    assert world.corrupt(corrupt) is code


@pytest.mark.parametrize("corrupt", [
    lambda world, block: block[:1],
    lambda world, block: [*block[:2], *block[4:]],
    lambda world, block: [block[0], block[3]],
    lambda world, block: block[:4],
])
def test_nobody_demands_segments(world: World, corrupt) -> None:
    """REP-4: up to any agreed number, or none."""
    assert world.corrupt(corrupt) is Code.OK


@pytest.mark.parametrize("corrupt", [
    lambda world, block: [*block, block[0]],
    lambda world, block: [block[0], block[0], *block[1:]],
    lambda world, block: [*block, block[1]],
    lambda world, block: [*block[:3], BID, block[3]],
    lambda world, block: [*block, INJECTED_COMMIT + b"junk"],
    lambda world, block: [*block, b"\x00\x09unknown kind"],
    lambda world, block: [*block, b"\x00"],
])
def test_injected_kinds_have_one_place(world: World, corrupt) -> None:
    """COM-3, TX-1."""
    assert world.corrupt(corrupt) is Code.INJECTED_MISPLACED


UNKNOWN_BID = encode_bundle([valid_bid(XCALLED[3].transfer_id)])
MIXED_BUNDLE = encode_bundle([valid_bid(XCALLED[index].transfer_id, ROUTER_KEYS[1]) for index in (0, 3)])


@pytest.mark.parametrize("corrupt", [
    lambda world, block: [*block, UNKNOWN_BID],
    lambda world, block: [*block, MIXED_BUNDLE],
    lambda world, block: [block[0], BID],  # its transfer is in no segment of this block
    lambda world, block: [block[0], block[3], BID],
])
def test_a_bid_before_its_transfer_is_refused_with_its_block(world: World, corrupt) -> None:
    """BID-7."""
    assert world.corrupt(corrupt) is Code.BID_NOT_ACCEPTED_YET


def test_junk_for_users_is_no_reason_to_refuse(world: World) -> None:
    assert world.corrupt(lambda world, block: [*block, b"junk", b"", b"\xff" * 1000]) is Code.OK


def test_a_refusal_is_counted_and_logged_with_its_code(world: World, caplog: pytest.LogCaptureFixture) -> None:
    app = world.net.validators[2].app
    before = app.metrics.counters().get("proposals_refused_COMMIT_MISSING", 0)
    with caplog.at_level("WARNING"):
        assert not world.net.is_accepted([BID], node=2)
    assert app.metrics.counters()["proposals_refused_COMMIT_MISSING"] == before + 1
    (record,) = [record for record in caplog.records if record.getMessage() == "proposal refused"]
    assert vars(record)["code"] == "COMMIT_MISSING" and vars(record)["height"] == 3


def test_no_commit_before_extensions_are_due(tmp_path: Path) -> None:
    """COM-1."""
    net = Network(tmp_path)
    try:
        assert net.prepare() == []
        assert net.is_accepted([])
        commit = encode_commit(InjectedCommit(0, ()))
        assert not net.is_accepted([commit])
        assert dict(net.validators[0].app.metrics.proposals_refused) == {Code.COMMIT_UNEXPECTED: 1}
    finally:
        net.close()


def test_segments_have_a_limit_of_bytes(tmp_path: Path) -> None:
    """Two segments of 107 KB with room for 132 KB: an honest proposer takes the first, both are refused."""
    net = Network(tmp_path, params=Params(segments_bytes=SEGMENTS_BYTES_MIN))
    try:
        for start in (0, 12):
            infos = [make_info(start + number, call_data=bytes(CALL_DATA_INLINE_MAX)) for number in range(12)]
            net.chains[ORIGIN].add(list(map(make_xcalled, infos)))
        net.see()
        net.step()
        first, second = (INJECTED_SEGMENT + segment.raw for segment in net.chains[ORIGIN].segments)
        assert len(first) < SEGMENTS_BYTES_MIN < len(first) + len(second)
        commit, *rest = net.prepare()
        assert rest == [first]
        assert net.is_accepted([commit, first])
        assert not net.is_accepted([commit, first, second])
        assert dict(net.validators[0].app.metrics.proposals_refused) == {Code.SEGMENTS_TOO_LARGE: 1}
        assert net.prepare(max_tx_bytes=len(commit) + len(first)) == [commit]
    finally:
        net.close()


def test_the_commit_s_bytes_are_pinned(world: World) -> None:
    """The layout of COM-1, field by field."""
    entry = encode(CommitEntry(VoteFlag.COMMIT, b"ext", b"\x05" * 64))
    assert entry == b"\x02" + (3).to_bytes(4, "big") + b"ext" + (64).to_bytes(4, "big") + b"\x05" * 64
    whole = encode_commit(InjectedCommit(7, (CommitEntry(VoteFlag.COMMIT, b"ext", b"\x05" * 64),)))
    assert whole == b"\x00\x01" + b"\x00\x01" + (7).to_bytes(4, "big") + b"\x00\x01" + entry
