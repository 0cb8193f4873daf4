"""Should a router bid? A table of every "no", and what it offers where it says yes."""

from dataclasses import replace
from typing import Any

import pytest

from abci_app.evm.account import Account
from abci_app.evm.connext import Connext, DestinationStatus
from abci_app.evm.errors import EvmError, RpcRefused, RpcUnavailable
from abci_app.evm.optional_methods import ASK_AGAIN_S, REFUSALS_MAX
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.state.codec import Address, Hash
from abci_app.machine.state.records import TransferInfo
from abci_app.router.checks import Checker, Destination, Offer
from abci_app.router.errors import Refused
from tests.kit.evm.rpc_proxy import Faults, Forward, JsonRpcError
from tests.kit.machine.driver import CANONICAL_ID, KEYS, LIQUIDITY, ROUTERS, A, B, Network, local_of
from tests.kit.router.fake_evm import DirectRpc, FakeEvm
from tests.kit.router.router_kit import collecting

ROUTER = ROUTERS[0]
RECEIVER = Address(b"\x70" * 20)


class World:
    """One destination, the checks of one router on it, and nothing else."""

    def __init__(self, path_lengths: tuple[int, ...] = (1, 2, 4), faults: Faults | None = None) -> None:
        self.chain = FakeEvm(B)
        self.destination = Destination(
            B, Connext(DirectRpc(self.chain, faults), self.chain.connext), b"\x9a" * 20,
            {(A, CANONICAL_ID): local_of(B)}, 5,
        )
        self.checker = Checker(Account(KEYS[0]), path_lengths, lambda: self.now_s)
        self.open, self.now_s = 0, 0.0

    def info(self, **changes: Any) -> TransferInfo:
        return replace(Network().info(), **changes)

    def offer(self, info: TransferInfo, destination: Destination | None = None) -> Offer:
        return self.checker.compute_offer(
            info, compute_transfer_id(info), destination or self.destination, lambda _: self.open
        )


def test_a_transfer_that_can_be_served_gets_every_path_length() -> None:
    world = World()
    info = world.info(bridged_amt=1000)
    with collecting() as log:
        assert world.offer(info) == Offer(local_of(B), (1, 2, 4), 1000)
    assert world.chain.simulated == [compute_transfer_id(info)] and log.lines == []


@pytest.mark.parametrize(("free", "lengths", "share"), [
    (1000, (1, 2, 4), 1000), (999, (2, 4), 501), (501, (2, 4), 501), (500, (4,), 253), (253, (4,), 253),
])
def test_only_path_lengths_that_are_affordable_are_offered(free: int, lengths: tuple[int, ...], share: int) -> None:
    world = World()
    world.open = LIQUIDITY - free
    assert world.offer(world.info(bridged_amt=1000)) == Offer(local_of(B), lengths, share)


def test_a_tiny_amount_costs_most_on_the_longest_path() -> None:
    assert World().offer(World().info(bridged_amt=1)).share == 3


@pytest.mark.parametrize(("max_routers", "lengths"), [(1, (1,)), (3, (1, 2)), (4, (1, 2, 4))])
def test_path_lengths_end_where_the_destination_says(max_routers: int, lengths: tuple[int, ...]) -> None:
    world = World()
    offer = world.offer(world.info(), replace(world.destination, max_routers=max_routers))
    assert offer.path_lengths == lengths


def test_path_lengths_are_those_of_the_configuration() -> None:
    assert World((2,)).offer(World().info()).path_lengths == (2,)


def corrupt_status(status: DestinationStatus) -> Any:
    def corrupt(world: World, info: TransferInfo) -> None:
        world.chain.statuses[compute_transfer_id(info)] = status
    return corrupt


def corrupt_balance(world: World, info: TransferInfo) -> None:
    world.chain.balances[ROUTER, local_of(B)] = 252


def corrupt_open(world: World, info: TransferInfo) -> None:
    world.open = LIQUIDITY - 252


def corrupt_approval(world: World, info: TransferInfo) -> None:
    world.chain.approved.discard(ROUTER)


def corrupt_receiver(world: World, info: TransferInfo) -> None:
    world.chain.codes[RECEIVER] = b"\x60"
    world.chain.reverting.add(RECEIVER)


def corrupt_token(world: World, info: TransferInfo) -> None:
    world.chain.local = Address(b"\xee" * 20)


def nothing(world: World, info: TransferInfo) -> None:
    return


