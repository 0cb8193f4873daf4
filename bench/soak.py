"""Minutes of steady traffic on a local network, with parts that stop and start; what grows, what is left, who was paid.

Users send bursts of both tokens in both directions: most ordinary, some for two routers, some larger than anybody's
liquidity, some to a contract that refuses. A router and a validator pause now and then; the message layer is played
every two minutes. At the end everything must be COMPLETED, every balance right, and nothing open anywhere.
"""

import argparse
import json
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import grpc

from abci_app.evm.compile import load_own_artifact
from abci_app.evm.errors import EvmError
from abci_app.evm.rpc import Rpc
from abci_app.pb import query_pb2, query_pb2_grpc
from abci_app.router.ledger import BidState
from bench.soak_meter import Figure, Meter, block_seconds, count_tracebacks, sum_sizes
from testnet import network, settling
from testnet.audit import audit
from testnet.connext import connect
from testnet.deployment import Deployment
from testnet.layout import ROOT, Layout, NetworkError
from testnet.traffic import Order, User

SENDERS, RECIPIENT = 3, 4
BURST, BURST_S = 3, 4.0
"""Each sender's: together a little over two transfers a second."""
IDLE_S = 60.0
SAMPLE_S = 5.0
CYCLE_S = 120.0
PAUSES = ((30.0, "router"), (70.0, "node"))
"""Seconds into a cycle at which a part is stopped; it starts again PAUSE_S later."""
PAUSE_S = 12.0
FINISH_S = 600.0
CALL_S = 5.0
DONE = "COMPLETED"
BLOCK_S_FACTOR_MAX = 2.0
"""A minute's median block may take this much longer than an idle one's."""


