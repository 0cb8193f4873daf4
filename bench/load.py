"""A burst of transfers, then a steady stream, on a local network of four validators: who was served, at what cost.

Times are those of the blocks: from the block of the xcall on its origin to the block of the execution on the
destination. Gas is that of the relayer's transactions, divided by the transfers that they executed.
"""

import argparse
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from abci_app.evm.connext_events import TOPICS, decode_event
from abci_app.evm.errors import EvmError
from abci_app.evm.rpc import Rpc
from bench.report import Row, add_json_option, make_row, percentile, publish
from bench.soak import list_transfers
from bench.soak_load import connected, say
from bench.soak_meter import Meter, Sample
from testnet.chains.chain_parts import load_deployment
from testnet.connext.deployment import Deployment
from testnet.demo.traffic import Order, User
from testnet.network import lifecycle
from testnet.network.layout import Layout

SAMPLE_S = 5.0
POLL_S = 1.0
FINISH_S = 180.0
"""A phase ends when every transfer of it is executed, or this long after its last xcall."""
RATE_MIN, P95_S_MAX, GAS_MAX = 25.0, 12.0, 160_000
LOGS_BLOCKS = 500


@dataclass(frozen=True)
class Executions:
    """What became of the xcalls from some blocks on, by transfer id: Unix seconds of the blocks, and the gas of all."""

    sent_s: Mapping[bytes, int]
    fast_s: Mapping[bytes, int]
    slow: int
    gas: int
    batches: int

    @property
    def delays_s(self) -> list[int]:
        """Return the seconds from origin to execution of every fast transfer."""
        return [at - self.sent_s[transfer_id] for transfer_id, at in self.fast_s.items() if transfer_id in self.sent_s]


class Senders:
    """Every user on both chains, each in a thread of its own."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.failures: list[str] = []

    def send(self, count: int, rate_per_s: float | None) -> None:
        """Send ``count`` small transfers over both lanes, at a rate or as fast as the chains take them."""
        domains = [deployed.domain for deployed in self._deployment.domains]
        parts = [(index, domain) for index in range(self._deployment.users) for domain in domains]
        shares = [count // len(parts) + (place < count % len(parts)) for place in range(len(parts))]
        threads = [
            threading.Thread(target=self._send, args=(*part, share, rate_per_s and rate_per_s / len(parts)))
            for part, share in zip(parts, shares, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self, index: int, origin: int, count: int, rate_per_s: float | None) -> None:
        destination = next(one.domain for one in self._deployment.domains if one.domain != origin)
        begin = time.monotonic() + (index / self._deployment.users / rate_per_s if rate_per_s else 0.0)
        with connected(self._deployment) as rpcs:
            user = User(self._deployment, rpcs, index)
            for number in range(count):
                if rate_per_s:
                    time.sleep(max(0.0, begin + number / rate_per_s - time.monotonic()))
                symbol = ("USDC", "DAI")[number % 2]
                unit = self._deployment.domain(origin).tokens[symbol].unit
                try:
                    user.post(Order("load", symbol, origin, destination, unit * (number % 5 + 1), user.address))
                except (EvmError, OSError) as error:
                    self.failures.append(f"user {index} on {origin}: {error}")


def read_executions(deployment: Deployment, rpcs: Mapping[int, Rpc], first_blocks: Mapping[int, int]) -> Executions:
    """Read from both chains' logs what was sent and executed from these blocks on."""
    sent_s: dict[bytes, int] = {}
    fast_s: dict[bytes, int] = {}
    slow, transactions = 0, set[tuple[int, bytes]]()
    for domain, rpc in rpcs.items():
        times: dict[int, int] = {}
        connext, head = deployment.domain(domain).connext, rpc.block_number()
        for first in range(first_blocks[domain], head + 1, LOGS_BLOCKS):
            last = min(head, first + LOGS_BLOCKS - 1)
            for log in rpc.logs(connext, first, last, [TOPICS["XCalled"], TOPICS["Executed"]]):
                at_s = times.get(log.block_number) or rpc.block(log.block_number).timestamp_s
                times[log.block_number] = at_s
                if log.topics[0] == TOPICS["XCalled"]:
                    sent_s[log.topics[1]] = at_s
                    continue
                transactions.add((domain, log.tx_hash))
                if decode_event(log).arguments["args"].routers:
                    fast_s[log.topics[1]] = at_s
                else:
                    slow += 1
    gas = 0
    for domain, tx_hash in transactions:
        receipt = rpcs[domain].receipt(tx_hash)
        gas += receipt.gas_used if receipt is not None else 0
    return Executions(sent_s, fast_s, slow, gas, len(transactions))


