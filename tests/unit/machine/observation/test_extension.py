"""Vote extensions and the injected commit: pinned bytes (EXT-1, COM-1), limits and orders (EXT-2, EXT-3, COM-2)."""

import json
from pathlib import Path
from typing import Any

import pytest

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.observation.extension import (
    INJECTED_COMMIT,
    INJECTED_SEGMENT,
    CommitEntry,
    DomainReport,
    Extension,
    InjectedCommit,
    SignedBatch,
    VoteFlag,
    decode_commit,
    encode_commit,
    encode_extension,
    is_acceptable,
    parse_extension,
)
from abci_app.machine.params import EXTENSION_BYTES_MAX
from abci_app.machine.state.codec import DomainId, Hash, Signature, encode

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/extension_vectors.json").read_text())


def signed(height: int, epoch: int = 1) -> SignedBatch:
    return SignedBatch(height, epoch, Signature(b"\x51" * 65))


def report(domain: int, count: int = 1, first: int = 1) -> DomainReport:
    return DomainReport(DomainId(domain), first, (Hash(b"\xd1" * 32),) * count)


def raw_extension(
    signatures: tuple[SignedBatch, ...] = (), reports: tuple[DomainReport, ...] = (), version: int = 1
) -> bytes:
    return encode(Extension(version, signatures, reports))


@pytest.mark.parametrize("vector", VECTORS["extensions"])
def test_ext_1_bytes_are_pinned(vector: dict[str, Any]) -> None:
    """EXT-1: the layout, made from its description alone."""
    signatures = tuple(
        SignedBatch(height, epoch, Signature(bytes.fromhex(raw))) for height, epoch, raw in vector["signatures"]
    )
    reports = tuple(
        DomainReport(DomainId(domain), first, tuple(Hash(bytes.fromhex(digest)) for digest in digests))
        for domain, first, digests in vector["reports"]
    )
    raw = encode_extension(signatures, reports)
    assert raw.hex() == vector["bytes"]
    assert parse_extension(raw) == Extension(1, signatures, reports)


def test_ext_1_nothing_to_say_is_no_bytes() -> None:
    """EXT-1: silence is empty; it is acceptable (EXT-3) and counts as nothing."""
    assert encode_extension((), ()) == b""
    assert parse_extension(b"") is None
    assert is_acceptable(b"")


@pytest.mark.parametrize("raw, counts", [
    (raw_extension((signed(7),)), True),
    (raw_extension((signed(7), signed(8), signed(9))), True),
    (raw_extension((signed(7, 1), signed(7, 2))), True),
    (raw_extension((), (report(1, 4), report(2, 1))), True),
    (raw_extension((signed(2**64 - 1, 2**64 - 1),), (report(2**32 - 1, first=2**64 - 1),)), True),
    (raw_extension(), False),
    (raw_extension((signed(7), signed(8), signed(9), signed(10))), False),
    (raw_extension((signed(8), signed(7))), False),
    (raw_extension((signed(7), signed(7))), False),
    (raw_extension((signed(7, 2), signed(7, 1))), False),
    (raw_extension((), (report(2), report(1))), False),
    (raw_extension((), (report(1), report(1))), False),
    (raw_extension((), (report(1, 0),)), False),
    (raw_extension((), (report(1, 5),)), False),
    (raw_extension((signed(7),), version=0), False),
    (raw_extension((signed(7),), version=2), False),
    (raw_extension((signed(7),)) + b"\0", False),
    (raw_extension((signed(7),))[:-1], False),
    (b"\x01", False),
    (b"\xff" * 300, False),
    (raw_extension((), tuple(report(domain, 4) for domain in range(14))), True),
    (raw_extension((), tuple(report(domain, 4) for domain in range(15))), False),
])
def test_ext_2_refuses_what_is_not_canonical(raw: bytes, counts: bool) -> None:
    """EXT-2, EXT-3: orders, counts, version, size; what does not parse counts as empty and is not acceptable."""
    assert (parse_extension(raw) is not None) is counts
    assert is_acceptable(raw) is counts
    assert len(raw) <= EXTENSION_BYTES_MAX or not counts


