"""The message layer with the real contracts: routers are repaid, in both directions, whatever interrupts it."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from abci_app.evm.account import Account
from abci_app.evm.codec import load_interface
from abci_app.evm.connext import DestinationStatus
from abci_app.evm.connext_events import TOPICS, ConnextEvent, decode_event
from abci_app.evm.errors import TransactionFailed
from abci_app.evm.rpc import Rpc
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.state.records import TransferInfo
from testnet.chains.anvil import mine_until, use_interval_mining, wait_until
from testnet.connext.deploy import add_sequencers
from testnet.connext.deployment import dev_account
from testnet.connext.merkle import MerkleTree
from testnet.connext.message_layer import BATCH_MESSAGES, SNAPSHOT_S, read_messages, settle
from tests.kit.evm.local_chains import HUB, ROOT, SPOKE, Bridge, sign_execute, slow_execute, use_automine

SEQUENCER = Account(b"\x51" * 32)
ROUTERS = [dev_account(f"router-{index}") for index in range(3)]
ROOT_MANAGER, CONNECTOR = load_interface("root_manager"), load_interface("spoke_connector")
LANES = [(HUB, SPOKE, "USDC"), (SPOKE, HUB, "USDC"), (HUB, SPOKE, "DAI"), (SPOKE, HUB, "DAI")]


@pytest.fixture
def busy(bridge: Bridge) -> Iterator[tuple[Bridge, list[TransferInfo]]]:
    """A transfer of each token in each direction, executed by two routers."""
    add_sequencers(ROOT, bridge.deployment, bridge.rpcs, [SEQUENCER.address])
    infos = []
    for origin, destination, symbol in LANES:
        info = bridge.xcall(origin, destination, symbol, 100 * bridge.token(origin, symbol).unit + 3)
        bridge.execute(info, sign_execute(info, ROUTERS[:2], SEQUENCER))
        infos.append(info)
    yield bridge, infos


def reconciled(bridge: Bridge, domain: int) -> list[ConnextEvent]:
    rpc = bridge.rpc(domain)
    logs = rpc.logs(bridge.connext(domain).address, 0, rpc.block_number(), [TOPICS["Reconciled"]])
    return [decode_event(log) for log in logs]


def balances(bridge: Bridge) -> list[int]:
    return [
        bridge.connext(destination).router_balance(router.address, bridge.token(destination, symbol).address)
        for _, destination, symbol in LANES
        for router in ROUTERS
    ]


def assert_settled(bridge: Bridge, infos: list[TransferInfo]) -> None:
    for info in infos:
        connext, transfer_id = bridge.connext(info.destination_domain), compute_transfer_id(info)
        assert connext.transfer_status(transfer_id) is DestinationStatus.COMPLETED
        events = reconciled(bridge, info.destination_domain)
        [event] = [event for event in events if event.arguments["transferId"] == transfer_id]
        assert event.arguments["routers"] == tuple(router.address for router in ROUTERS[:2])
        assert event.arguments["amount"] == info.bridged_amt


def test_routers_are_repaid_in_both_directions(busy: tuple[Bridge, list[TransferInfo]]) -> None:
    bridge, infos = busy
    settlement = settle(bridge.deployment, bridge.rpcs, mine_until)
    assert settlement.rounds == 1
    assert {message.transfer_id for message in settlement.processed} == {compute_transfer_id(info) for info in infos}
    assert (settlement.failures, settlement.left) == ((), 0)
    assert_settled(bridge, infos)
    # In full plus the fee: what the two gained together is exactly what the users paid.
    for (_, destination, symbol), gained in zip(LANES, _gains(bridge), strict=True):
        amount = 100 * bridge.token(destination, symbol).unit + 3
        assert gained == amount - amount * 9995 // 10000

    again = settle(bridge.deployment, bridge.rpcs, mine_until)
    assert (again.rounds, again.processed) == (0, ())


def _gains(bridge: Bridge) -> list[int]:
    found = balances(bridge)
    per_lane = [found[start : start + len(ROUTERS)] for start in range(0, len(found), len(ROUTERS))]
    return [
        sum(lane) - len(ROUTERS) * 20_000 * bridge.token(destination, symbol).unit
        for lane, (_, destination, symbol) in zip(per_lane, LANES, strict=True)
    ]


def test_a_transfer_that_no_router_served_is_executed_afterwards_in_full(bridge: Bridge) -> None:
    info = bridge.xcall(HUB, SPOKE, "USDC", 777)
    settle(bridge.deployment, bridge.rpcs, mine_until)
    assert bridge.connext(SPOKE).transfer_status(compute_transfer_id(info)) is DestinationStatus.RECONCILED
    before = bridge.token_balance(SPOKE, "USDC", info.to)
    bridge.execute(info, slow_execute(info))
    assert bridge.token_balance(SPOKE, "USDC", info.to) == before + 777
    assert bridge.connext(SPOKE).transfer_status(compute_transfer_id(info)) is DestinationStatus.COMPLETED


def test_more_messages_than_fit_one_transaction(bridge: Bridge) -> None:
    count = BATCH_MESSAGES * 2 + 1
    infos = [bridge.xcall(HUB, SPOKE, "USDC", 1 + index) for index in range(count)]
    settlement = settle(bridge.deployment, bridge.rpcs, mine_until)
    assert len(settlement.processed) == count
    assert settlement.failures == ()
    statuses = {bridge.connext(SPOKE).transfer_status(compute_transfer_id(info)) for info in infos}
    assert statuses == {DestinationStatus.RECONCILED}


class Killed(Exception):
    """Stands for a kill of the process that settles."""


@pytest.mark.parametrize("sent_before", range(7))
def test_a_killed_settlement_is_finished_by_the_next(
    busy: tuple[Bridge, list[TransferInfo]], monkeypatch: pytest.MonkeyPatch, sent_before: int
) -> None:
    """Kill it before each of its transactions: propose, finalize, send, propose, finalize, process, process."""
    bridge, infos = busy
    with monkeypatch.context() as patched:
        real, left = Rpc.send_raw_transaction, [sent_before]

        def send(rpc: Rpc, raw: bytes) -> bytes:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(rpc, raw)

        patched.setattr(Rpc, "send_raw_transaction", send)
        with pytest.raises(Killed):
            settle(bridge.deployment, bridge.rpcs, mine_until)
    late = bridge.xcall(SPOKE, HUB, "DAI", 5)  # the trees grow in between
    settlement = settle(bridge.deployment, bridge.rpcs, mine_until)
    assert (settlement.failures, settlement.left) == ((), 0)
    assert_settled(bridge, infos)
    assert bridge.connext(HUB).transfer_status(compute_transfer_id(late)) is DestinationStatus.RECONCILED


def test_blocks_that_come_by_themselves(busy: tuple[Bridge, list[TransferInfo]]) -> None:
    bridge, infos = busy
    for rpc in bridge.rpcs.values():
        use_interval_mining(rpc, 1)
    try:
        started = time.monotonic()
        settlement = settle(bridge.deployment, bridge.rpcs, wait_until)
        assert 10 < time.monotonic() - started < 60, "two windows of five one-second blocks, and seven transactions"
    finally:
        for rpc in bridge.rpcs.values():
            use_automine(rpc)
    assert (settlement.rounds, settlement.failures, settlement.left) == (1, (), 0)
    assert_settled(bridge, infos)


def test_a_half_hour_that_changes_under_a_proposal_is_no_failure(
    busy: tuple[Bridge, list[TransferInfo]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge, infos = busy
    clock = [time.time() + SNAPSHOT_S]  # the first look is half an hour off

    def now() -> float:
        return clock.pop() if clock else time.monotonic() + offset

    offset = time.time() - time.monotonic()
    monkeypatch.setattr("testnet.connext.message_layer.time", SimpleNamespace(time=now))
    assert settle(bridge.deployment, bridge.rpcs, mine_until).rounds == 1
    assert clock == []
    assert_settled(bridge, infos)


def test_a_message_whose_handler_reverts_is_reported_with_its_reason(bridge: Bridge) -> None:
    info = bridge.xcall(HUB, SPOKE, "USDC", 10)
    bridge.admin(SPOKE, "enrollRemoteRouter", HUB, b"\x99" * 32)
    settlement = settle(bridge.deployment, bridge.rpcs, mine_until)
    [failure] = settlement.failures
    assert failure.message.transfer_id == compute_transfer_id(info)
    assert failure.reason == "InboxFacet__onlyRemoteRouter_notRemote()"
    assert settle(bridge.deployment, bridge.rpcs, mine_until).rounds == 0


def test_a_stranger_cannot_propose(bridge: Bridge) -> None:
    hub, stranger = bridge.deployment.hub, bridge.wallet(HUB, "user-0")
    assert hub.root_manager is not None
    proposal = ROOT_MANAGER.encode("proposeAggregateRoot", 0, b"\x01" * 32, [b"\x01" * 32] * 2, [HUB, SPOKE])
    with pytest.raises(TransactionFailed, match="RootManager_onlyProposer__NotWhitelistedProposer"):
        stranger.transact(hub.root_manager, proposal)
    spoke = bridge.deployment.domain(SPOKE).spoke_connector
    with pytest.raises(TransactionFailed, match="SpokeConnector_onlyProposer__NotAllowlistedProposer"):
        bridge.wallet(SPOKE, "user-0").transact(spoke, CONNECTOR.encode("proposeAggregateRoot", b"\x01" * 32, 5))


def test_nothing_is_final_before_the_window_is_over(bridge: Bridge) -> None:
    hub, proposer = bridge.deployment.hub, bridge.wallet(HUB, "proposer")
    assert hub.root_manager is not None
    snapshot = max(int(time.time()), bridge.rpc(HUB).block().timestamp_s) // SNAPSHOT_S
    root = b"\x01" * 32
    proposal = ROOT_MANAGER.encode("proposeAggregateRoot", snapshot, root, [root] * 2, [HUB, SPOKE])
    end = proposer.transact(hub.root_manager, proposal).block_number + 5
    for _ in range(4):
        with pytest.raises(TransactionFailed, match="RootManager_finalize__ProposeInProgress"):
            proposer.transact(hub.root_manager, ROOT_MANAGER.encode("finalize", root, end))
    assert proposer.transact(hub.root_manager, ROOT_MANAGER.encode("finalize", root, end)).block_number == end


def test_a_message_cannot_be_proven_against_a_root_that_nobody_accepted(bridge: Bridge) -> None:
    bridge.xcall(HUB, SPOKE, "USDC", 10)
    messages = read_messages(bridge.rpc(HUB), bridge.deployment.hub)
    tree = MerkleTree([message.leaf for message in messages])
    aggregate = MerkleTree([tree.root])
    proofs = [(messages[-1].body, tree.path(len(messages) - 1), len(messages) - 1)]
    calldata = CONNECTOR.encode("proveAndProcess", proofs, aggregate.root, aggregate.path(0), 0)
    with pytest.raises(TransactionFailed, match="aggregateRoot !exist"):
        bridge.wallet(SPOKE, "user-0").transact(bridge.deployment.domain(SPOKE).spoke_connector, calldata)


def test_our_tree_is_the_chains_tree(busy: tuple[Bridge, list[TransferInfo]]) -> None:
    bridge, _ = busy
    for deployed in bridge.deployment.domains:
        rpc, function = bridge.rpc(deployed.domain), CONNECTOR.function("outboundRoot")
        leaves = [message.leaf for message in read_messages(rpc, deployed)]
        assert function.decode(rpc.call(deployed.spoke_connector, function.encode()))[0] == MerkleTree(leaves).root
