"""REP-1 to REP-4, SEG-3, SEG-4, BAT-5, EXT-2, EXT-4: what validators say, counted; which segments a block may carry."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.commit import process_commit
from abci_app.machine.connext import sign_digest
from abci_app.machine.decisions.batches import list_live_unattested, list_owed
from abci_app.machine.observation.extension import (
    INJECTED_SEGMENT,
    CommitEntry,
    DomainReport,
    InjectedCommit,
    SignedBatch,
    VoteFlag,
    encode_commit,
    encode_extension,
)
from abci_app.machine.observation.reports import (
    Tally,
    check_segments,
    compute_agreed,
    compute_agreement,
    record_report,
)
from abci_app.machine.observation.segments import check_fit, is_end_allowed
from abci_app.machine.observation.stream import PositionedEvent, Segment, Unpaused, compute_digest, encode_segment
from abci_app.machine.params import INDEX_WHOLE_BLOCK, SEGMENT_EVENTS_MAX, Params
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import DomainId, Hash, Signature
from abci_app.machine.state.records import ChainState, Domain, DomainStatus, Member, Report, Reports, ValidatorSet
from abci_app.machine.state.view import StateDelta
from tests.kit.machine.driver import ROUTERS, A, B, Network, executed
from tests.kit.machine.reports_given import D1, D2, D3, D4, PARAMS, make_commit
from tests.kit.machine.small_world import key_address

R1 = ROUTERS[0]

def members(*powers: int) -> tuple[Member, ...]:
    return tuple(Member(Hash(bytes([i]) * 32), power, R1) for i, power in enumerate(powers))


def on_record(state: StateDelta, number: int, domain: DomainId = A) -> dict[Hash, int]:
    record = state.read(keys.reports(domain, number), Reports)
    return {report.digest: report.members for report in record.reports} if record else {}


# --- reports ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent_in_turn, recorded", [
    ([(1, [D1])], {1: {D1: 1}}),
    ([(1, [D1, D2, D3, D4])], {1: {D1: 1}, 2: {D2: 1}, 3: {D3: 1}, 4: {D4: 1}}),
    ([(1, [D1]), (2, [D2])], {1: {D1: 1}, 2: {D2: 1}}),
    ([(1, [D1, D2]), (1, [D1])], {1: {D1: 1}, 2: {D2: 1}}),
    ([(1, [D1, D2, D3]), (1, [D4])], {1: {D4: 1}}),
    ([(1, [D1, D2, D3]), (2, [D4])], {1: {D1: 1}, 2: {D4: 1}}),
    ([(1, [D1, D2, D3]), (1, [D1, D4])], {1: {D1: 1}, 2: {D4: 1}}),
    ([(0, [D1, D2])], {1: {D2: 1}}),
    ([(5, [D1])], {}),
    ([(3, [D1, D2, D3])], {3: {D1: 1}, 4: {D2: 1}}),
    ([(2**64 - 1, [D1, D2])], {}),
])
def test_what_is_put_on_record(sent_in_turn, recorded):
    """REP-1: c < k ≤ c + 4; one digest per segment; a different one deletes the later ones."""
    net = Network(PARAMS)
    state = net.delta
    for first, digests in sent_in_turn:
        process_commit(Scope.open_next(state), make_commit(net, {0: [DomainReport(A, first, tuple(digests))]}))
    assert {number: on_record(state, number) for number in range(1, 6)} == {
        number: recorded.get(number, {}) for number in range(1, 6)
    }


def test_members_are_bits():
    """REP-1: of the executing set's order, whatever the epoch that voted; others' reports do not count."""
    net = Network(PARAMS, powers=(4, 3, 2, 1))
    order = net.must(keys.epoch(1), ValidatorSet).members
    turned = ValidatorSet(2, (order[2], order[0], order[1]))
    net.change_or_write(keys.epoch(2), turned)
    net.change(keys.CHAIN, type(net.chain), epoch_executing=2)
    state = net.delta
    report = DomainReport(A, 1, (D1,))
    process_commit(Scope.open_next(state), make_commit(net, {0: [report], 2: [report], 3: [report]}))
    assert on_record(state, 1) == {D1: 0b011}


STRANGER = Member(Hash(b"\x77" * 32), 1, R1)


@pytest.mark.parametrize("arrange, bits, agreed", [
    (None, 0b0011, True),
    (lambda order: order, 0b0011, True),
    (lambda order: order[::-1], 0b1100, True),
    (lambda order: (order[3], order[0], STRANGER, order[2]), 0b0010, False),
    (lambda order: (STRANGER, replace(STRANGER, consensus_key=Hash(b"\x78" * 32)), *order[2:]), 0, False),
], ids=["no other epoch", "same set", "other order", "one of two left", "both left"])
def test_reports_follow_their_members_into_the_next_set(arrange, bits, agreed):
    """REP-1: bits are places in the executing set, so as they are they would be votes of others in the next."""
    net = Network(PARAMS, powers=(1, 1, 1, 1))
    order = net.must(keys.epoch(1), ValidatorSet).members
    segments = [net.segment(domain, [], net.time_s) for domain in (A, B)]
    net.run([encode_commit(net.commit(segments, silent=(2, 3)))])
    digests = {each.domain: net.report(each).digests[0] for each in segments}

    if arrange:
        net.change_or_write(keys.epoch(2), ValidatorSet(2, arrange(order)))
        net.change(keys.CHAIN, ChainState, epoch_next=2)
    net.run([encode_commit(net.commit([]))])
    assert net.chain.epoch_executing == (2 if arrange else 1)
    for domain, digest in digests.items():
        assert on_record(net.delta, 1, domain) == ({digest: bits} if bits else {})
        assert (net.read(keys.reports(domain, 1), Reports) is not None) == bool(bits)

    raws = [INJECTED_SEGMENT + encode_segment(each) for each in segments]
    third = encode_commit(net.commit(segments, silent=(0, 1, 3)))
    results = net.run([third, *raws]).results
    assert [each.code for each in results[1:]] == [Code.OK if agreed else Code.SEGMENT_NOT_AGREED] * 2
    if not agreed:  # until enough members of the new set have reported
        results = net.run([encode_commit(net.commit(segments)), *raws]).results
        assert [each.code for each in results[1:]] == [Code.OK] * 2


@pytest.mark.parametrize("domain, status, counts", [
    (A, DomainStatus.OPEN, True), (A, DomainStatus.PAUSED, True), (A, DomainStatus.HALTED, False),
    (DomainId(9), DomainStatus.OPEN, False),
])
def test_reports_of_what_domains_count(domain, status, counts):
    """REP-1, LSE-6: paused domains are observed, halted ones are not, unknown ones are ignored."""
    net = Network(PARAMS)
    net.change(keys.domain(A), Domain, status=status)
    state = net.delta
    commit = make_commit(net, {member: [DomainReport(domain, 1, (D1,))] for member in range(4)})
    process_commit(Scope.open_next(state), commit)
    assert (on_record(state, 1, domain) == {D1: 0b1111}) == counts
    assert compute_agreed(state, domain) == ({1: D1} if counts else {})


@pytest.mark.parametrize("entry, counts", [
    (CommitEntry(VoteFlag.COMMIT, encode_extension((), (DomainReport(A, 1, (D1,)),)), b"\1" * 64), True),
    (CommitEntry(VoteFlag.COMMIT, b"", b""), False),
    (CommitEntry(VoteFlag.COMMIT, b"junk", b"\1" * 64), False),
    (CommitEntry(VoteFlag.COMMIT, encode_extension((), (DomainReport(A, 1, (D1,)),)) + b"\0", b"\1" * 64), False),
    (CommitEntry(VoteFlag.ABSENT, b"", b""), False),
    (CommitEntry(VoteFlag.NIL, b"", b""), False),
])
def test_what_does_not_parse_counts_as_empty(entry, counts):
    """EXT-2, COM-2: an extension's content never makes a commit invalid."""
    net = Network(PARAMS)
    state = net.delta
    process_commit(Scope.open_next(state), InjectedCommit(0, (entry, *make_commit(net, {}).entries[1:])))
    assert on_record(state, 1) == ({D1: 1} if counts else {})


