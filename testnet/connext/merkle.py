"""Connext's Merkle trees: keccak, 32 levels, filled from the left, missing leaves are zero words.

Vectors: tests/vectors/connext_vectors.json.
"""

from collections.abc import Sequence
from functools import cache

from sha3 import keccak_256

DEPTH = 32


@cache
def zero_hash(level: int) -> bytes:
    """Return the root of an empty subtree with `level` levels."""
    return bytes(32) if level == 0 else keccak(zero_hash(level - 1) * 2)


class MerkleTree:
    """The tree over some leaves (32 bytes each, at most 2^32 - 1)."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [list(leaves)]
        for level in range(DEPTH):
            below = self._levels[-1]
            padded = [*below, zero_hash(level)] if len(below) % 2 else below
            self._levels.append([keccak(padded[i] + padded[i + 1]) for i in range(0, len(padded), 2)])

    @property
    def root(self) -> bytes:
        """Return the root; of an empty tree, the zero hash of 32 levels."""
        top = self._levels[DEPTH]
        return top[0] if top else zero_hash(DEPTH)

    def path(self, index: int) -> tuple[bytes, ...]:
        """Return the 32 sibling hashes from a leaf up to the root. Raises IndexError."""
        if not 0 <= index < len(self._levels[0]):
            raise IndexError(f"leaf {index} of {len(self._levels[0])}")
        siblings = []
        for level in range(DEPTH):
            nodes, sibling = self._levels[level], index ^ 1
            siblings.append(nodes[sibling] if sibling < len(nodes) else zero_hash(level))
            index >>= 1
        return tuple(siblings)


def keccak(data: bytes) -> bytes:
    """Return keccak256, 32 bytes."""
    digest: bytes = keccak_256(data).digest()
    return digest
