"""What the app hash costs: build, one block's update, one proof.

python -m bench.tree [--keys N] [--rounds N] [--json FILE]

A block changes 1,000 keys, a tenth of them new. Medians over the rounds; the machine should be idle otherwise.
"""

import argparse
import gc
import random
import statistics
import sys
import time
from collections.abc import Callable

from abci_app.machine.state.proofs import encode_ics23, to_ics23
from abci_app.machine.state.tree import Tree
from bench.report import Row, add_json_option, make_row, publish

CHANGED, INSERTED = 900, 100
PROOFS = 1_000
VALUE_BYTES = 300
UPDATE_MS_MAX = {100_000: 20.0, 1_000_000: 40.0}
"""By number of keys: a larger tree has longer paths and misses the processor's caches."""
UPDATE_MS_MAX_BEYOND = 80.0
PROOF_US_MAX = 100.0
PROOF_BYTES_MAX = 1_200 + VALUE_BYTES


def make_key(number: int) -> bytes:
    """Return a key of a real one's length."""
    return b"transfer/%064x" % number


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes, in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(keys: int, rounds: int) -> list[Row]:
    """Return every row, from one tree."""
    values = {make_key(number): b"\x11" * VALUE_BYTES for number in range(keys)}
    start = time.perf_counter()
    tree = Tree.build(values)
    build_s = time.perf_counter() - start
    gc.collect()
    gc.freeze()  # the tree lives as long as the process: as a node does after loading it
    random_source = random.Random(1)
    updates = []
    for round_number in range(rounds):
        changes: dict[bytes, bytes | None] = {
            make_key(random_source.randrange(keys)): b"%d" % round_number for _ in range(CHANGED)
        }
        changes |= {make_key(keys + round_number * INSERTED + number): b"new" for number in range(INSERTED)}
        updates.append(seconds(lambda changes=changes: tree.update(changes)))  # type: ignore[misc]
    asked = [make_key(random_source.randrange(2 * keys)) for _ in range(PROOFS)]
    proof_s = seconds(lambda: [encode_ics23(to_ics23(tree.prove(key), values.get)) for key in asked]) / PROOFS
    largest = max(len(encode_ics23(to_ics23(tree.prove(key), values.get))) for key in asked if key in values)
    update_ms = statistics.median(updates) * 1e3
    update_ms_max = next((bound for size, bound in UPDATE_MS_MAX.items() if keys <= size), UPDATE_MS_MAX_BEYOND)
    size = f"{keys:,} keys"
    return [
        make_row("build", round(build_s, 2), "s", size),
        make_row("update of 1,000 keys", round(update_ms, 1), "ms", size, update_ms_max),
        make_row("proof, encoded", round(proof_s * 1e6, 1), "µs", "half of them of absence", PROOF_US_MAX),
        make_row("largest proof of membership", largest, "bytes", f"value of {VALUE_BYTES} bytes", PROOF_BYTES_MAX),
    ]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.tree", description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    add_json_option(parser)
    arguments = parser.parse_args()
    return publish(measure(arguments.keys, arguments.rounds), arguments.json)


if __name__ == "__main__":
    sys.exit(main())
