"""App hash: a Patricia-collapsed binary Merkle tree over sha256(key), immutable (rules TRE-1 … TRE-3).

``update`` copies the paths it touches and shares the rest, so an old tree stays usable for proofs and for going back.
Each inner node on a touched path is hashed once per update. Only hashes and keys are in memory, never values.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from abci_app.machine.codec import Hash

PATH_BITS = 256
EMPTY_ROOT = Hash(sha256(b"").digest())
LEAF_PREFIX = b"\x00"
INNER_PREFIX = b"\x01"
_PATH_LENGTH = b"\x20"


class _Node:
    """A leaf (``bit`` is 256, ``key`` set) or an inner node that parts its leaves by bit ``bit`` of their paths.

    ``path`` is one of the leaves' paths; all of them share its bits before ``bit``.
    """

    __slots__ = ("bit", "digest", "key", "left", "path", "right")

    def __init__(
        self, digest: bytes, path: int, bit: int, left: "_Node | None", right: "_Node | None", key: bytes
    ) -> None:
        self.digest = digest
        self.path = path
        self.bit = bit
        self.left = left
        self.right = right
        self.key = key


@dataclass(frozen=True, slots=True)
class Step:
    """One inner node above a leaf: what its hash has before and after the hash from below."""

    prefix: bytes
    """The inner tag, and the left neighbour's hash where there is one."""
    suffix: bytes
    """The right neighbour's hash, or nothing."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A key of the tree and the way from its leaf up to the root."""

    key: bytes
    steps: tuple[Step, ...]


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
        """The app hash, 32 bytes; of the empty tree sha256(b"")."""
        return EMPTY_ROOT if self._top is None else Hash(self._top.digest)

    def update(self, changes: Mapping[bytes, bytes | None]) -> "Tree":
        """Return the tree after ``changes``: None deletes, there or not. This tree stays as it is."""
        pairs = sorted((compute_path(key), key, value) for key, value in changes.items())
        paths = [path for path, _, _ in pairs]
        leaves = [None if value is None else _make_leaf(path, key, value) for path, key, value in pairs]
        return Tree(_merge(self._top, paths, leaves, 0, len(paths)))

    def prove(self, key: bytes) -> Proof:
        """Return the proof that ``key`` is, or is not, in the tree (TRE-2)."""
        path = compute_path(key)
        above = _descend(self._top, path)
        leaf = above[-1] if above else None
        if leaf is None:
            return Proof(key, None, None, None)
        if leaf.path == path:
            return Proof(key, _membership(above), None, None)
        left, right = _find_neighbours(above, path)
        return Proof(key, None, _membership(left) if left else None, _membership(right) if right else None)


def compute_path(key: bytes) -> int:
    """Return sha256(key) as an integer, the most significant bit first."""
    return int.from_bytes(sha256(key).digest(), "big")


def hash_leaf(path: bytes, value: bytes) -> Hash:
    """Return sha256(0x00 ‖ 0x20 ‖ path ‖ 0x20 ‖ sha256(value)): ICS-23's leaf with its two lengths."""
    return Hash(sha256(LEAF_PREFIX + _PATH_LENGTH + path + _PATH_LENGTH + sha256(value).digest()).digest())


def hash_inner(left: bytes, right: bytes) -> Hash:
    """Return sha256(0x01 ‖ left ‖ right)."""
    return Hash(sha256(INNER_PREFIX + left + right).digest())


def _make_leaf(path: int, key: bytes, value: bytes) -> _Node:
    return _Node(hash_leaf(path.to_bytes(32, "big"), value), path, PATH_BITS, None, None, key)


def _join(path: int, bit: int, left: _Node | None, right: _Node | None) -> _Node | None:
    """Return the node over two subtrees; a subtree without a sibling stands for itself (TRE-1)."""
    if left is None:
        return right
    if right is None:
        return left
    digest = sha256(INNER_PREFIX + left.digest + right.digest).digest()
    return _Node(digest, path, bit, left, right, b"")


def _first_with_bit(paths: list[int], bit: int, low: int, high: int) -> int:
    """Return the first place in paths[low:high], which agree before ``bit``, whose path has ``bit`` set."""
    below = PATH_BITS - 1 - bit
    return bisect_left(paths, (paths[low] >> below | 1) << below, low, high)


