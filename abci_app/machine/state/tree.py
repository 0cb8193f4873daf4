"""App hash: a Patricia-collapsed binary Merkle tree over sha256(key), immutable (rules TRE-1 … TRE-3).

``update`` copies the paths it touches and shares the rest, so an old tree stays usable for proofs and for going back.
Each inner node on a touched path is hashed once per update. Only hashes and keys are in memory, never values.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from abci_app.machine.state.codec import Hash

PATH_BITS = 256
EMPTY_ROOT = Hash(sha256(b"").digest())
LEAF_PREFIX = b"\x00"
INNER_PREFIX = b"\x01"
_PATH_LENGTH = b"\x20"
_LEAF_HEAD = LEAF_PREFIX + _PATH_LENGTH

_Node = tuple[bytes, int, int, Any, Any, bytes]
"""(digest, bit, path, left, right, key): an inner node parts its leaves by bit ``bit`` of their paths and ``path``
has the bits that they share before it. A leaf has ``bit`` 256, no children and its key.

A bare tuple: a node is made for each step of each changed path, and the garbage collector stops looking at it.
"""


@dataclass(frozen=True, slots=True)
class ProofStep:
    """One inner node above a leaf: the bytes before and after the child's hash."""

    prefix: bytes
    """The inner tag, and the left neighbour's hash where there is one."""
    suffix: bytes
    """The right neighbour's hash, or nothing."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A key of the tree with the path from its leaf to the root."""

    key: bytes
    steps: tuple[ProofStep, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """Either ``member``, or the neighbours between which the key's path would lie (one at the edges, none if empty)."""

    key: bytes
    member: Membership | None
    left: Membership | None
    right: Membership | None


class Tree:
    """The tree after some height."""

    __slots__ = ("_top",)

    def __init__(self, top: _Node | None = None) -> None:
        self._top = top

    @classmethod
    def build(cls, items: Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]]) -> "Tree":
        """Return the tree of (key, value) pairs; keys must differ."""
        return cls().update(dict(items))

    @property
    def root(self) -> Hash:
        """Return the app hash, 32 bytes; of the empty tree sha256(b"")."""
        return EMPTY_ROOT if self._top is None else Hash(self._top[0])

    def update(self, changes: Mapping[bytes, bytes | None]) -> "Tree":
        """Return the tree after ``changes``: None deletes, there or not. This tree stays as it is."""
        pairs = sorted(_make_change(key, value) for key, value in changes.items())
        paths = [path for path, _ in pairs]
        leaves = [leaf for _, leaf in pairs]
        return Tree(_merge(self._top, paths, leaves, 0, len(paths)))

    def prove(self, key: bytes) -> Proof:
        """Return the proof that ``key`` is, or is not, in the tree (TRE-2)."""
        path = compute_path(key)
        above = _descend(self._top, path)
        if not above:
            return Proof(key, None, None, None)
        if above[-1][2] == path:
            return Proof(key, _membership(above), None, None)
        left, right = _find_neighbours(above, path)
        return Proof(key, None, _membership(left) if left else None, _membership(right) if right else None)


def compute_path(key: bytes) -> int:
    """Return sha256(key) as an integer, the most significant bit first."""
    return int.from_bytes(sha256(key).digest(), "big")


def hash_leaf(path: bytes, value: bytes) -> Hash:
    """Return sha256(0x00 ‖ 0x20 ‖ path ‖ 0x20 ‖ sha256(value)): ICS-23's leaf with its two lengths."""
    return Hash(sha256(_LEAF_HEAD + path + _PATH_LENGTH + sha256(value).digest()).digest())


def _make_change(key: bytes, value: bytes | None) -> tuple[int, _Node | None]:
    """Return a key's path and its new leaf, None where it goes."""
    digest = sha256(key).digest()
    path = int.from_bytes(digest, "big")
    if value is None:
        return path, None
    # hash_leaf, written out
    leaf = sha256(_LEAF_HEAD + digest + _PATH_LENGTH + sha256(value).digest()).digest()
    return path, (leaf, PATH_BITS, path, None, None, key)


def _join(path: int, bit: int, left: _Node | None, right: _Node | None) -> _Node | None:
    """Return the node over two subtrees; a subtree without a sibling stands for itself (TRE-1)."""
    if left is None:
        return right
    if right is None:
        return left
    return (sha256(INNER_PREFIX + left[0] + right[0]).digest(), bit, path, left, right, b"")


def _first_with_bit(paths: list[int], bit: int, low: int, high: int) -> int:
    """Return the first place in paths[low:high], which agree before ``bit``, whose path has ``bit`` set."""
    below = PATH_BITS - 1 - bit
    return bisect_left(paths, (paths[low] >> below | 1) << below, low, high)


