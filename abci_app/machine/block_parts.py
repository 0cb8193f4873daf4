"""Division of a block's transactions into injected commit, segments and user transactions (COM-3)."""

from collections.abc import Sequence
from dataclasses import dataclass

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.observation.extension import INJECTED_COMMIT, INJECTED_SEGMENT

INJECTED_FIRST_BYTE = b"\x00"
"""No user transaction begins with it: in protobuf it would be field number 0."""


@dataclass(frozen=True, slots=True)
class BlockParts:
    """Parts of a block, of which only the leading bytes are checked yet."""

    commit: bytes | None
    """The injected commit's transaction."""
    segments: tuple[bytes, ...]
    """Canonical segments, without their leading bytes."""
    rest: tuple[bytes, ...]


def split_block(txs: Sequence[bytes]) -> BlockParts:
    """Return the parts of any list of transactions."""
    start = 1 if txs and txs[0].startswith(INJECTED_COMMIT) else 0
    end = start
    while end < len(txs) and txs[end].startswith(INJECTED_SEGMENT):
        end += 1
    segments = tuple(tx[len(INJECTED_SEGMENT):] for tx in txs[start:end])
    return BlockParts(txs[0] if start else None, segments, tuple(txs[end:]))


def is_injected(tx: bytes) -> bool:
    """Tell whether only a proposer may make this transaction."""
    return tx.startswith(INJECTED_FIRST_BYTE)


def check_placement(parts: BlockParts) -> None:
    """Reject a block with an injected kind, known or not, outside its part."""
    for index, tx in enumerate(parts.rest):
        if is_injected(tx):
            raise Rejected(Code.INJECTED_MISPLACED, f"kind {tx[:2].hex()} at {index} of the user transactions")
