"""A model of transfers and liquidity, kept from what goes in alone: events, clocks, bids, block after block.

Nothing here reads the state or calls the rules of ``abci_app.machine``: what is reserved is not kept but summed from
the attempts that are open, and an attempt is open because times and events say so. ``model_checks`` compares.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from abci_app.machine.codes import Code
from abci_app.machine.connext import keccak
from abci_app.machine.observation.stream import (
    Event,
    Executed,
    LiquidityFeeNumeratorUpdated,
    Paused,
    Reconciled,
    RouterAdded,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    RouterRemoved,
    Unpaused,
    XCalled,
)
from abci_app.machine.params import Params
from abci_app.machine.state.codec import Address, DomainId, TransferId
from tests.kit.property.model_parts import PAYABLE, UNDECIDED, Decided, Offer, Place, TransferRecord, Try


@dataclass
class TransferModel:
    """All histories, and what routers have, owe and are charged."""

    params: Params
    domains: Sequence[DomainId]
    routers: Sequence[Address]
    balances: dict[Place, int]
    fee: dict[DomainId, int]
    clocks: dict[DomainId, int]
    height: int = 0
    time_s: int = 0
    records: dict[TransferId, TransferRecord] = field(default_factory=dict)
    """In the order of acceptance."""
    stubs: dict[TransferId, set[str]] = field(default_factory=dict)
    paused: set[DomainId] = field(default_factory=set)
    held: set[tuple[DomainId, DomainId]] = field(default_factory=set)
    lane_clocks: Counter[tuple[DomainId, DomainId]] = field(default_factory=Counter)
    unapproved: set[Place] = field(default_factory=set)
    ineligible: set[Place] = field(default_factory=set)
    at_fault: set[Place] = field(default_factory=set)
    faults: Counter[Place] = field(default_factory=Counter)
    cool_until: Counter[Place] = field(default_factory=Counter)
    tags: Counter[Place] = field(default_factory=Counter)
    virtual: Counter[DomainId] = field(default_factory=Counter)
    decided: list[Decided] = field(default_factory=list)
    alarms: int = 0

    # --- what follows from the rest ---------------------------------------------------------------------------------

    def reserved(self, place: Place) -> int:
        """Σ of the router's shares in open fast attempts there (LIQ-1)."""
        domain, router = place
        return sum(
            record.current.share for record in self.records.values()
            if record.destination == domain and record.current and router in record.current.routers
        )

    def may_serve(self, place: Place) -> bool:
        """Approved and eligible."""
        return place not in self.unapproved and place not in self.ineligible

    def is_renewable(self, record: TransferRecord) -> bool:
        """LSE-3 for the current attempt."""
        places = [(record.destination, router) for router in record.current.routers] if record.current else []
        return bool(places) and (record.origin, record.destination) not in self.held and all(
            self.may_serve(place) and self.balances[place] >= self.reserved(place)
            and not record.offers[place[1]].withdrawn for place in places
        )

    def fast_tries(self, record: TransferRecord) -> int:
        """Fast attempts made."""
        return sum(each.fast for each in record.tries)

    # --- a block ----------------------------------------------------------------------------------------------------

    def block(
        self, time_s: int, events: Mapping[DomainId, Sequence[Event]], clocks: Mapping[DomainId, int],
        says: Iterable[tuple[TransferId, Address, tuple[int, ...]]],
    ) -> list[Code]:
        """Follow a block (ORD-1); ``says``: bids by path lengths, none for a withdraw. Return the code of each."""
        self.height, self.time_s, self.alarms = self.height + 1, time_s, 0
        for lane in [(a, b) for a in self.domains for b in self.domains if a != b]:
            self.lane_clocks[lane] += lane not in self.held
        for domain in self.domains:
            for event in events.get(domain, ()):
                self.happen(domain, event)
            self.clocks[domain] = clocks[domain]
        self.held = {
            lane for lane in self.lane_clocks
            if lane[1] in self.paused or time_s - self.clocks[lane[1]] > self.params.stale_after_s
        }
        for transfer_id, record in self.records.items():
            self.end_over(transfer_id, record)
        codes = [self.hear(*given) for given in says]
        for transfer_id, record in self.records.items():
            is_due = record.status == "WAITING" or (record.status == "ACCEPTED" and self.height > record.accepted)
            if is_due and (record.origin, record.destination) not in self.held:
                self.auction(transfer_id, record)
        for record in self.records.values():
            lane = (record.origin, record.destination)
            if record.status in UNDECIDED and lane not in self.held and self.lane_clocks[lane] >= record.deadline:
                record.status = "SLOW"
        return codes

    # --- events -----------------------------------------------------------------------------------------------------

    def happen(self, domain: DomainId, event: Event) -> None:
        """One event of a domain."""
        if isinstance(event, XCalled):
            self.accept(event)
        elif isinstance(event, Executed):
            self.settle(domain, event, event.bridged_amt * self.fee[domain] // 10_000, paid_out=True)
        elif isinstance(event, Reconciled):
            self.settle(domain, event, event.amount, paid_out=False)
        elif isinstance(event, RouterLiquidityAdded):
            self.balances[domain, event.router] += event.amount
        elif isinstance(event, RouterLiquidityRemoved):
            place = (domain, event.router)
            self.take(place, event.amount)
            if self.balances[place] < self.reserved(place) and place not in self.at_fault:
                self.at_fault.add(place)
                self.blame(place)
        elif isinstance(event, RouterAdded | RouterRemoved):
            place = (domain, event.router)
            if isinstance(event, RouterAdded):
                self.unapproved.discard(place)
            elif place not in self.unapproved:
                self.unapproved.add(place)
                if self.reserved(place):
                    self.blame(place)
        elif isinstance(event, LiquidityFeeNumeratorUpdated):
            self.fee[domain] = event.value
        elif isinstance(event, Paused | Unpaused):
            (self.paused.add if isinstance(event, Paused) else self.paused.discard)(domain)
        self.at_fault = {place for place in self.at_fault if self.balances[place] < self.reserved(place)}

    def accept(self, event: XCalled) -> None:
        """EVT-2, LIM-4."""
        if event.transfer_id in self.records:
            self.alarms += 1
            return
        info, seen = event.info, self.stubs.pop(event.transfer_id, set())
        lane = (info.origin_domain, info.destination_domain)
        status = {
            frozenset(): "ACCEPTED", frozenset({"E"}): "EXECUTED", frozenset({"R"}): "RECONCILED",
            frozenset({"E", "R"}): "COMPLETED",
        }[frozenset(seen)]
        record = TransferRecord(*lane, info.bridged_amt, status, self.height)
        record.deadline = self.lane_clocks[lane] + self.params.decision_deadline_blocks
        record.slow_due_s = self.time_s if status == "RECONCILED" else 0
        self.records[event.transfer_id] = record

    def take(self, place: Place, amount: int) -> None:
        """LIQ-3: what is more than there is makes the router ineligible."""
        if amount > self.balances[place]:
            self.ineligible.add(place)
            self.alarms += 1
        self.balances[place] = max(0, self.balances[place] - amount)

    def blame(self, place: Place) -> None:
        """FLT-1: charges in its open attempts there are kept for ever, and it cools down."""
        for record in self.records.values():
            if record.destination == place[0] and record.current:
                record.current.charges.pop(place[1], None)
        self.faults[place] = min(10, self.faults[place] + 1)
        self.cool_until[place] = self.height + self.params.cool_down_blocks * 2 ** (self.faults[place] - 1)

    def settle(self, domain: DomainId, event: Executed | Reconciled, amount: int, paid_out: bool) -> None:
        """An Executed takes ``amount`` from its routers, a Reconciled gives it to them (LIQ-2, EVT-3, EVT-4)."""
        routers = event.routers.routers
        for index, router in enumerate(routers):
            part = amount // len(routers) + (amount % len(routers) if index == len(routers) - 1 else 0)
            if paid_out:
                self.take((domain, router), part)
                self.faults[domain, router] = 0
            else:
                self.balances[domain, router] += part
        record, fast = self.records.get(event.transfer_id), paid_out and bool(routers)
        if record is None:
            seen = "E" if fast else "ER" if paid_out else "R"
            self.stubs.setdefault(event.transfer_id, set()).update(seen)
        elif record.status in PAYABLE and (fast or not paid_out):
            named = routers if fast else ()
            self.end(record, named)
            for router in named:
                self.tags[domain, router] += record.returned.pop(router, 0)
            record.status, record.slow_due_s = ("EXECUTED", 0) if fast else ("RECONCILED", self.time_s)
        elif (record.status, paid_out, fast) in (("RECONCILED", True, False), ("EXECUTED", False, False)):
            self.end(record, ())
            record.status, record.slow_due_s = "COMPLETED", 0
        else:
            self.alarms += 1

    # --- attempts ---------------------------------------------------------------------------------------------------

    def end(self, record: TransferRecord, named: tuple[Address, ...]) -> None:
        """ASN-6: charges come back but to those that were paid, withdrew or are at fault."""
        if record.current:
            for router, amount in record.current.charges.items():
                if router not in named and not record.offers[router].withdrawn:
                    self.tags[record.destination, router] -= amount
                    record.returned[router] = amount
            record.current.open = False
        self.at_fault = {place for place in self.at_fault if self.balances[place] < self.reserved(place)}

    def end_over(self, transfer_id: TransferId, record: TransferRecord) -> None:
        """Step 3 for one transfer: LSE-2 … LSE-4, SLW-2."""
        current, lane = record.current, (record.origin, record.destination)
        if current and self.clocks[record.destination] > current.valid_until_s:
            if current.fast and self.fast_tries(record) < self.params.attempts_max and self.is_renewable(record):
                current.open = False
                self.decide(transfer_id, record, current.routers, current.share, current.charges)
            else:
                self.end(record, ())
                if current.fast and self.fast_tries(record) >= self.params.attempts_max:
                    record.status = "SLOW"
                elif current.fast:
                    record.status, record.deadline = "WAITING", self.lane_clocks[lane] + self.params.waiting_blocks
        if record.slow_due_s and record.slow_due_s <= self.time_s and lane not in self.held:
            self.end(record, ())
            self.decide(transfer_id, record, (), 0, {}, fast=False)
            record.slow_count += 1
            wait_s = self.params.slow_spacing_s * 2 ** (record.slow_count - 1)
            record.slow_due_s = self.time_s + wait_s if record.slow_count < self.params.slow_attempts else 0

    def decide(
        self, transfer_id: TransferId, record: TransferRecord, routers: tuple[Address, ...], share: int,
        charges: dict[Address, int], fast: bool = True,
    ) -> None:
        """ORD-2, LSE-1."""
        lane = (record.origin, record.destination)
        place = 1 + sum(
            (self.records[each.transfer_id].origin, self.records[each.transfer_id].destination) == lane
            for each in self.decided
        )
        until_s = max(self.time_s, self.clocks[record.destination]) + self.params.lease_s
        record.tries.append(Try(routers, share, until_s, dict(charges), fast))
        self.decided.append(Decided(place, transfer_id, len(record.tries), fast, routers, until_s))

    def auction(self, transfer_id: TransferId, record: TransferRecord) -> None:
        """ASN-2 … ASN-4."""
        for count in (1, 2, 4):
            share = record.amount // count + count - 1
            feasible = []
            for router, offer in record.offers.items():
                place = (record.destination, router)
                if count in offer.lengths and not offer.withdrawn and self.may_serve(place) and (
                    self.height >= self.cool_until[place]
                    and self.balances[place] - self.reserved(place) >= share
                ):
                    start = max(self.virtual[record.destination], self.tags[place])
                    feasible.append((start, keccak(transfer_id + router), router))
            if len(feasible) >= count:
                winners = sorted(feasible)[:count]
                self.virtual[record.destination] = winners[0][0]
                for start, _, router in winners:
                    self.tags[record.destination, router] = start + (share << 32)
                    record.returned.pop(router, None)
                routers = tuple(router for _, _, router in winners)
                self.decide(transfer_id, record, routers, share, dict.fromkeys(routers, share << 32))
                record.status = "ASSIGNED"
                return

    # --- transactions -----------------------------------------------------------------------------------------------

    def hear(self, transfer_id: TransferId, router: Address, lengths: tuple[int, ...]) -> Code:
        """A bid or, without lengths, a withdraw (BID-3 … BID-5)."""
        record = self.records.get(transfer_id)
        if record is None:
            return Code.TRANSFER_UNKNOWN
        if record.status in ("EXECUTED", "COMPLETED"):
            return Code.TRANSFER_FINISHED
        if lengths and record.status in ("SLOW", "RECONCILED"):
            return Code.TRANSFER_SLOW
        offer = record.offers.get(router)
        if (record.destination, router) in self.unapproved and (lengths or offer is None):
            return Code.ROUTER_NOT_APPROVED
        if offer is not None and offer.withdrawn:
            return Code.ROUTER_WITHDRAWN if lengths else Code.WITHDRAW_DUPLICATE
        if offer is not None and lengths and offer.lengths >= set(lengths):
            return Code.BID_DUPLICATE
        offer = record.offers.setdefault(router, Offer())
        offer.lengths |= set(lengths)
        offer.withdrawn = not lengths
        return Code.OK