def test_ext_3_accepts_a_wrong_batch_signature() -> None:
    """EXT-3: whether a signature recovers to its member is the tally's question; refusing drops the whole vote."""
    assert is_acceptable(raw_extension((SignedBatch(7, 1, Signature(bytes(65))),)))


# --- injected commit ------------------------------------------------------------------------------------------------

SAID = raw_extension((signed(7),))
COMPLETE = CommitEntry(VoteFlag.COMMIT, SAID, b"\xed" * 64)
PRUNED = CommitEntry(VoteFlag.COMMIT, b"", b"")


def test_com_1_bytes_are_pinned() -> None:
    """COM-1: the layout; complete, absent, nil, pruned, and complete with nothing said."""
    vector = VECTORS["commit"]
    commit = InjectedCommit(vector["round"], tuple(
        CommitEntry(VoteFlag(flag), bytes.fromhex(body), bytes.fromhex(signature))
        for flag, body, signature in vector["entries"]
    ))
    assert encode_commit(commit).hex() == vector["bytes"]
    assert decode_commit(bytes.fromhex(vector["bytes"])) == commit


@pytest.mark.parametrize("entry, is_well_formed", [
    (COMPLETE, True),
    (PRUNED, True),
    (CommitEntry(VoteFlag.COMMIT, b"", b"\xed" * 64), True),
    (CommitEntry(VoteFlag.COMMIT, b"junk", b"\xed" * 64), True),
    (CommitEntry(VoteFlag.COMMIT, bytes(EXTENSION_BYTES_MAX), b"\xed" * 64), True),
    (CommitEntry(VoteFlag.ABSENT, b"", b""), True),
    (CommitEntry(VoteFlag.NIL, b"", b""), True),
    (CommitEntry(VoteFlag.COMMIT, SAID, b""), False),
    (CommitEntry(VoteFlag.COMMIT, SAID, b"\xed" * 63), False),
    (CommitEntry(VoteFlag.COMMIT, SAID, b"\xed" * 65), False),
    (CommitEntry(VoteFlag.COMMIT, bytes(EXTENSION_BYTES_MAX + 1), b"\xed" * 64), False),
    (CommitEntry(VoteFlag.ABSENT, SAID, b"\xed" * 64), False),
    (CommitEntry(VoteFlag.ABSENT, b"", b"\xed" * 64), False),
    (CommitEntry(VoteFlag.NIL, SAID, b""), False),
])
def test_com_2_refuses_entries_neither_complete_nor_pruned(entry: CommitEntry, is_well_formed: bool) -> None:
    """COM-2: what an entry may hold depends on its flag; junk inside an extension never makes a block invalid."""
    raw = encode_commit(InjectedCommit(0, (PRUNED, entry, COMPLETE)))
    if is_well_formed:
        assert decode_commit(raw).entries[1] == entry
        return
    with pytest.raises(Rejected) as refused:
        decode_commit(raw)
    assert refused.value.code is Code.COMMIT_MALFORMED


GOOD = encode_commit(InjectedCommit(1, (COMPLETE, PRUNED)))


@pytest.mark.parametrize("raw", [
    INJECTED_COMMIT,
    GOOD[:-1],
    GOOD + b"\0",
    b"\0\1\0\2" + GOOD[4:],
    INJECTED_SEGMENT + GOOD[2:],
    GOOD[:10] + b"\x00" + GOOD[11:],
    GOOD[:10] + b"\x04" + GOOD[11:],
    GOOD[:8] + b"\x00\x01" + GOOD[10:],
])
def test_com_1_refuses_other_bytes(raw: bytes) -> None:
    """COM-1: another kind, version, flag or count, cut short or too long."""
    with pytest.raises(Rejected) as refused:
        decode_commit(raw)
    assert refused.value.code is Code.COMMIT_MALFORMED


def test_injected_kinds_are_no_user_transactions() -> None:
    """TX-1: no protobuf message begins with a zero byte, so the kinds cannot be confused."""
    assert INJECTED_COMMIT[:1] == INJECTED_SEGMENT[:1] == b"\0"
    assert INJECTED_COMMIT != INJECTED_SEGMENT
