"""The demo: a network of real processes, five real transfers, one validator stopped, everybody repaid, all checked."""

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from abci_app.evm.artifacts.compile import load_own_artifact
from abci_app.evm.rpc import Rpc
from testnet.audit.network_audit import audit
from testnet.chains import anvil, block_times
from testnet.chains.chain_parts import load_deployment
from testnet.connext import message_layer
from testnet.connext.deploy import connect
from testnet.connext.deployment import Deployment
from testnet.connext.settling import describe
from testnet.demo.demo_view import View, name_routers, name_transfer, plain_table
from testnet.demo.tracker import Progress, Tracker
from testnet.demo.traffic import Order, User
from testnet.hints import routerd
from testnet.network import lifecycle
from testnet.network.layout import ROOT, Layout, NetworkError
from testnet.processes.spawn import uninterrupted

POLL_S = 0.1
STEP_S = 90.0
"""For a group of transfers to be executed; a few seconds when nothing is wrong."""
SETTLE_S = 120.0
REASONS = {
    "INFEASIBLE_LOST": "greater tags",
    "INFEASIBLE_LIQUIDITY_SHORT": "too little liquidity",
    "INFEASIBLE_NO_BID_FOR_PATH": "no bid for this path length",
}
SUMMARY = """
seconds from the origin's block, by the blocks' own times: until the commit of
the deciding and of the attesting block, and until the end of the second that
the destination's block names; gas of the execution"""
SENDER, RECIPIENT = 0, 1
"""Which funded accounts send and receive."""


