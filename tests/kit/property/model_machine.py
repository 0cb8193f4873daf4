"""Base of ``test_transfer_model.py``: a network of small pools, its model, blocks that compare both, shared steps."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.observation.stream import Event, Executed, Reconciled, RouterLiquidityAdded
from abci_app.machine.params import Params
from abci_app.machine.state.codec import Address, DomainId, TransferId
from tests.kit.machine.driver import (
    ROUTERS,
    A,
    B,
    Network,
    bundle,
    executed,
    local_of,
    reconciled,
    withdraw,
    xcalled,
)
from tests.kit.property.machine_invariants import check_all
from tests.kit.property.model_checks import compare, read_statuses
from tests.kit.property.model_parts import PAYABLE, TransferRecord
from tests.kit.property.transfer_model import TransferModel

POOL = 2000
"""What each router has on each domain: two transfers of the usual size, so that they get in each other's way."""
LANES = st.sampled_from([(A, B), (A, B), (B, A)])
AMOUNTS = st.sampled_from([10, 999, 1001, 1500, 2501, 3500, 6001])
LENGTHS = st.sampled_from([(1,), (1,), (1, 2), (2,), (1, 2, 4), (4,)])
SOME = st.lists(st.sampled_from(ROUTERS), max_size=4, unique=True).map(tuple)
BIDDERS = st.lists(st.sampled_from(ROUTERS), min_size=2, max_size=4, unique=True).map(tuple)
PARAMS = st.builds(
    Params,
    lease_s=st.sampled_from([10, 30]), attempts_max=st.sampled_from([2, 3]), waiting_blocks=st.sampled_from([3, 8]),
    decision_deadline_blocks=st.sampled_from([4, 8]), slow_attempts=st.sampled_from([2, 3]),
    slow_spacing_s=st.sampled_from([5, 40]), cool_down_blocks=st.sampled_from([1, 4]), stale_after_s=st.just(300),
)
GivenBid = tuple[TransferId, Address, tuple[int, ...]]
"""A bid by path lengths; none of them: a withdraw."""


def encode_given_bid(given: GivenBid) -> bytes:
    """The transaction."""
    transfer_id, router, lengths = given
    return bundle(transfer_id, router, lengths=lengths) if lengths else withdraw(transfer_id, router)


