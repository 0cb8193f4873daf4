"""Wrong injected commits and wrong transactions in a proposal, each with the code that refuses it."""

from dataclasses import replace

from abci_app.machine.codes import Code
from abci_app.machine.connext import keccak
from abci_app.machine.observation.extension import (
    INJECTED_COMMIT,
    INJECTED_SEGMENT,
    CommitEntry,
    DomainReport,
    VoteFlag,
    encode_extension,
)
from abci_app.machine.params import BLOCK_TXS_MAX, EXTENSION_BYTES_MAX
from abci_app.machine.state.codec import DomainId, TransferId
from abci_app.machine.transactions.tx import encode_bundle
from tests.kit.byzantine.segment_faults import Fault
from tests.kit.byzantine.stage import FORGED, Stage
from tests.kit.machine.small_world import valid_bid

ABSENT = CommitEntry(VoteFlag.ABSENT, b"", b"")
NO_SIGNATURE = b"\x11" * 64


def lie(stage: Stage) -> bytes:
    """An extension that says what its validator never said."""
    domain = stage.domains[DomainId(min(stage.domains))]
    return encode_extension((), (DomainReport(domain.domain, domain.cursor.number + 1, (FORGED,)),))


def leave_out(stage: Stage) -> list[bytes]:
    return stage.block()[1:]


def corrupt_bytes(stage: Stage) -> list[bytes]:
    commit, *rest = stage.block()
    return [commit + b"\0", *rest]


def say_twice(stage: Stage) -> list[bytes]:
    commit, *rest = stage.block()
    return [commit, commit, *rest]


def change_round(stage: Stage) -> list[bytes]:
    return stage.block(commit=replace(stage.commit, round=stage.commit.round + 1))


def flag_absent(stage: Stage) -> list[bytes] | None:
    others = stage.others()
    return stage.block(entries=stage.replaced(others[0], ABSENT)) if others else None


def flag_nil(stage: Stage) -> list[bytes] | None:
    others = stage.others()
    nil = CommitEntry(VoteFlag.NIL, b"", b"")
    return stage.block(entries=stage.replaced(others[-1], nil)) if others else None


def drop_entry(stage: Stage) -> list[bytes]:
    return stage.block(entries=stage.commit.entries[:-1])


def add_entry(stage: Stage) -> list[bytes]:
    return stage.block(entries=(*stage.commit.entries, stage.commit.entries[-1]))


def forge(stage: Stage) -> list[bytes] | None:
    """Words put into an honest validator's mouth, with no signature of it."""
    others = stage.others()
    entry = CommitEntry(VoteFlag.COMMIT, lie(stage), NO_SIGNATURE)
    return stage.block(entries=stage.replaced(others[0], entry)) if others else None


def forge_content(stage: Stage) -> list[bytes] | None:
    """A real signature under other words."""
    for index in stage.others():
        entry = stage.commit.entries[index]
        if entry.signature:
            return stage.block(entries=stage.replaced(index, replace(entry, extension=lie(stage))))
    return None


def sign_for_another(stage: Stage) -> list[bytes] | None:
    """The own, real signature in an honest validator's place."""
    others = stage.others()
    return stage.block(entries=stage.replaced(others[0], stage.sign(lie(stage)))) if others else None


def move(stage: Stage) -> list[bytes] | None:
    """One honest validator's words as another's."""
    others = stage.others()
    for index in others:
        entry = stage.commit.entries[index]
        if entry.signature and len(others) > 1:
            place = next(other for other in others if other != index)
            return stage.block(entries=stage.replaced(place, entry))
    return None


def replay(stage: Stage) -> list[bytes] | None:
    """What an honest validator really said, but at an earlier height."""
    for index in stage.others():
        old = stage.memory.entries.get(index)
        if old is not None and old != stage.commit.entries[index]:
            return stage.block(entries=stage.replaced(index, old))
    return None


def say_too_much(stage: Stage) -> list[bytes]:
    return stage.block(entries=stage.replaced(stage.own, stage.sign(bytes(EXTENSION_BYTES_MAX + 1))))


COMMIT_FAULTS: dict[str, tuple[Code, Fault]] = {
    "commit left out": (Code.COMMIT_MISSING, leave_out),
    "commit with trailing bytes": (Code.COMMIT_MALFORMED, corrupt_bytes),
    "extension of 2 KiB and a byte": (Code.COMMIT_MALFORMED, say_too_much),
    "commit twice": (Code.INJECTED_MISPLACED, say_twice),
    "commit of another round": (Code.COMMIT_ROUND_MISMATCH, change_round),
    "extension re-flagged absent": (Code.COMMIT_FLAGS_MISMATCH, flag_absent),
    "extension re-flagged nil": (Code.COMMIT_FLAGS_MISMATCH, flag_nil),
    "entry dropped": (Code.COMMIT_FLAGS_MISMATCH, drop_entry),
    "entry added": (Code.COMMIT_FLAGS_MISMATCH, add_entry),
    "extension forged": (Code.COMMIT_SIGNATURE_INVALID, forge),
    "extension changed under its signature": (Code.COMMIT_SIGNATURE_INVALID, forge_content),
    "extension signed by somebody else": (Code.COMMIT_SIGNATURE_INVALID, sign_for_another),
    "extension moved to another validator": (Code.COMMIT_SIGNATURE_INVALID, move),
    "extension replayed": (Code.COMMIT_SIGNATURE_INVALID, replay),
}


def bid_for_nothing(stage: Stage) -> list[bytes]:
    transfer_id = TransferId(keccak(b"no such transfer %d" % stage.request.height))
    return [*stage.block(), encode_bundle([valid_bid(transfer_id)])]


def crumble(stage: Stage) -> list[bytes]:
    """Many times as many transactions as a block may hold, and still few bytes."""
    return [*stage.block(), *[b"\xff"] * (4 * BLOCK_TXS_MAX)]


TX_FAULTS: dict[str, tuple[Code, Fault]] = {
    "bid for an unknown transfer": (Code.BID_NOT_ACCEPTED_YET, bid_for_nothing),
    "crumbs without number": (Code.BLOCK_TOO_MANY_TXS, crumble),
    "commit among the transactions": (
        Code.INJECTED_MISPLACED, lambda stage: [*stage.block(), b"\xff", INJECTED_COMMIT + b"anything"],
    ),
    "segment among the transactions": (
        Code.INJECTED_MISPLACED, lambda stage: [*stage.block(), b"\xff", INJECTED_SEGMENT],
    ),
    "injected kind that nobody knows": (Code.INJECTED_MISPLACED, lambda stage: [*stage.block(), b"\x00\x03"]),
}
