"""What a block costs a node: FinalizeBlock and Commit of the real application, on a real database.

python -m bench.machine [--keys N] [--rounds N] [--transfers N] [--cpu] [--json FILE]

The state is filled up to N keys before the application opens it. A round takes transfers through their life: XCalled in
two blocks, a bid of each of four routers (with signatures that CheckTx has seen, and without), blocks in which nothing
happens, the auctions of all of them in two blocks, then their Executed and Reconciled; and a thousand bids as they come
when four routers bid for a quarter as many transfers. Medians over the rounds; the machine should be idle otherwise.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from abci_app.machine.state.tree import Tree
from abci_app.machine.transactions import bids
from abci_app.node.store import Head, Store
from bench.machine_node import CHAIN_ID, DESTINATION, ORIGIN, ROUTERS, WINDOW_BLOCKS, Node, make_state
from bench.report import Row, add_json_option, make_row, publish

TARGETS_MS = {"1,000 bids of 4 routers, seen": 30.0, "1,000 bids of 4 routers, not seen": 80.0}
RESTART_S_MAX = 3.0


def run_round(node: Node, transfers: int) -> dict[str, float]:
    """Run one round; return milliseconds by name."""
    node.infos = []
    half, count = transfers // 2, f"{transfers:,}"
    spent = {f"{half:,} XCalled": node.block({ORIGIN: node.call(half)})}
    node.block({ORIGIN: node.call(transfers - half)})
    used = 2
    spent["nothing, none has a bid"] = node.block()
    first, second, third, last = (node.bids_of(router, bundled=index != 2) for index, router in enumerate(ROUTERS))
    node.check(first)
    spent[f"{count} bids for as many transfers, seen"] = node.block(txs=first)
    bids._recover_bidder.cache_clear()
    spent[f"{count} bids for as many transfers, not seen"] = node.block(txs=second)
    node.check(third)
    spent[f"{count} bids, one a transaction, seen"] = node.block(txs=third)
    node.block(txs=last)
    used += 5
    while used < WINDOW_BLOCKS:
        spent["nothing, all have bids"] = node.block()
        used += 1
    spent[f"{half:,} auctions, 4 bidders each"] = node.block()
    spent[f"{transfers - half:,} auctions, 4 bidders each"] = node.block()
    spent["nothing, all assigned"] = node.block()
    executed, reconciled = node.settled()
    spent[f"{count} Executed"] = node.block({DESTINATION: executed})
    spent[f"{count} Reconciled"] = node.block({DESTINATION: reconciled})
    spent["64 transfers pruned"] = node.block()
    for _ in range(transfers // 64):
        node.block()
    return spent


def run_usual(node: Node, transfers: int, seen: bool) -> float:
    """Return the milliseconds of a block of ``transfers`` bids as they come: a router bids for a quarter as many."""
    node.infos = []
    node.block({ORIGIN: node.call(transfers // len(ROUTERS))})
    txs = [tx for router in ROUTERS for tx in node.bids_of(router)]
    node.check(txs)
    if not seen:
        bids._recover_bidder.cache_clear()
    spent_ms = node.block(txs=txs)
    for _ in range(WINDOW_BLOCKS + 1):
        node.block()
    executed, reconciled = node.settled()
    node.block({DESTINATION: executed})
    node.block({DESTINATION: reconciled})
    for _ in range(transfers // 64):
        node.block()
    return spent_ms


def measure(path: Path, filler: int, rounds: int, transfers: int, clock: Callable[[], float]) -> list[Row]:
    """Return every row."""
    values = make_state(filler)
    start = clock()
    tree = Tree.build(values)
    build_s = clock() - start
    store = Store.open(path, CHAIN_ID)
    store.write(Head(1, tree.root), values)
    store.close()
    del values, tree
    start = clock()
    node = Node(path, clock)
    open_s = clock() - start
    spent: dict[str, list[float]] = {}
    usual = f"{transfers:,} bids of 4 routers"
    for _ in range(rounds):
        spent.setdefault(f"{usual}, seen", []).append(run_usual(node, transfers, seen=True))
        spent.setdefault(f"{usual}, not seen", []).append(run_usual(node, transfers, seen=False))
        for name, each in run_round(node, transfers).items():
            spent.setdefault(name, []).append(each)
    size = f"{filler:,} keys"
    rows = [
        make_row("Tree.build", round(build_s, 2), "s", size),
        make_row("restart: open and check the app hash", round(open_s, 2), "s", size, RESTART_S_MAX),
    ]
    for name, times in spent.items():
        rows.append(make_row(name, round(statistics.median(times), 1), "ms", size, TARGETS_MS.get(name)))
    return rows


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.machine", description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--transfers", type=int, default=1_000)
    parser.add_argument("--cpu", action="store_true", help="processor time instead of the clock's: for a busy machine")
    add_json_option(parser)
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu else time.perf_counter
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        rows = measure(folder / "store", arguments.keys, arguments.rounds, arguments.transfers, clock)
    finally:
        shutil.rmtree(folder)
    return publish(rows, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
