"""What open bids may cost is counted once each and at its most; and what the keeper asks, and of whom."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from abci_app.evm.account import Account
from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_share, compute_transfer_id, encode_transfer_info
from abci_app.machine.state.codec import TransferId
from abci_app.pb import query_pb2 as pb
from abci_app.router.bid_reconciler import BidReconciler
from abci_app.router.bidder import Bidder
from abci_app.router.checks import Offer
from abci_app.router.ledger import BidState, Ledger, SignedBid
from abci_app.router.order_queue import Order, OrderQueue
from abci_app.router.origin import OrderClaims
from tests.kit.machine.small_world import DESTINATION, LOCALS, ORIGIN, ROUTER_KEYS, valid_info

INFO = valid_info()
ID = compute_transfer_id(INFO)
LOCAL = LOCALS[DESTINATION]
HOME: Any = SimpleNamespace(account=Account(ROUTER_KEYS[0]), config=SimpleNamespace(path_lengths=(1, 3)))
SIGNATURE = b"\x07" * 65


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def bid(transfer_id: bytes = ID, **changes: Any) -> SignedBid:
    fields = {"share": 0, "state": BidState.SUBMITTED, "signatures": (SIGNATURE,), "path_lengths": (1,)} | changes
    return SignedBid(transfer_id, DESTINATION, LOCAL, **fields)


class FixedChecker:
    """Offers the same for everything; keeps what it was told of open bids."""

    def __init__(self, share: int) -> None:
        self.share, self.told = share, list[int]()

    def compute_offer(self, info: Any, transfer_id: Any, destination: Any, sum_open: Callable[[bytes], int]) -> Offer:
        self.told.append(sum_open(LOCAL))
        return Offer(LOCAL, (1, 3), self.share)


def bid_on(ledger: Ledger, share: int) -> FixedChecker:
    """One step of a bidder that has INFO's order before it, for which the checks allow ``share``."""
    chains: Any = SimpleNamespace(rpc=lambda domain: None)
    network: Any = SimpleNamespace(destinations={DESTINATION: None})
    taken = SimpleNamespace(code=Code.OK, code_name="OK", reason="")
    client: Any = SimpleNamespace(submit_bid=lambda *arguments: taken)
    bidder = Bidder(DESTINATION, HOME, chains, network, client, ledger)
    checker: Any = FixedChecker(share)
    bidder._checker = checker
    bidder.pending.add(Order(ID, DESTINATION, INFO, is_missing=True))
    bidder.step()
    return checker


def test_a_bid_does_not_stand_in_its_own_way(ledger: Ledger) -> None:
    """One that the network holds and this router has not signed itself counts, but not against its own renewal."""
    ledger.record(bid(share=700, signatures=()))
    ledger.record(bid(b"\x02" * 32, share=50))
    ledger.record(bid(b"\x03" * 32, share=9, state=BidState.SIGNED))
    ledger.record(bid(b"\x04" * 32, share=1000, state=BidState.CLOSED))
    assert bid_on(ledger, 700).told == [59]


@pytest.mark.parametrize(("earlier", "share", "counted"), [
    (bid(share=900, state=BidState.ELSEWHERE), 300, 900), (bid(share=200, state=BidState.ELSEWHERE), 300, 300),
    (bid(share=900, state=BidState.CLOSED), 300, 900), (bid(share=900, signatures=()), 300, 300), (None, 300, 300),
])
def test_a_bid_counts_at_the_most_that_was_ever_signed_for_it(
    ledger: Ledger, earlier: SignedBid | None, share: int, counted: int
) -> None:
    """Whoever holds the earlier signature may still use it: what it may cost stays reserved."""
    if earlier is not None:
        ledger.record(earlier)
    bid_on(ledger, share)
    found = ledger.find(ID)
    assert found is not None
    assert (found.share, found.state, found.path_lengths) == (counted, BidState.SUBMITTED, (1, 3))


class Looker:
    """A node that knows transfers by status, and counts how often another one was to be asked."""

    def __init__(self, status: str, lengths: tuple[int, ...] = ()) -> None:
        self.passed, self.asked, self.status, self.lengths = 0, list[tuple[str, int]](), status, lengths

    def pass_over(self) -> None:
        self.passed += 1

    def transfers(self, status: str, after: int, limit: int) -> pb.TransfersResponse:
        self.asked.append((status, after))
        return pb.TransfersResponse(transfers=[self.known()] if status == self.status else [])

    def transfer(self, transfer_id: TransferId) -> pb.TransferResponse:
        answer = pb.TransferResponse(transfer=self.known(), transfer_info=encode_transfer_info(INFO))
        if self.lengths:
            answer.bids.add(router=HOME.account.address, path_lengths=self.lengths)
        return answer

    def known(self) -> pb.Transfer:
        return pb.Transfer(
            transfer_id=ID, destination=DESTINATION, status=self.status, amount="1000", local=LOCAL,
            origin_tx=b"\x01" * 32,
        )


def sweep(ledger: Ledger, looker: Looker, times: int = 1) -> OrderClaims:
    """Sweeps of a keeper; what it wants looked up on the origin."""
    claims = OrderClaims()
    network: Any = SimpleNamespace(reload=lambda client: None)
    node: Any = looker
    keeper = BidReconciler(HOME, network, node, node, ledger, {DESTINATION: OrderQueue()}, {ORIGIN: claims})
    for _ in range(times):
        keeper.sweep(lambda: False)
    return claims


@pytest.mark.parametrize(("status", "is_swept"), [("ACCEPTED", True), ("WAITING", True), ("ASSIGNED", False)])
def test_every_undecided_transfer_is_swept(ledger: Ledger, status: str, is_swept: bool) -> None:
    """One that waits for liquidity is as undecided as one that is new: it may only lack this router's bid."""
    looker = Looker(status)
    assert (ID in sweep(ledger, looker)) is is_swept
    assert [asked for asked, _ in looker.asked] == ["ACCEPTED", "WAITING"]


def test_each_sweep_asks_another_node(ledger: Ledger) -> None:
    looker = Looker("ACCEPTED")
    sweep(ledger, looker, times=3)
    assert looker.passed == 3


@pytest.mark.parametrize("lengths", [(1, 3), (3, 1), (3,)])
def test_a_bid_that_stands_without_the_ledger_counts_at_its_most(ledger: Ledger, lengths: tuple[int, ...]) -> None:
    [claim] = sweep(ledger, Looker("WAITING", lengths)).list_all()
    assert claim.standing is not None
    assert claim.standing.share == compute_share(1000, min(lengths))
    assert (claim.standing.signatures, claim.standing.state) == ((), BidState.SUBMITTED)
