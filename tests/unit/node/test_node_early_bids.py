"""Early bids: bounded per router, gone after their blocks, off the books when committed (BID-6)."""

import pytest

from abci_app.machine.codec import Address, TransferId
from abci_app.machine.codes import Code
from abci_app.machine.params import Params
from abci_app.node.early_bids import EarlyBids

PARAMS = Params(early_bids_per_router=3, early_bid_blocks=10)
ROUTER, OTHER = Address(b"\x01" * 20), Address(b"\x02" * 20)


def early(*routers: Address) -> tuple[tuple[TransferId, Address], ...]:
    return tuple((TransferId(bytes([number]) * 32), router) for number, router in enumerate(routers))


def test_a_router_has_so_many_and_no_more() -> None:
    books = EarlyBids()
    assert books.check(b"1", early(ROUTER, ROUTER), 5, PARAMS) is Code.OK
    assert books.check(b"2", early(ROUTER, ROUTER, OTHER), 5, PARAMS) is Code.EARLY_BIDS_FULL
    assert books.check(b"3", early(ROUTER, OTHER), 5, PARAMS) is Code.OK
    assert books.check(b"4", early(ROUTER), 5, PARAMS) is Code.EARLY_BIDS_FULL
    assert books.check(b"5", early(OTHER), 5, PARAMS) is Code.OK


@pytest.mark.parametrize("leave", [
    lambda books: books.forget(b"1"),  # committed
    lambda books: books.check(b"1", (), 6, PARAMS),  # all its transfers are accepted now
    lambda books: books.check(b"1", early(ROUTER), 15, PARAMS),  # too late
    lambda books: books.sweep(16, PARAMS),  # the engine dropped it
])
def test_what_leaves_makes_room(leave) -> None:
    books = EarlyBids()
    assert books.check(b"1", early(ROUTER, ROUTER, ROUTER), 5, PARAMS) is Code.OK
    assert books.check(b"2", early(ROUTER), 5, PARAMS) is Code.EARLY_BIDS_FULL
    leave(books)
    assert len(books) == 0
    assert books.check(b"2", early(ROUTER), 5, PARAMS) is Code.OK


def test_a_recheck_counts_from_the_first_admission() -> None:
    books = EarlyBids()
    assert books.check(b"1", early(ROUTER), 5, PARAMS) is Code.OK
    for height in range(6, 15):
        assert books.check(b"1", early(ROUTER), height, PARAMS) is Code.OK
    books.sweep(15, PARAMS)
    assert books.check(b"1", early(ROUTER), 15, PARAMS) is Code.TRANSFER_UNKNOWN
    assert books.check(b"1", early(ROUTER), 16, PARAMS) is Code.OK


def test_what_is_not_early_is_never_on_the_books() -> None:
    books = EarlyBids()
    assert books.check(b"1", (), 5, PARAMS) is Code.OK
    books.forget(b"unknown")
    assert len(books) == 0
