"""Versions of the rules: those that this program knows, and from which height a chain goes on with another (ORD-6).

A rule that changes asks ``scope.app_version`` and keeps what it did before, for as long as a block of it is replayed.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

FIRST_VERSION = 1
"""Of a chain whose genesis names none."""
APP_VERSION = 1
"""Newest version that this program executes: every one from the first is known."""


class Upgrade(NamedTuple):
    """First height of a version on one chain."""

    height: int
    app_version: int


UPGRADES: Mapping[str, Sequence[Upgrade]] = MappingProxyType({})
"""Upgrades by chain id, heights ascending. A release adds one before its height comes; none is ever changed."""


def compute_app_version(chain_id: str, app_version: int, height: int) -> int:
    """Return the version of the rules at ``height``; ``app_version`` is that of the block before (ORD-6)."""
    for upgrade in UPGRADES.get(chain_id, ()):
        if upgrade.height == height:
            return upgrade.app_version
    return app_version
