"""Wrong vote extensions of a faulty validator."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from abci_app.machine.connext import sign_digest
from abci_app.machine.decisions.batches import list_owed
from abci_app.machine.observation.extension import (
    EXTENSION_VERSION,
    DomainReport,
    Extension,
    SignedBatch,
    encode_extension,
    parse_extension,
)
from abci_app.machine.params import EXTENSION_BYTES_MAX, EXTENSION_SEGMENTS_MAX
from abci_app.machine.state.codec import DomainId, Hash, Signature, encode
from abci_app.machine.state.view import StateDelta, StateView
from abci_app.node.signer import Signer
from abci_app.node.view import list_domains

STRANGER_KEY = b"\x77" * 32


@dataclass(frozen=True)
class Voice:
    """Whose extensions these are."""

    signer: Signer


GivenBid = Callable[[Voice, StateView, bytes], bytes]
"""The extension to send in place of the honest one."""


def say_absurd(voice: Voice, view: StateView, honest: bytes) -> bytes:
    """The right form, impossible content, another one at every height."""
    absurd = (
        DomainReport(DomainId(0), 0, (Hash(os.urandom(32)),)),
        *(
            DomainReport(
                domain.domain, domain.cursor.number + 1,
                tuple(Hash(os.urandom(32)) for _ in range(EXTENSION_SEGMENTS_MAX)),
            )
            for domain in list_domains(view).values()
        ),
        DomainReport(DomainId(2**32 - 1), 2**64 - 1, (Hash(os.urandom(32)),) * EXTENSION_SEGMENTS_MAX),
    )
    signatures = tuple(SignedBatch(height, 1, Signature(b"\xff" * 65)) for height in (0, 2**63, 2**64 - 1))
    return encode_extension(signatures, absurd)


def sign_wrongly(voice: Voice, view: StateView, honest: bytes) -> bytes:
    """For every batch owed a signature of the right form by a key that is nobody's; the honest reports."""
    owed = sorted(list_owed(StateDelta(view), voice.signer.address))
    wrong = tuple(SignedBatch(height, epoch, sign_digest(STRANGER_KEY, digest)) for height, epoch, digest in owed[:3])
    given = parse_extension(honest)
    return encode_extension(wrong, given.reports if given is not None else ())


def sign_something_else(voice: Voice, view: StateView, honest: bytes) -> bytes:
    """The own key, but under another digest."""
    given = parse_extension(honest)
    if given is None:
        return honest
    other = tuple(
        replace(signed, signature=sign_digest(voice.signer.export_private_key(), Hash(os.urandom(32))))
        for signed in given.signatures
    )
    return encode_extension(other, given.reports)


def unsorted(voice: Voice, view: StateView, honest: bytes) -> bytes:
    reports = tuple(DomainReport(DomainId(domain), 1, (Hash(bytes(32)),)) for domain in (2222, 1111))
    return encode(Extension(EXTENSION_VERSION, (), reports))


LARGE_EXTENSION = "half a megabyte"
EXTENSION_FAULTS: dict[str, GivenBid] = {
    # Refused by every peer: the whole precommit is dropped.
    "random bytes": lambda voice, view, honest: os.urandom(EXTENSION_BYTES_MAX),
    "a trailing byte": lambda voice, view, honest: say_absurd(voice, view, honest) + b"\0",
    "unsorted reports": unsorted,
    "2 KiB and a byte": lambda voice, view, honest: bytes(EXTENSION_BYTES_MAX + 1),
    LARGE_EXTENSION: lambda voice, view, honest: os.urandom(500_000),
    # Taken by every peer, and counted as nothing.
    "absurd content": say_absurd,
    "batches signed by a stranger": sign_wrongly,
    "another digest signed": sign_something_else,
    "nothing": lambda voice, view, honest: b"",
}
REFUSED_EXTENSIONS = ("random bytes", "a trailing byte", "unsorted reports", "2 KiB and a byte", LARGE_EXTENSION)