@pytest.mark.parametrize("count", [0, 3, 5])
def test_a_commit_has_one_entry_per_validator(count):
    """COM-1: of V(H-1); anything else counts for nothing."""
    net = Network(PARAMS)
    state = net.delta
    entry = CommitEntry(VoteFlag.COMMIT, encode_extension((), (DomainReport(A, 1, (D1,)),)), b"\1" * 64)
    with pytest.raises(Rejected) as refused:
        process_commit(Scope.open_next(state), InjectedCommit(0, (entry,) * count))
    assert refused.value.code is Code.COMMIT_MALFORMED
    assert state.changes() == {}


# --- agreement -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("powers, tally, agreed", [
    ((1, 1, 1, 1), {1: {D1: 0b0111}}, {1: D1}),
    ((1, 1, 1, 1), {1: {D1: 0b0011}}, {}),
    ((1, 1, 1), {1: {D1: 0b011}}, {}),
    ((1, 1, 1), {1: {D1: 0b111}}, {1: D1}),
    ((1, 2, 3, 4), {1: {D1: 0b1100}}, {1: D1}),
    ((1, 2, 3, 4), {1: {D1: 0b1011}}, {1: D1}),
    ((1, 2, 3, 4), {1: {D1: 0b1010}}, {}),
    ((1,), {1: {D1: 1}}, {1: D1}),
    ((1, 1, 1, 1), {1: {D1: 0b0111, D2: 0b1000}}, {1: D1}),
    ((1, 1, 1, 1), {1: {D1: 0b0111}, 2: {D2: 0b0111}}, {1: D1, 2: D2}),
    ((1, 1, 1, 1), {1: {D1: 0b0011}, 2: {D2: 0b0111}}, {}),
    ((1, 1, 1, 1), {1: {D1: 0b0011, D2: 0b0100}, 2: {D3: 0b0111}}, {2: D3}),
    ((1, 1, 1, 1), {1: {D1: 0b0111}, 2: {}, 3: {D3: 0b1111}}, {1: D1}),
    ((1, 1, 1, 1), {1: {}}, {}),
])
def test_agreement(powers, tally, agreed):
    """REP-2: more than two thirds of the power, of reporters without a gap; what came before need not be agreed."""
    assert compute_agreement(members(*powers), tally) == agreed


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.lists(st.integers(0, 2), min_size=1, max_size=4)),
                max_size=12))
