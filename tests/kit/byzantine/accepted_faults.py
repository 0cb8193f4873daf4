"""Wrong proposals that are no reason to refuse a block: each must be without effect."""

import os
from dataclasses import replace
from functools import lru_cache

from abci_app.machine.codes import Rejected
from abci_app.machine.observation.extension import CommitEntry, DomainReport, encode_extension
from abci_app.machine.params import BLOCK_TXS_MAX, BUNDLE_BIDS_MAX, PATH_LENGTHS, TX_BYTES_MAX
from abci_app.machine.state.codec import DomainId, TransferId
from abci_app.machine.transactions.tx import decode_tx, encode_bundle
from abci_app.node.consensus.injected_commit import prune
from tests.kit.byzantine.segment_faults import Fault
from tests.kit.byzantine.stage import FORGED, Stage
from tests.kit.machine.small_world import valid_bid

JUNK_BYTES = 100
COSTLY_BUNDLES = 20


def add_junk(stage: Stage) -> list[bytes]:
    """Transactions that nobody's CheckTx would take."""
    junk = [b"", b"\xff" + os.urandom(100), b"\xff" * (TX_BYTES_MAX + 1), b"\x0a\x00", b"{}"]
    return [*stage.block(), *junk]


def fill_with_junk(stage: Stage) -> list[bytes]:
    """As many transactions as a block may hold."""
    block = stage.block()
    return [*block, *(b"\xff" + os.urandom(JUNK_BYTES) for _ in range(BLOCK_TXS_MAX - len(block)))]


def add_costly_bundles(stage: Stage) -> list[bytes] | None:
    """Thousands of signatures, all to be recovered before the last one of each bundle proves to be somebody else's."""
    known = [
        bid.transfer_id for raw in stage.memory.txs for bid in getattr(read_tx(raw), "bids", ())
    ]
    if not known:
        return None
    return [*stage.block(), *(make_costly_bundle(known[-1], seed) for seed in range(COSTLY_BUNDLES))]


def read_tx(raw: bytes) -> object:
    """A transaction, or nothing for what is none."""
    try:
        return decode_tx(raw)
    except Rejected:
        return None


@lru_cache(maxsize=COSTLY_BUNDLES)
def make_costly_bundle(transfer_id: TransferId, seed: int) -> bytes:
    """64 strangers' bids of three signatures each; the last bidder's are another one's."""
    private_keys = [(1 + seed * BUNDLE_BIDS_MAX + index).to_bytes(32, "big") for index in range(BUNDLE_BIDS_MAX)]
    bids = sorted(
        (valid_bid(transfer_id, private_key, PATH_LENGTHS) for private_key in private_keys),
        key=lambda bid: bid.router,
    )
    bids[-1] = replace(bids[-1], signatures=bids[0].signatures)
    return encode_bundle(bids)


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
    "bundles that cost most": add_costly_bundles,
    "transactions repeated": repeat_transactions,
    "everything withheld": prune_all,
    "absurd words of its own": say_absurd,
    "junk of its own": say_junk,
}


def overfill(stage: Stage) -> list[bytes]:
    """More bytes than the engine allows: the engine of the proposer itself refuses to propose that."""
    return [*stage.block(), *[b"\xff" * TX_BYTES_MAX] * (stage.request.max_tx_bytes // TX_BYTES_MAX + 1)]
