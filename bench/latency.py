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
from dataclasses import asdict, dataclass
from pathlib import Path

from testnet import network
from testnet.connext import connect
from testnet.layout import Layout
from testnet.tracker import Tracker
from testnet.traffic import Order, User

POLL_S = 0.02
SPACING_S = 1.3
"""Not a multiple of a block of either side, so that transfers meet all phases."""
GIVE_UP_S = 60.0
QUORUM_INDEX = 2
"""The third of four."""
TARGETS = {"visible → decided, median": 1.5, "visible → attested, median": 2.5}
DECIDED_BLOCK, ATTESTED_BLOCK = 3, 5


@dataclass(frozen=True)
class Figure:
    """One line of the result."""

    name: str
    value: float
    unit: str
    anchor: str
    target: float | None
    ok: bool


@dataclass(frozen=True)
class Sample:
    """One transfer: seconds from visible, blocks counted with the first that votes on it as 1."""

    decided_s: float
    attested_s: float
    decided_block: int
    attested_block: int


def run(home: Path, base_port: int | None, transfers: int) -> list[Sample]:
    """Bring a network up, send, watch, take it down."""
    layout = network.up(home, base_port, None, lambda line: print(line, file=sys.stderr))
    try:
        return list(measure(layout, transfers))
    finally:
        network.down(home)


def measure(layout: Layout, transfers: int) -> Iterator[Sample]:
    """Send ``transfers`` one after the other on both lanes and yield what each took."""
    deployment = network.load_deployment(layout)
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
                    seen.setdefault(transfer_id, []).append(fields["ts"])
    return seen


def summarize(samples: Sequence[Sample]) -> list[Figure]:
    """Return the table's lines."""
    figures = []
    for word in ("decided", "attested"):
        values = sorted(getattr(sample, f"{word}_s") for sample in samples)
        name = f"visible → {word}, median"
        median = statistics.median(values)
        target = TARGETS[name]
        figures.append(Figure(name, round(median, 3), "s", "Connext: 10 s wait + 3 s poll", target, median <= target))
        p95 = values[min(len(values) - 1, int(len(values) * 0.95))]
        figures.append(Figure(f"visible → {word}, p95", round(p95, 3), "s", "", None, True))
    for word, target in (("decided", DECIDED_BLOCK), ("attested", ATTESTED_BLOCK)):
        blocks = statistics.median(getattr(sample, f"{word}_block") for sample in samples)
        figures.append(Figure(f"{word} in block, median", blocks, "block", "", target, blocks <= target))
    return figures


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transfers", type=int, default=50)
    parser.add_argument("--base-port", type=int)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="latency-") as folder:
        figures = summarize(run(Path(folder) / "net", arguments.base_port, arguments.transfers))
    print(f"{'figure':<28} {'value':>8} {'target':>8}  {'':<6} {arguments.transfers} transfers")
    for figure in figures:
        target = "" if figure.target is None else f"{figure.target:g}"
        print(f"{figure.name:<28} {figure.value:>8.3g} {target:>8}  {figure.unit:<6} {'ok' if figure.ok else 'MISSED'}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))
    return 0 if all(figure.ok for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