def test_tally_against_a_naive_model(reports):
    """REP-1, REP-2: one dict of validator → number → digest, counted afresh."""
    tally: Tally = {number: {} for number in range(1, 5)}
    naive: dict[int, dict[int, Hash]] = {member: {} for member in range(4)}
    for member, first, numbers in reports:
        digests = tuple((D1, D2, D3)[number] for number in numbers)
        record_report(tally, member, DomainReport(A, first, digests))
        for number, digest in enumerate(digests, start=first):
            if 1 <= number <= 4:
                if naive[member].get(number, digest) != digest:
                    naive[member] = {n: d for n, d in naive[member].items() if n < number}
                naive[member][number] = digest
    agreed = compute_agreement(members(1, 1, 1, 1), tally)
    for number in range(1, 5):
        votes = [
            naive[m][number] for m in range(4) if all(before in naive[m] for before in range(1, number + 1))
        ]
        expected = [digest for digest in (D1, D2, D3) if votes.count(digest) >= 3]
        assert [agreed[number]] == expected if number in agreed else not expected


def test_no_digest_can_be_agreed():
    """REP-3: alarm when the silent could no longer help the largest; once, when it becomes so."""
    net = Network(PARAMS)
    state = net.delta

    def alarms(reports: dict[int, Sequence[DomainReport]]) -> list[str]:
        scope = Scope.open_next(state)
        process_commit(scope, make_commit(net, reports))
        return [event.kind for event in scope.events if event.kind == "alarm"]

    assert alarms({0: [DomainReport(A, 1, (D1,))], 1: [DomainReport(A, 1, (D2,))]}) == []
    assert alarms({2: [DomainReport(A, 1, (D2,))]}) == []
    assert alarms({3: [DomainReport(A, 1, (D3,))]}) == ["alarm"]
    assert alarms({3: [DomainReport(A, 1, (D3,))]}) == []
    assert alarms({0: [DomainReport(A, 1, (D2,))]}) == []
    assert compute_agreed(state, A) == {1: D2}


