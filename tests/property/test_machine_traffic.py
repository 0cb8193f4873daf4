"""Seeded traffic over three domains: busier and longer than Hypothesis goes, and it must visit every status.

A failure names its seed and block; ``run(seed)`` replays it.
"""

import random
from typing import Any

from abci_app.machine.block import apply_block
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.observation.stream import (
    Event,
    LiquidityFeeNumeratorUpdated,
    Paused,
    RelayerFeesIncreased,
    RouterAdded,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    RouterRemoved,
    SlippageUpdated,
    Unpaused,
)
from abci_app.machine.params import FeeRow, Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId, TransferId
from abci_app.machine.state.records import DecisionKind, Lane, RelayerFee, Transfer, TransferInfo, TransferStatus
from abci_app.machine.state.tree import Tree
from abci_app.machine.state.view import MemoryState
from abci_app.machine.transactions.tx import encode_info_submission
from tests.kit.machine.driver import (
    ROUTERS,
    A,
    B,
    C,
    Network,
    bundle,
    executed,
    local_of,
    reconciled,
    withdraw,
    xcalled,
)
from tests.kit.property.decision_checks import check_decisions_of_block
from tests.kit.property.machine_invariants import check_all, list_transfers
from tests.kit.property.stream_book import check_book

DOMAINS = (A, B, C)
SEEDS = (1, 2, 3)
BLOCKS = 110
KINDS = {
    "accepted", "assigned", "renewed", "waiting", "slow", "executed", "reconciled", "completed", "batch", "attested",
    "alarm", "segment", "fault", "stub", "stub_expired", "dropped", "info", "bid", "withdrawn",
}
PARAMS = Params(
    lease_s=6, decision_deadline_blocks=6, waiting_blocks=5, attempts_max=2, slow_attempts=2, slow_spacing_s=5,
    cool_down_blocks=3, stale_after_s=40, stub_ttl_s=15, slow_ttl_s=25, retention_blocks=8,
    fee_table=(FeeRow(C, A, ROUTERS[0], 2),),
)


