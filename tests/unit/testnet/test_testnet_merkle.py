"""Connext's Merkle tree against the vectors of its own sources and of a real message."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from testnet.connext.merkle import DEPTH, MerkleTree, keccak, zero_hash

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/connext_vectors.json").read_text())
MESSAGE = VECTORS["message"][0]


def branch_root(leaf: bytes, path: Sequence[bytes], index: int) -> bytes:
    """Root that a leaf's path leads to; what the contracts compute from a proof."""
    node = leaf
    for level, sibling in enumerate(path):
        node = keccak(sibling + node) if index >> level & 1 else keccak(node + sibling)
    return node


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def leaves_of(count: int) -> list[bytes]:
    return [keccak(index.to_bytes(4, "big")) for index in range(count)]


def test_zero_hashes() -> None:
    assert [zero_hash(level) for level in range(DEPTH + 1)] == [
        unhex(zero) for zero in VECTORS["merkleZero"]["zeroHashesByHeight"]
    ]
    assert MerkleTree([]).root == unhex(VECTORS["merkleZero"]["EMPTY_ROOT"])


def test_a_real_message_leads_to_the_real_roots() -> None:
    assert keccak(unhex(MESSAGE["message"])) == unhex(MESSAGE["leaf"])
    path = [unhex(sibling) for sibling in MESSAGE["messagePath"]]
    root = branch_root(unhex(MESSAGE["leaf"]), path, MESSAGE["messageIndex"])
    assert root == unhex(MESSAGE["messageRoot"])
    path = [unhex(sibling) for sibling in MESSAGE["aggregatePath"]]
    assert branch_root(root, path, MESSAGE["aggregateIndex"]) == unhex(MESSAGE["aggregateRoot"])


@pytest.mark.parametrize("change", ["leaf", "path", "index"])
def test_any_change_of_a_proof_leads_elsewhere(change: str) -> None:
    leaf, index = unhex(MESSAGE["leaf"]), MESSAGE["messageIndex"]
    path = [unhex(sibling) for sibling in MESSAGE["messagePath"]]
    if change == "leaf":
        leaf = keccak(leaf)
    elif change == "path":
        path[17] = keccak(path[17])
    else:
        index ^= 1
    assert branch_root(leaf, path, index) != unhex(MESSAGE["messageRoot"])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 31, 33])
def test_every_path_leads_to_the_root(count: int) -> None:
    leaves = leaves_of(count)
    tree = MerkleTree(leaves)
    for index, leaf in enumerate(leaves):
        assert len(tree.path(index)) == DEPTH
        assert branch_root(leaf, tree.path(index), index) == tree.root


def test_roots_differ_with_every_leaf_and_order() -> None:
    leaves = leaves_of(6)
    roots = {MerkleTree(leaves[:count]).root for count in range(7)} | {MerkleTree(leaves[::-1]).root}
    assert len(roots) == 8


@pytest.mark.parametrize("index", [-1, 3, 2**32])
def test_a_leaf_that_is_not_there_has_no_path(index: int) -> None:
    with pytest.raises(IndexError):
        MerkleTree(leaves_of(3)).path(index)
