"""An ICS-23 verifier for `tendermintSpec`, written from the specification's text; knows nothing of abci_app.

It reads a CommitmentProof's protobuf bytes. The proven keys are sha256 paths, because that is what the tree sorts by.
"""

from dataclasses import dataclass
from hashlib import sha256

LEAF_OP = {1: [1], 3: [1], 4: [1], 5: [b"\0"]}
"""hash SHA256, prehash_key NO_HASH (absent), prehash_value SHA256, length VAR_PROTO, prefix 0x00."""
CHILD_BYTES = 32


class Invalid(Exception):
    """The proof proves nothing."""


@dataclass(frozen=True)
class Inner:
    """One InnerOp."""

    prefix: bytes
    suffix: bytes

    @property
    def branch(self) -> int:
        """0 where the proven child is the left one, 1 where it is the right one."""
        if (len(self.prefix), len(self.suffix)) == (1, CHILD_BYTES):
            return 0
        if (len(self.prefix), len(self.suffix)) == (1 + CHILD_BYTES, 0):
            return 1
        raise Invalid("an inner node that has not two children")


@dataclass(frozen=True)
class Existence:
    """One ExistenceProof."""

    key: bytes
    value: bytes
    path: tuple[Inner, ...]

    def root(self) -> bytes:
        """Follow the path up to the root it leads to."""
        if not self.key or not self.value:
            raise Invalid("empty key or value")
        hashed = sha256(self.value).digest()
        digest = sha256(b"\0" + prefixed(self.key) + prefixed(hashed)).digest()
        for step in self.path:
            digest = sha256(step.prefix + digest + step.suffix).digest()
        return digest


def prefixed(data: bytes) -> bytes:
    """VAR_PROTO: a varint length before the data; below 128 it is one byte."""
    if len(data) > 127:
        raise Invalid("length beyond one byte")
    return bytes([len(data)]) + data


def parse(raw: bytes) -> dict[int, list]:
    """Fields of a protobuf message by number, in order; varints as int, the rest as bytes."""
    fields: dict[int, list] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(raw) or shift > 63:
                raise Invalid("cut short")
            byte = raw[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(raw):
        tag = varint()
        if tag & 7 == 0:
            fields.setdefault(tag >> 3, []).append(varint())
        elif tag & 7 == 2:
            length = varint()
            if at + length > len(raw):
                raise Invalid("cut short")
            fields.setdefault(tag >> 3, []).append(raw[at:at + length])
            at += length
        else:
            raise Invalid("unknown wire type")
    return fields


def read_existence(raw: bytes) -> Existence:
    """Read an ExistenceProof and hold it against the spec: its leaf op exactly, its inner ops by their bounds."""
    fields = parse(raw)
    if set(fields) - {4} != {1, 2, 3} or parse(fields[3][0]) != LEAF_OP:
        raise Invalid("not a leaf of tendermintSpec")
    path = []
    for step in fields.get(4, []):
        inner = parse(step)
        prefix, suffix = inner.get(2, [b""])[0], inner.get(3, [b""])[0]
        is_bounded = 1 <= len(prefix) <= 1 + CHILD_BYTES and len(suffix) % CHILD_BYTES == 0
        if inner.get(1) != [1] or prefix[:1] == b"\0" or not is_bounded:
            raise Invalid("not an inner node of tendermintSpec")
        path.append(Inner(prefix, suffix))
    return Existence(fields[1][0], fields[2][0], tuple(path))


def verify_membership(root: bytes, proof: bytes, key: bytes, value: bytes) -> None:
    """Raise Invalid unless the proof shows that `value` stands under `key` (a path)."""
    body = parse(proof)
    if set(body) != {1}:
        raise Invalid("no existence proof")
    existence = read_existence(body[1][0])
    if (existence.key, existence.value) != (key, value) or existence.root() != root:
        raise Invalid("another key, value or root")


def verify_non_membership(root: bytes, proof: bytes, key: bytes) -> None:
    """Raise Invalid unless the proof shows that nothing stands under `key` (a path)."""
    body = parse(proof)
    if set(body) != {2}:
        raise Invalid("no non-existence proof")
    fields = parse(body[2][0])
    left, right = (read_existence(fields[number][0]) if number in fields else None for number in (2, 3))
    if fields.get(1) != [key]:
        raise Invalid("another key")
    if left is None and right is None:
        raise Invalid("neither neighbour")
    for neighbour in (left, right):
        if neighbour is not None and neighbour.root() != root:
            raise Invalid("a neighbour of another tree")
    if (left is not None and left.key >= key) or (right is not None and right.key <= key):
        raise Invalid("neighbours in the wrong order")
    require_neighbours(list(left.path) if left else None, list(right.path) if right else None)


def require_neighbours(left: list[Inner] | None, right: list[Inner] | None) -> None:
    """Raise Invalid unless no leaf can lie between the two ways; None stands for the tree's edge."""
    if left is not None and right is not None:
        while left and right and left[-1] == right[-1]:
            left.pop()
            right.pop()
        if not left or not right or (left.pop().branch, right.pop().branch) != (0, 1):
            raise Invalid("the ways do not part to both sides of one node")
    if left is not None and any(step.branch != 1 for step in left):
        raise Invalid("something lies right of the left neighbour")
    if right is not None and any(step.branch != 0 for step in right):
        raise Invalid("something lies left of the right neighbour")
