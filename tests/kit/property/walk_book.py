"""A second, small account of a transfer's walk, kept from what goes in alone: events, clocks, bids, block after block.

Nothing here reads the state or calls the rules of ``abci_app.machine``: what is reserved is not kept but summed from
the attempts that are open, and an attempt is open because times and events say so. ``walk_checks`` compares.
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
from tests.kit.property.walk_parts import PAYABLE, UNDECIDED, Decided, Offer, Place, Try, Walk


@dataclass
class Book:
    """All walks, and what routers have, owe and are charged."""

    params: Params
    domains: Sequence[DomainId]
    routers: Sequence[Address]
    balances: dict[Place, int]
    fee: dict[DomainId, int]
    clocks: dict[DomainId, int]
    height: int = 0
    time_s: int = 0
    walks: dict[TransferId, Walk] = field(default_factory=dict)
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
            walk.current.share for walk in self.walks.values()
            if walk.destination == domain and walk.current and router in walk.current.routers
        )

    def may_serve(self, place: Place) -> bool:
        """Approved and eligible."""
        return place not in self.unapproved and place not in self.ineligible

    def is_renewable(self, walk: Walk) -> bool:
        """LSE-3 for the current attempt."""
        places = [(walk.destination, router) for router in walk.current.routers] if walk.current else []
        return bool(places) and (walk.origin, walk.destination) not in self.held and all(
            self.may_serve(place) and self.balances[place] >= self.reserved(place)
            and not walk.offers[place[1]].withdrawn for place in places
        )

    def fast_tries(self, walk: Walk) -> int:
        """Fast attempts made."""
        return sum(each.fast for each in walk.tries)

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
        for transfer_id, walk in self.walks.items():
            self.end_over(transfer_id, walk)
        codes = [self.hear(*said) for said in says]
        for transfer_id, walk in self.walks.items():
            is_due = walk.status == "WAITING" or (walk.status == "ACCEPTED" and self.height > walk.accepted)
            if is_due and (walk.origin, walk.destination) not in self.held:
                self.auction(transfer_id, walk)
        for walk in self.walks.values():
            lane = (walk.origin, walk.destination)
            if walk.status in UNDECIDED and lane not in self.held and self.lane_clocks[lane] >= walk.deadline:
                walk.status = "SLOW"
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
        if event.transfer_id in self.walks:
            self.alarms += 1
            return
        info, seen = event.info, self.stubs.pop(event.transfer_id, set())
        lane = (info.origin_domain, info.destination_domain)
        status = {
            frozenset(): "ACCEPTED", frozenset({"E"}): "EXECUTED", frozenset({"R"}): "RECONCILED",
            frozenset({"E", "R"}): "COMPLETED",
        }[frozenset(seen)]
        walk = Walk(*lane, info.bridged_amt, status, self.height)
        walk.deadline = self.lane_clocks[lane] + self.params.decision_deadline_blocks
        walk.slow_due_s = self.time_s if status == "RECONCILED" else 0
        self.walks[event.transfer_id] = walk

    def take(self, place: Place, amount: int) -> None:
        """LIQ-3: what is more than there is makes the router ineligible."""
        if amount > self.balances[place]:
            self.ineligible.add(place)
            self.alarms += 1
        self.balances[place] = max(0, self.balances[place] - amount)

    def blame(self, place: Place) -> None:
        """FLT-1: charges in its open attempts there are kept for ever, and it cools down."""
        for walk in self.walks.values():
            if walk.destination == place[0] and walk.current:
                walk.current.charges.pop(place[1], None)
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
        walk, fast = self.walks.get(event.transfer_id), paid_out and bool(routers)
        if walk is None:
            seen = "E" if fast else "ER" if paid_out else "R"
            self.stubs.setdefault(event.transfer_id, set()).update(seen)
        elif walk.status in PAYABLE and (fast or not paid_out):
            named = routers if fast else ()
            self.end(walk, named)
            for router in named:
                self.tags[domain, router] += walk.returned.pop(router, 0)
            walk.status, walk.slow_due_s = ("EXECUTED", 0) if fast else ("RECONCILED", self.time_s)
        elif (walk.status, paid_out, fast) in (("RECONCILED", True, False), ("EXECUTED", False, False)):
            self.end(walk, ())
            walk.status, walk.slow_due_s = "COMPLETED", 0
        else:
            self.alarms += 1

    # --- attempts ---------------------------------------------------------------------------------------------------

    def end(self, walk: Walk, named: tuple[Address, ...]) -> None:
        """ASN-6: charges come back but to those that were paid, withdrew or are at fault."""
        if walk.current:
            for router, amount in walk.current.charges.items():
                if router not in named and not walk.offers[router].withdrawn:
                    self.tags[walk.destination, router] -= amount
                    walk.returned[router] = amount
            walk.current.open = False
        self.at_fault = {place for place in self.at_fault if self.balances[place] < self.reserved(place)}

    def end_over(self, transfer_id: TransferId, walk: Walk) -> None:
        """Step 3 for one transfer: LSE-2 … LSE-4, SLW-2."""
        current, lane = walk.current, (walk.origin, walk.destination)
        if current and self.clocks[walk.destination] > current.valid_until_s:
            if current.fast and self.fast_tries(walk) < self.params.attempts_max and self.is_renewable(walk):
                current.open = False
                self.decide(transfer_id, walk, current.routers, current.share, current.charges)
            else:
                self.end(walk, ())
                if current.fast and self.fast_tries(walk) >= self.params.attempts_max:
                    walk.status = "SLOW"
                elif current.fast:
                    walk.status, walk.deadline = "WAITING", self.lane_clocks[lane] + self.params.waiting_blocks
        if walk.slow_due_s and walk.slow_due_s <= self.time_s and lane not in self.held:
            self.end(walk, ())
            self.decide(transfer_id, walk, (), 0, {}, fast=False)
            walk.slow_count += 1
            wait_s = self.params.slow_spacing_s * 2 ** (walk.slow_count - 1)
            walk.slow_due_s = self.time_s + wait_s if walk.slow_count < self.params.slow_attempts else 0

    def decide(
        self, transfer_id: TransferId, walk: Walk, routers: tuple[Address, ...], share: int,
        charges: dict[Address, int], fast: bool = True,
    ) -> None:
        """ORD-2, LSE-1."""
        lane = (walk.origin, walk.destination)
        place = 1 + sum(
            (self.walks[each.transfer_id].origin, self.walks[each.transfer_id].destination) == lane
            for each in self.decided
        )
        until_s = max(self.time_s, self.clocks[walk.destination]) + self.params.lease_s
        walk.tries.append(Try(routers, share, until_s, dict(charges), fast))
        self.decided.append(Decided(place, transfer_id, len(walk.tries), fast, routers, until_s))

    def auction(self, transfer_id: TransferId, walk: Walk) -> None:
        """ASN-2 … ASN-4."""
        for count in (1, 2, 4):
            share = walk.amount // count + count - 1
            feasible = []
            for router, offer in walk.offers.items():
                place = (walk.destination, router)
                if count in offer.lengths and not offer.withdrawn and self.may_serve(place) and (
                    self.height >= self.cool_until[place]
                    and self.balances[place] - self.reserved(place) >= share
                ):
                    start = max(self.virtual[walk.destination], self.tags[place])
                    feasible.append((start, keccak(transfer_id + router), router))
            if len(feasible) >= count:
                winners = sorted(feasible)[:count]
                self.virtual[walk.destination] = winners[0][0]
                for start, _, router in winners:
                    self.tags[walk.destination, router] = start + (share << 32)
                    walk.returned.pop(router, None)
                routers = tuple(router for _, _, router in winners)
                self.decide(transfer_id, walk, routers, share, dict.fromkeys(routers, share << 32))
                walk.status = "ASSIGNED"
                return

    # --- transactions -----------------------------------------------------------------------------------------------

    def hear(self, transfer_id: TransferId, router: Address, lengths: tuple[int, ...]) -> Code:
        """A bid or, without lengths, a withdraw (BID-3 … BID-5)."""
        walk = self.walks.get(transfer_id)
        if walk is None:
            return Code.TRANSFER_UNKNOWN
        if walk.status in ("EXECUTED", "COMPLETED"):
            return Code.TRANSFER_FINISHED
        if lengths and walk.status in ("SLOW", "RECONCILED"):
            return Code.TRANSFER_SLOW
        offer = walk.offers.get(router)
        if (walk.destination, router) in self.unapproved and (lengths or offer is None):
            return Code.ROUTER_NOT_APPROVED
        if offer is not None and offer.withdrawn:
            return Code.ROUTER_WITHDRAWN if lengths else Code.WITHDRAW_DUPLICATE
        if offer is not None and lengths and offer.lengths >= set(lengths):
            return Code.BID_DUPLICATE
        offer = walk.offers.setdefault(router, Offer())
        offer.lengths |= set(lengths)
        offer.withdrawn = not lengths
        return Code.OK
