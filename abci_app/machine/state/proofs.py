"""ICS-23 proofs of the state tree, for verifiers of its ``tendermintSpec`` (TRE-2).

The proven key is the path, sha256(storage key); the value is the stored bytes. Source of numbers and layout: the
public ICS-23 protobuf definition (cosmos.ics23.v1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from abci_app.machine.codes import invariant
from abci_app.machine.state.tree import LEAF_PREFIX, Membership, Proof, ProofStep

HASH_SHA256 = 1
LENGTH_VAR_PROTO = 1


@dataclass(frozen=True, slots=True)
class ExistenceProof:
    """ICS-23's ExistenceProof; its LeafOp is always the spec's own."""

    key: bytes
    """Path of the storage key, 32 bytes."""
    value: bytes
    path: tuple[ProofStep, ...]
    """InnerOps, the lowest first."""


@dataclass(frozen=True, slots=True)
class NonExistenceProof:
    """ICS-23's NonExistenceProof: neighbours that leave no room for the key."""

    key: bytes
    left: ExistenceProof | None
    right: ExistenceProof | None


def to_ics23(proof: Proof, read: Callable[[bytes], bytes | None]) -> ExistenceProof | NonExistenceProof:
    """Return ICS-23's form of ``proof``. ``read`` returns the value under a storage key as of the tree's height."""
    if proof.member is not None:
        return _attach(proof.member, read)
    left = _attach(proof.left, read) if proof.left else None
    right = _attach(proof.right, read) if proof.right else None
    return NonExistenceProof(sha256(proof.key).digest(), left, right)


def encode_ics23(proof: ExistenceProof | NonExistenceProof) -> bytes:
    """Return the protobuf bytes of ICS-23's CommitmentProof."""
    if isinstance(proof, ExistenceProof):
        return _field(1, _encode_existence(proof))
    left = _field(2, _encode_existence(proof.left)) if proof.left else b""
    right = _field(3, _encode_existence(proof.right)) if proof.right else b""
    return _field(2, _field(1, proof.key) + left + right)


def _attach(membership: Membership, read: Callable[[bytes], bytes | None]) -> ExistenceProof:
    value = read(membership.key)
    invariant(value is not None, f"the tree holds {membership.key!r}, the store does not")
    return ExistenceProof(sha256(membership.key).digest(), value or b"", membership.steps)


def _encode_existence(proof: ExistenceProof) -> bytes:
    leaf = _number(1, HASH_SHA256) + _number(3, HASH_SHA256) + _number(4, LENGTH_VAR_PROTO) + _field(5, LEAF_PREFIX)
    steps = (_number(1, HASH_SHA256) + _field(2, step.prefix) + _field(3, step.suffix) for step in proof.path)
    return _field(1, proof.key) + _field(2, proof.value) + _field(3, leaf) + b"".join(_field(4, step) for step in steps)


def _number(tag: int, value: int) -> bytes:
    return bytes([tag << 3]) + _varint(value)


def _field(tag: int, value: bytes) -> bytes:
    """Return a length-delimited field; protobuf leaves an empty one out."""
    return bytes([tag << 3 | 2]) + _varint(len(value)) + value if value else b""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
