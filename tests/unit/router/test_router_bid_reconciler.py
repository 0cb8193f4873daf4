"""What becomes of a bid is read from the transfer it is for; orders are read from a chain block by block, once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.evm.connext_events import TOPICS, decode_event
from abci_app.evm.errors import RpcUnavailable
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.state.codec import Address, TransferId
from abci_app.pb import query_pb2 as pb
from abci_app.router.bid_reconciler import compute_state
from abci_app.router.bidder import Refusals
from abci_app.router.config import WatchedChain
from abci_app.router.ledger import BidState, Ledger
from abci_app.router.order_queue import Order
from abci_app.router.origin import OrderClaim, OrderClaims
from abci_app.router.watch import BEHIND_S, RANGE_BLOCKS, ChainWatch, SeenOrder
from tests.kit.evm.rpc_proxy import Faults
from tests.kit.machine.driver import ROUTERS, A, B, Network
from tests.kit.router.fake_evm import DirectRpc, FakeEvm
from tests.kit.router.router_kit import collecting

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
        self.claims, self.now_s = OrderClaims(), 0.0
        self.ledger = Ledger(path / "ledger")
        self.rpc = DirectRpc(self.chain, self.faults)
        self.watch = ChainWatch(
            WatchedChain(A, self.chain.chain_id, "http://x", confirmations), lambda: self.rpc,
            lambda domain: self.chain.connext, self.ledger, self.claims, Refusals(), lambda: self.now_s,
        )
        self.seen: list[SeenOrder] = []

    def xcall(self) -> bytes:
        info = self.network.info()
        self.chain.xcall(info)
        return compute_transfer_id(info)

    def claim(self, **changes: object) -> OrderClaim:
        """A node's word for the order that `xcall` made last, or for another one."""
        log = self.chain.blocks[-1].logs[0]
        info = decode_event(log).arguments["params"]
        order = Order(TransferId(log.topics[1]), info.destination_domain, info, is_missing=True)
        return replace(OrderClaim(order, log.tx_hash), **changes)  # type: ignore[arg-type]

    def look_up(self, claim: OrderClaim) -> list[Order]:
        """Orders that turn out to be true."""
        found: list[OrderClaim] = []
        self.claims.add(claim)
        self.watch.look_up(found.append)
        return [each.order for each in found]

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

    def fail(seen: SeenOrder) -> None:
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
    watched.now_s = BEHIND_S - 1
    assert watched.step() == [] and watched.ledger.load_cursor(A) == 100


def test_blocks_that_an_endpoint_invented_make_nobody_deaf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer far above the head, or a chain that went back: a minute later orders are seen again."""
    watched = Watched(tmp_path)
    watched.step()
    monkeypatch.setattr(ChainWatch, "_final_block", lambda self, rpc: 10**12)
    watched.watch.step(watched.seen.append)
    monkeypatch.undo()
    invented = watched.ledger.load_cursor(A)
    assert invented is not None and invented > len(watched.chain.blocks)
    assert watched.step() == []
    watched.now_s = BEHIND_S
    assert watched.step() == [] and watched.ledger.load_cursor(A) == len(watched.chain.blocks) - 1
    assert watched.step() == [] and [watched.xcall()] == watched.step()


def test_an_order_of_another_origin_is_none_of_this_chain(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.step()
    watched.chain.xcall(replace(watched.network.info(), origin_domain=B, destination_domain=A))
    assert watched.step() == []


# --- what nodes say --------------------------------------------------------------------------------------------------


def test_an_order_that_a_node_tells_of_is_looked_up_on_its_origin(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    transfer_id = watched.xcall()
    claim = watched.claim()
    with collecting() as log:
        assert [order.transfer_id for order in watched.look_up(claim)] == [transfer_id]
    assert transfer_id not in watched.claims and log.lines == []


def corrupt_id(watched: Watched) -> OrderClaim:
    order = watched.claim().order
    return watched.claim(order=replace(order, transfer_id=TransferId(b"\x05" * 32)))


def corrupt_contract(watched: Watched) -> OrderClaim:
    block = watched.chain.blocks[-1]
    block.logs = [replace(log, address=Address(b"\xee" * 20)) for log in block.logs]
    return watched.claim()


def corrupt_event(watched: Watched) -> OrderClaim:
    claim, block = watched.claim(), watched.chain.blocks[-1]
    block.logs = [replace(log, topics=(TOPICS["Executed"], *log.topics[1:])) for log in block.logs]
    return claim


def corrupt_status(watched: Watched) -> OrderClaim:
    watched.faults.failed_receipts = True
    return watched.claim()


def corrupt_finality(watched: Watched) -> OrderClaim:
    watched.chain.unfinalized = 1
    return watched.claim()


def corrupt_block(watched: Watched) -> OrderClaim:
    """The receipt is of a block that is no longer canonical."""
    claim = watched.claim()
    receipt = watched.chain.answer("eth_getTransactionReceipt", ["0x" + claim.origin_tx.hex()])
    watched.faults.constants["eth_getTransactionReceipt"] = {**receipt, "blockHash": "0x" + "66" * 32}
    return claim


@pytest.mark.parametrize(("corrupt", "cause"), [
    (lambda watched: watched.claim(origin_tx=b""), "not_on_origin"),
    (lambda watched: watched.claim(origin_tx=b"\x05" * 32), "not_on_origin"),
    (corrupt_id, "not_on_origin"), (corrupt_contract, "not_on_origin"), (corrupt_event, "not_on_origin"),
    (corrupt_status, "not_on_origin"), (corrupt_block, "not_on_origin"), (corrupt_finality, "not_final"),
])
def test_an_order_that_is_not_there_is_not_taken(
    tmp_path: Path, corrupt: Callable[[Watched], OrderClaim], cause: str
) -> None:
    watched = Watched(tmp_path)
    watched.xcall()
    claim = corrupt(watched)
    with collecting() as log:
        assert watched.look_up(claim) == []
    assert [(line["event"], line["cause"]) for line in log.lines] == [("not_bidding", cause)]
    asked = watched.faults.calls.total()
    assert watched.look_up(claim) == [] and watched.faults.calls.total() == asked, "it rests"


def test_while_the_origin_does_not_answer_a_claim_waits(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    transfer_id = watched.xcall()
    claim = watched.claim()
    watched.faults.is_absent = True
    with pytest.raises(RpcUnavailable):
        watched.look_up(claim)
    watched.faults.behave()
    assert [order.transfer_id for order in watched.look_up(claim)] == [transfer_id]


def test_claims_are_bounded_and_the_first_of_a_transfer_stays() -> None:
    claims = OrderClaims(claims_max=2)
    first, second, third = (
        OrderClaim(Order(TransferId(bytes([number]) * 32), B, None), bytes([number])) for number in range(3)
    )
    for claim in (first, replace(first, origin_tx=b"\xff"), second, third):
        claims.add(claim)
    assert list(claims.list_all()) == [first, second]
    claims.done(first)
    assert first.order.transfer_id not in claims and second.order.transfer_id in claims
