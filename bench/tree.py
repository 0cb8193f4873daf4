"""What the app hash costs: build, one block's update, one proof.

python -m bench.tree [--keys N] [--rounds N] [--json FILE]

A block changes 1,000 keys, a tenth of them new. Medians over the rounds; the machine should be idle otherwise.
"""

import argparse
import gc
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from abci_app.machine.proofs import encode_ics23, to_ics23
from abci_app.machine.tree import Tree

CHANGED, INSERTED = 900, 100
PROOFS = 1_000
UPDATE_MS_MAX = {100_000: 20.0, 1_000_000: 40.0}
"""By number of keys: a larger tree has longer paths and misses the processor's caches."""
PROOF_US_MAX = 100.0
PROOF_BYTES_MAX = 1_200


@dataclass(frozen=True)
class Row:
    """One line of the table. anchor: what the figure stands beside, ok: whether it reaches target."""

    name: str
    value: float
    unit: str
    anchor: str
    target: str
    ok: bool


def make_key(number: int) -> bytes:
    """A key of a real one's length."""
    return b"transfer/%064x" % number


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(keys: int, rounds: int) -> list[Row]:
    """Every row, from one tree."""
    values = {make_key(number): b"\x11" * 300 for number in range(keys)}
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
    update_ms_max = next((bound for size, bound in UPDATE_MS_MAX.items() if keys <= size), 80.0)
    size = f"{keys:,} keys"
    return [
        Row("build", round(build_s, 2), "s", size, "-", True),
        Row("update of 1,000 keys", round(update_ms, 1), "ms", size, f"<= {update_ms_max}", update_ms <= update_ms_max),
        Row("proof, encoded", round(proof_s * 1e6, 1), "us", "half of them of absence", f"<= {PROOF_US_MAX}",
            proof_s * 1e6 <= PROOF_US_MAX),
        Row("largest proof of membership", largest, "bytes", "value of 300 bytes", f"<= {PROOF_BYTES_MAX + 300}",
            largest <= PROOF_BYTES_MAX + 300),
    ]


def main() -> None:
    """Measures, prints the table, and writes it where --json says."""
    parser = argparse.ArgumentParser(prog="python -m bench.tree", description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = measure(arguments.keys, arguments.rounds)
    for row in rows:
        print(f"{row.name:32}{row.value:>12} {row.unit:6}{row.anchor:28}{row.target:12}{'ok' if row.ok else 'MISSED'}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
