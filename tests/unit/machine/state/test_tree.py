"""The app hash: pinned roots (TRE-1), sharing and deleting (TRE-3), ICS-23 proofs at the edges (TRE-2)."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from abci_app.machine.codes import InvariantBroken
from abci_app.machine.state.proofs import ExistenceProof, NonExistenceProof, encode_ics23, to_ics23
from abci_app.machine.state.tree import EMPTY_ROOT, Tree, hash_leaf
from tests.kit.machine.ics23 import Invalid, verify_membership, verify_non_membership
from tests.kit.machine.slow_tree import slow_root
from tests.vectors.make_machine_vectors import make_all

VECTORS = Path(__file__).parents[3] / "vectors"
PAIRS = {b"key/%d" % number: b"value %d" % number for number in range(64)}
ORDERED = sorted(PAIRS, key=lambda key: sha256(key).digest())
TREE = Tree.build(PAIRS)


def read_nothing(key: bytes) -> None:
    """A store that lost everything."""


def test_tre_1_roots_are_pinned() -> None:
    """TRE-1, TRE-3: a history of inserts, changes and deletes, made from the description alone."""
    tree = Tree()
    for step in json.loads((VECTORS / "tree_vectors.json").read_text())["steps"]:
        changes = {bytes.fromhex(key): value and bytes.fromhex(value) for key, value in step["changes"].items()}
        tree = tree.update(changes)
        assert tree.root.hex() == step["root"]


@pytest.mark.parametrize("name", sorted(make_all()))
def test_committed_vectors_are_what_their_maker_makes(name: str) -> None:
    """COD-1: a vector changes only with its written description."""
    assert json.loads((VECTORS / name).read_text()) == json.loads(json.dumps(make_all()[name]))


def test_tre_1_the_smallest_trees() -> None:
    """TRE-1: empty, one leaf, two leaves, by hand."""
    path_a, path_b = sha256(b"a").digest(), sha256(b"b").digest()
    leaf_a, leaf_b = hash_leaf(path_a, b"1"), hash_leaf(path_b, b"2")
    assert Tree().root == Tree.build({}).root == EMPTY_ROOT == sha256(b"").digest()
    assert Tree.build({b"a": b"1"}).root == leaf_a
    assert leaf_a == sha256(b"\x00\x20" + path_a + b"\x20" + sha256(b"1").digest()).digest()
    assert path_b < path_a  # 3e… and ca…: they part at the first bit
    assert Tree.build({b"a": b"1", b"b": b"2"}).root == sha256(b"\x01" + leaf_b + leaf_a).digest()


@pytest.mark.parametrize("changes", [
    {},
    {b"key/1": b"value 1"},
    {b"absent": None},
    {b"absent": None, b"other": None, b"key/9": b"value 9"},
])
def test_tre_3_changes_that_change_nothing(changes: dict[bytes, bytes | None]) -> None:
    """TRE-3: writing the same value and deleting what is not there give the same root."""
    assert TREE.update(changes).root == TREE.root


def test_tre_3_an_older_tree_stays_usable() -> None:
    """TRE-3: updates share nodes and change none; rolling back one height is keeping the tree before it."""
    newer = TREE.update({b"key/3": None, b"key/4": b"other", b"new": b"leaf"})
    assert newer.root == slow_root({**{k: v for k, v in PAIRS.items() if k != b"key/3"}, b"key/4": b"other",
                                    b"new": b"leaf"})
    assert TREE.root == slow_root(PAIRS)
    assert newer.update({b"key/3": b"value 3", b"key/4": b"value 4", b"new": None}).root == TREE.root
    assert newer.update(dict.fromkeys([*PAIRS, b"new"])).root == EMPTY_ROOT


def test_tre_3_refuses_to_confuse_keys_values_and_places() -> None:
    """TRE-3, TRE-1: moving a byte from key to value, swapping two values or dropping a leaf gives another root."""
    roots = [
        TREE.root,
        Tree.build({**PAIRS, b"key/1": PAIRS[b"key/2"], b"key/2": PAIRS[b"key/1"]}).root,
        Tree.build({key: value for key, value in PAIRS.items() if key != b"key/1"}).root,
        Tree.build({(b"key/" if key == b"key/1" else key): value for key, value in PAIRS.items()}).root,
        Tree.build({**PAIRS, b"key/1": b"1value 1"}).root,
        Tree.build({**PAIRS, b"key/1": b""}).root,
    ]
    assert len(set(roots)) == len(roots)


# --- TRE-2 ----------------------------------------------------------------------------------------------------------


def absent_before(path: bytes, above: bytes = b"") -> bytes:
    """A key whose path lies before `path` and after `above`."""
    tried = (b"absent/%d" % number for number in range(100_000))
    return next(key for key in tried if above < sha256(key).digest() < path)


@pytest.mark.parametrize("key, has_left, has_right", [
    (absent_before(sha256(ORDERED[0]).digest()), False, True),
    (absent_before(b"\xff" * 32, sha256(ORDERED[-1]).digest()), True, False),
    (absent_before(sha256(ORDERED[30]).digest(), sha256(ORDERED[29]).digest()), True, True),
])
def test_tre_2_absence_at_the_edges_and_between(key: bytes, has_left: bool, has_right: bool) -> None:
    """TRE-2: one neighbour at either edge, two between; the verifier knows nothing of our tree."""
    proof = TREE.prove(key)
    assert (proof.member, proof.left is not None, proof.right is not None) == (None, has_left, has_right)
    raw = encode_ics23(to_ics23(proof, PAIRS.get))
    verify_non_membership(TREE.root, raw, sha256(key).digest())
    for root, path in [(EMPTY_ROOT, sha256(key).digest()), (TREE.root, sha256(ORDERED[5]).digest())]:
        with pytest.raises(Invalid):
            verify_non_membership(root, raw, path)


def test_tre_2_a_tree_of_one_leaf() -> None:
    """TRE-2: a proof without steps, and both sides of its only leaf."""
    tree, pairs = Tree.build({b"a": b"1"}), {b"a": b"1"}
    verify_membership(tree.root, encode_ics23(to_ics23(tree.prove(b"a"), pairs.get)), sha256(b"a").digest(), b"1")
    for key in (b"b", b"c", b"d", b"e"):
        verify_non_membership(tree.root, encode_ics23(to_ics23(tree.prove(key), pairs.get)), sha256(key).digest())


def test_tre_2_refuses_what_the_empty_tree_cannot_prove() -> None:
    """TRE-2: ICS-23 has no proof about an empty tree; nothing is made up for it."""
    proof = to_ics23(Tree().prove(b"a"), read_nothing)
    assert proof == NonExistenceProof(sha256(b"a").digest(), None, None)
    with pytest.raises(Invalid):
        verify_non_membership(EMPTY_ROOT, encode_ics23(proof), sha256(b"a").digest())


def test_tre_2_a_proof_of_another_height_is_refused() -> None:
    """TRE-2: proof, value and root belong to one tree."""
    newer = TREE.update({b"key/3": b"other"})
    raw = encode_ics23(to_ics23(TREE.prove(b"key/3"), PAIRS.get))
    verify_membership(TREE.root, raw, sha256(b"key/3").digest(), b"value 3")
    with pytest.raises(Invalid):
        verify_membership(newer.root, raw, sha256(b"key/3").digest(), b"value 3")
    with pytest.raises(InvariantBroken):
        to_ics23(TREE.prove(b"key/3"), read_nothing)


def test_proofs_are_small() -> None:
    """TRE-2: 39 bytes a step beside key and value."""
    proof = to_ics23(TREE.prove(b"key/3"), PAIRS.get)
    assert isinstance(proof, ExistenceProof)
    assert len(encode_ics23(proof)) < 64 + 45 * len(proof.path)