def test_while_the_silent_can_help_there_is_no_alarm():
    """REP-3: two against two of seven leave three to speak; once they are against both, nothing can be agreed."""
    net = Network(PARAMS, powers=(1,) * 7)
    state = net.delta

    def alarms(*sent_now: tuple[int, Hash]) -> int:
        scope = Scope.open_next(state)
        process_commit(scope, make_commit(net, {who: [DomainReport(A, 1, (digest,))] for who, digest in sent_now}))
        return sum(event.kind == "alarm" for event in scope.events)

    assert alarms((0, D1), (1, D1), (2, D2), (3, D2)) == 0
    assert alarms((4, D1)) == 0
    assert alarms((5, D3)) == 1


# --- segments --------------------------------------------------------------------------------------------------------


def agreed_state(net: Network, raws: Sequence[bytes]) -> StateDelta:
    """The state after all members reported the running digests of these segments of domain A."""
    state = net.delta
    digest = net.domain(A).cursor.digest
    digests = []
    for raw in raws:
        digest = compute_digest(digest, raw)
        digests.append(digest)
    commit = make_commit(net, {member: [DomainReport(A, 1, tuple(digests))] for member in range(4)})
    process_commit(Scope.open_next(state), commit)
    return state


def chain_of(net: Network, count: int) -> list[Segment]:
    """Empty segments of domain A, each behind the one before."""
    first = net.segment(A, [], net.time_s)
    return [replace(first, number=1 + i, end_block=first.end_block + 2 * i) for i in range(count)]


@pytest.mark.parametrize("choose, code", [
    (lambda raws: [], None),
    (lambda raws: raws[:1], None),
    (lambda raws: raws, None),
    (lambda raws: raws[1:], Code.SEGMENT_OUT_OF_ORDER),
    (lambda raws: raws[::-1], Code.SEGMENT_OUT_OF_ORDER),
    (lambda raws: [raws[0], raws[0]], Code.SEGMENT_OUT_OF_ORDER),
    (lambda raws: [raws[0][:-1]], Code.SEGMENT_MALFORMED),
    (lambda raws: [raws[0] + b"\0"], Code.SEGMENT_MALFORMED),
    (lambda raws: [b""], Code.SEGMENT_MALFORMED),
])
def test_check_segments(choose, code):
    """REP-4: contiguous from the cursor on, and nothing need be included."""
    net = Network(PARAMS)
    raws = [encode_segment(segment) for segment in chain_of(net, 3)]
    state = agreed_state(net, raws)
    if code is None:
        check_segments(Scope.open_next(state), choose(raws))
    else:
        with pytest.raises(Rejected) as refused:
            check_segments(Scope.open_next(state), choose(raws))
        assert refused.value.code is code


def test_segments_between_need_no_agreement_of_their_own():
    """REP-4, SEG-4: the running digest of the last one binds those before it."""
    net = Network(PARAMS)
    raws = [encode_segment(segment) for segment in chain_of(net, 2)]
    state = agreed_state(net, raws)
    state.write(keys.reports(A, 1), Reports((Report(D1, 0b0011), Report(D2, 0b1100))))
    check_segments(Scope.open_next(state), raws)
    with pytest.raises(Rejected) as refused:
        check_segments(Scope.open_next(state), raws[:1])
    assert refused.value.code is Code.SEGMENT_NOT_AGREED


def test_segments_that_were_not_agreed():
    """REP-2, SEG-4: not agreed at all; agreed on another content; of no domain of ours; too many bytes; halted."""
    net = Network(PARAMS)
    segments = chain_of(net, 1)
    raw = encode_segment(segments[0])
    other = encode_segment(replace(segments[0], end_timestamp_s=5))
    foreign = encode_segment(replace(segments[0], domain=DomainId(9)))
    state = agreed_state(net, [raw])
    small = net.delta
    small.write(keys.PARAMS, replace(PARAMS, segments_bytes=len(raw) - 1))
    halted = agreed_state(net, [raw])
    halted.write(keys.domain(A), replace(net.domain(A), status=DomainStatus.HALTED))
    for where, what, code in (
        (net.delta, raw, Code.SEGMENT_NOT_AGREED), (state, other, Code.SEGMENT_DIGEST_MISMATCH),
        (state, foreign, Code.SEGMENT_UNKNOWN_DOMAIN), (small, raw, Code.SEGMENTS_TOO_LARGE),
        (halted, raw, Code.SEGMENT_NOT_AGREED),
    ):
        with pytest.raises(Rejected) as refused:
            check_segments(Scope.open_next(where), [what])
        assert refused.value.code is code


