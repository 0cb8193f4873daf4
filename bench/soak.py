"""Minutes of steady traffic on a local network, with parts that stop and start; what grows, what is left, who was paid.

Users send bursts of both tokens in both directions: most ordinary, some for two routers, some larger than anybody's
liquidity, some to a contract that refuses. A router and a validator pause now and then; the message layer is played
every two minutes. At the end everything must be COMPLETED, every balance right, and nothing open anywhere.
"""

import argparse
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from abci_app.client.errors import ClientError
from abci_app.client.nodes import NodeClient
from abci_app.evm.artifacts.compile import load_own_artifact
from abci_app.pb import query_pb2
from abci_app.router.ledger import BidState
from bench.report import Row, add_json_option, make_row, publish
from bench.soak_load import SENDERS, Pauses, Traffic, connected, say
from bench.soak_meter import Meter, block_seconds, count_tracebacks, sum_sizes
from testnet.audit.network_audit import audit
from testnet.chains.chain_parts import load_deployment
from testnet.connext import settling
from testnet.connext.deployment import Deployment
from testnet.demo.traffic import User
from testnet.network import lifecycle
from testnet.network.layout import ROOT, Layout, NetworkError

IDLE_S = 60.0
SAMPLE_S = 5.0
FINISH_S = 600.0
DONE = "COMPLETED"
BLOCK_S_FACTOR_MAX = 2.0
"""The slowest 150 blocks' median may be this many times that of the first 150."""


def run(home: Path, base_port: int | None, minutes: float, seed: int) -> tuple[list[Row], list[str]]:
    """Bring a network up, load it, let it finish, check it; return rows and problems."""
    layout = lifecycle.up(home, base_port, None, say)
    deployment = load_deployment(layout)
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
        lifecycle.down(home)
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
        say(settling.describe(settling.play(layout.home)))
        time.sleep(SAMPLE_S)
    return [f"transfers after {FINISH_S:.0f} s: {dict(states)} of {sent}"]


def list_transfers(layout: Layout) -> list[query_pb2.Transfer]:
    """Return every transfer that the network knows, from the first node that answers: one may just be starting."""
    refusals = []
    for node in layout.nodes():
        try:
            return list(ask_transfers(node.grpc))
        except ClientError as error:
            refusals.append(f"{node.name} {error}")
    raise NetworkError(f"no node answers: {', '.join(refusals)}")


def ask_transfers(address: str) -> Iterator[query_pb2.Transfer]:
    """Yield every transfer that one node knows. Raises ClientError."""
    with NodeClient([address]) as client:
        first = 0
        while True:
            answer = client.transfers(from_acceptance=first, limit=500)
            yield from answer.transfers
            if answer.next_acceptance <= first:
                return
            first = answer.next_acceptance


def check(layout: Layout, deployment: Deployment) -> list[str]:
    """Check from the chains' raw logs that everybody was paid."""
    report = audit(layout, deployment)
    say(f"{report.checked} checks from raw logs, {len(report.problems)} failed")
    return report.problems


def check_files(layout: Layout) -> list[str]:
    """Check what processes left behind, once they ended: open bids, gaps or open nonces, tracebacks."""
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


def summarize(transfers: list[query_pb2.Transfer], blocks: list[float], layout: Layout) -> list[Row]:
    """Return the rows on transfers, blocks and disk."""
    windows = [sorted(blocks[at : at + 150]) for at in range(0, len(blocks), 150) if len(blocks[at : at + 150]) > 30]
    medians = [round(window[len(window) // 2], 3) for window in windows]
    done = sum(one.status == DONE for one in transfers)
    return [
        make_row("transfers", len(transfers), "", target=1, more_is_better=True),
        make_row("transfers completed", done, "", target=len(transfers), more_is_better=True),
        make_row("paid by routers", sum(bool(one.executed_by) for one in transfers), ""),
        make_row("blocks", len(blocks), ""),
        make_row("block, first 150, median", medians[0], "s"),
        make_row("block, slowest 150, median", max(medians), "s", target=BLOCK_S_FACTOR_MAX * medians[0]),
        make_row("block, last 150, median", medians[-1], "s"),
        make_row("network's files", round(sum_sizes(layout.home) / 1e6, 1), "MB"),
    ]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench-soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.0, help="of traffic (default 8)")
    parser.add_argument("--base-port", type=int, help="first port of the network")
    parser.add_argument("--seed", type=int, default=1, help="of what is sent and stopped (default 1)")
    parser.add_argument("--home", type=Path, help="keep the network's files here")
    add_json_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        home = arguments.home or Path(folder) / "net"
        rows, problems = run(home, arguments.base_port, arguments.minutes, arguments.seed)
    for problem in problems:
        print(f"PROBLEM {problem}")
    return publish([*rows, make_row("problems", len(problems), "", "; ".join(problems[:10]), target=0)], arguments.json)


if __name__ == "__main__":
    sys.exit(main())