class Interleaved(RuleBasedStateMachine):
    """Transfers side by side. What rules collect happens in the next block, whichever rule makes it."""

    reached: ClassVar[Counter[str]] = Counter()
    """How often the goal of each history was reached."""

    @initialize(params=PARAMS)
    def start(self, params: Params) -> None:
        """Two domains, four routers, four validators."""
        self.net = Network(params, liquidity=POOL)
        places = [(domain, router) for domain in (A, B) for router in ROUTERS]
        self.book = TransferModel(
            params, (A, B), ROUTERS, dict.fromkeys(places, POOL), {A: 9995, B: 9995},
            dict.fromkeys((A, B), self.net.time_s),
        )
        self.pending: dict[DomainId, list[Event]] = {A: [], B: []}
        self.says: list[GivenBid] = []
        self.last: tuple[dict[DomainId, list[Event]], list[GivenBid], bool] = ({A: [], B: []}, [], False)
        """The last block's events and transactions, and whether it was without alarms."""

    # --- blocks -----------------------------------------------------------------------------------------------------

    def make_block(self, seconds: int = 1, still: Sequence[DomainId] = (), ahead_s: int = 0) -> None:
        """Execute what was collected, and compare. Clocks of domains stand ``still``, or run ahead of block time."""
        events, says = self.pending, self.says
        self.pending, self.says = {A: [], B: []}, []
        clocks = self.compute_clocks(seconds, still, ahead_s)
        codes = self.book.block(self.net.time_s + seconds, events, clocks, says)
        before = read_statuses(self.net)
        result = self.net.block(events, map(encode_given_bid, says), seconds=seconds, clocks=clocks)
        assert [each.code for each in result.results][len(result.results) - len(codes):] == codes
        assert bool(self.book.alarms) == bool(self.net.alarms())
        compare(self.book, self.net, before)
        self.last = (events, says, not self.book.alarms)

    def compute_clocks(
        self, seconds: int = 1, still: Sequence[DomainId] = (), ahead_s: int = 0
    ) -> dict[DomainId, int]:
        """Timestamps of the segments of a block that comes after ``seconds``; no clock goes back."""
        time_s, known = self.net.time_s + seconds + ahead_s, dict(self.book.clocks)
        return {domain: known[domain] if domain in still else max(time_s, known[domain]) for domain in (A, B)}

    def flush(self) -> None:
        """Execute what other rules collected, so that a history sees its own steps alone."""
        if self.pending[A] or self.pending[B] or self.says:
            self.make_block()

    def let_leases_end(self) -> None:
        """Time goes past every lease, on all clocks."""
        last_s = max(self.net.time_s, *self.book.clocks.values())
        self.make_block(last_s + self.net.params.lease_s + 1 - self.net.time_s)

    def teardown(self) -> None:
        """Indexes, marks and bounds, which the book does not know, hold as well."""
        if hasattr(self, "net"):
            check_all(self.net.state)

    # --- transfers --------------------------------------------------------------------------------------------------

    def where(self, *statuses: str) -> list[TransferId]:
        """Transfers of these statuses, the latest of them."""
        return [transfer_id for transfer_id, record in self.book.records.items() if record.status in statuses][-6:]

    def pick_assigned(self, data: st.DataObject) -> tuple[TransferId, TransferRecord] | None:
        """An assigned transfer, its lease not about to end, after all that was collected has happened.

        None where no router has the liquidity for another.
        """
        self.flush()
        if not self.list_running():
            lane, bidders = data.draw(LANES), data.draw(BIDDERS)
            for amount in data.draw(st.lists(AMOUNTS, min_size=1, max_size=3)):
                self.call(lane, amount, bidders, (1, 2, 4))
            self.make_block()
            self.make_block()
        found = self.list_running()
        chosen = data.draw(st.sampled_from(found)) if found else None
        return (chosen, self.book.records[chosen]) if chosen else None

    def list_running(self) -> list[TransferId]:
        """Assigned transfers whose lease outlasts the next second."""
        found = [(transfer_id, self.book.records[transfer_id]) for transfer_id in self.where("ASSIGNED")]
        return [
            transfer_id for transfer_id, record in found
            if record.tries[-1].valid_until_s > max(self.net.time_s, self.book.clocks[record.destination])
        ]

    def is_held(self, record: TransferRecord) -> bool:
        """Whether the transfer's lane is held."""
        return (record.origin, record.destination) in self.book.held

    def call(
        self, lane: tuple[DomainId, DomainId], amount: int, bidders: Sequence[Address], lengths: tuple[int, ...]
    ) -> TransferId:
        """An xcall, with bids for it, to be accepted in the next block."""
        info = self.net.info(*lane, amount=amount)
        transfer_id = compute_transfer_id(info)
        self.pending[lane[0]].append(xcalled(info))
        self.bid(transfer_id, bidders, lengths)
        return transfer_id

    def bid(self, transfer_id: TransferId, routers: Sequence[Address], lengths: tuple[int, ...]) -> None:
        """Bids for a transfer in the next block."""
        self.says += [(transfer_id, router, lengths) for router in routers]

    def pay(self, transfer_id: TransferId, record: TransferRecord, *routers: Address) -> None:
        """An Executed in the next block; without routers it is a slow one."""
        self.pending[record.destination].append(self.event(executed, transfer_id, record, routers))

    def message(self, transfer_id: TransferId, record: TransferRecord, *routers: Address) -> None:
        """A Reconciled in the next block."""
        self.pending[record.destination].append(self.event(reconciled, transfer_id, record, routers))

    def event(
        self, make, transfer_id: TransferId, record: TransferRecord, routers: Sequence[Address]
    ) -> Executed | Reconciled:
        """An Executed or Reconciled of the whole amount."""
        return make(transfer_id, *routers, amount=record.amount, origin=record.origin, domain=record.destination)

    # --- steps that histories share ----------------------------------------------------------------------------------

    @rule(lane=LANES, amount=AMOUNTS, bidders=SOME, lengths=LENGTHS)
    def a_user_calls(
        self, lane: tuple[DomainId, DomainId], amount: int, bidders: tuple[Address, ...], lengths: tuple[int, ...]
    ) -> None:
        """ORD-1: XCalled, and early bids that are taken in the block that accepts it."""
        self.call(lane, amount, bidders, lengths)

    @rule(data=st.data(), bidders=SOME, lengths=LENGTHS)
    def routers_bid(self, data: st.DataObject, bidders: tuple[Address, ...], lengths: tuple[int, ...]) -> None:
        """Later bids, also ones that are refused."""
        found = self.where(*PAYABLE, "EXECUTED")
        if found:
            self.bid(data.draw(st.sampled_from(found)), bidders, lengths)

    @rule(seconds=st.sampled_from([1, 1, 5, 31]), count=st.integers(1, 3), still=st.sampled_from([(), (), (A,), (B,)]),
          ahead_s=st.sampled_from([0, 0, 7]))
    def time_goes_by(self, seconds: int, count: int, still: tuple[DomainId, ...], ahead_s: int) -> None:
        """Blocks; a destination whose clock stands still ends no lease, one that runs ahead begins a longer (LSE-1)."""
        for _ in range(count):
            self.make_block(seconds, still, ahead_s)

    @rule(router=st.sampled_from(ROUTERS), domain=st.sampled_from([A, B]), amount=st.sampled_from([500, 2000]))
    def a_router_tops_up(self, router: Address, domain: DomainId, amount: int) -> None:
        """LIQ-2: its pool grows, and a fault may be over."""
        self.pending[domain].append(RouterLiquidityAdded(router, local_of(domain), amount))