def test_domains_ascend():
    """COM-3."""
    net = Network(PARAMS)
    segments = [net.segment(domain, [], net.time_s) for domain in (A, B)]
    state = net.delta
    process_commit(Scope.open_next(state), net.commit(segments))
    raws = [encode_segment(segment) for segment in segments]
    check_segments(Scope.open_next(state), raws)
    with pytest.raises(Rejected) as refused:
        check_segments(Scope.open_next(state), raws[::-1])
    assert refused.value.code is Code.SEGMENT_OUT_OF_ORDER


def event_at(block: int, index: int) -> PositionedEvent:
    return PositionedEvent(block, index, Unpaused())


@pytest.mark.parametrize("change", [
    {"chain_id": 1}, {"connext": R1}, {"stream_version": 2}, {"segment_blocks": 2}, {"idle_blocks": 4},
    {"events": (event_at(100, 5),), "end_block": 101},
])
def test_a_segment_fits_its_domain(change):
    """SEG-3: the header's constants are the domain's, the first event lies past the cursor."""
    net = Network(PARAMS)
    segment = net.segment(A, [], net.time_s)
    check_fit(net.domain(A), segment)
    with pytest.raises(Rejected) as refused:
        check_fit(net.domain(A), replace(segment, **change))
    assert refused.value.code is Code.SEGMENT_MALFORMED


WHOLE = INDEX_WHOLE_BLOCK
FULL = tuple(event_at(104, index) for index in range(SEGMENT_EVENTS_MAX))


@pytest.mark.parametrize("cursor, events, end, allowed", [
    ((100, WHOLE), (), (104, WHOLE), True),
    ((100, WHOLE), (), (108, WHOLE), False),
    ((100, WHOLE), (), (103, WHOLE), False),
    ((100, WHOLE), (), (104, 7), False),
    ((99, WHOLE), (), (100, WHOLE), True),
    ((100, 5), (), (100, WHOLE), True),
    ((100, WHOLE), (event_at(101, 0),), (102, WHOLE), True),
    ((100, WHOLE), (event_at(102, 0),), (102, WHOLE), True),
    ((100, WHOLE), (event_at(103, 0),), (104, WHOLE), True),
    ((100, WHOLE), (event_at(101, 0),), (104, WHOLE), False),
    ((100, WHOLE), (event_at(101, 0),), (101, 0), False),
    ((100, WHOLE), (event_at(105, 0),), (106, WHOLE), False),
    ((100, WHOLE), FULL, (104, 255), True),
    ((100, WHOLE), FULL, (104, 256), False),
    ((100, WHOLE), FULL, (104, WHOLE), True),
    ((100, WHOLE), FULL[:-1], (104, 254), False),
    ((100, 5), (event_at(100, 6),), (100, WHOLE), True),
])
def test_an_end_that_the_cutting_rule_allows(cursor, events, end, allowed):
    """SEG-1, SEG-3: grids of 2 and 4 blocks; a cut inside a block only where the segment was full."""
    net = Network(PARAMS, domain_changes={"segment_blocks": 2, "idle_blocks": 4})
    domain = net.domain(A)
    domain = replace(domain, cursor=replace(domain.cursor, block=cursor[0], index=cursor[1]))
    segment = replace(net.segment(A, [], 1), events=events, end_block=end[0], end_index=end[1])
    assert is_end_allowed(domain, segment) == allowed


def test_accepted_segments_reports_are_deleted():
    """REP-4, SEG-4: and the cursor carries the running digest on."""
    net = Network(PARAMS)
    first = net.domain(A).cursor
    segments = chain_of(net, 3)
    raws = [encode_segment(segment) for segment in segments]
    digests = []
    digest = first.digest
    for raw in raws:
        digest = compute_digest(digest, raw)
        digests.append(digest)
    commit = make_commit(net, {member: [DomainReport(A, 1, tuple(digests))] for member in range(4)})
    net.run([encode_commit(commit), INJECTED_SEGMENT + raws[0], INJECTED_SEGMENT + raws[1]])
    cursor = net.domain(A).cursor
    assert (cursor.number, cursor.digest, cursor.block, cursor.index) == (2, digests[1], segments[1].end_block, WHOLE)
    assert [on_record(net.delta, number) != {} for number in (1, 2, 3)] == [False, False, True]
    net.run([encode_commit(make_commit(net, {})), INJECTED_SEGMENT + raws[2]])
    assert net.domain(A).cursor.number == 3


