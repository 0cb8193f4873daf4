"""What a node keeps in memory is bounded, and what it loads is not walked again and again."""

import gc
import logging
from pathlib import Path

import pytest

from abci_app.abci import messages as pb
from abci_app.machine.block_events import EventKind
from abci_app.machine.codes import Code
from abci_app.machine.results import BlockEvent, TxResult
from abci_app.machine.state.codec import TransferId
from abci_app.machine.transactions.tx import encode_bundle
from abci_app.node import app as app_module
from abci_app.node.app import log_block
from abci_app.node.errors import StoreError
from abci_app.node.run import COLLECTOR_THRESHOLDS, load
from abci_app.node.view import CommittedBlock
from tests.kit.machine.small_world import valid_bid
from tests.kit.node.small_chain import Network


def test_checks_do_not_fill_the_memory_of_a_chain_that_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bids for transfers that do not exist are looked up, and what was looked up is forgotten in time."""
    monkeypatch.setattr(app_module, "CHECKS_PER_MEMORY", 10)
    net = Network(tmp_path)
    app = net.validators[0].app
    sizes = []
    for number in range(25):
        tx = encode_bundle([valid_bid(TransferId(number.to_bytes(32, "big")))])
        assert app.check_tx(pb.RequestCheckTx(tx=tx)).code == Code.TRANSFER_UNKNOWN
        sizes.append(len(app._records._records))
    assert max(sizes) < 10 + 10 > sizes[-1]
    net.close()


def test_loading_leaves_the_collector_on(tmp_path: Path) -> None:
    before = gc.get_threshold()
    with pytest.raises(StoreError):
        load(lambda: (_ for _ in ()).throw(StoreError("damaged")))
    assert gc.isenabled() and gc.get_threshold() == before
    net = Network(tmp_path)
    try:
        assert load(lambda: net.validators[0].app) is net.validators[0].app
        assert gc.isenabled() and gc.get_threshold() == COLLECTOR_THRESHOLDS
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
        net.close()


@pytest.mark.parametrize("level, kinds", [
    (logging.DEBUG, {"committed", "bid", "withdrawn", "assigned", "alarm"}),
    (logging.INFO, {"committed", "assigned", "alarm"}),
    (logging.WARNING, {"alarm"}),
])
def test_what_a_block_may_hold_thousands_of_is_logged_for_debug_only(
    caplog: pytest.LogCaptureFixture, level: int, kinds: set[str]
) -> None:
    events = tuple(BlockEvent(EventKind(kind), ()) for kind in ("bid", "withdrawn", "assigned", "alarm"))
    block = CommittedBlock(1, 0, b"", b"", (b"",), (TxResult(Code.OK, events=events[:2]),), events, ())
    with caplog.at_level(level, "abci_app.node.app"):
        log_block(block, 0, 0.0)
    assert {record.message for record in caplog.records} == kinds