def _merge(node: _Node | None, paths: list[int], leaves: list[_Node | None], low: int, high: int) -> _Node | None:
    """Return the subtree ``node`` after the changes paths[low:high], ascending, all within the subtree's place."""
    if low == high:
        return node
    if node is None:
        return _grow(paths, leaves, low, high)
    first, last, path, bit = paths[low], paths[high - 1], node.path, node.bit
    # Ascending paths that agree in their first bits part from `path` earliest at one of their two ends.
    parts_at = PATH_BITS - max((first ^ path).bit_length(), (last ^ path).bit_length())
    if parts_at < bit:
        middle = _first_with_bit(paths, parts_at, low, high)
        if path >> (PATH_BITS - 1 - parts_at) & 1:
            return _join(
                path, parts_at, _grow(paths, leaves, low, middle), _merge(node, paths, leaves, middle, high)
            )
        return _join(path, parts_at, _merge(node, paths, leaves, low, middle), _grow(paths, leaves, middle, high))
    if bit == PATH_BITS:
        return leaves[low]
    middle = _first_with_bit(paths, bit, low, high)
    left = _merge(node.left, paths, leaves, low, middle)
    right = _merge(node.right, paths, leaves, middle, high)
    if left is node.left and right is node.right:
        return node
    return _join(path, bit, left, right)


def _grow(paths: list[int], leaves: list[_Node | None], low: int, high: int) -> _Node | None:
    """Return the subtree of the leaves in leaves[low:high], which none of the tree's own nodes belongs to."""
    if low == high:
        return None
    if high - low == 1:
        return leaves[low]
    bit = PATH_BITS - (paths[low] ^ paths[high - 1]).bit_length()
    middle = _first_with_bit(paths, bit, low, high)
    return _join(paths[low], bit, _grow(paths, leaves, low, middle), _grow(paths, leaves, middle, high))


def _descend(top: _Node | None, path: int) -> list[_Node]:
    """Return the nodes from ``top`` to the leaf that the bits of ``path`` lead to."""
    above: list[_Node] = []
    node = top
    while node is not None:
        above.append(node)
        if node.bit == PATH_BITS:
            break
        node = node.right if path >> (PATH_BITS - 1 - node.bit) & 1 else node.left
    return above


def _find_neighbours(above: list[_Node], path: int) -> tuple[list[_Node] | None, list[_Node] | None]:
    """Return the ways from the top to the last leaf before and the first leaf after ``path``, which has no leaf.

    ``above`` leads where the bits of ``path`` lead. The subtree that ``path`` parts from lies wholly on one side of it;
    its nearest leaf is one neighbour, and the other lies beyond the last turn to that side above it.
    """
    parts_at = PATH_BITS - (above[-1].path ^ path).bit_length()
    depth = next(index for index, node in enumerate(above) if node.bit > parts_at)
    is_before = path >> (PATH_BITS - 1 - parts_at) & 1 == 1
    near = above[:depth] + _edge(above[depth], last=is_before)
    far = None
    for index in range(depth - 1, -1, -1):
        node, below = above[index], above[index + 1]
        other = node.right if is_before else node.left
        if other is not None and other is not below:
            far = above[:index + 1] + _edge(other, last=not is_before)
            break
    return (near, far) if is_before else (far, near)


def _edge(node: _Node, last: bool) -> list[_Node]:
    """Return the nodes from ``node`` to its first leaf, or its last one."""
    way = [node]
    while node.left is not None and node.right is not None:
        node = node.right if last else node.left
        way.append(node)
    return way


def _membership(way: list[_Node]) -> Membership:
    """Return the leaf at the end of ``way`` with its steps, the lowest first."""
    steps = []
    for node, below in zip(way[-2::-1], way[:0:-1], strict=True):
        if node.left is below and node.right is not None:
            steps.append(Step(INNER_PREFIX, node.right.digest))
        elif node.left is not None:
            steps.append(Step(INNER_PREFIX + node.left.digest, b""))
    return Membership(way[-1].key, tuple(steps))
