"""REP-1, BAT-5 where several say something: bytes of records, what a changed digest takes with it, who came first."""

import coincurve
import pytest
from coincurve._libsecp256k1 import ffi

from abci_app.machine.commit import process_commit
from abci_app.machine.connext import recover_address, sign_digest
from abci_app.machine.decisions.batches import list_owed
from abci_app.machine.observation.extension import (
    DomainReport,
    SignedBatch,
    encode_commit,
    encode_extension,
    is_acceptable,
    parse_extension,
)
from abci_app.machine.observation.reports import compute_agreed
from abci_app.machine.params import EXTENSION_BYTES_MAX
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import DomainId, Signature
from abci_app.machine.state.records import BatchSignature, DecisionBatch, Report, Reports
from tests.kit.machine.driver import ROUTERS, A, Network
from tests.kit.machine.reports_given import D1, D2, D3, D4, PARAMS, make_commit
from tests.kit.machine.small_world import key_address

LOW, HIGH = sorted((D1, D2))


def test_digests_stand_in_order_whoever_came_first() -> None:
    """REP-1: a record's bytes are hashed; no order of votes may show in them."""
    for first, second in ((LOW, HIGH), (HIGH, LOW)):
        net = Network(PARAMS)
        state = net.delta
        commit = make_commit(net, {0: [DomainReport(A, 1, (first,))], 1: [DomainReport(A, 1, (second,))]})
        process_commit(Scope.open_next(state), commit)
        record = state.must(keys.reports(A, 1), Reports)
        assert [report.digest for report in record.reports] == [LOW, HIGH]


def test_a_record_without_reports_goes() -> None:
    """REP-1: the only reporter of a later segment changes its mind about an earlier one."""
    net = Network(PARAMS)
    state = net.delta
    process_commit(Scope.open_next(state), make_commit(net, {0: [DomainReport(A, 1, (D1, D2))]}))
    net.state.apply(state.changes())
    assert keys.reports(A, 2) in net.state.values
    state = net.delta
    process_commit(Scope.open_next(state), make_commit(net, {0: [DomainReport(A, 1, (D3,))]}))
    assert state.changes()[keys.reports(A, 2)] is None


@pytest.mark.parametrize("before, again, later", [
    ((2, (D2, D3)), (1, (D1,)), {2: D2, 3: D3}),
    ((1, (D1, D2, D3)), (1, (D1,)), {2: D2, 3: D3}),
    ((1, (D1, D2, D3)), (2, (D2,)), {2: D2, 3: D3}),
    ((1, (D1, D2, D3)), (2, (D4,)), {2: D4}),
])
def test_only_a_different_digest_takes_later_ones_with_it(
    before: tuple[int, tuple[bytes, ...]], again: tuple[int, tuple[bytes, ...]], later: dict[int, bytes]
) -> None:
    """REP-1: neither the same one again nor the first one for a segment does; other members' digests do not matter."""
    net = Network(PARAMS)
    state = net.delta
    others = [DomainReport(A, 1, (D4, D4, D4))]
    process_commit(Scope.open_next(state), make_commit(net, {0: [DomainReport(A, *before)], 1: others}))  # type: ignore[arg-type]
    process_commit(Scope.open_next(state), make_commit(net, {0: [DomainReport(A, *again)]}))  # type: ignore[arg-type]
    found = {
        number: report.digest
        for number in (2, 3) for report in state.must(keys.reports(A, number), Reports).reports if report.members & 1
    }
    assert found == later
    for number in (2, 3):
        record = state.must(keys.reports(A, number), Reports)
        assert [report for report in record.reports if report.members & 2] == [
            Report(D4, 0b11 if later.get(number) == D4 else 0b10)
        ]


# --- signatures -------------------------------------------------------------------------------------------------------


def sign_otherwise(key: bytes, digest: bytes) -> Signature:
    """A second right signature of the same key: another nonce."""
    raw = coincurve.PrivateKey(key).sign_recoverable(
        digest, hasher=None, custom_nonce=(ffi.NULL, ffi.new("unsigned char[32]", b"\x07" * 32))
    )
    return Signature(raw[:64] + bytes([raw[64] + 27]))


