"""Random ways to corrupt a block's transactions: by parts, by bytes, and with what other blocks held."""

from random import Random

from abci_app.machine.observation.extension import INJECTED_COMMIT, INJECTED_SEGMENT

ADDED = (
    b"", b"\0", b"\0\1", b"\0\2", b"\0\3", b"\xff", b"\x0a\x00",
    INJECTED_COMMIT + bytes(7), INJECTED_SEGMENT + bytes(99),
)
CHANGES_MAX = 3


def mutate(chance: Random, block: list[bytes], seen: list[bytes]) -> list[bytes]:
    """One to CHANGES_MAX changes of a block; ``seen`` are transactions of any kind that other blocks held."""
    block = list(block)
    for _ in range(chance.randint(1, CHANGES_MAX)):
        change = chance.choice((drop, repeat, swap, flip, cut, lengthen, insert, replay, splice))
        change(chance, block, seen)
    return block


def place(chance: Random, block: list[bytes]) -> int:
    """An index of the block, its first ones more often than others."""
    return min(int(chance.expovariate(0.5)), len(block) - 1)


def drop(chance: Random, block: list[bytes], seen: list[bytes]) -> None:
    if block:
        del block[place(chance, block)]


def repeat(chance: Random, block: list[bytes], seen: list[bytes]) -> None:
    if block:
        block.insert(chance.randint(0, len(block)), block[place(chance, block)])


def swap(chance: Random, block: list[bytes], seen: list[bytes]) -> None:
    if block:
        one, other = place(chance, block), place(chance, block)
        block[one], block[other] = block[other], block[one]


def flip(chance: Random, block: list[bytes], seen: list[bytes]) -> None:
    """Another byte somewhere."""
    if block:
        at = place(chance, block)
        raw = bytearray(block[at])
        if raw:
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        block[at] = bytes(raw)


def cut(chance: Random, block: list[bytes], seen: list[bytes]) -> None:
    if block:
        at = place(chance, block)
        block[at] = block[at][: chance.randint(0, len(block[at]))]


def lengthen(chance: Random, block: list[bytes], seen: list[bytes]) -> None:
    if block:
        at = place(chance, block)
        block[at] += chance.randbytes(chance.choice((1, 2, 40)))


def insert(chance: Random, block: list[bytes], seen: list[bytes]) -> None:
    block.insert(chance.randint(0, len(block)), chance.choice(ADDED))


def replay(chance: Random, block: list[bytes], seen: list[bytes]) -> None:
    """What another block held, in front, at the end or in the place of something."""
    if seen:
        old = chance.choice(seen)
        if block and chance.random() < 0.5:
            block[place(chance, block)] = old
        else:
            block.insert(chance.choice((0, 1, len(block))), old)


def splice(chance: Random, block: list[bytes], seen: list[bytes]) -> None:
    """The head of one transaction with the tail of another."""
    if block and seen:
        at, old = place(chance, block), chance.choice(seen)
        block[at] = block[at][: chance.randint(0, len(block[at]))] + old[chance.randint(0, len(old)):]