# --- signatures ------------------------------------------------------------------------------------------------------


def decided() -> Network:
    """A network whose last block decided one transfer, nothing signed yet."""
    net = Network(PARAMS, powers=(4, 3, 2, 1), signing=False)
    net.assign(R1)
    return net


def signed(net: Network, member: int, **changes) -> SignedBatch:
    key = net.key_of_member(member)
    (height, epoch, digest), = list_owed(net.delta, key_address(key))
    return replace(SignedBatch(height, epoch, sign_digest(key, digest)), **changes)


@pytest.mark.parametrize("who, attested", [
    ((0, 1), True), ((0, 2), False), ((0, 2, 3), True), ((1, 2, 3), False), ((0,), False), ((0, 1, 2, 3), True),
])
def test_a_batch_is_attested_by_more_than_two_thirds_of_the_power(who, attested):
    """BAT-5: powers 4, 3, 2, 1; 7 of 10 do, 6 do not; signatures of several blocks add up."""
    for together in (True, False):
        net = decided()
        sent_by = {member: ((signed(net, member),), ()) for member in who}
        commits = [sent_by] if together else [{member: sent_by[member]} for member in who]
        for each in commits:
            net.run([encode_commit(net.commit_of(each))])
        batch = net.batch(2)
        assert batch is not None
        assert (batch.attested_height > 0) == attested
        assert ("attested" in net.kinds()) <= attested
        marks = [key for key in net.state.values if key.startswith(keys.unattested_batches())]
        assert (marks == []) == attested
        assert [each.member for each in batch.signatures] == sorted(who[:len(batch.signatures)])


@pytest.mark.parametrize("change", [
    {"epoch": 2}, {"height": 1}, {"height": 99}, {"signature": Signature(bytes(65))},
    {"signature": Signature(b"\xff" * 65)}, {"signature": sign_digest(b"\x09" * 32, D1)},
])
def test_a_wrong_signature_counts_as_none(change):
    """BAT-5, EXT-3: another epoch, no such batch, not the member's: nothing happens."""
    net = decided()
    net.run([encode_commit(net.commit_of({0: ((signed(net, 0, **change),), ())}))])
    batch = net.batch(2)
    assert batch is not None and batch.signatures == ()


def test_the_first_valid_signature_stays():
    """BAT-5: one member, one signature; another's, sent in its own name, is none."""
    net = decided()
    good = signed(net, 0)
    stolen = {1: ((replace(good),), ())}
    net.run([encode_commit(net.commit_of({0: ((good,), ()), **stolen}))])
    batch = net.batch(2)
    assert batch is not None
    assert [(each.member, each.signature) for each in batch.signatures] == [(0, good.signature)]


def test_who_owes_a_signature():
    """EXT-4: members that have not signed, for live batches without a quorum, oldest first, at most 3."""
    net = Network(Params(lease_s=300), signing=False)
    ids = [net.assign(R1) for _ in range(4)]
    address = key_address(net.key_of_member(0))
    owed = list_owed(net.delta, address)
    assert [height for height, _, _ in owed] == [2, 4, 6]
    assert list_owed(net.delta, R1) == ()
    height, epoch, digest = owed[0]
    mine = SignedBatch(height, epoch, sign_digest(net.key_of_member(0), digest))
    net.run([encode_commit(net.commit_of({0: ((mine,), ())}))])
    assert [height for height, _, _ in list_owed(net.delta, address)] == [4, 6, 8]
    net.block({B: [executed(ids[1], R1)]})
    assert [height for height, _, _ in list_owed(net.delta, address)] == [6, 8]
    assert len(list_live_unattested(net.delta)) == 3


def test_a_batch_that_is_dead_is_forgotten_unattested():
    """LSE-6: and a signature that comes all the same is put on record (BAT-5)."""
    net = decided()
    late = {member: ((signed(net, member),), ()) for member in (0, 1)}
    net.let_lease_end()
    net.wait(1)
    marks = [key for key in net.state.values if key.startswith(keys.unattested_batches())]
    assert marks == [keys.unattested(3)]
    net.run([encode_commit(net.commit_of(late))])
    batch = net.batch(2)
    assert batch is not None and batch.attested_height == net.height
