"""Wrong proposals that are no reason to refuse a block: each must be without effect."""

import os

from abci_app.abci import tx_bytes_in_block
from abci_app.machine.codec import DomainId
from abci_app.machine.extension import CommitEntry, DomainReport, encode_extension
from abci_app.machine.params import TX_BYTES_MAX
from abci_app.node.injected_commit import prune
from tests.byzantine.segment_faults import Fault
from tests.byzantine.stage import FORGED, Stage

BLOCK_SLACK_BYTES = 4096


def add_junk(stage: Stage) -> list[bytes]:
    """Transactions that nobody's CheckTx would take."""
    junk = [b"", b"\xff" + os.urandom(100), b"\xff" * (TX_BYTES_MAX + 1), b"\x0a\x00", b"{}"]
    return [*stage.block(), *junk]


def fill_with_junk(stage: Stage) -> list[bytes]:
    """As many small transactions as the block holds."""
    block = stage.block()
    room = stage.request.max_tx_bytes - sum(map(tx_bytes_in_block, block)) - BLOCK_SLACK_BYTES
    size = 200
    return [*block, *(b"\xff" + os.urandom(size - 1) for _ in range(room // (size + 4) // 4))]


def repeat_transactions(stage: Stage) -> list[bytes] | None:
    """Users' transactions of earlier blocks once more."""
    return [*stage.block(), *stage.memory.txs[-20:]] if stage.memory.txs else None


def prune_all(stage: Stage) -> list[bytes]:
    """Withhold everything: no extension, no segment, no transaction."""
    entries: tuple[CommitEntry, ...] = tuple(map(prune, stage.commit.entries))
    return stage.block(segments=[], rest=[], entries=entries)


def say_absurd(stage: Stage) -> list[bytes]:
    """The own entry with an extension of the right form and impossible content."""
    domain = stage.domains[min(stage.domains)]
    reports = (
        DomainReport(DomainId(0), 0, (FORGED,)),
        DomainReport(domain.domain, domain.cursor.number + 1, (FORGED,) * 4),
        DomainReport(DomainId(2**32 - 1), 2**64 - 1, (FORGED,) * 4),
    )
    return stage.block(segments=[], entries=stage.replaced(stage.own, stage.sign(encode_extension((), reports))))


def say_junk(stage: Stage) -> list[bytes]:
    """The own entry with bytes that are no extension: no peer ever verified them."""
    return stage.block(segments=[], entries=stage.replaced(stage.own, stage.sign(os.urandom(2048))))


ACCEPTED_FAULTS: dict[str, Fault] = {
    "junk transactions": add_junk,
    "a block full of junk": fill_with_junk,
    "transactions repeated": repeat_transactions,
    "everything withheld": prune_all,
    "absurd words of its own": say_absurd,
    "junk of its own": say_junk,
}


def overfill(stage: Stage) -> list[bytes]:
    """More bytes than the engine allows: the engine of the proposer itself refuses to propose that."""
    return [*stage.block(), *[b"\xff" * TX_BYTES_MAX] * (stage.request.max_tx_bytes // TX_BYTES_MAX + 1)]
