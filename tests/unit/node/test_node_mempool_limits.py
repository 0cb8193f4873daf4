"""What waits in the mempool: copies bounded, early bids bounded per router and gone after their blocks (BID-6)."""

import itertools
from collections.abc import Callable

import pytest

from abci_app.machine.codes import Code
from abci_app.machine.params import Params
from abci_app.machine.results import BidSubject
from abci_app.machine.state.codec import Address
from abci_app.node.mempool_limits import COPIES_MAX, MempoolLimits

PARAMS = Params(early_bids_per_router=3, early_bid_blocks=10)
ROUTER, OTHER = Address(b"\x01" * 20), Address(b"\x02" * 20)
NUMBERS = itertools.count()


def subject(name: str, router: Address = ROUTER, is_early: bool = False) -> BidSubject:
    return BidSubject(name.encode(), router, is_early)


def early(*routers: Address) -> tuple[BidSubject, ...]:
    """Early bids for as many transfers, none of which was ever bid for."""
    return tuple(subject(f"new {next(NUMBERS)}", router, True) for router in routers)


# --- early bids -----------------------------------------------------------------------------------------------------


def test_a_router_has_so_many_and_no_more() -> None:
    books = MempoolLimits()
    assert books.check(b"1", early(ROUTER, ROUTER), 5, PARAMS) is Code.OK
    assert books.check(b"2", early(ROUTER, ROUTER, OTHER), 5, PARAMS) is Code.EARLY_BIDS_FULL
    assert books.check(b"3", early(ROUTER, OTHER), 5, PARAMS) is Code.OK
    assert books.check(b"4", early(ROUTER), 5, PARAMS) is Code.EARLY_BIDS_FULL
    assert books.check(b"5", early(OTHER), 5, PARAMS) is Code.OK


def test_copies_of_a_routers_bids_do_not_use_up_its_room() -> None:
    """Anyone may wrap them again and again: what counts is how many different ones there are."""
    books = MempoolLimits()
    mine = early(ROUTER, ROUTER)
    for number in range(COPIES_MAX):
        assert books.check(b"copy %d" % number, mine, 5, PARAMS) is Code.OK
    fresh = early(ROUTER)
    assert books.check(b"mine", (*mine, *fresh), 5, PARAMS) is Code.OK
    assert books.check(b"too many", early(ROUTER), 5, PARAMS) is Code.EARLY_BIDS_FULL
    books.forget(b"copy 0")
    assert books.check(b"too many", early(ROUTER), 5, PARAMS) is Code.EARLY_BIDS_FULL
    for tx_hash in (b"copy 1", b"copy 2", b"copy 3", b"mine"):
        books.forget(tx_hash)
    assert books.check(b"room", early(ROUTER, ROUTER, ROUTER), 5, PARAMS) is Code.OK


@pytest.mark.parametrize("leave", [
    lambda books, subjects: books.forget(b"1"),  # committed
    lambda books, subjects: books.check(b"1", (), 6, PARAMS),
    lambda books, subjects: books.check(b"1", subjects, 15, PARAMS),  # too late
    lambda books, subjects: books.sweep(16, PARAMS),  # the engine dropped it
])
def test_what_leaves_makes_room(leave: Callable[[MempoolLimits, tuple[BidSubject, ...]], object]) -> None:
    books = MempoolLimits()
    subjects = early(ROUTER, ROUTER, ROUTER)
    assert books.check(b"1", subjects, 5, PARAMS) is Code.OK
    assert books.check(b"2", early(ROUTER), 5, PARAMS) is Code.EARLY_BIDS_FULL
    leave(books, subjects)
    assert len(books) == 0
    assert books.check(b"2", early(ROUTER), 5, PARAMS) is Code.OK


def test_bids_whose_transfers_are_accepted_are_early_no_more() -> None:
    books = MempoolLimits()
    subjects = early(ROUTER, ROUTER, ROUTER)
    assert books.check(b"1", subjects, 5, PARAMS) is Code.OK
    accepted = tuple(BidSubject(each.key, each.router, False) for each in subjects[:2])
    assert books.check(b"1", (*accepted, subjects[2]), 6, PARAMS) is Code.OK
    assert books.check(b"2", early(ROUTER, ROUTER, ROUTER), 6, PARAMS) is Code.EARLY_BIDS_FULL
    assert books.check(b"3", early(ROUTER, ROUTER), 6, PARAMS) is Code.OK


def test_a_recheck_counts_from_the_first_admission() -> None:
    books = MempoolLimits()
    subjects = early(ROUTER)
    assert books.check(b"1", subjects, 5, PARAMS) is Code.OK
    for height in range(6, 15):
        assert books.check(b"1", subjects, height, PARAMS) is Code.OK
    books.sweep(15, PARAMS)
    assert books.check(b"1", subjects, 15, PARAMS) is Code.TRANSFER_UNKNOWN
    assert books.check(b"1", subjects, 16, PARAMS) is Code.OK


# --- copies ---------------------------------------------------------------------------------------------------------


def test_a_transaction_adds_something_or_stays_out() -> None:
    """So there are at most COPIES_MAX transactions per bid, however many bundles can be made of them."""
    books = MempoolLimits()
    names = [subject(f"bid {number}") for number in range(6)]
    bundles = [chosen for size in range(1, 7) for chosen in itertools.combinations(names, size)]
    answers = [books.check(b"%d" % index, chosen, 5, PARAMS) for index, chosen in enumerate(bundles)]
    assert len(bundles) == 63
    assert 6 <= answers.count(Code.OK) <= 6 * COPIES_MAX
    assert answers.count(Code.BID_DUPLICATE) == 63 - answers.count(Code.OK)
    assert books.check(b"new", (*names, subject("another")), 5, PARAMS) is Code.OK


def test_one_copy_keeps_no_original_out() -> None:
    """Nor do three: whoever is quick to wrap a bid in a bundle that has to wait does not silence its router."""
    books = MempoolLimits()
    for number in range(COPIES_MAX - 1):
        assert books.check(b"copy %d" % number, (subject("bid"), *early(OTHER)), 5, PARAMS) is Code.OK
    assert books.check(b"original", (subject("bid"),), 5, PARAMS) is Code.OK
    assert books.check(b"one more", (subject("bid"),), 5, PARAMS) is Code.BID_DUPLICATE
    assert books.check(b"a withdraw", (subject("withdraw bid"),), 5, PARAMS) is Code.OK


def test_what_waits_already_is_no_copy_of_itself() -> None:
    books = MempoolLimits()
    for number in range(COPIES_MAX):
        assert books.check(b"%d" % number, (subject("bid"),), 5, PARAMS) is Code.OK
    for height in range(6, 40):
        codes = [books.check(b"%d" % number, (subject("bid"),), height, PARAMS) for number in range(COPIES_MAX)]
        assert codes == [0] * 4
        books.sweep(height, PARAMS)
    assert len(books) == COPIES_MAX
    books.sweep(39 + PARAMS.early_bid_blocks + 1, PARAMS)
    assert len(books) == 0
    assert books.check(b"new", (subject("bid"),), 60, PARAMS) is Code.OK


def test_what_claims_nothing_is_never_on_the_books() -> None:
    books = MempoolLimits()
    assert books.check(b"1", (), 5, PARAMS) is Code.OK
    books.forget(b"unknown")
    assert len(books) == 0
