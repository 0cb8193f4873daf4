"""ORD-6: a rule that changes at a height. Blocks before it, at it and after it, executed and replayed.

The rule is made up, and written as a real one is: it asks the scope for the version, and version 2 takes one bidder a
transfer. Chain, height and version stand in UPGRADES as a release would put them there.
"""

from collections.abc import Callable, Mapping, Sequence

import pytest

from abci_app.machine import upgrades
from abci_app.machine.block import apply_block
from abci_app.machine.codes import Code, Rejected
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.results import BlockResult
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.records import ChainState, Transfer
from abci_app.machine.state.tree import Tree
from abci_app.machine.state.view import MemoryState, StateDelta
from abci_app.machine.transactions import bids
from abci_app.machine.transactions.admission import check_tx
from abci_app.machine.upgrades import APP_VERSION, FIRST_VERSION, UPGRADES, Upgrade, compute_app_version
from tests.kit.machine.driver import CHAIN_ID, ROUTERS, A, Network, bundle, xcalled

R1, R2, _, _ = ROUTERS
HEIGHT = 5
LAST = 8

Release = Callable[[bool, Mapping[str, Sequence[Upgrade]]], None]


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Release:
    """Installs a program: with the rule of version 2 or without it, and with these upgrades."""
    original = bids._require_room

    def require_room(scope: Scope, transfer: Transfer, serves: bool) -> None:
        if scope.app_version >= 2 and transfer.bidders:
            raise Rejected(Code.BIDS_FULL, "one bidder a transfer")
        original(scope, transfer, serves)

    def install(has_rule: bool, upgrades_by_chain: Mapping[str, Sequence[Upgrade]]) -> None:
        monkeypatch.setattr(bids, "_require_room", require_room if has_rule else original)
        monkeypatch.setattr(upgrades, "UPGRADES", upgrades_by_chain)

    return install


class Record:
    """A chain of LAST blocks: in each, a transfer is accepted and two routers bid for it."""

    def __init__(self) -> None:
        net = Network()
        self.genesis, self.results, self.states = net.genesis, [], [MemoryState(net.genesis)]
        for _ in range(LAST):
            info = net.info()
            transfer_id = compute_transfer_id(info)
            self.results.append(net.block({A: [xcalled(info)]}, [bundle(transfer_id, R1), bundle(transfer_id, R2)]))
            self.states.append(MemoryState(net.state.values))
        self.blocks, self.last_id = net.blocks, transfer_id

    def hashes(self) -> list[bytes]:
        return [result.app_hash for result in self.results]

    def codes(self) -> list[Code]:
        """Of the second router's bid, by height from 1."""
        return [result.results[-1].code for result in self.results]

    def replay(self, after: int) -> list[BlockResult]:
        """Execute the blocks above a height again, on the state that it left."""
        state = MemoryState(self.states[after].values)
        tree = Tree.build(state.values)
        found = []
        for block in self.blocks[after:]:
            result = apply_block(state, tree, block)
            state.apply(result.changes)
            tree = result.tree
            found.append(result)
        return found


def test_a_rule_changes_at_its_height_and_not_before(release: Release) -> None:
    """ORD-6: the block before it, the block at it; what came before the release is byte for byte the same."""
    release(False, {})
    before = Record()
    assert before.codes() == [Code.OK] * LAST
    release(True, {CHAIN_ID: (Upgrade(HEIGHT, 2),)})
    chain = Record()
    assert chain.codes() == [Code.OK] * (HEIGHT - 1) + [Code.BIDS_FULL] * (LAST - HEIGHT + 1)
    assert chain.hashes()[:HEIGHT - 2] == before.hashes()[:HEIGHT - 2]
    # The block before it says what comes, to the engine and in its state; its own results are as they were.
    assert [result.app_version for result in chain.results] == [
        2 if height == HEIGHT - 1 else None for height in range(1, LAST + 1)
    ]
    assert chain.results[HEIGHT - 2].results == before.results[HEIGHT - 2].results
    assert chain.hashes()[HEIGHT - 2] != before.hashes()[HEIGHT - 2]
    assert [get_version(state) for state in chain.states] == [1] * (HEIGHT - 1) + [2] * (LAST - HEIGHT + 2)


def test_a_replay_goes_through_the_height(release: Release) -> None:
    """ORD-6, ORD-4: from genesis or from a node's own last block, wherever it stopped."""
    release(True, {CHAIN_ID: (Upgrade(HEIGHT, 2),)})
    chain = Record()
    for after in range(LAST):
        again = chain.replay(after)
        assert [result.app_hash for result in again] == chain.hashes()[after:]
        assert [result.results for result in again] == [result.results for result in chain.results[after:]]
        assert [result.app_version for result in again] == [result.app_version for result in chain.results[after:]]


