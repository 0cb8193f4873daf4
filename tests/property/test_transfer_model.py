"""Histories of transfers, many at once: rules are steps with drawn parameters, pools are small, so that one transfer
disturbs another. After every block the state is what ``transfer_model`` makes of the same inputs; a rule
asserts its own goal besides, in the words of docs/protocol.md.
"""


from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from abci_app.machine.observation.stream import (
    Event,
    LiquidityFeeNumeratorUpdated,
    Paused,
    RouterAdded,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    RouterRemoved,
    Unpaused,
)
from abci_app.machine.state.codec import Address, DomainId, TransferId
from abci_app.machine.state.records import AttemptEnd, DecisionKind
from tests.kit.machine.driver import local_of
from tests.kit.property.model_disturbances import Disturbed
from tests.kit.property.model_machine import BIDDERS, LANES, SOME
from tests.kit.property.model_parts import PAYABLE, UNDECIDED, TransferRecord


class TransferModelMachine(Disturbed):
    """One rule a history, or a step that histories share."""

    @rule(data=st.data(), to_the_end=st.booleans())
    def normal(self, data: st.DataObject, to_the_end: bool) -> None:
        """EVT-3, EVT-4: as decided it is paid out; its message pays the routers back."""
        picked = self.pick_assigned(data)
        if picked is None:
            return
        transfer_id, record = picked
        routers = record.tries[-1].routers
        self.pay(transfer_id, record, *routers)
        self.make_block()
        transfer = self.net.transfer(transfer_id)
        assert (transfer.status.name, transfer.executed_by) == ("EXECUTED", routers)
        assert transfer.attempts[-1].end is AttemptEnd.EXECUTED
        self.reached["paid out"] += 1
        if to_the_end:
            self.message(transfer_id, record, *routers)
            self.make_block()
            assert self.net.status(transfer_id) == "COMPLETED"
            self.reached["normal"] += 1

    @rule(data=st.data())
    def all_relayers_down_for_one_lease(self, data: st.DataObject) -> None:
        """LSE-3: renewed with the same routers in the same order, with its reservation and its charges."""
        picked = self.pick_assigned(data)
        if picked is None:
            return
        transfer_id, record = picked
        may_go_on = self.book.is_renewable(record) and self.book.fast_tries(record) < self.net.params.attempts_max
        before = self.net.transfer(transfer_id).attempts[-1]
        left_s = before.valid_until_s - max(self.net.time_s, self.book.clocks[record.destination])
        self.make_block(left_s)
        assert self.net.transfer(transfer_id).attempts[-1] == before
        self.make_block(before.valid_until_s + 1 - self.net.time_s)
        if may_go_on:
            *_, ended, renewed = self.net.transfer(transfer_id).attempts
            assert (ended.end, ended.charges) == (AttemptEnd.RENEWED, ())
            assert (renewed.routers, renewed.share) == (before.routers, before.share)
            assert (renewed.charges, renewed.end) == (before.charges, AttemptEnd.OPEN)
            self.reached["renewed"] += 1

    @rule(data=st.data(), others=BIDDERS, approval=st.booleans())
    def a_winner_takes_away_what_it_promised(
        self, data: st.DataObject, others: tuple[Address, ...], approval: bool
    ) -> None:
        """FLT-1, LSE-4: its liquidity or its approval: at fault, its charge is kept, at the lease's end it is out."""
        picked = self.pick_assigned(data)
        if picked is None:
            return
        transfer_id, record = picked
        place = (record.destination, data.draw(st.sampled_from(record.tries[-1].routers)))
        domain, router = place
        away, until = self.book.balances[place], self.net.router(router, domain).cool_down_until
        is_fresh = place not in (self.book.unapproved if approval else self.book.at_fault)
        local = local_of(domain)
        taken: list[Event] = [RouterLiquidityRemoved(router, local, away - 1), RouterLiquidityRemoved(router, local, 1)]
        self.pending[domain] += [RouterRemoved(router)] if approval else taken
        self.bid(transfer_id, [each for each in others if each != router], (1,))
        self.make_block()
        assert router not in [charge.router for charge in self.net.transfer(transfer_id).attempts[-1].charges]
        if is_fresh:
            assert self.net.router(router, domain).cool_down_until > max(until, self.net.height)
        self.let_leases_end()
        after = self.net.transfer(transfer_id)
        assert router not in after.attempts[-1].routers or after.attempts[-1].end is not AttemptEnd.OPEN
        self.reached["approval lost" if approval else "liquidity removed"] += 1
        self.reached["assigned anew"] += after.status.name == "ASSIGNED"
        self.pending[domain].append(RouterAdded(router) if approval else RouterLiquidityAdded(router, local, away))
        waits = self.call((record.origin, domain), 10, (router,), (1,))
        for _ in range(4):
            self.make_block()
            cools = self.net.height < self.net.router(router, domain).cool_down_until
            assert not cools or self.net.status(waits) == "ACCEPTED" or self.is_held(record)
            self.reached["cooling down"] += cools

    @rule(data=st.data())
    def reverting_receiver(self, data: st.DataObject) -> None:
        """FLT-3: attempts in vain cost nobody a fault; SLOW, then the message and a slow decision finish it."""
        picked = self.pick_assigned(data)
        if picked is None:
            return
        transfer_id, record = picked
        faults = dict(self.book.faults)
        for _ in range(self.net.params.attempts_max):
            if record.status == "ASSIGNED":
                self.let_leases_end()
        assert {place: count for place, count in self.book.faults.items() if count} == {
            place: count for place, count in faults.items() if count
        }
        transfer = self.net.transfer(transfer_id)
        if transfer.status.name != "SLOW":
            return
        assert sum(attempt.kind is DecisionKind.FAST for attempt in transfer.attempts) == self.net.params.attempts_max
        self.message(transfer_id, record)
        self.make_block()
        if not self.is_held(record):
            assert self.net.transfer(transfer_id).attempts[-1].kind is DecisionKind.SLOW
        self.pay(transfer_id, record)
        self.make_block()
        assert self.net.status(transfer_id) == "COMPLETED"
        self.reached["reverting receiver"] += 1

    @rule(data=st.data(), lane=LANES, bidders=BIDDERS, fault=st.booleans(),
          emptied=st.sampled_from([False] * 5 + [True]))
    def an_older_attempt_executed(
        self, data: st.DataObject, lane: tuple[DomainId, DomainId], bidders: tuple[Address, ...], fault: bool,
        emptied: bool,
    ) -> None:
        """EVT-3, ASN-6: any attempt ever decided is believed: its routers paid, so their charges stand again."""
        self.flush()
        if not self.list_older():
            self.change_routers(lane, bidders, fault)
        found = self.list_older()
        if not found:
            return
        transfer_id, record, routers = data.draw(st.sampled_from(found))
        current, had = bool(record.current), {charge.router for charge in self.net.transfer(transfer_id).returned}
        if emptied:
            local, balance = local_of(record.destination), self.book.balances[record.destination, routers[0]]
            self.pending[record.destination].append(RouterLiquidityRemoved(routers[0], local, balance))
        self.pay(transfer_id, record, *routers)
        self.make_block()
        transfer = self.net.transfer(transfer_id)
        assert (transfer.status.name, transfer.executed_by) == ("EXECUTED", routers)
        assert not {charge.router for charge in transfer.returned} & set(routers)
        assert not any(attempt.charges for attempt in transfer.attempts)
        assert not emptied or not self.net.router(routers[0], record.destination).eligible
        self.reached["older attempt"] += 1
        self.reached["older attempt while another runs"] += current
        self.reached["older attempt charged again"] += bool(had & set(routers))

    def change_routers(self, lane: tuple[DomainId, DomainId], bidders: tuple[Address, ...], fault: bool) -> None:
        """Have a transfer assigned anew: its winner is at fault, or withdraws once its charge was returned."""
        transfer_id = self.call(lane, 999, bidders, (1,))
        self.make_block()
        self.make_block()
        tries = self.book.records[transfer_id].tries
        winner = tries[-1].routers[0] if tries else bidders[0]
        self.pending[lane[1]].append(RouterRemoved(winner) if fault else Paused())
        self.let_leases_end()
        self.pending[lane[1]].append(RouterAdded(winner) if fault else Unpaused())
        if not fault:
            self.bid(transfer_id, (winner,), ())
            self.make_block()

    def list_older(self) -> list[tuple[TransferId, TransferRecord, tuple[Address, ...]]]:
        """Transfers that may still be paid out, with routers of an attempt before their last."""
        return [
            (transfer_id, self.book.records[transfer_id], each.routers) for transfer_id in self.where(*PAYABLE)
            for each in self.book.records[transfer_id].tries[:-1]
            if each.routers and each.routers != self.book.records[transfer_id].tries[-1].routers
        ]

    @rule(data=st.data(), patient=st.booleans())
    def reconciled_while_assigned(self, data: st.DataObject, patient: bool) -> None:
        """EVT-4, SLW-1, SLW-2: attempt, reservation and charges end; a slow decision in the same block, more later."""
        picked = self.pick_assigned(data)
        if picked is None:
            return
        transfer_id, record = picked
        self.message(transfer_id, record)
        self.make_block()
        transfer = self.net.transfer(transfer_id)
        fast = [attempt for attempt in transfer.attempts if attempt.kind is DecisionKind.FAST]
        assert (transfer.status.name, fast[-1].end) == ("RECONCILED", AttemptEnd.RECONCILED)
        if not self.is_held(record):
            assert (transfer.attempts[-1].kind, transfer.attempts[-1].routers) == (DecisionKind.SLOW, ())
            self.reached["reconciled while assigned"] += 1
        if patient:  # the second is due after one spacing, the third after two more
            for _ in range(3):
                self.make_block(self.net.params.slow_spacing_s)
            self.reached["slow again"] += (
                self.net.transfer(transfer_id).slow_decisions == self.net.params.slow_attempts
            )
        self.pay(transfer_id, record)
        self.make_block()
        assert self.net.status(transfer_id) == "COMPLETED"

    @rule(data=st.data(), others=SOME)
    def a_withdraw_before_renewal(self, data: st.DataObject, others: tuple[Address, ...]) -> None:
        """BID-5, LSE-4: the attempt runs on; then without that router, whose charge is kept, over all bids left."""
        picked = self.pick_assigned(data)
        if picked is None:
            return
        transfer_id, record = picked
        router = data.draw(st.sampled_from(record.tries[-1].routers))
        had = {charge.router for charge in self.net.transfer(transfer_id).returned}
        self.bid(transfer_id, (router,), ())
        self.bid(transfer_id, others, (1, 2))
        self.make_block()
        assert (self.net.status(transfer_id), record.current) == ("ASSIGNED", record.tries[-1])
        self.let_leases_end()
        transfer = self.net.transfer(transfer_id)
        assert transfer.attempts[-1].end is not AttemptEnd.OPEN or router not in transfer.attempts[-1].routers
        assert router not in {charge.router for charge in transfer.returned} - had
        self.bid(transfer_id, (router,), ())
        self.reached["withdrawn"] += 1

    @rule(lane=LANES, amount=st.sampled_from([10, 999]), bidders=BIDDERS)
    def a_withdraw_of_the_only_bidder(
        self, lane: tuple[DomainId, DomainId], amount: int, bidders: tuple[Address, ...]
    ) -> None:
        """LSE-4: nobody is left: WAITING; whoever bids then is assigned in the same block."""
        self.flush()
        transfer_id = self.call(lane, amount, bidders[:1], (1,))
        self.make_block()
        self.make_block()
        if self.net.status(transfer_id) != "ASSIGNED":
            return
        self.bid(transfer_id, bidders[:1], ())
        self.make_block()
        self.let_leases_end()
        assert self.net.status(transfer_id) == "WAITING"
        self.bid(transfer_id, bidders[1:], (1,))
        free = any(
            self.book.may_serve((lane[1], each)) and self.book.height + 1 >= self.book.cool_until[lane[1], each]
            and self.book.balances[lane[1], each] - self.book.reserved((lane[1], each)) >= amount
            for each in bidders[1:]
        )
        alone = self.where(*UNDECIDED) == [transfer_id]
        self.make_block()
        if free and alone:
            assert self.net.transfer(transfer_id).attempts[-1].routers[0] in bidders[1:]
            self.reached["waiting, then assigned"] += 1

    @rule(data=st.data(), before=st.sampled_from([0, 9500, 9995, 10_000]), after=st.sampled_from([9000, 9995]))
    def fee_numerator_changed_in_between(self, data: st.DataObject, before: int, after: int) -> None:
        """LIQ-2, ASN-3: the fee of the Executed's place in the stream counts; no debit exceeds the share."""
        picked = self.pick_assigned(data)
        if picked is None:
            return
        transfer_id, record = picked
        attempt, domain = record.tries[-1], record.destination
        had = [self.net.liquidity_of(router, domain).balance for router in attempt.routers]
        self.pending[domain].append(LiquidityFeeNumeratorUpdated(before))
        self.pay(transfer_id, record, *attempt.routers)
        self.pending[domain].append(LiquidityFeeNumeratorUpdated(after))
        self.make_block()
        debits = [
            balance - self.net.liquidity_of(router, domain).balance
            for router, balance in zip(attempt.routers, had, strict=True)
        ]
        assert max(debits) <= attempt.share and self.net.domain(domain).fee_numerator == after
        if all(balance >= attempt.share for balance in had):
            assert sum(debits) == record.amount * before // 10_000
            self.reached["fee changed"] += 1


GOALS = (
    "paid out", "normal", "renewed", "liquidity removed", "approval lost", "cooling down", "assigned anew",
    "reverting receiver", "older attempt", "older attempt while another runs", "older attempt charged again",
    "reconciled while assigned", "slow again", "withdrawn", "waiting, then assigned", "fee changed",
    "held past a deadline", "released", "any order", "transactions again", "events again",
)


def test_walks() -> None:
    """ORD-2, LIQ-1, ASN-6, LSE-6: every history reaches its goal, others beside it, and everything is told twice."""
    TransferModelMachine.reached.clear()
    run_state_machine_as_test(TransferModelMachine, settings=settings(
        derandomize=True, max_examples=80, stateful_step_count=15, deadline=None, database=None,
        phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    ))
    assert {goal: TransferModelMachine.reached[goal] for goal in GOALS if not TransferModelMachine.reached[goal]} == {}
