"""Bounded iteration over numbered keys, from a number on without reading the earlier ones."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from abci_app.machine.state import keys
from abci_app.machine.state.view import StateReader

R = TypeVar("R")
SCAN_MAX = 10_000
"""Records one call looks at, at most: a filter that matches nothing must not read the whole state."""


def scan_from(
    state: StateReader, prefix: bytes, parse: Callable[[bytes], int], start: int, end: int, cls: type[R]
) -> Iterator[R]:
    """Yield the records under ``prefix`` whose number is ``start`` to ``end``, ascending, at most SCAN_MAX.

    ``parse`` returns the number of a key under ``prefix``.
    """
    count = 0
    for narrower in keys.list_range(prefix, start, end):
        for key, record in state.scan(narrower, cls):
            if count >= SCAN_MAX or parse(key) > end:
                return
            count += 1
            yield record