def test_a_release_without_an_upgrade_of_this_chain_changes_nothing(release: Release) -> None:
    """ORD-6: it replays and goes on with the version that the state holds."""
    release(False, {})
    old = Record()
    release(True, {"another-1": (Upgrade(HEIGHT, 2),)})
    assert [result.app_hash for result in old.replay(0)] == old.hashes()
    assert Record().hashes() == old.hashes()


def test_a_program_that_knows_of_no_upgrade_differs_before_its_height(release: Release) -> None:
    """ORD-6: who missed the release stops at the height, and never takes a block by other rules for right."""
    release(True, {CHAIN_ID: (Upgrade(HEIGHT, 2),)})
    chain = Record()
    release(False, {})
    late = chain.replay(0)
    same = [result.app_hash == app_hash for result, app_hash in zip(late, chain.hashes(), strict=True)]
    assert same == [True] * (HEIGHT - 2) + [False] * (LAST - HEIGHT + 2)
    assert [result.app_version for result in late] == [None] * LAST
    # Both stores one block back (``rollback``), then the release: the block before the height is executed again.
    release(True, {CHAIN_ID: (Upgrade(HEIGHT, 2),)})
    assert [result.app_hash for result in chain.replay(HEIGHT - 2)] == chain.hashes()[HEIGHT - 2:]


@pytest.mark.parametrize(("height", "code"), [(HEIGHT - 2, Code.OK), (HEIGHT - 1, Code.BIDS_FULL)])
def test_checks_without_a_block_ask_for_the_next_version(release: Release, height: int, code: Code) -> None:
    """ORD-6, BID-6: after the block before the height, the mempool is checked by the rules of the height."""
    release(True, {CHAIN_ID: (Upgrade(HEIGHT, 2),)})
    net = Network()
    for _ in range(height):
        info = net.info()
        transfer_id = compute_transfer_id(info)
        net.block({A: [xcalled(info)]}, [bundle(transfer_id, R1)])
    assert check_tx(net.state, bundle(transfer_id, R2), lambda _: False).code is code


@pytest.mark.parametrize(("chain_id", "version", "height", "expected"), [
    ("a-1", 1, 9, 1), ("a-1", 1, 10, 2), ("a-1", 2, 11, 2), ("a-1", 2, 20, 4), ("a-1", 1, 11, 1), ("b-1", 1, 10, 1),
    ("b-1", 3, 10, 3),
])
def test_versions_by_chain_and_height(
    monkeypatch: pytest.MonkeyPatch, chain_id: str, version: int, height: int, expected: int
) -> None:
    """ORD-6: at the very height of an upgrade, of this chain; else as it was."""
    monkeypatch.setattr(upgrades, "UPGRADES", {"a-1": (Upgrade(10, 2), Upgrade(20, 4))})
    assert compute_app_version(chain_id, version, height) == expected


@pytest.mark.parametrize(("listed", "valid"), [
    ((Upgrade(10, 2), Upgrade(20, 3)), True), ((Upgrade(1, 2),), False), ((Upgrade(20, 2), Upgrade(10, 3)), False),
    ((Upgrade(10, 2), Upgrade(10, 3)), False), ((Upgrade(10, 3), Upgrade(20, 2)), False), ((Upgrade(10, 4),), False),
    ((Upgrade(10, 1),), False),
])
def test_lists_of_upgrades(listed: Sequence[Upgrade], valid: bool) -> None:
    assert is_valid(listed, newest=3) is valid


def test_this_release_lists_upgrades_that_it_knows() -> None:
    """ORD-6: heights and versions ascend, from the second block on, up to the newest version."""
    assert all(is_valid(listed, APP_VERSION) for listed in UPGRADES.values())
    assert APP_VERSION >= FIRST_VERSION


def is_valid(listed: Sequence[Upgrade], newest: int) -> bool:
    heights = [upgrade.height for upgrade in listed]
    versions = [FIRST_VERSION, *(upgrade.app_version for upgrade in listed)]
    return (
        heights == sorted(set(heights)) and min(heights) > 1
        and versions == sorted(set(versions)) and max(versions) <= newest
    )


def get_version(state: MemoryState) -> int:
    return StateDelta(state).must(keys.CHAIN, ChainState).app_version
