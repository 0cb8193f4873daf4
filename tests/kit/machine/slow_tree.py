"""The app hash by its definition (TRE-1), recursively and from scratch every time; knows nothing of abci_app."""

from collections.abc import Mapping
from hashlib import sha256


def slow_root(pairs: Mapping[bytes, bytes]) -> bytes:
    """Root over the pairs: a leaf alone stands for its subtree, a subtree with one child is that child."""
    leaves = []
    for key, value in pairs.items():
        path = sha256(key).digest()
        leaf = sha256(b"\x00\x20" + path + b"\x20" + sha256(value).digest()).digest()
        leaves.append((f"{int.from_bytes(path, 'big'):0256b}", leaf))
    return subtree(leaves, 0) or sha256(b"").digest()


def subtree(leaves: list[tuple[str, bytes]], bit: int) -> bytes | None:
    """Hash of the leaves that agree before `bit`, None without leaves."""
    if len(leaves) < 2:
        return leaves[0][1] if leaves else None
    zero = subtree([leaf for leaf in leaves if leaf[0][bit] == "0"], bit + 1)
    one = subtree([leaf for leaf in leaves if leaf[0][bit] == "1"], bit + 1)
    return sha256(b"\x01" + zero + one).digest() if zero and one else zero or one
