"""Bounded iteration over numbered keys, from a number on without reading the earlier ones."""

from collections.abc import Iterator
from typing import TypeVar

from abci_app.machine.state.view import StateReader

R = TypeVar("R")
DIGITS = 20
"""Of the numbers in keys, zero-padded (machine/state/keys.py)."""
SCAN_MAX = 10_000
"""Records one call looks at, at most: a filter that matches nothing must not read the whole state."""
NUMBER_MAX = 10**DIGITS - 1


def scan_from(state: StateReader, prefix: bytes, start: int, end: int, cls: type[R]) -> Iterator[R]:
    """Yield the records under ``prefix`` whose number is ``start`` to ``end``, ascending, at most SCAN_MAX."""
    count = 0
    for part in list_prefixes(start, end):
        for key, record in state.scan(prefix + part, cls):
            if count >= SCAN_MAX or int(key[len(prefix):len(prefix) + DIGITS]) > end:
                return
            count += 1
            yield record


def list_prefixes(start: int, end: int) -> Iterator[bytes]:
    """Yield digit strings, ascending, such that the numbers that start with one of them are exactly those ≥ ``start``,
    and leave out those of which every number is above ``end``.

    A number is itself, or differs first at one digit, where it is greater: 20 × 9 strings at most.
    """
    if not 0 <= start <= end <= NUMBER_MAX:
        return
    digits = b"%020d" % start
    yield digits
    for at in reversed(range(DIGITS)):
        for digit in range(int(digits[at:at + 1]) + 1, 10):
            part = digits[:at] + b"%d" % digit
            if int(part.ljust(DIGITS, b"0")) > end:
                break
            yield part