@pytest.mark.parametrize(("changes", "corrupt", "cause"), [
    ({"bridged_amt": 0}, nothing, "zero_amount"),
    ({"destination_domain": A}, nothing, "wrong_destination"),
    ({"canonical_id": Hash(bytes(32))}, nothing, "asset_unknown"),
    ({"canonical_domain": B}, nothing, "asset_unknown"),
    ({}, corrupt_token, "asset_differs"),
    ({}, corrupt_status(DestinationStatus.RECONCILED), "not_pending"),
    ({}, corrupt_status(DestinationStatus.EXECUTED), "not_pending"),
    ({}, corrupt_status(DestinationStatus.COMPLETED), "not_pending"),
    ({}, corrupt_approval, "not_approved"),
    ({}, corrupt_balance, "liquidity_short"),
    ({}, corrupt_open, "liquidity_short"),
    ({"bridged_amt": LIQUIDITY * 4}, nothing, "liquidity_short"),
    ({"call_data": b"\x01"}, nothing, "no_contract"),
    ({"call_data": b"\x01"}, corrupt_receiver, "would_revert"),
    ({}, corrupt_receiver, "would_revert"),
])
def test_every_no_has_its_cause(changes: dict[str, Any], corrupt: Any, cause: str) -> None:
    world = World()
    info = world.info(**changes)
    corrupt(world, info)
    with pytest.raises(Refused) as caught:
        world.offer(info)
    assert caught.value.cause == cause


def test_terms_that_are_not_the_transfers_are_refused() -> None:
    world = World()
    with pytest.raises(Refused, match="wrong_id"):
        world.checker.compute_offer(
            world.info(), compute_transfer_id(world.info(nonce=9)), world.destination, lambda _: 0
        )


def test_without_an_allowlist_nobody_needs_approval() -> None:
    world = World()
    world.chain.approved.clear()
    world.chain.is_allowlist_removed = True
    assert world.offer(world.info()).path_lengths == (1, 2, 4)


def test_calldata_for_a_contract_is_simulated() -> None:
    world = World()
    world.chain.codes[RECEIVER] = b"\x60"
    assert world.offer(world.info(call_data=b"\x01")).path_lengths == (1, 2, 4)
    assert len(world.chain.simulated) == 1


@pytest.mark.parametrize("overrides", ["refused", "ignored"])
def test_an_endpoint_without_overrides_says_so_once_and_bids_without_simulation(overrides: str) -> None:
    world = World()
    world.chain.overrides = overrides
    world.chain.reverting.add(RECEIVER)
    with collecting() as log:
        for nonce in range(3):
            assert world.offer(world.info(nonce=nonce)).path_lengths == (1, 2, 4)
    [line] = log.lines
    assert log.of("cannot_simulate", domain=B, reason="the RPC has no state overrides", level="warning") == [line]
    assert world.chain.simulated == []


class RefusesOverrides(Faults):
    """Refuses the next calls with state overrides."""

    def __init__(self, code: int, message: str, times: int) -> None:
        super().__init__()
        self.code, self.message, self.times = code, message, times

    def answer(self, method: str, params: list[Any], forward: Forward) -> Any:
        if method == "eth_call" and len(params) > 2 and self.times:
            self.times -= 1
            raise JsonRpcError(self.code, self.message)
        return super().answer(method, params, forward)


@pytest.mark.parametrize(
    ("code", "message"),
    [(-32016, "over rate limit"), (-32007, "50/second request limit reached"), (-32000, "header not found")],
)
def test_a_passing_refusal_of_overrides_is_not_remembered(code: int, message: str) -> None:
    world = World(faults=RefusesOverrides(code, message, 1))
    world.chain.reverting.add(RECEIVER)
    with collecting() as log:
        with pytest.raises(EvmError):
            world.offer(world.info())
        with pytest.raises(Refused, match="would_revert"):
            world.offer(world.info())
    assert log.lines == []


def test_overrides_refused_again_and_again_are_missing_until_asked_for_again() -> None:
    world = World(faults=RefusesOverrides(-32000, "no third argument here", REFUSALS_MAX))
    world.chain.reverting.add(RECEIVER)
    for _ in range(REFUSALS_MAX - 1):
        with pytest.raises(RpcRefused):
            world.offer(world.info())
    with collecting() as log:
        assert world.offer(world.info()).path_lengths == (1, 2, 4)
    assert len(log.of("cannot_simulate")) == 1
    world.now_s = ASK_AGAIN_S - 1
    assert world.offer(world.info()).path_lengths == (1, 2, 4)
    world.now_s = ASK_AGAIN_S
    with pytest.raises(Refused, match="would_revert"):
        world.offer(world.info())


@pytest.mark.parametrize("code", [-32601, -32602])
def test_a_clear_refusal_of_overrides_is_remembered_at_once(code: int) -> None:
    faults = RefusesOverrides(code, "too many arguments, want at most 2", 1)
    world = World(faults=faults)
    with collecting() as log:
        for nonce in range(2):
            assert world.offer(world.info(nonce=nonce)).path_lengths == (1, 2, 4)
    assert len(log.of("cannot_simulate")) == 1


def test_an_endpoint_that_is_away_is_no_refusal() -> None:
    faults = Faults()
    world = World(faults=faults)
    faults.is_absent = True
    with pytest.raises(RpcUnavailable):
        world.offer(world.info())
    faults.behave()
    assert world.offer(world.info()).path_lengths == (1, 2, 4)
