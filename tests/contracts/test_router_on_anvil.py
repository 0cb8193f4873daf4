"""A router's checks against the real Connext: what it would lose money or time on, it does not bid on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.evm.artifacts.compile import load_own_artifact
from abci_app.evm.connext import CONNEXT, DestinationStatus, router_balance_override, router_override
from abci_app.evm.connext_events import TOPICS
from abci_app.evm.types import Address
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.state.codec import TransferId
from abci_app.machine.state.records import TransferInfo
from abci_app.router.bidder import Refusals
from abci_app.router.checks import Checker, Destination, Offer, has_overrides
from abci_app.router.config import WatchedChain
from abci_app.router.errors import Refused
from abci_app.router.ledger import Ledger
from abci_app.router.order_queue import Order
from abci_app.router.origin import OrderClaim, OrderClaims
from abci_app.router.watch import ChainWatch, SeenOrder
from testnet.chains.anvil import mine_until
from testnet.connext.deploy import add_sequencers
from testnet.connext.deployment import dev_account
from tests.kit.contracts.connext_reads import read_storage, read_token_id
from tests.kit.evm.local_chains import HUB, ROOT, SPOKE, Bridge, sign_execute
from tests.kit.router.router_kit import collecting

ROUTERS = tuple(dev_account(f"router-{index}") for index in range(2))
SEQUENCER = dev_account("sequencer")
AMOUNT = 1_000_000


class Desk:
    """The first router's checks on the spoke; the relayer stands for the gate."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        deployed, token = bridge.deployment.domain(SPOKE), bridge.token(SPOKE, "USDC")
        self.local = token.address
        connext = bridge.connext(SPOKE)
        self.canonical = read_token_id(connext, self.local)
        self.destination = Destination(
            SPOKE, connext, bridge.deployment.relayer, {(self.canonical[1], self.canonical[0]): self.local},
            connext.max_routers(),
        )
        self.open = 0
        self.checker = Checker(ROUTERS[0], (1, 2, 4))
        assert deployed.connext == connext.address

    @property
    def balance(self) -> int:
        return self.destination.connext.router_balance(ROUTERS[0].address, self.local)

    def offer(self, info: TransferInfo) -> Offer:
        return self.checker.compute_offer(info, compute_transfer_id(info), self.destination, lambda _: self.open)

    def refusal(self, info: TransferInfo) -> Refused:
        with pytest.raises(Refused) as caught:
            self.offer(info)
        return caught.value

    def create(self, name: str) -> Address:
        """One of the test's own receivers, on the spoke."""
        created = self.bridge.wallet(SPOKE, "user-4").transact(None, load_own_artifact(ROOT, name).creation_code())
        assert created.contract_address is not None
        return created.contract_address


@pytest.fixture
def desk(bridge: Bridge) -> Iterator[Desk]:
    desk = Desk(bridge)
    with collecting() as log:
        yield desk
    assert log.of("cannot_simulate") == [], "anvil has state overrides"


def test_a_transfer_that_connext_would_execute_is_offered_every_path(desk: Desk) -> None:
    info = desk.bridge.xcall(HUB, SPOKE, "USDC", AMOUNT)
    offer = desk.offer(info)
    assert (offer.local, offer.path_lengths) == (desk.local, (1, 2, 4))
    assert offer.share == info.bridged_amt == AMOUNT
    assert has_overrides(desk.destination.connext)
    assert not desk.destination.connext.is_sequencer_approved(SEQUENCER.address), "nothing was changed by asking"


def test_the_balance_that_a_simulation_lends_is_where_the_diamond_keeps_it(desk: Desk) -> None:
    connext = desk.destination.connext
    override = router_balance_override(connext.address, ROUTERS[0].address, desk.local, 1)
    [state] = override.values()
    [(slot, value)] = state["stateDiff"].items()
    assert int.from_bytes(read_storage(connext.rpc, connext.address, int(slot, 16)), "big") == desk.balance > 0
    assert int(value, 16) == 1
    calldata = CONNEXT.encode("routerBalances", ROUTERS[0].address, desk.local)
    lent = connext.rpc.call(connext.address, calldata, overrides=override)
    assert int.from_bytes(lent, "big") == 1


def test_the_approval_that_a_simulation_lends_is_where_the_diamond_keeps_it(desk: Desk) -> None:
    connext, stranger = desk.destination.connext, Address(b"\x99" * 20)
    override = router_override(connext.address, stranger)
    calldata = CONNEXT.encode("getRouterApproval", stranger)
    assert not int.from_bytes(connext.rpc.call(connext.address, calldata), "big")
    assert int.from_bytes(connext.rpc.call(connext.address, calldata, overrides=override), "big") == 1


