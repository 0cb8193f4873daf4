"""What becomes of a bid is read from the transfer it is for; orders are read from a chain block by block, once."""


from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.evm.errors import RpcUnavailable
from abci_app.machine.connext import compute_transfer_id
from abci_app.pb import query_pb2 as pb
from abci_app.router.config import WatchedChain
from abci_app.router.keeper import compute_state
from abci_app.router.ledger import BidState, Ledger
from abci_app.router.watch import RANGE_BLOCKS, ChainWatch, SeenTransfer
from tests.rpc_proxy import Faults
from tests.unit.machine.driver import ROUTERS, A, Network
from tests.unit.router.fake_evm import DirectRpc, FakeEvm

ROUTER, RIVAL = ROUTERS[0], ROUTERS[1]
SIGNED, SUBMITTED, ELSEWHERE, CLOSED = BidState


@pytest.mark.parametrize(("status", "routers", "standing", "before", "after"), [
    ("ACCEPTED", None, None, SIGNED, SIGNED), ("ACCEPTED", None, False, SIGNED, SUBMITTED),
    ("ACCEPTED", None, True, SUBMITTED, CLOSED), ("ACCEPTED", None, None, SUBMITTED, SUBMITTED),
    ("ASSIGNED", [ROUTER], False, SUBMITTED, SUBMITTED), ("ASSIGNED", [RIVAL, ROUTER], False, SIGNED, SUBMITTED),
    ("ASSIGNED", [RIVAL], False, SUBMITTED, ELSEWHERE), ("ASSIGNED", [RIVAL], None, SIGNED, ELSEWHERE),
    ("ASSIGNED", [ROUTER], True, SUBMITTED, SUBMITTED), ("WAITING", [RIVAL], False, ELSEWHERE, SUBMITTED),
    ("WAITING", [ROUTER], True, SUBMITTED, CLOSED), ("EXECUTED", [ROUTER], False, SUBMITTED, CLOSED),
    ("COMPLETED", [RIVAL], False, ELSEWHERE, CLOSED), ("SLOW", None, False, SUBMITTED, CLOSED),
    ("RECONCILED", [ROUTER], False, SIGNED, CLOSED),
])
def test_a_bids_state_follows_the_transfer(
    status: str, routers: list[bytes] | None, standing: bool | None, before: BidState, after: BidState
) -> None:
    answer = pb.TransferResponse(transfer=pb.Transfer(status=status))
    if routers is not None:
        answer.transfer.attempts.add(routers=[RIVAL])
        answer.transfer.attempts.add(routers=routers)
    answer.bids.add(router=RIVAL)
    if standing is not None:
        answer.bids.add(router=ROUTER, withdrawn=standing)
    assert compute_state(answer, before, ROUTER) is after


class Watched:
    """A watch over an in-memory chain."""

    def __init__(self, path: Path, confirmations: int = 0) -> None:
        self.chain, self.network, self.faults = FakeEvm(A), Network(), Faults()
        self.ledger = Ledger(path / "ledger")
        self.rpc = DirectRpc(self.chain, self.faults)
        self.watch = ChainWatch(
            WatchedChain(A, self.chain.chain_id, "http://x", confirmations), lambda: self.rpc,
            lambda domain: self.chain.connext, self.ledger,
        )
        self.seen: list[SeenTransfer] = []

    def xcall(self) -> bytes:
        info = self.network.info()
        self.chain.xcall(info)
        return compute_transfer_id(info)

    def step(self) -> list[bytes]:
        """Ids seen by steps until there are no more."""
        self.seen.clear()
        while self.watch.step(self.seen.append):
            pass
        return [one.transfer_id for one in self.seen]


def test_a_first_start_begins_at_the_final_head(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.xcall()
    assert watched.step() == []
    ids = [watched.xcall(), watched.xcall()]
    assert watched.step() == ids and watched.step() == []
    assert watched.seen == [] and watched.ledger.load_cursor(A) == 4


def test_only_final_blocks_are_looked_at(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.step()
    watched.chain.unfinalized = 2
    ids = [watched.xcall() for _ in range(4)]
    assert watched.step() == ids[:2]
    watched.chain.unfinalized = 0
    assert watched.step() == ids[2:]


def test_confirmations_stand_in_for_finality(tmp_path: Path) -> None:
    watched = Watched(tmp_path, confirmations=1)
    watched.chain.unfinalized = 99
    watched.step()
    ids = [watched.xcall() for _ in range(3)]
    assert watched.step() == ids[:2]


def test_long_absence_is_made_up_in_bounded_ranges(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.step()
    first = watched.xcall()
    watched.chain.grow(RANGE_BLOCKS)
    last = watched.xcall()
    watched.faults.log_range_max = RANGE_BLOCKS
    assert watched.step() == [first, last]
    assert watched.faults.calls["eth_getLogs"] == 2


def test_orders_are_read_again_where_taking_them_failed(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.step()
    transfer_id = watched.xcall()

    def fail(seen: SeenTransfer) -> None:
        raise RpcUnavailable("no room")
    with pytest.raises(RpcUnavailable):
        watched.watch.step(fail)
    assert watched.step() == [transfer_id]


def test_a_log_that_does_not_decode_is_passed_over(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.step()
    watched.xcall()
    block = watched.chain.blocks[-1]
    block.logs = [replace(log, data=b"\x01") for log in block.logs]
    transfer_id = watched.xcall()
    assert watched.step() == [transfer_id]


def test_a_head_below_the_cursor_is_waited_out(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.step()
    watched.ledger.save_cursor(A, 100)
    watched.xcall()
    assert watched.step() == [] and watched.ledger.load_cursor(A) == 100
