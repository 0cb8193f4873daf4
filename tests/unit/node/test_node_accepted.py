"""The store's index of transfers by acceptance number, and paging over it."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from abci_app.gateway.core.questions import LIST_MAX, get_transfers
from abci_app.gateway.core.scan import SCAN_MAX
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Hash, TransferId, encode
from abci_app.machine.state.records import ChainState, Transfer, TransferStatus
from abci_app.machine.state.tree import Tree
from abci_app.machine.state.view import MemoryState
from abci_app.node.store import Head, Store
from abci_app.node.view import CommittedState, list_accepted
from tests.kit.machine.driver import CHAIN_ID, ROUTERS, Network

COUNT = 25_000
HASH = Hash(bytes(32))


def make_transfers(count: int) -> list[Transfer]:
    """Transfers by acceptance number from 1 on, of ids without an order; all ASSIGNED but the last."""
    network = Network()
    network.assign(ROUTERS[0])
    [(_, one)] = network.delta.scan(keys.transfers(), Transfer)
    made = [
        replace(one, transfer_id=TransferId(sha256(b"%d" % number).digest()), acceptance=number, attempts=())
        for number in range(1, count + 1)
    ]
    made[-1] = replace(made[-1], status=TransferStatus.COMPLETED)
    return made


def as_changes(height: int, transfers: list[Transfer]) -> dict[bytes, bytes | None]:
    """What a block writes that leaves these transfers."""
    network = Network()
    chain = replace(network.must(keys.CHAIN, ChainState), height=height)
    return {
        keys.CHAIN: encode(chain), **{keys.transfer(each.transfer_id): encode(each) for each in transfers}
    }


def numbers(store: Store, start: int = 0) -> list[TransferId]:
    """What the index of the newest state holds."""
    return list(list_accepted(store.view(), start))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "data", CHAIN_ID)
    yield opened
    opened.close()


def read_all(committed: CommittedState, status: str = "") -> tuple[list[int], int]:
    """The acceptance numbers of all pages, and how many pages there were."""
    found: list[int] = []
    first, pages = 0, 0
    while pages < 200:
        answer = get_transfers(committed, first, LIST_MAX, status)
        found += [one.acceptance for one in answer.transfers]
        pages += 1
        assert answer.truncated == (answer.next_acceptance > 0)
        if not answer.truncated:
            return found, pages
        assert answer.next_acceptance > first
        first = answer.next_acceptance
    raise AssertionError("pages without an end")


def test_pages_hold_every_one_of_many_transfers_once_and_in_order(store: Store) -> None:
    store.write(Head(1, HASH), as_changes(1, make_transfers(COUNT)))
    committed = CommittedState(1, HASH, store.view(), Tree())
    assert read_all(committed) == (list(range(1, COUNT + 1)), COUNT // LIST_MAX)


def test_a_status_that_only_the_last_one_has_is_found_behind_empty_pages(store: Store) -> None:
    store.write(Head(1, HASH), as_changes(1, make_transfers(COUNT)))
    committed = CommittedState(1, HASH, store.view(), Tree())
    assert read_all(committed, "COMPLETED") == ([COUNT], 1 + COUNT // SCAN_MAX)
    assert get_transfers(committed, 2**64 - 1).transfers == ()


def test_the_index_follows_blocks_and_their_undoing(store: Store) -> None:
    made = make_transfers(3)
    ids = [each.transfer_id for each in made]
    changes = as_changes(1, made[:2])
    store.write(Head(1, Tree().update(changes).root), changes)
    before = store.view()
    changed = replace(made[1], status=TransferStatus.COMPLETED)
    store.write(Head(2, HASH), {**as_changes(2, [changed, made[2]]), keys.transfer(ids[0]): None})
    assert numbers(store) == ids[1:] and numbers(store, 3) == ids[2:] and numbers(store, 4) == []
    assert list(list_accepted(before, 0)) == ids[:2]
    store.roll_back()
    assert numbers(store) == ids[:2]


def test_the_index_is_there_after_reopening(tmp_path: Path) -> None:
    made = make_transfers(3)
    store = Store.open(tmp_path / "data", CHAIN_ID)
    store.write(Head(1, HASH), as_changes(1, made))
    store.close()
    again = Store.open(tmp_path / "data", CHAIN_ID)
    try:
        assert numbers(again) == [each.transfer_id for each in made]
    finally:
        again.close()


def test_a_view_without_an_index_gives_the_same(store: Store) -> None:
    made = make_transfers(20)
    changes = as_changes(1, made)
    store.write(Head(1, HASH), changes)
    memory = MemoryState({key: value for key, value in changes.items() if value is not None})
    for start in (0, 1, 7, 20, 21):
        assert list(list_accepted(memory, start)) == numbers(store, start)
