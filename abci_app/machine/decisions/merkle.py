"""The gate's Merkle tree over decisions and over leaves: roots and proofs (docs/protocol.md section 7, BAT-3)."""

from collections.abc import Sequence

from abci_app.machine.codes import invariant
from abci_app.machine.connext import keccak
from abci_app.machine.state.codec import Hash


def compute_root(nodes: Sequence[Hash]) -> Hash:
    """Return the root over ``nodes`` in order: pairs are hashed level by level, an odd last one moves up unchanged."""
    invariant(nodes, "a tree without nodes has no root")
    level = list(nodes)
    while len(level) > 1:
        level = _compute_parents(level)
    return level[0]


def compute_proof(nodes: Sequence[Hash], index: int) -> tuple[tuple[Hash, ...], int]:
    """Return (siblings bottom-up, path bits) of node ``index``.

    Bit j is set when our node is the right one at the j-th level that used a sibling; a level at which our node
    moves up unchanged has no sibling and no bit.
    """
    invariant(0 <= index < len(nodes), f"no node {index} among {len(nodes)}")
    siblings: list[Hash] = []
    path_bits = 0
    level = list(nodes)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path_bits |= (index & 1) << len(siblings)
            siblings.append(level[sibling])
        level, index = _compute_parents(level), index // 2
    return tuple(siblings), path_bits


def compute_root_from_proof(node: Hash, siblings: Sequence[Hash], path_bits: int) -> Hash:
    """Return the root that a proof leads to; the gate does the same."""
    for position, sibling in enumerate(siblings):
        node = keccak(sibling + node) if path_bits >> position & 1 else keccak(node + sibling)
    return node


def _compute_parents(level: list[Hash]) -> list[Hash]:
    parents = [keccak(level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return [*parents, level[-1]] if len(level) % 2 else parents
