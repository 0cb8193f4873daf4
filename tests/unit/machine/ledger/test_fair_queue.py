"""ASN-4, ASN-6 and ASN-7: start-time fair queueing against a 40-line model, and its promise as stated."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.machine.connext import compute_share, keccak
from abci_app.machine.ledger.fair_queue import Winner, compute_tie_break, compute_winners
from abci_app.machine.params import CHARGE_SCALE
from abci_app.machine.state.codec import Address, TransferId
from abci_app.machine.state.records import QueueTag

NAMES = [Address(bytes([number]) * 20) for number in range(1, 7)]


class Model:
    """Start-time fair queueing as a textbook has it: exact fractions, virtual time, one finish time per flow."""

    def __init__(self, weights):
        self.weights = weights
        self.virtual = 0
        self.finish = {}
        self.charged = dict.fromkeys(weights, Fraction(0))

    def run(self, transfer_id, amount, count, bidders):
        starts = {}
        for router in bidders:
            starts[router] = max(self.virtual, self.finish.get(router, 0))

        def place(router):
            return (starts[router], keccak(transfer_id + router))

        chosen = sorted(bidders, key=place)[:count]
        share = amount if count == 1 else amount // count + count - 1
        for router in chosen:
            # The machine counts in whole 2^-32 units of the local asset: floor is part of the rule.
            charge = Fraction(share * 2**32 // self.weights[router], 2**32)
            self.finish[router] = starts[router] + charge
            self.charged[router] += charge
        self.virtual = min(starts[router] for router in chosen)
        return chosen


class Queue:
    """The machine's functions with the state they keep."""

    def __init__(self, weights):
        self.virtual = 0
        self.tags = {router: QueueTag(0, weight) for router, weight in weights.items()}
        self.charged = dict.fromkeys(weights, 0)

    def run(self, transfer_id, amount, count, bidders):
        share = compute_share(amount, count)
        tags = [(router, self.tags[router]) for router in bidders]
        winners = compute_winners(self.virtual, tags, transfer_id, count, share)
        for winner in winners:
            self.tags[winner.router] = QueueTag(winner.start + winner.charge, self.tags[winner.router].weight)
            self.charged[winner.router] += winner.charge
        self.virtual = min(winner.start for winner in winners)
        return [winner.router for winner in winners]


AUCTIONS = st.lists(
    st.tuples(st.integers(1, 10**24), st.sampled_from([1, 2, 4]), st.sets(st.integers(0, 5), min_size=1)),
    min_size=1, max_size=40,
)


@settings(derandomize=True, max_examples=120, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=6, max_size=6), AUCTIONS)
def test_against_the_model(weights, auctions):
    """ASN-4: same winners, same order, same virtual time, same finish tags."""
    by_router = dict(zip(NAMES, weights, strict=True))
    model, queue = Model(by_router), Queue(by_router)
    for number, (amount, count, who) in enumerate(auctions):
        bidders = [NAMES[index] for index in sorted(who)]
        if len(bidders) < count:
            continue
        transfer_id = TransferId(keccak(b"%d" % number))
        assert queue.run(transfer_id, amount, count, bidders) == model.run(transfer_id, amount, count, bidders)
        assert Fraction(queue.virtual, CHARGE_SCALE) == model.virtual
        for router, finish in model.finish.items():
            assert Fraction(queue.tags[router].finish, CHARGE_SCALE) == finish


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=6, max_size=6), st.booleans(), AUCTIONS,
    st.lists(st.tuples(st.integers(0, 10**24), st.integers(0, 5)), max_size=6),
)
def test_the_promise(weights, equal, auctions, before):
    """ASN-7: for every pair that bids in all auctions of the run, whatever the others do and whatever was before."""
    if equal:
        weights = [weights[0]] * 6
    by_router = dict(zip(NAMES, weights, strict=True))
    queue = Queue(by_router)
    largest = dict.fromkeys(by_router, 0)
    """Largest share that a router was ever charged: a tag can stand ahead by one charge of the past."""
    r, s = NAMES[0], NAMES[1]
    for number, (amount, who) in enumerate(before):  # a past in which only some bid
        queue.run(TransferId(keccak(b"past %d" % number)), amount + 1, 1, [NAMES[who]])
        largest[NAMES[who]] = max(largest[NAMES[who]], amount + 1)
    queue.charged = dict.fromkeys(by_router, 0)
    for number, (amount, count, who) in enumerate(auctions):
        bidders = [NAMES[index] for index in sorted({*who, 0, 1})]
        count = count if equal and len(bidders) >= count else 1
        for router in queue.run(TransferId(keccak(b"%d" % number)), amount, count, bidders):
            largest[router] = max(largest[router], compute_share(amount, count))
        gap = Fraction(queue.charged[r], CHARGE_SCALE) - Fraction(queue.charged[s], CHARGE_SCALE)
        # Charges are floors of 2^-32 units, hence the sliver.
        sliver = Fraction(len(auctions), CHARGE_SCALE)
        assert abs(gap) <= Fraction(largest[r], weights[0]) + Fraction(largest[s], weights[1]) + sliver


def test_an_unfair_choice_breaks_the_promise():
    """ASN-7: the bound is one that a rule which always takes the least address does not keep."""
    always_first = dict.fromkeys(NAMES[:2], 0)
    for _ in range(3):
        always_first[min(always_first)] += 10
    gap = always_first[NAMES[0]] - always_first[NAMES[1]]
    assert gap > 10 + 10
    queue = Queue(dict.fromkeys(NAMES[:2], 1))
    for number in range(3):
        queue.run(TransferId(keccak(b"%d" % number)), 10, 1, NAMES[:2])
    assert abs(queue.charged[NAMES[0]] - queue.charged[NAMES[1]]) <= 20 * CHARGE_SCALE


def test_a_newcomer_starts_at_the_virtual_time():
    """ASN-4: neither owed for the past nor in debt for it."""
    tags = [(NAMES[0], QueueTag(500, 1)), (NAMES[1], QueueTag(0, 1))]
    assert compute_winners(300, tags, TransferId(bytes(32)), 1, 7) == (Winner(NAMES[1], 300, 7 * CHARGE_SCALE),)


def test_ties_are_broken_by_the_transfer():
    """ASN-4: not by the router's address, so that no address wins them all."""
    tags = [(name, QueueTag(0, 1)) for name in NAMES]
    first = {
        compute_winners(0, tags, TransferId(keccak(b"%d" % number)), 1, 1)[0].router for number in range(100)
    }
    assert first == set(NAMES)
    transfer_id = TransferId(keccak(b"x"))
    ordered = [winner.router for winner in compute_winners(0, tags, transfer_id, 6, 1)]
    assert ordered == sorted(NAMES, key=lambda name: compute_tie_break(transfer_id, name))


@pytest.mark.parametrize("share, weight, charge", [
    (1, 1, 2**32), (3, 2, 3 * 2**31), (1, 3, 2**32 // 3), (2**256 - 1, 1, (2**256 - 1) << 32), (0, 1, 0),
])
def test_charges(share, weight, charge):
    """ASN-4: ⌊share · 2³² / weight⌋, unbounded integers."""
    assert compute_winners(0, [(NAMES[0], QueueTag(0, weight))], TransferId(bytes(32)), 1, share)[0].charge == charge