class Demo:
    """One run. ``run`` returns the problems found, none where all is well."""

    def __init__(self, layout: Layout, view: View) -> None:
        self._layout, self._view = layout, view
        self._validators = layout.manifest.validators
        self._deployment: Deployment = load_deployment(layout)
        self._rpcs: Mapping[int, Rpc] = {}
        self._tracker: Tracker
        self._recorders: dict[int, tuple[bytes, ...]] = {}
        """By domain, contracts that keep what they are called with."""

    def run(self) -> list[str]:
        """Send, watch, stop a validator, send on, settle, check, sum up."""
        with ExitStack() as stack:
            self._rpcs = connect(self._deployment)
            for rpc in self._rpcs.values():
                stack.callback(rpc.close)
            nodes = [node.grpc for node in self._layout.nodes()]
            self._tracker = Tracker(nodes, self._deployment, self._rpcs)
            stack.callback(self._tracker.close)
            user = User(self._deployment, self._rpcs, SENDER)
            first, second = self._orders(user)
            self._send(user, first)
            self._watch(lambda row: "executed" in row.seen_s, STEP_S)
            self._stop_one()
            self._send(user, second)
            self._watch(lambda row: "executed" in row.seen_s, STEP_S)
            self._settle()
            self._watch(lambda row: "completed" in row.seen_s, SETTLE_S)
            problems = self._check()
            self._sum_up()
            return problems

    def _orders(self, user: User) -> tuple[list[Order], list[Order]]:
        """Return three transfers for the whole network, two for the one with a validator less."""
        one, two = (deployed.domain for deployed in self._deployment.domains)
        recipient = User(self._deployment, self._rpcs, RECIPIENT).address
        recorder = user.create(two, load_own_artifact(ROOT, "Recorder").creation_code())
        self._recorders = {two: (recorder,)}
        usdc, dai = (self._deployment.domain(one).tokens[symbol].unit for symbol in ("USDC", "DAI"))
        shared = self._deployment.router_liquidity_units * 3 // 2
        return (
            [
                Order("USDC out", "USDC", one, two, 250 * usdc, recipient),
                Order("DAI back", "DAI", two, one, 1_000 * dai, recipient),
                Order("DAI call", "DAI", one, two, 42 * dai, recorder, b"hello from the other side"),
            ],
            [
                Order("USDC back", "USDC", two, one, 75 * usdc, recipient),
                Order("USDC big", "USDC", one, two, shared * usdc, recipient),
            ],
        )

    def _send(self, user: User, orders: list[Order]) -> None:
        posted = [(order, user.post(order)) for order in orders]
        for order, tx_hash in posted:
            progress = self._tracker.add(user.confirm(order, tx_hash))
            amount = order.amount / self._deployment.domain(order.origin).tokens[order.symbol].unit
            self._view.say(
                f"{name_transfer(progress)}  xcall of {amount:,.0f} {order.symbol}, block "
                f"{progress.sent.block} of {order.origin}, {progress.sent.gas:,} gas"
            )

    def _watch(self, done: Callable[[Progress], bool], deadline_s: float) -> None:
        """Poll until every transfer is so far. Raises NetworkError after the deadline."""
        rows = self._tracker.transfers.values()
        deadline = time.monotonic() + deadline_s
        while not all(done(row) for row in rows):
            for progress, step in self._tracker.poll():
                if step == "executed":
                    progress.executed_after_s = block_times.read_executed(progress, self._rpcs)
                self._view.step(progress, step, self._validators)
            self._view.draw(rows, self._validators)
            if time.monotonic() > deadline:
                late = ", ".join(f"{name_transfer(row)} is {row.status}" for row in rows if not done(row))
                raise NetworkError(f"not all transfers went on within {deadline_s:.0f} s: {late}")
            time.sleep(POLL_S)

    def _stop_one(self) -> None:
        """End a validator that neither routers nor relayer talk to; the others decide without it."""
        if self._validators < 4:
            self._view.say(f"{self._validators} validators cannot spare one: none is stopped")
            return
        name = list(self._layout.nodes())[-1].name
        lifecycle.stop(self._layout.home, name)
        self._view.say(f"{name} stopped: {self._validators - 1} of {self._validators} validators go on")

    def _settle(self) -> None:
        self._view.say("message layer: propose, wait, finalize, prove, process")
        settled = message_layer.settle(self._deployment, self._rpcs, anvil.wait_until)
        if not settled.is_complete:
            raise NetworkError(describe(settled))
        self._view.say(describe(settled))

    def _check(self) -> list[str]:
        report = audit(self._layout, self._deployment, self._recorders)
        self._view.say(f"{report.checked} checks from raw logs, {len(report.problems)} failed")
        for problem in report.problems:
            self._view.say(f"FAILED {problem}")
        return report.problems

    def _sum_up(self) -> None:
        table = plain_table()
        for heading in ("transfer", "decided", "attested", "executed", "gas", "routers"):
            table.add_column(heading, justify="left" if heading in ("transfer", "routers") else "right", no_wrap=True)
        rows = list(self._tracker.transfers.values())
        seconds = [self._read_seconds(row) for row in rows]
        for row, values in zip(rows, seconds, strict=True):
            table.add_row(
                name_transfer(row), *(f"{value:.1f}" for value in values), f"{row.gas:,}", name_routers(row.routers)
            )
        medians = (f"{statistics.median(column):.1f}" for column in zip(*seconds, strict=True))
        table.add_row("median", *medians, f"{statistics.median(row.gas for row in rows):,.0f}", "", style="bold")
        self._view.print(SUMMARY)
        self._view.show(table)
        self._view.print(f"\nwho won: the least start tags, recomputable from {routerd('query', 'auction')}")
        for row in rows:
            self._view.print(f"  {name_transfer(row):<18} {self._explain(row)}")

    def _read_seconds(self, row: Progress) -> tuple[float, float, float]:
        """Return the seconds from the origin's block to decided, attested and executed, by the blocks' own times."""
        engines = [node.rpc_url for node in self._layout.nodes()]
        decided, attested = (
            block_times.read_final(row, height, self._rpcs, engines)
            for height in (row.decided_height, row.attested_height)
        )
        return decided, attested, float(row.executed_after_s)

    def _explain(self, row: Progress) -> str:
        """Say the winners' reason and each loser's, from the auction's record."""
        auction = self._tracker.ask_auction(row.sent.transfer_id)
        if auction is None:
            return "no node answers"
        won = name_routers(winner.router for winner in auction.winners)
        lost: dict[str, list[bytes]] = {}
        for candidate in auction.candidates:
            if candidate.code:
                lost.setdefault(REASONS.get(candidate.code_name, candidate.code_name), []).append(candidate.router)
        reasons = "".join(f"; {reason}: {name_routers(routers)}" for reason, routers in lost.items())
        return f"{won} of {len(auction.candidates)} bidders{reasons}"


def run(home: Path, base_port: int | None, validators: int | None, keep: bool) -> int:
    """Run the demo in ``home``; return the exit status: 0 when every transfer completed and every check held.

    ``keep`` leaves the network of a run that came to its end; whatever else happens, it is taken down.
    """
    with View() as view:
        layout = lifecycle.up(home, base_port, validators, view.say, anew=True)
        is_kept = False
        try:
            problems = Demo(layout, view).run()
            if keep:
                view.say(f"left running; {routerd('testnet', 'down', '--home', home)} ends it")
            is_kept = keep
        finally:
            # Processes first, words after: the terminal may be gone.
            if not is_kept:
                with uninterrupted():
                    lifecycle.down(home)
        if not is_kept:
            view.say("network is down")
    return 1 if problems else 0