class Traffic:
    """Random users, routers and relayers; every choice comes from one seeded generator."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.net = Network(PARAMS, domains=DOMAINS, liquidity=30_000)
        self.infos: dict[TransferId, TransferInfo] = {}
        self.unseen: list[TransferInfo] = []
        self.events: dict[DomainId, list[Event]] = {}
        self.txs: list[bytes] = []
        self.seen: set[str] = set()

    def one_in(self, count: int) -> bool:
        return self.dice.randrange(count) == 0

    def emit(self, domain: DomainId, event: Event) -> None:
        self.events.setdefault(domain, []).append(event)

    def step(self) -> None:
        """One block: some calls, some bids, some of everything else."""
        self.events, self.txs = {}, []
        for _ in range(self.dice.randrange(3)):
            self.call()
        for transfer in list_transfers(self.net.state):
            self.follow(transfer)
        if self.unseen and self.one_in(3):
            info = self.unseen.pop(0)
            self.emit(info.origin_domain, xcalled(info))
        self.disturb()
        lag = 50 if self.one_in(12) else 0
        seconds = self.dice.choice((1, 1, 1, 2, 4))
        clocks = dict.fromkeys(DOMAINS, self.net.time_s + seconds - lag)
        before = MemoryState(self.net.state.values)
        result = self.net.block(self.events, self.txs, seconds, clocks, proposer=self.dice.randrange(4))
        check_book(before, self.net.state, self.net.blocks[-1], result)
        check_decisions_of_block(before, self.net.state)
        self.seen.update(self.net.kinds())
        self.seen.update(transfer.status.name for transfer in list_transfers(self.net.state))

    def call(self) -> None:
        origin, destination = self.dice.sample(DOMAINS, 2)
        amount = self.dice.choice((5, 500, 1000, 20_000, 30_000, 40_000, 100_000))
        info = self.net.info(origin, destination, amount, call_data=b"\1" * self.dice.choice((0, 0, 40)))
        transfer_id = compute_transfer_id(info)
        self.infos[transfer_id] = info
        if self.one_in(5):
            self.unseen.append(info)
            where: dict[str, Any] = {"amount": amount, "origin": origin, "domain": destination}
            settled: Event = executed(transfer_id, self.dice.choice(ROUTERS), **where)
            message: Event = reconciled(transfer_id, **where)
            events: list[Event] = self.dice.choice(([settled], [message], [settled, message], []))
            for event in events:
                self.emit(destination, event)
            if self.one_in(2):
                self.txs.append(encode_info_submission(info))
            return
        fees = (RelayerFee(ROUTERS[0], self.dice.choice((2, 4))),)
        self.emit(origin, xcalled(info, relayer_fees=fees if self.one_in(2) else ()))
        if self.one_in(2):
            self.bid(transfer_id)

    def bid(self, transfer_id: TransferId) -> None:
        routers = self.dice.sample(ROUTERS, self.dice.randint(1, 4))
        lengths = self.dice.choice(((1,), (1, 2), (1, 2, 4)))
        self.txs.append(bundle(transfer_id, *routers, lengths=lengths))

    def follow(self, transfer: Transfer) -> None:
        """What may happen to a transfer in this block, by its status."""
        status = transfer.status
        if status in (TransferStatus.ACCEPTED, TransferStatus.WAITING) and self.one_in(3):
            self.bid(transfer.transfer_id)
        if status is TransferStatus.ASSIGNED and self.one_in(25):
            self.txs.append(withdraw(transfer.transfer_id, transfer.attempts[-1].routers[0]))
        decided = [attempt for attempt in transfer.attempts if attempt.kind is DecisionKind.FAST]
        if status in (TransferStatus.ASSIGNED, TransferStatus.WAITING) and decided and self.one_in(8):
            self.settle(transfer, executed, self.dice.choice(decided).routers)
        elif status is TransferStatus.EXECUTED and self.one_in(4):
            self.settle(transfer, reconciled, transfer.executed_by)
        elif status is TransferStatus.RECONCILED and transfer.attempts and self.one_in(8):
            self.settle(transfer, executed, ())
        elif status is not TransferStatus.COMPLETED and self.one_in(40):
            self.settle(transfer, reconciled, ())
        if self.one_in(30):
            self.emit(transfer.destination, SlippageUpdated(transfer.transfer_id, 1))
            self.emit(transfer.origin, RelayerFeesIncreased(transfer.transfer_id, ROUTERS[0], 2))

    def settle(self, transfer: Transfer, make, routers: tuple[Address, ...]) -> None:
        self.emit(transfer.destination, make(
            transfer.transfer_id, *routers, amount=transfer.amount, origin=transfer.origin, domain=transfer.destination
        ))

    def disturb(self) -> None:
        """Routers come and go, fees change, Connext pauses for a while."""
        domain, router = self.dice.choice(DOMAINS), self.dice.choice(ROUTERS)
        local = local_of(domain)
        choices: tuple[Event, ...] = (
            RouterLiquidityRemoved(router, local, 25_000), RouterLiquidityAdded(router, local, 12_000),
            RouterLiquidityAdded(router, local, 12_000), RouterRemoved(router), RouterAdded(router),
            LiquidityFeeNumeratorUpdated(self.dice.choice((9500, 9995))),
        )
        if self.one_in(3):
            self.emit(domain, self.dice.choice(choices))
        if self.one_in(3):
            # Approval comes back soon, and a router that lost track of its balance is re-anchored, as governance would.
            self.emit(domain, RouterAdded(router))
            self.net.change(keys.router(domain, router), type(self.net.router(router, domain)), eligible=True)
        if self.one_in(25):
            self.emit(domain, Paused())
        elif self.one_in(4):
            self.emit(domain, Unpaused())


def test_traffic() -> None:
    """LIQ-1, ORD-2, ASN-6 and the rest from scratch after every block; every status and kind of event is visited."""
    seen: set[str] = set()
    for seed in SEEDS:
        seen |= run(seed).seen
    assert KINDS | {status.name for status in TransferStatus} <= seen


def run(seed: int) -> Traffic:
    """All blocks of a seed, checked."""
    traffic = Traffic(seed)
    for number in range(BLOCKS):
        try:
            traffic.step()
            check_all(traffic.net.state)
        except Exception as error:
            raise AssertionError(f"seed {seed}, block {number + 1}") from error
    return traffic


def test_a_node_that_replays_decides_alike() -> None:
    """ORD-4: from bytes alone, on fresh views and trees for every block, to the same state."""
    net = Network(PARAMS, domains=DOMAINS, liquidity=30_000)
    traffic = Traffic(7)
    traffic.net = net
    for _ in range(40):
        traffic.events, traffic.txs = {}, []
        for _ in range(2):
            traffic.call()
        for transfer in list_transfers(net.state):
            traffic.follow(transfer)
        net.block(traffic.events, traffic.txs, seconds=2)
    state = MemoryState(net.genesis)
    for block in net.blocks:
        result = apply_block(MemoryState(state.values), Tree.build(state.values), block)
        state.apply(result.changes)
    assert state.values == net.state.values
    assert Tree.build(state.values).root == net.tree.root
    lanes = [net.must(keys.lane(origin, destination), Lane) for origin in DOMAINS for destination in DOMAINS
             if origin != destination]
    assert sum(lane.next_sequence - 1 for lane in lanes) == net.chain.next_sequence - 1 > 20
