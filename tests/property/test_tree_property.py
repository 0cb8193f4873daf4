"""The fast tree against the slow one, and every proof against an independent verifier, over random histories."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.machine.state.proofs import ExistenceProof, NonExistenceProof, encode_ics23, to_ics23
from abci_app.machine.state.tree import EMPTY_ROOT, ProofStep, Tree
from tests.kit.machine.ics23 import Invalid, verify_membership, verify_non_membership
from tests.kit.machine.slow_tree import slow_root

KEYS = [b"key/%d" % number for number in range(40)]
CHANGES = st.dictionaries(st.sampled_from(KEYS), st.none() | st.binary(min_size=1, max_size=3), max_size=25)


def apply(pairs: dict[bytes, bytes], changes: dict[bytes, bytes | None]) -> dict[bytes, bytes]:
    merged = {**pairs, **changes}
    return {key: value for key, value in merged.items() if value is not None}


@settings(max_examples=150, deadline=None)
@given(st.lists(CHANGES, max_size=8))
def test_any_history_gives_the_root_of_its_outcome(history: list[dict[bytes, bytes | None]]) -> None:
    """TRE-3, TRE-1: changes, inserts and deletes in any batches; older trees stay what they were."""
    pairs: dict[bytes, bytes] = {}
    tree = Tree()
    roots: list[tuple[Tree, bytes]] = [(tree, EMPTY_ROOT)]
    for changes in history:
        tree = tree.update(changes)
        pairs = apply(pairs, changes)
        roots.append((tree, slow_root(pairs)))
    assert Tree.build(pairs).root == slow_root(pairs)
    assert [each.root for each, _ in roots] == [root for _, root in roots]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), st.binary(min_size=1, max_size=40), min_size=1))
def test_every_key_is_proven_to_be_there_or_not(pairs: dict[bytes, bytes]) -> None:
    """TRE-2: membership for each key of the tree, non-membership for each other one, and never the wrong one."""
    tree = Tree.build(pairs)
    for key in KEYS:
        raw = encode_ics23(to_ics23(tree.prove(key), pairs.get))
        path = sha256(key).digest()
        if key in pairs:
            verify_membership(tree.root, raw, path, pairs[key])
            with pytest.raises(Invalid):
                verify_membership(tree.root, raw, path, pairs[key] + b"x")
            with pytest.raises(Invalid):
                verify_non_membership(tree.root, raw, path)
        else:
            verify_non_membership(tree.root, raw, path)
            with pytest.raises(Invalid):
                verify_membership(tree.root, raw, path, b"x")


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), st.binary(min_size=1, max_size=4), min_size=2), st.data())
def test_a_corrupted_proof_refuses(pairs: dict[bytes, bytes], data: st.DataObject) -> None:
    """TRE-2: a proof of another tree, with a step left out or changed, or of a neighbour too far away, is refused."""
    tree = Tree.build(pairs)
    key = data.draw(st.sampled_from(KEYS))
    proof = to_ics23(tree.prove(key), pairs.get)
    path = sha256(key).digest()
    other = tree.update({b"another": b"leaf"}).root
    for root, corrupted in [(other, proof), *((tree.root, each) for each in corrupt(proof))]:
        with pytest.raises(Invalid):
            if key in pairs:
                verify_membership(root, encode_ics23(corrupted), path, pairs[key])
            else:
                verify_non_membership(root, encode_ics23(corrupted), path)


def flip_last(data: bytes) -> bytes:
    """The same bytes but for the last bit."""
    return data[:-1] + bytes([data[-1] ^ 1])


def corrupt(proof: ExistenceProof | NonExistenceProof) -> list[ExistenceProof | NonExistenceProof]:
    """Proofs with one thing wrong each."""
    if isinstance(proof, ExistenceProof):
        steps = proof.path
        prefix, suffix = steps[0].prefix, steps[0].suffix
        flipped = ProofStep(prefix, flip_last(suffix)) if suffix else ProofStep(flip_last(prefix), b"")
        return [
            ExistenceProof(proof.key, proof.value, steps[1:]),
            ExistenceProof(proof.key, proof.value, (*steps, steps[-1])),
            ExistenceProof(proof.key, proof.value, (flipped, *steps[1:])),
            ExistenceProof(proof.key[::-1], proof.value, steps),
        ]
    corrupted: list[ExistenceProof | NonExistenceProof] = [
        NonExistenceProof(proof.key, None, None), NonExistenceProof(proof.key, proof.right, proof.left),
        NonExistenceProof(proof.key[::-1], proof.left, proof.right),
    ]
    if proof.left and proof.right:
        corrupted += [
            NonExistenceProof(proof.key, proof.left, None), NonExistenceProof(proof.key, None, proof.right),
            NonExistenceProof(proof.key, proof.left, proof.left),
        ]
    return corrupted


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), st.binary(min_size=1, max_size=4), min_size=4), st.data())
def test_neighbours_that_are_none_refuse(pairs: dict[bytes, bytes], data: st.DataObject) -> None:
    """TRE-2: a key that is there cannot be hidden between two leaves around it."""
    tree = Tree.build(pairs)
    ordered = sorted(pairs, key=lambda key: sha256(key).digest())
    index = data.draw(st.integers(1, len(ordered) - 2))
    left, right = (to_ics23(tree.prove(ordered[at]), pairs.get) for at in (index - 1, index + 1))
    assert isinstance(left, ExistenceProof) and isinstance(right, ExistenceProof)
    hidden = sha256(ordered[index]).digest()
    with pytest.raises(Invalid):
        verify_non_membership(tree.root, encode_ics23(NonExistenceProof(hidden, left, right)), hidden)
