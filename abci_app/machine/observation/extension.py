"""Vote extensions and the injected commit: their bytes (docs/protocol.md section 6).

What is inside an extension never makes a block invalid: ``parse_extension`` answers None for what does not parse.
"""

from dataclasses import dataclass
from enum import IntEnum

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.params import EXTENSION_BYTES_MAX, EXTENSION_SEGMENTS_MAX, EXTENSION_SIGNATURES_MAX
from abci_app.machine.state.codec import U8, U16, U32, U64, DomainId, Hash, Malformed, Signature, decode, encode

INJECTED_COMMIT = b"\x00\x01"
"""Leading bytes of the injected commit; no protobuf message starts with a zero byte (field number 0)."""
INJECTED_SEGMENT = b"\x00\x02"
"""Leading bytes of a segment transaction; the canonical segment follows."""

EXTENSION_VERSION = 1


@dataclass(frozen=True, slots=True)
class SignedBatch:
    """A validator's signature over the batch of ``height``, as a member of ``epoch``."""

    height: U64
    epoch: U64
    signature: Signature


@dataclass(frozen=True, slots=True)
class DomainReport:
    """Digests of consecutive segments of one domain, from ``first`` on."""

    domain: DomainId
    first: U64
    digests: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class Extension:
    """Content of one validator's vote extension (EXT-1); an empty one is zero bytes, never an empty record."""

    version: U8
    signatures: tuple[SignedBatch, ...]
    """By (height, epoch), strictly ascending, at most 3."""
    reports: tuple[DomainReport, ...]
    """By domain, strictly ascending; each with 1 to 4 digests."""


class VoteFlag(IntEnum):
    """CometBFT's BlockIDFlag."""

    ABSENT = 1
    COMMIT = 2
    NIL = 3


@dataclass(frozen=True, slots=True)
class CommitEntry:
    """One validator of V(H-1): its flag and, with COMMIT and not pruned, extension and consensus signature."""

    flag: VoteFlag
    extension: bytes
    signature: bytes
    """64-byte ed25519 signature over CometBFT's canonical vote extension; empty when pruned."""


@dataclass(frozen=True, slots=True)
class InjectedCommit:
    """The extended commit of H-1 as the proposer of H injects it, entries in CometBFT's order."""

    round: U32
    entries: tuple[CommitEntry, ...]


@dataclass(frozen=True, slots=True)
class _Frame:
    version: U16
    commit: InjectedCommit


def encode_extension(signatures: tuple[SignedBatch, ...], reports: tuple[DomainReport, ...]) -> bytes:
    """Return the extension's bytes, b"" when it is empty."""
    if not signatures and not reports:
        return b""
    return encode(Extension(EXTENSION_VERSION, signatures, reports))


def parse_extension(raw: bytes) -> Extension | None:
    """Return the extension, or None for what is empty, too long, or not of the canonical form (EXT-2)."""
    if not raw or len(raw) > EXTENSION_BYTES_MAX:
        return None
    try:
        extension = decode(Extension, raw)
    except Malformed:
        return None
    return extension if is_canonical(extension) else None


def is_canonical(extension: Extension) -> bool:
    """Tell whether version, limits and orders hold and the extension is not empty."""
    places = [(signed.height, signed.epoch) for signed in extension.signatures]
    domains = [report.domain for report in extension.reports]
    return (
        extension.version == EXTENSION_VERSION
        and bool(places or domains)
        and len(places) <= EXTENSION_SIGNATURES_MAX
        and all(low < high for low, high in zip(places, places[1:], strict=False))
        and all(low < high for low, high in zip(domains, domains[1:], strict=False))
        and all(1 <= len(report.digests) <= EXTENSION_SEGMENTS_MAX for report in extension.reports)
    )


def is_acceptable(raw: bytes) -> bool:
    """Tell whether VerifyVoteExtension accepts an extension: empty, or canonical and at most 2 KiB (EXT-3)."""
    return not raw or parse_extension(raw) is not None


def encode_commit(commit: InjectedCommit) -> bytes:
    """Return the injected commit's transaction."""
    return INJECTED_COMMIT + encode(_Frame(1, commit))


def decode_commit(raw: bytes) -> InjectedCommit:
    """Return the injected commit; ``Rejected(COMMIT_MALFORMED)`` where form or an entry's form is wrong (COM-2)."""
    if not raw.startswith(INJECTED_COMMIT):
        raise Rejected(Code.COMMIT_MALFORMED, "not an injected commit")
    try:
        frame = decode(_Frame, raw[len(INJECTED_COMMIT):])
    except Malformed as error:
        raise Rejected(Code.COMMIT_MALFORMED, str(error)) from error
    if frame.version != 1:
        raise Rejected(Code.COMMIT_MALFORMED, f"version {frame.version}")
    for entry in frame.commit.entries:
        pruned = not entry.extension and not entry.signature
        complete = (
            entry.flag is VoteFlag.COMMIT and len(entry.signature) == 64
            and len(entry.extension) <= EXTENSION_BYTES_MAX
        )
        if not pruned and not complete:
            raise Rejected(Code.COMMIT_MALFORMED, "an entry is neither complete nor pruned")
    return frame.commit