def test_more_than_it_has_is_offered_in_parts_and_simulated_all_the_same(desk: Desk) -> None:
    info = desk.bridge.xcall(HUB, SPOKE, "USDC", desk.balance + desk.balance // 2)
    offer = desk.offer(info)
    assert offer.path_lengths == (2, 4) and offer.share == info.bridged_amt // 2 + 1 <= desk.balance


def test_what_earlier_bids_may_cost_is_not_there(desk: Desk) -> None:
    info = desk.bridge.xcall(HUB, SPOKE, "USDC", AMOUNT)
    desk.open = desk.balance - AMOUNT + 1
    assert desk.offer(info).path_lengths == (2, 4)
    desk.open = desk.balance
    refusal = desk.refusal(info)
    assert (refusal.cause, str(refusal)) == ("liquidity_short", f"liquidity_short: 0 free of {AMOUNT} asked for")


def test_calldata_needs_a_contract_that_takes_it(desk: Desk) -> None:
    xcall = desk.bridge.xcall
    assert desk.refusal(xcall(HUB, SPOKE, "USDC", AMOUNT, to=Address(b"\x70" * 20), call_data=b"x")).cause == (
        "no_contract"
    )
    refused = desk.refusal(xcall(HUB, SPOKE, "USDC", AMOUNT, to=desk.create("Refuser"), call_data=b"x"))
    assert refused.cause == "would_revert" and "BridgeFacet__execute_externalCallFailed" in str(refused)
    burned = desk.refusal(xcall(HUB, SPOKE, "USDC", AMOUNT, to=desk.create("GasBurner"), call_data=b"x"))
    assert burned.cause == "would_revert"
    taken = xcall(HUB, SPOKE, "USDC", AMOUNT, to=desk.create("Recorder"), call_data=b"x")
    assert desk.offer(taken).path_lengths == (1, 2, 4)


def test_an_executed_transfer_is_no_longer_pending(desk: Desk) -> None:
    bridge = desk.bridge
    add_sequencers(ROOT, bridge.deployment, bridge.rpcs, [SEQUENCER.address])
    info = bridge.xcall(HUB, SPOKE, "USDC", AMOUNT)
    desk.offer(info)
    bridge.execute(info, sign_execute(info, ROUTERS[1:], SEQUENCER))
    assert desk.destination.connext.transfer_status(compute_transfer_id(info)) is DestinationStatus.EXECUTED
    refusal = desk.refusal(info)
    assert (refusal.cause, str(refusal)) == ("not_pending", "not_pending: executed")


def test_without_connexts_approval_it_does_not_bid(desk: Desk) -> None:
    info = desk.bridge.xcall(HUB, SPOKE, "USDC", AMOUNT)
    desk.bridge.admin(SPOKE, "unapproveRouter", ROUTERS[0].address)
    assert desk.refusal(info).cause == "not_approved"


def test_a_paused_connext_would_revert(desk: Desk) -> None:
    info = desk.bridge.xcall(HUB, SPOKE, "USDC", AMOUNT)
    desk.bridge.admin(SPOKE, "pause")
    refusal = desk.refusal(info)
    assert refusal.cause == "would_revert" and "paused" in str(refusal)


def test_an_asset_that_the_network_does_not_list_is_refused(desk: Desk) -> None:
    info = desk.bridge.xcall(HUB, SPOKE, "DAI", 10**18)
    assert desk.refusal(info).cause == "asset_unknown"


def test_orders_are_seen_once_they_are_final(bridge: Bridge, tmp_path: Path) -> None:
    ledger, rpc = Ledger(tmp_path / "ledger"), bridge.rpc(HUB)
    watched = WatchedChain(HUB, bridge.deployment.domain(HUB).chain_id, rpc.url)
    claims = OrderClaims()
    watch = ChainWatch(
        watched, lambda: rpc, lambda domain: bridge.connext(domain).address, ledger, claims, Refusals(),
    )
    seen: list[SeenOrder] = []
    assert not watch.step(seen.append)
    info = bridge.xcall(HUB, SPOKE, "USDC", AMOUNT)
    watch.step(seen.append)
    assert seen == [], "not final yet"
    mine_until(rpc, rpc.block_number() + 3)
    watch.step(seen.append)
    assert seen == [SeenOrder(compute_transfer_id(info), info)]

    [log] = rpc.logs(bridge.connext(HUB).address, 0, rpc.block_number(), [TOPICS["XCalled"]])[-1:]
    order = Order(seen[0].transfer_id, SPOKE, info, is_missing=True)
    invented = replace(order, transfer_id=TransferId(b"\x05" * 32))
    taken: list[OrderClaim] = []
    for each in (order, invented):
        claims.add(OrderClaim(each, log.tx_hash))
    with collecting() as lines:
        watch.look_up(taken.append)
    causes = [line["cause"] for line in lines.of("not_bidding")]
    assert ([claim.order for claim in taken], causes) == ([order], ["not_on_origin"])
    ledger.close()
