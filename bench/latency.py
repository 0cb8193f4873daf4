"""How long from visible to decided and attested, on a local network of four validators.

Visible: the moment the third of four observers logged the block as finalized, which is when two thirds can know it.
Decided and attested: the moment an outside client that polls one node's gRPC every 20 ms first sees it.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.report import Row, add_json_option, make_row, percentile, publish
from testnet.chains.chain_parts import load_deployment
from testnet.connext.deploy import connect
from testnet.demo.tracker import Tracker
from testnet.demo.traffic import Order, User
from testnet.network import lifecycle
from testnet.network.layout import Layout

POLL_S = 0.02
SPACING_S = 1.3
"""Not a multiple of a block of either side, so that transfers meet all phases."""
GIVE_UP_S = 60.0
QUORUM_INDEX = 2
"""The third of four."""
DECIDED_S_MAX, ATTESTED_S_MAX = 1.5, 2.5
DECIDED_BLOCK, ATTESTED_BLOCK = 3, 5
TODAY = "Connext: 10 s wait + 3 s poll"


@dataclass(frozen=True)
class Sample:
    """One transfer: seconds from visible, blocks counted with the first that votes on it as 1."""

    decided_s: float
    attested_s: float
    decided_block: int
    attested_block: int


def run(home: Path, base_port: int | None, transfers: int) -> list[Sample]:
    """Bring a network up, send, watch, take it down."""
    layout = lifecycle.up(home, base_port, None, lambda line: print(line, file=sys.stderr))
    try:
        return list(measure(layout, transfers))
    finally:
        lifecycle.down(home)


def measure(layout: Layout, transfers: int) -> Iterator[Sample]:
    """Send ``transfers`` one after the other on both lanes and yield what each took."""
    deployment = load_deployment(layout)
    with ExitStack() as stack:
        rpcs = connect(deployment)
        for rpc in rpcs.values():
            stack.callback(rpc.close)
        tracker = Tracker([next(iter(layout.nodes())).grpc], deployment, rpcs)
        stack.callback(tracker.close)
        user, recipient = User(deployment, rpcs, 0), User(deployment, rpcs, 1).address
        domains = [deployed.domain for deployed in deployment.domains]
        pending: list[tuple[Order, bytes]] = []
        for number in range(transfers):
            origin, destination = domains if number % 2 == 0 else reversed(domains)
            symbol = ("USDC", "DAI")[number // 2 % 2]
            amount = deployment.domain(origin).tokens[symbol].unit * (number + 1)
            order = Order(str(number), symbol, origin, destination, amount, recipient)
            pending.append((order, user.post(order)))
            watch(tracker, time.monotonic() + SPACING_S)
            for posted in pending[:-1]:
                tracker.add(user.confirm(*posted))
            pending = pending[-1:]
        for posted in pending:
            tracker.add(user.confirm(*posted))
        give_up = time.monotonic() + GIVE_UP_S
        while not all("attested" in row.seen_s for row in tracker.transfers.values()):
            if time.monotonic() > give_up:
                raise SystemExit("not every transfer was attested in time")
            watch(tracker, time.monotonic() + POLL_S)
        visible = read_visible(layout)
        for transfer_id, row in tracker.transfers.items():
            at = sorted(visible[transfer_id.hex()])[QUORUM_INDEX]
            voted = row.accepted_height - 1
            yield Sample(
                row.seen_s["decided"] - at, row.seen_s["attested"] - at,
                row.decided_height - voted + 1, row.attested_height - voted + 1,
            )


def watch(tracker: Tracker, until: float) -> None:
    """Poll every POLL_S until a moment of the monotonic clock."""
    while time.monotonic() < until:
        tracker.poll()
        time.sleep(POLL_S)


def read_visible(layout: Layout) -> dict[str, list[float]]:
    """Return, by transfer id in hex, when each node's observer logged it as finalized (wall clock)."""
    seen: dict[str, list[float]] = {}
    for node in layout.nodes():
        for line in (layout.logs / f"{node.name}-app.jsonl").read_text().splitlines():
            if '"observed"' in line:
                fields = json.loads(line)
                for transfer_id in fields["transfers"]:
                    seen.setdefault(transfer_id.removeprefix("0x"), []).append(fields["ts"])
    return seen


def summarize(samples: Sequence[Sample]) -> list[Row]:
    """Return the table's lines."""
    rows = []
    for word, seconds, target in (
        ("decided", [sample.decided_s for sample in samples], DECIDED_S_MAX),
        ("attested", [sample.attested_s for sample in samples], ATTESTED_S_MAX),
    ):
        rows += [
            make_row(f"visible → {word}, median", round(statistics.median(seconds), 3), "s", TODAY, target),
            make_row(f"visible → {word}, p95", round(percentile(seconds, 95), 3), "s"),
        ]
    for word, blocks, target in (
        ("decided", [sample.decided_block for sample in samples], DECIDED_BLOCK),
        ("attested", [sample.attested_block for sample in samples], ATTESTED_BLOCK),
    ):
        rows.append(make_row(f"{word} in block, median", statistics.median(blocks), "block", "", target))
    return rows


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench-latency", description=__doc__)
    parser.add_argument("--transfers", type=int, default=50, help="how many to send (default 50)")
    parser.add_argument("--base-port", type=int, help="first port of the network")
    add_json_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="latency-") as folder:
        rows = summarize(run(Path(folder) / "net", arguments.base_port, arguments.transfers))
    return publish(rows, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