def test_the_first_signature_of_a_member_stays() -> None:
    """BAT-5: a member may sign as often as it likes; the record is that of the first commit that brought one."""
    net = Network(PARAMS, signing=False)
    net.assign(ROUTERS[0])
    height, epoch, digest = list_owed(net.delta, key_address(net.key_of_member(0)))[0]
    first = sign_digest(net.key_of_member(0), digest)
    second = sign_otherwise(net.key_of_member(0), digest)
    assert first != second and recover_address(digest, second) == key_address(net.key_of_member(0))
    state = net.delta
    for signature in (first, second):
        process_commit(Scope.open_next(state), net.commit_of({0: ((SignedBatch(height, epoch, signature),), ())}))
    assert state.must(keys.batch(height), DecisionBatch).signatures == (BatchSignature(0, first),)


def test_an_attested_batch_takes_no_more_signatures() -> None:
    """BAT-5: the fourth of four comes too late; batch and height of attestation stay as relayers saw them."""
    net = Network(PARAMS, signing=False)
    net.assign(ROUTERS[0])
    height, epoch, digest = list_owed(net.delta, key_address(net.key_of_member(0)))[0]
    signed = {
        member: ((SignedBatch(height, epoch, sign_digest(net.key_of_member(member), digest)),), ())
        for member in range(4)
    }
    net.run([encode_commit(net.commit_of({member: signed[member] for member in (0, 1, 3)}))])
    batch = net.must(keys.batch(height), DecisionBatch)
    assert (batch.attested_height, [each.member for each in batch.signatures]) == (net.height, [0, 1, 3])
    net.run([encode_commit(net.commit_of({2: signed[2]}))])
    assert net.must(keys.batch(height), DecisionBatch) == batch


@pytest.mark.parametrize("powers, who, attested", [
    ((1, 1, 1), (0, 1), False), ((1, 1, 1), (0, 1, 2), True),
    ((2, 2, 1, 1), (0, 1), False), ((2, 2, 1, 1), (0, 1, 2), True),
])
def test_two_thirds_exactly_are_not_enough(powers: tuple[int, ...], who: tuple[int, ...], attested: bool) -> None:
    """BAT-5, REP-2: more than that; gates count alike."""
    net = Network(PARAMS, powers=powers, signing=False)
    net.assign(ROUTERS[0])
    sent_by = {}
    for member in who:
        key = net.key_of_member(member)
        height, epoch, digest = list_owed(net.delta, key_address(key))[0]
        sent_by[member] = ((SignedBatch(height, epoch, sign_digest(key, digest)),), (DomainReport(A, 3, (D1,)),))
    assert net.domain(A).cursor.number == 2
    state = net.delta
    process_commit(Scope.open_next(state), net.commit_of(sent_by))
    assert (state.must(keys.batch(2), DecisionBatch).attested_height > 0) is attested
    assert compute_agreed(state, A) == ({3: D1} if attested else {})


def test_signatures_stand_by_member_whoever_came_first() -> None:
    """BAT-5: the record's bytes are hashed."""
    net = Network(PARAMS, signing=False)
    net.assign(ROUTERS[0])
    for member in (2, 0):
        key = net.key_of_member(member)
        height, epoch, digest = list_owed(net.delta, key_address(key))[0]
        signed = SignedBatch(height, epoch, sign_digest(key, digest))
        net.run([encode_commit(net.commit_of({member: ((signed,), ())}))])
    batch = net.batch(2)
    assert batch is not None and [each.member for each in batch.signatures] == [0, 2]


# --- extensions -------------------------------------------------------------------------------------------------------


def extension_of(signatures: int, digests: list[int]) -> bytes:
    """A canonical extension with as many signatures, and a report with as many digests of each of as many domains."""
    signed = tuple(SignedBatch(1 + each, 1, Signature(bytes(65))) for each in range(signatures))
    reports = tuple(DomainReport(DomainId(1 + at), 1, (D1,) * count) for at, count in enumerate(digests))
    return encode_extension(signed, reports)


@pytest.mark.parametrize("signatures, digests, size", [
    (3, [1] * 20 + [3] * 8, EXTENSION_BYTES_MAX), (2, [1] * 17 + [3] * 10, EXTENSION_BYTES_MAX + 1),
])
def test_two_kib_and_no_byte_more(signatures: int, digests: list[int], size: int) -> None:
    """EXT-2, EXT-3: refusing a vote's extension drops the vote, so all draw the line at one byte."""
    raw = extension_of(signatures, digests)
    assert len(raw) == size
    assert is_acceptable(raw) is (size <= EXTENSION_BYTES_MAX)
    assert (parse_extension(raw) is not None) is (size <= EXTENSION_BYTES_MAX)