def run_phase(
    name: str, layout: Layout, deployment: Deployment, meter: Meter, count: int, rate_per_s: float | None
) -> tuple[list[Row], list[str]]:
    """Send, wait, and return the figures of one phase."""
    senders = Senders(deployment)
    with connected(deployment) as rpcs:
        first = {domain: rpc.block_number() + 1 for domain, rpc in rpcs.items()}
        before, begin = meter.sample(), time.monotonic()
        senders.send(count, rate_per_s)
        sent_after_s = time.monotonic() - begin
        say(f"{name}: {count} sent in {sent_after_s:.1f} s")
        deadline = time.monotonic() + FINISH_S
        while time.monotonic() < deadline:
            found = read_executions(deployment, rpcs, first)
            say(f"{name}: {len(found.fast_s)} of {len(found.sent_s)} executed fast, {found.slow} slow")
            if len(found.fast_s) + found.slow >= count:
                break
            time.sleep(POLL_S)
        after = meter.sample()
    statuses = Counter(one.status for one in list_transfers(layout))
    say(f"{name}: states of all transfers so far: {dict(statuses)}")
    return summarize(name, found, count, statuses["SLOW"], rate_per_s, before, after), senders.failures


def summarize(
    name: str, found: Executions, count: int, slow: int, rate_per_s: float | None, before: Sample, after: Sample
) -> list[Row]:
    """Return the rows of one phase."""
    delays, done = found.delays_s or [0], max(1, len(found.fast_s))
    span_s = max(found.fast_s.values(), default=0) - min(found.sent_s.values(), default=0)
    served = len(found.fast_s) / max(1, span_s)
    rows = [
        make_row(f"{name}: executed fast", len(found.fast_s), "transfers", target=count, more_is_better=True),
        make_row(f"{name}: on the slow path at the end", slow, "transfers", target=0),
        make_row(f"{name}: from first xcall to last execution", span_s, "s"),
        make_row(f"{name}: transfers a second over that", round(served, 1), "/s"),
        make_row(f"{name}: origin to execution, median", percentile(delays, 50), "s"),
        make_row(f"{name}: origin to execution, p95", percentile(delays, 95), "s",
                 target=P95_S_MAX if rate_per_s else None),
        make_row(f"{name}: gas a transfer", round(found.gas / done), "gas", target=GAS_MAX),
        make_row(f"{name}: transfers a transaction", round(done / max(1, found.batches), 1), ""),
    ]
    used = Counter[str]()
    for process, cpu_s in after.cpu_s.items():
        used[process.rstrip("0123456789") or process] += cpu_s - before.cpu_s.get(process, 0.0)  # type: ignore[assignment]
    for process, cpu_s in used.most_common():
        rows.append(make_row(f"{name}: CPU of {process}", round(1000 * cpu_s / done, 1), "ms/transfer"))
    return rows


def main(arguments_of: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench-load", description=__doc__)
    parser.add_argument("--burst", type=int, default=800, help="transfers at once on two lanes (default 800)")
    parser.add_argument("--rate", type=float, default=RATE_MIN, help="transfers a second afterwards (default 25)")
    parser.add_argument("--seconds", type=float, default=180.0, help="of that rate (default 180)")
    parser.add_argument("--base-port", type=int, help="first port of the network")
    add_json_option(parser)
    arguments = parser.parse_args(arguments_of)
    rows: list[Row] = []
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        home = Path(folder) / "net"
        layout = lifecycle.up(home, arguments.base_port, None, say)
        meter = Meter(layout, SAMPLE_S)
        meter.start()
        try:
            deployment = load_deployment(layout)
            for name, count, rate in (
                ("burst", arguments.burst, None), ("steady", int(arguments.rate * arguments.seconds), arguments.rate)
            ):
                if count:
                    measured, failures = run_phase(name, layout, deployment, meter, count, rate)
                    rows += measured
                    problems += failures
        finally:
            meter.stop()
            lifecycle.down(home)
    for problem in [*problems, *meter.problems][:10]:
        print(f"PROBLEM {problem}")
    return publish([*rows, make_row("problems", len(problems) + len(meter.problems), "", target=0)], arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())