def _merge(node: _Node | None, paths: list[int], leaves: list[_Node | None], low: int, high: int) -> _Node | None:
    """Return the subtree ``node`` after the changes paths[low:high], ascending, all within the subtree's place."""
    if low == high:
        return node
    if node is None:
        return _grow([leaf for leaf in leaves[low:high] if leaf is not None])
    if high - low == 1:
        return _replace(node, paths[low], leaves[low])
    _, bit, path, left, right, _ = node
    # Ascending paths that agree in their first bits part from `path` earliest at one of their two ends.
    parts_at = PATH_BITS - max((paths[low] ^ path).bit_length(), (paths[high - 1] ^ path).bit_length())
    if parts_at < bit:
        # Where the changes part from the subtree's place, it is the one child and what grows there the other.
        left, right = (None, node) if path >> (PATH_BITS - 1 - parts_at) & 1 else (node, None)
        bit = parts_at
    middle = _first_with_bit(paths, bit, low, high)
    after_left = _merge(left, paths, leaves, low, middle)
    after_right = _merge(right, paths, leaves, middle, high)
    if bit == node[1] and after_left is left and after_right is right:
        return node
    return _join(path, bit, after_left, after_right)


def _replace(node: _Node, path: int, leaf: _Node | None) -> _Node | None:
    """Return the subtree ``node`` after one change: ``leaf`` at ``path``, or nothing there."""
    above = _descend(node, path)
    last = above[-1]
    parts_at = PATH_BITS - (last[2] ^ path).bit_length()
    changed: _Node | None = leaf
    if parts_at < PATH_BITS:
        if leaf is None:
            return node
        while above and above[-1][1] > parts_at:
            last = above.pop()
        is_right = path >> (PATH_BITS - 1 - parts_at) & 1
        changed = _join(path, parts_at, last, leaf) if is_right else _join(path, parts_at, leaf, last)
    else:
        above.pop()
    for _, bit, _, left, right, _ in reversed(above):
        if path >> (PATH_BITS - 1 - bit) & 1:
            right = changed
        else:
            left = changed
        if changed is None:
            changed = left or right
        else:  # as _join does, written out: most of an update's time goes by here
            changed = (sha256(INNER_PREFIX + left[0] + right[0]).digest(), bit, path, left, right, b"")
    return changed


def _grow(leaves: list[_Node]) -> _Node | None:
    """Return the subtree of ``leaves``, their paths ascending."""
    if not leaves:
        return None
    # Subtrees that are whole, each with the bit at which what follows parts from it: bits ascend.
    waiting: list[tuple[int, _Node]] = []
    node = leaves[0]
    for before, leaf in zip(leaves, leaves[1:], strict=False):
        bit = PATH_BITS - (before[2] ^ leaf[2]).bit_length()
        node = _close(waiting, node, bit)
        waiting.append((bit, node))
        node = leaf
    return _close(waiting, node, -1)


def _close(waiting: list[tuple[int, _Node]], node: _Node, bit: int) -> _Node:
    """Return ``node`` joined with the subtrees before it that part from it after ``bit``."""
    while waiting and waiting[-1][0] > bit:
        parts_at, left = waiting.pop()
        node = (sha256(INNER_PREFIX + left[0] + node[0]).digest(), parts_at, node[2], left, node, b"")
    return node


def _descend(top: _Node | None, path: int) -> list[_Node]:
    """Return the nodes from ``top`` to the leaf that the bits of ``path`` lead to."""
    above: list[_Node] = []
    node = top
    while node is not None:
        above.append(node)
        bit = node[1]
        if bit == PATH_BITS:
            break
        node = node[4] if path >> (PATH_BITS - 1 - bit) & 1 else node[3]
    return above


def _find_neighbours(above: list[_Node], path: int) -> tuple[list[_Node] | None, list[_Node] | None]:
    """Return the ways from the top to the last leaf before and the first leaf after ``path``, which has no leaf.

    ``above`` leads where the bits of ``path`` lead. The subtree that ``path`` parts from lies wholly on one side of it;
    its nearest leaf is one neighbour, and the other lies beyond the last turn to that side above it.
    """
    parts_at = PATH_BITS - (above[-1][2] ^ path).bit_length()
    depth = next(index for index, node in enumerate(above) if node[1] > parts_at)
    is_before = path >> (PATH_BITS - 1 - parts_at) & 1 == 1
    near = above[:depth] + _edge(above[depth], last=is_before)
    far = None
    for index in range(depth - 1, -1, -1):
        _, _, _, left, right, _ = above[index]
        other = right if is_before else left
        if other is not above[index + 1]:
            far = above[:index + 1] + _edge(other, last=not is_before)
            break
    return (near, far) if is_before else (far, near)


def _edge(node: _Node, last: bool) -> list[_Node]:
    """Return the nodes from ``node`` to its first leaf, or its last one."""
    way = [node]
    while node[1] < PATH_BITS:
        node = node[4] if last else node[3]
        way.append(node)
    return way


def _membership(way: list[_Node]) -> Membership:
    """Return the leaf at the end of ``way`` with its steps, the lowest first."""
    steps = []
    for (_, _, _, left, right, _), below in zip(way[-2::-1], way[:0:-1], strict=True):
        if left is below:
            steps.append(ProofStep(INNER_PREFIX, right[0]))
        else:
            steps.append(ProofStep(INNER_PREFIX + left[0], b""))
    return Membership(way[-1][5], tuple(steps))
