"""How many transactions a block may hold (COM-4): so many that work is bounded, whatever is in them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from abci_app.machine.codec import TransferId
from abci_app.machine.codes import Code
from abci_app.machine.params import BLOCK_TXS_MAX
from abci_app.machine.tx import Withdraw, encode_withdraw
from tests.unit.machine.small_world import valid_bid
from tests.unit.node.small_chain import Network

CRUMB = b"\xff"


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path)
    made.step()
    yield made
    made.close()


def test_a_block_of_that_many_is_taken(net: Network) -> None:
    """COM-4: the injected commit counts as one."""
    block = [*net.prepare(0), *[CRUMB] * (BLOCK_TXS_MAX - 1)]
    assert len(block) == BLOCK_TXS_MAX
    assert [net.is_accepted(block, node) for node in range(4)] == [True] * 4


def test_one_more_is_refused(net: Network) -> None:
    """COM-4, and it is said why."""
    block = [*net.prepare(0), *[CRUMB] * BLOCK_TXS_MAX]
    assert [net.is_accepted(block, node) for node in range(4)] == [False] * 4
    for validator in net.validators:
        assert validator.app.metrics.proposals_refused == {Code.BLOCK_TOO_MANY_TXS: 1}


def test_an_honest_proposer_stops_there(net: Network) -> None:
    """COM-4: whatever the mempool holds."""
    signature = valid_bid(TransferId(bytes(32))).signatures[0].signature
    withdraws = [
        encode_withdraw(Withdraw(TransferId(index.to_bytes(32, "big")), b"\x01" * 20, signature))  # type: ignore[arg-type]
        for index in range(BLOCK_TXS_MAX + 10)
    ]
    block = net.prepare(0, withdraws, max_tx_bytes=4_000_000)
    assert len(block) == BLOCK_TXS_MAX and block[1:] == withdraws[:BLOCK_TXS_MAX - 1]
    assert net.is_accepted(block, 1)
