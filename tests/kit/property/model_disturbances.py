"""What comes over many histories at once: a hold, events in any order, and everything told a second time."""

from copy import copy

from hypothesis import strategies as st
from hypothesis.stateful import rule

from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.observation.stream import (
    Event,
    Executed,
    Paused,
    Reconciled,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    Unpaused,
    XCalled,
)
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId
from abci_app.machine.state.view import MemoryState
from tests.kit.machine.driver import A, B, executed, local_of, reconciled, xcalled
from tests.kit.property.model_machine import AMOUNTS, BIDDERS, LANES, LENGTHS, SOME, Interleaved
from tests.kit.property.model_parts import UNDECIDED


class Disturbed(Interleaved):
    """At any point of any history: the lane stands still, a stub comes, the last block comes again."""

    @rule(lane=LANES, amount=AMOUNTS, bidders=BIDDERS, stale=st.booleans(), seconds=st.sampled_from([1, 31]),
          count=st.sampled_from([1, 9]), then=st.integers(0, 4))
    def held_and_released(
        self, lane: tuple[DomainId, DomainId], amount: int, bidders: tuple[Address, ...], stale: bool, seconds: int,
        count: int, then: int,
    ) -> None:
        """LSE-6: nothing is decided there, what is undecided stays so past its deadline; attempts still end."""
        self.flush()
        domain = lane[1]
        self.call(lane, amount, bidders, (1, 2))
        if stale:
            behind_s = self.net.time_s - self.book.clocks[domain]
            self.make_block(self.net.params.stale_after_s - behind_s + 1, still=(domain,))
        else:
            self.pending[domain].append(Paused())
            self.make_block()
        assert {lane[1] for lane in self.book.held} == {domain}
        made = [decision.sequence for decision in self.net.decisions() if decision.destination == domain]
        undecided = [each for each in self.where(*UNDECIDED) if self.book.records[each].destination == domain]
        self.call(lane, amount, (), (1,))
        for _ in range(count):
            self.make_block(seconds, still=(domain,) if stale else ())
        assert made == [each.sequence for each in self.net.decisions() if each.destination == domain]
        assert undecided and all(self.net.status(transfer_id) in UNDECIDED for transfer_id in undecided)
        self.reached["held past a deadline"] += count >= self.net.params.decision_deadline_blocks
        if not stale:
            self.pending[domain].append(Unpaused())
        self.make_block()
        assert not self.book.held
        after = [each for each in self.net.decisions() if each.destination == domain]
        self.reached["released"] += len(after) > len(made)
        for _ in range(then):
            self.make_block()

    @rule(data=st.data(), lane=LANES, amount=AMOUNTS, fast=st.booleans(), bidders=SOME, routers=SOME,
          place=st.integers(0, 2), lost=st.booleans(), apart=st.tuples(st.booleans(), st.booleans()))
    def events_in_any_order(
        self, data: st.DataObject, lane: tuple[DomainId, DomainId], amount: int, fast: bool,
        bidders: tuple[Address, ...], routers: tuple[Address, ...], place: int, lost: bool,
        apart: tuple[bool, bool],
    ) -> None:
        """LIM-4: XCalled before, between or after the other two, in one block or several: COMPLETED all the same."""
        self.flush()
        paying, destination = routers[:1 if fast else 0], lane[1]
        if fast and not paying:
            return
        info = self.net.info(*lane, amount=amount)
        transfer_id = compute_transfer_id(info)
        both: list[Event] = [
            make(transfer_id, *paying, amount=amount, origin=lane[0], domain=destination)
            for make in (executed, reconciled)
        ]
        steps: list[tuple[DomainId, Event]] = [(destination, each) for each in (both if fast else both[::-1])]
        steps.insert(place, (lane[0], xcalled(info)))
        if lost and not fast:  # a slow execution says that its message came before
            steps, apart = [(destination, both[0]), (lane[0], xcalled(info))], (True, True)
        self.pending[destination] += [RouterLiquidityAdded(router, local_of(destination), amount) for router in paying]
        for (domain, event), alone in zip(steps, (*apart, True), strict=False):
            self.pending[domain].append(event)
            if isinstance(event, XCalled):
                self.bid(transfer_id, bidders, (1,))
            if alone:
                self.make_block()
        assert self.net.status(transfer_id) == "COMPLETED"
        self.reached["any order"] += 1

    # --- idempotence --------------------------------------------------------------------------------------------------

    @rule(call=st.none() | st.tuples(LANES, AMOUNTS, SOME, LENGTHS))
    def the_last_block_again(
        self, call: tuple[tuple[DomainId, DomainId], int, tuple[Address, ...], tuple[int, ...]] | None
    ) -> None:
        """EVT-1, EVT-3, EVT-4, BID-3: said again it is refused or an alarm, and nothing but a cursor moves.

        A second Executed or Reconciled still moves balances (LIQ-2); the same segment moves them back here.
        """
        if call is not None:
            self.call(*call)
        self.flush()
        events, says, calm = self.last
        again: dict[DomainId, list[Event]] = {domain: self.list_again(domain, events[domain]) for domain in (A, B)}
        if not calm or not (says or any(again.values())):
            return
        twin = copy(self.net)
        twin.state, twin.blocks = MemoryState(self.net.state.values), []
        twin.block({}, seconds=1, clocks=self.compute_clocks())
        self.pending, self.says = again, list(says)
        self.make_block()
        result = self.net.result
        assert result is not None and all(each.code for each in result.results[len(result.results) - len(says):])
        known = [
            each for domain in (A, B) for each in again[domain]
            if isinstance(each, XCalled | Executed | Reconciled) and each.transfer_id in self.book.records
        ]
        assert len(self.net.alarms()) >= len(known)
        moved = {
            key for key in self.net.state.values.keys() | twin.state.values.keys()
            if self.net.state.values.get(key) != twin.state.values.get(key)
        }
        assert moved <= {keys.domain(domain) for domain in (A, B)}
        self.reached["transactions again"] += bool(says)
        self.reached["events again"] += bool(known)

    def list_again(self, domain: DomainId, events: list[Event]) -> list[Event]:
        """What of ``events`` can be told again, with liquidity that undoes what is moved twice."""
        again: list[Event] = []
        for event in events:
            if isinstance(event, XCalled):
                again.append(event)
            elif isinstance(event, Executed | Reconciled) and event.transfer_id in self.book.records:
                again += self.balance(domain, event)
        return again

    def balance(self, domain: DomainId, event: Executed | Reconciled) -> list[Event]:
        """The event amid what keeps its routers' balances where they are; nothing where that would be a fault."""
        routers = event.routers.routers
        if any(self.book.balances[domain, each] < self.book.reserved((domain, each)) for each in routers):
            return []
        paid_out = isinstance(event, Executed)
        amount = event.bridged_amt * self.book.fee[domain] // 10_000 if paid_out else event.amount
        parts = [amount // len(routers)] * len(routers) if routers else []
        parts[-1:] = [amount - sum(parts[:-1])] if parts else []
        moves: list[Event] = [
            (RouterLiquidityAdded if paid_out else RouterLiquidityRemoved)(router, local_of(domain), part)
            for router, part in zip(routers, parts, strict=True)
        ]
        return [*moves, event] if paid_out else [event, *moves]