class Traffic:
    """Users who send until told to stop, each in a thread and with an account of its own."""

    def __init__(self, deployment: Deployment, refuser: Mapping[int, bytes], seed: int) -> None:
        self._deployment, self._refuser, self._seed = deployment, refuser, seed
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.sent: Counter[str] = Counter()
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._send_all, args=(index,)) for index in range(SENDERS)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the burst that is under way."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _send_all(self, index: int) -> None:
        dice = random.Random(self._seed + index)
        with connected(self._deployment) as rpcs:
            user, recipient = User(self._deployment, rpcs, index), User(self._deployment, rpcs, RECIPIENT).address
            while not self._over.wait(BURST_S * dice.uniform(0.5, 1.5)):
                orders = [self._make_order(dice, recipient) for _ in range(BURST)]
                try:
                    for posted in [(order, user.post(order)) for order in orders]:
                        user.confirm(*posted)
                except (EvmError, OSError) as error:
                    with self._lock:
                        self.failures.append(f"user {index}: {error}")
                with self._lock:
                    self.sent.update(order.label for order in orders)

    def _make_order(self, dice: random.Random, recipient: bytes) -> Order:
        domains = [deployed.domain for deployed in self._deployment.domains]
        dice.shuffle(domains)
        origin, destination = domains
        symbol = dice.choice(("USDC", "DAI"))
        unit = self._deployment.domain(origin).tokens[symbol].unit
        liquidity, roll = self._deployment.router_liquidity_units, dice.random()
        if roll < 0.01:
            return Order("too large", symbol, origin, destination, 3 * liquidity * unit, recipient)
        if roll < 0.03:
            return Order("for two", symbol, origin, destination, liquidity * 11 // 10 * unit, recipient)
        amount = dice.randint(unit, 200 * unit)
        if roll < 0.06:
            return Order("refused call", symbol, origin, destination, amount, self._refuser[destination], b"hello")
        return Order("plain", symbol, origin, destination, amount, recipient)


class Pauses:
    """Stops and starts parts, and plays the message layer, in a thread."""

    def __init__(self, layout: Layout, seed: int) -> None:
        self._layout, self._dice = layout, random.Random(seed)
        self._over = threading.Event()
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; whatever was stopped runs again."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                began = time.monotonic()
                for at_s, kind in PAUSES:
                    if self._over.wait(max(0.0, began + at_s - time.monotonic())):
                        return
                    self._pause(kind)
                if self._over.wait(max(0.0, began + CYCLE_S - time.monotonic())):
                    return
                say(settling.settle(self._layout.home))
                self.done["settle"] += 1
        except Exception as error:  # the report says it; the run goes on to its checks
            self.failures.append(f"pauses: {type(error).__name__}: {error}")

    def _pause(self, kind: str) -> None:
        parts = [name for name in network.names(self._layout) if name.startswith(kind)]
        name = self._dice.choice(parts)
        say(f"{name} pauses")
        network.stop(self._layout.home, name)
        self._over.wait(PAUSE_S)
        network.start(self._layout.home, name)
        self.done[kind] += 1


@contextmanager
def connected(deployment: Deployment) -> Iterator[dict[int, Rpc]]:
    """Give clients of both chains of one's own."""
    with ExitStack() as stack:
        rpcs = connect(deployment)
        for rpc in rpcs.values():
            stack.callback(rpc.close)
        yield rpcs


def run(home: Path, base_port: int | None, minutes: float, seed: int) -> tuple[list[Figure], list[str]]:
    """Bring a network up, load it, let it finish, check it; return figures and problems."""
    layout = network.up(home, base_port, None, say)
    deployment = network.load_deployment(layout)
    meter = Meter(layout, SAMPLE_S)
    problems: list[str] = []
    try:
        with connected(deployment) as rpcs:
            owner = User(deployment, rpcs, SENDERS)
            refuser = {domain: owner.create(domain, load_own_artifact(ROOT, "Refuser").creation_code())
                       for domain in rpcs}
        meter.start()
        time.sleep(IDLE_S)
        meter.mark("idle")
        traffic, pauses = Traffic(deployment, refuser, seed), Pauses(layout, seed)
        traffic.start()
        pauses.start()
        time.sleep(minutes * 60)
        traffic.stop()
        pauses.stop()
        meter.mark("traffic")
        problems += [*traffic.failures, *pauses.failures]
        problems += finish(layout, sum(traffic.sent.values()))
        meter.mark("finish")
        transfers = list_transfers(layout)
        problems += check(layout, deployment)
        blocks = block_seconds(next(iter(layout.nodes())).rpc_url)
        meter.stop()
    finally:
        meter.stop()
        network.down(home)
    problems += [*meter.problems, *check_files(layout)]
    print_shapes(traffic.sent, transfers)
    meter.print_table()
    return [*summarize(transfers, blocks, layout), *meter.summarize()], problems


def finish(layout: Layout, sent: int) -> list[str]:
    """Settle until every transfer is COMPLETED; return what is not after FINISH_S."""
    deadline = time.monotonic() + FINISH_S
    while time.monotonic() < deadline:
        states = Counter(transfer.status for transfer in list_transfers(layout))
        say(f"finishing: {dict(states)}")
        if states[DONE] == sum(states.values()) >= sent:
            return []
        say(settling.settle(layout.home))
        time.sleep(SAMPLE_S)
    return [f"transfers after {FINISH_S:.0f} s: {dict(states)} of {sent}"]


def list_transfers(layout: Layout) -> list[query_pb2.Transfer]:
    """Return every transfer that the network knows, from the first node that answers: one may just be starting."""
    refusals = []
    for node in layout.nodes():
        try:
            return list(ask_transfers(node.grpc))
        except grpc.RpcError as error:
            refusals.append(f"{node.name} {error.code().name}")
    raise NetworkError(f"no node answers: {', '.join(refusals)}")


def ask_transfers(address: str) -> Iterator[query_pb2.Transfer]:
    """Yield every transfer that one node knows. Raises grpc.RpcError."""
    with grpc.insecure_channel(address) as channel:
        stub, first = query_pb2_grpc.QueryStub(channel), 0
        while True:
            answer = stub.Transfers(query_pb2.TransfersRequest(from_acceptance=first, limit=500), timeout=CALL_S)
            yield from answer.transfers
            if not answer.truncated or not answer.transfers:
                return
            first = answer.transfers[-1].acceptance + 1


def check(layout: Layout, deployment: Deployment) -> list[str]:
    """Was everybody paid: from the chains' raw logs."""
    report = audit(layout, deployment)
    say(f"{report.checked} checks from raw logs, {len(report.problems)} failed")
    return report.problems


def check_files(layout: Layout) -> list[str]:
    """What processes left behind, once they ended: open bids, gaps or open nonces, tracebacks."""
    problems = []
    for name, home in layout.routers():
        with closing(sqlite3.connect(home / "ledger.sqlite")) as ledger:
            open_bids, = ledger.execute(
                "SELECT count(*) FROM bids WHERE state IN (?, ?)", (BidState.SIGNED, BidState.SUBMITTED)
            ).fetchone()
        if open_bids:
            problems.append(f"{name}: {open_bids} bids still open")
    for journal in sorted(layout.relayer.glob("journal/*.sqlite")):
        with closing(sqlite3.connect(journal)) as database:
            nonces = [nonce for nonce, in database.execute("SELECT DISTINCT nonce FROM transactions ORDER BY nonce")]
            mined = {nonce for nonce, in database.execute("SELECT nonce FROM transactions WHERE state = 'mined'")}
        if nonces and nonces != list(range(nonces[0], nonces[-1] + 1)):
            problems.append(f"relayer: gaps in the nonces of {journal.name}")
        if set(nonces) - mined:
            problems.append(f"relayer: nonces of {journal.name} never mined: {sorted(set(nonces) - mined)}")
    return problems + [f"{count} tracebacks in {name}" for name, count in count_tracebacks(layout.logs).items()]


def print_shapes(sent: Counter[str], transfers: list[query_pb2.Transfer]) -> None:
    """Print what was sent, and by how many attempts of which kind it was done."""
    print("sent: " + ", ".join(f"{count} {label}" for label, count in sent.items()))
    for (status, kinds, routers), count in sorted(Counter(
        (one.status, " ".join(f"{each.kind.lower()}:{each.end.lower()}" for each in one.attempts),
         len(one.executed_by)) for one in transfers
    ).items()):
        print(f"{count:>6} {status}, paid by {routers} routers, attempts: {kinds or 'none'}")


def summarize(transfers: list[query_pb2.Transfer], blocks: list[float], layout: Layout) -> list[Figure]:
    """Figures on transfers, blocks and disk."""
    windows = [sorted(blocks[at : at + 150]) for at in range(0, len(blocks), 150) if len(blocks[at : at + 150]) > 30]
    medians = [window[len(window) // 2] for window in windows]
    done, flat = sum(one.status == DONE for one in transfers), max(medians) < BLOCK_S_FACTOR_MAX * medians[0]
    return [
        Figure("transfers", len(transfers), ""),
        Figure("transfers completed", done, "", done == len(transfers) > 0),
        Figure("paid by routers", sum(bool(one.executed_by) for one in transfers), ""),
        Figure("blocks", len(blocks), ""),
        Figure("block, first 150, median", round(medians[0], 3), "s"),
        Figure("block, slowest 150, median", round(max(medians), 3), "s", flat),
        Figure("block, last 150, median", round(medians[-1], 3), "s"),
        Figure("network's files", round(sum_sizes(layout.home) / 1e6, 1), "MB"),
    ]


def say(line: str) -> None:
    """Progress, beside the result."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.0, help="of traffic")
    parser.add_argument("--base-port", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="keep the network's files here")
    parser.add_argument("--json", type=Path, help="also write figures and problems to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        home = arguments.home or Path(folder) / "net"
        figures, problems = run(home, arguments.base_port, arguments.minutes, arguments.seed)
    for figure in figures:
        print(f"{figure.name:<44} {figure.value:>12,.10g} {figure.unit:<12} {'ok' if figure.ok else 'MISSED'}")
    for problem in problems:
        print(f"PROBLEM {problem}")
    if arguments.json:
        found = {"figures": [figure._asdict() for figure in figures], "problems": problems}
        arguments.json.write_text(json.dumps(found, indent=1))
    return 0 if not problems and all(figure.ok for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
