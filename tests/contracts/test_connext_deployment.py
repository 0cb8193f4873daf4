"""The deployment: real bytecode, the roles it must have, money that is backed, and transfers that the chains accept."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from abci_app.evm.account import Account
from abci_app.evm.artifacts.deploy import matches_deployed_code
from abci_app.evm.codec import load_interface
from abci_app.evm.connext import (
    DestinationStatus,
    ExecuteArgs,
    Role,
    encode_execute,
    sequencer_override,
)
from abci_app.evm.connext_events import decode_event
from abci_app.evm.errors import CallReverted, ChainMismatch, TransactionFailed
from abci_app.evm.types import ZERO_ADDRESS, Address
from abci_app.machine.connext import compute_debits, compute_transfer_id
from testnet.chains.anvil import ChainFailed, use_interval_mining
from testnet.chains.state_cache import compute_cache_key, start_deployed
from testnet.connext.connext_contracts import FACETS, load_connext_artifact
from testnet.connext.deploy import add_sequencers, connect, default_params, hand_over_to_gate
from testnet.connext.deployment import dev_account, from_json, to_json
from testnet.connext.supply import TOKEN
from testnet.processes.ports import find_free_port
from tests.kit.contracts.connext_reads import (
    compute_canonical_key,
    read_facets,
    read_routed_transfers,
    read_storage,
    read_token_id,
    relayer_override,
)
from tests.kit.evm.local_chains import HUB, ROOT, SPOKE, Bridge, events_of, sign_execute, slow_execute

SEQUENCER, STRANGER = Account(b"\x51" * 32), Account(b"\x52" * 32)
ROUTERS = [dev_account(f"router-{index}") for index in range(3)]
DIRECTIONS = [(HUB, SPOKE, "USDC"), (SPOKE, HUB, "USDC"), (HUB, SPOKE, "DAI"), (SPOKE, HUB, "DAI")]
ROOT_MANAGER, CONNECTOR = load_interface("root_manager"), load_interface("spoke_connector")


def read(bridge: Bridge, domain: int, contract: Address | None, interface: Any, name: str, *arguments: Any) -> Any:
    assert contract is not None
    function = interface.function(name)
    return function.decode(bridge.rpc(domain).call(contract, function.encode(*arguments)))[0]


# -- what stands there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", [HUB, SPOKE])
def test_every_facet_runs_the_published_bytecode(bridge: Bridge, domain: int) -> None:
    facets = {facet.selectors: facet.address for facet in read_facets(bridge.connext(domain))}
    published = {}
    for name in FACETS:
        artifact = load_connext_artifact(ROOT, f"core/connext/facets/{name}Facet")
        published[artifact.selectors()] = artifact.deployed_bytecode
    found = {tuple(sorted(selectors)): bridge.rpc(domain).code(address) for selectors, address in facets.items()}
    assert found == published


@pytest.mark.parametrize(
    ("domain", "field", "path"),
    [
        (HUB, "connext", "core/connext/helpers/ConnextDiamond"),
        (SPOKE, "connext", "core/connext/helpers/ConnextDiamond"),
        (HUB, "spoke_connector", "messaging/connectors/mainnet/MainnetSpokeConnector"),
        (SPOKE, "spoke_connector", "messaging/connectors/admin/AdminSpokeConnector"),
        (HUB, "spoke_tree", "shared/upgrade/UpgradeBeaconProxy"),
        (SPOKE, "spoke_tree", "shared/upgrade/UpgradeBeaconProxy"),
        (HUB, "root_tree", "shared/upgrade/UpgradeBeaconProxy"),
        (HUB, "root_manager", "messaging/RootManager"),
        (HUB, "watcher_manager", "messaging/WatcherManager"),
        (SPOKE, "watcher_manager", "messaging/WatcherManager"),
    ],
)
def test_every_other_contract_runs_the_published_bytecode(bridge: Bridge, domain: int, field: str, path: str) -> None:
    code = bridge.rpc(domain).code(getattr(bridge.deployment.domain(domain), field))
    assert matches_deployed_code(load_connext_artifact(ROOT, path), code)


@pytest.mark.parametrize(("domain", "chain_id", "other"), [(HUB, 31337, SPOKE), (SPOKE, 31338, HUB)])
def test_domains_are_no_chain_ids_and_know_each_other(bridge: Bridge, domain: int, chain_id: int, other: int) -> None:
    connext = bridge.connext(domain)
    assert connext.domain() == domain
    assert connext.read("remote", other) == bridge.connext(other).address
    assert connext.read("remote", chain_id) == ZERO_ADDRESS
    bridge.rpc(domain).require_chain(chain_id)
    with pytest.raises(ChainMismatch):
        bridge.rpc(domain).require_chain(domain)


@pytest.mark.parametrize("domain", [HUB, SPOKE])
def test_roles_of_the_diamond(bridge: Bridge, domain: int) -> None:
    connext, deployment = bridge.connext(domain), bridge.deployment
    assert connext.owner() == deployment.owner
    assert connext.role(deployment.watcher) is Role.WATCHER
    assert connext.is_relayer_approved(deployment.relayer)
    assert not any(
        connext.is_relayer_approved(key) for key in (deployment.owner, deployment.proposer, *deployment.routers)
    )
    assert not any(connext.is_sequencer_approved(key) for key in (deployment.owner, SEQUENCER.address))
    assert all(connext.is_router_approved(router) for router in deployment.routers)
    assert not connext.is_router_approved(STRANGER.address)
    assert not connext.is_router_allowlist_removed()
    assert not connext.is_paused()
    assert (connext.fee_numerator(), connext.max_routers()) == (9995, 5)


def test_messaging_is_optimistic_with_windows_of_five_blocks(bridge: Bridge) -> None:
    hub = bridge.deployment.hub
    contracts = [(HUB, hub.root_manager, ROOT_MANAGER)]
    contracts += [(one.domain, one.spoke_connector, CONNECTOR) for one in bridge.deployment.domains]
    for domain, contract, interface in contracts:
        names = ("optimisticMode", "disputeBlocks", "minDisputeBlocks", "delayBlocks", "paused")
        assert [read(bridge, domain, contract, interface, name) for name in names] == [True, 5, 5, 5, False]
        for key, allowed in ((bridge.deployment.proposer, True), (STRANGER.address, False)):
            assert read(bridge, domain, contract, interface, "allowlistedProposers", key) is allowed


@pytest.mark.parametrize("symbol", ["USDC", "DAI"])
def test_what_circulates_abroad_is_in_custody_at_home(bridge: Bridge, symbol: str) -> None:
    home = bridge.token(HUB, symbol).canonical_domain
    [abroad] = {HUB, SPOKE} - {home}
    local = bridge.token(home, symbol).address
    connext = bridge.connext(home)
    liquidity = sum(connext.router_balance(router, local) for router in bridge.deployment.routers)
    custody = bridge.token_balance(home, symbol, connext.address) - liquidity
    supply = read(bridge, abroad, bridge.token(abroad, symbol).address, TOKEN, "totalSupply")
    assert custody == supply > 0


@pytest.mark.parametrize("domain", [HUB, SPOKE])
@pytest.mark.parametrize(("symbol", "decimals", "canonical_domain"), [("USDC", 6, HUB), ("DAI", 18, SPOKE)])
def test_tokens(bridge: Bridge, domain: int, symbol: str, decimals: int, canonical_domain: int) -> None:
    token, connext = bridge.token(domain, symbol), bridge.connext(domain)
    assert (token.decimals, token.canonical_domain) == (decimals, canonical_domain)
    for name, value in (("decimals", decimals), ("symbol", symbol)):
        assert read(bridge, domain, token.address, TOKEN, name) == value
    assert read_token_id(connext, token.address) == (token.canonical_id, canonical_domain)
    assert connext.local_asset(token.canonical_id, canonical_domain) == token.address
    assert connext.read("approvedAssets(bytes32)", compute_canonical_key(token.canonical_id, canonical_domain))
    for router in bridge.deployment.routers:
        assert connext.router_balance(router, token.address) == 20_000 * token.unit
    for index in range(bridge.deployment.users):
        user = dev_account(f"user-{index}").address
        assert bridge.token_balance(domain, symbol, user) >= 100_000 * token.unit
        assert bridge.rpc(domain).balance(user) >= 10**18
    assert bridge.deployment.users >= 4


def test_the_record_survives_json(bridge: Bridge) -> None:
    assert from_json(to_json(bridge.deployment)) == bridge.deployment
    clients = connect(bridge.deployment)
    for domain, rpc in clients.items():
        rpc.require_chain(bridge.deployment.domain(domain).chain_id)
        rpc.close()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"domains": [{}]}'])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_json(text)


# -- transfers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("origin", "destination", "symbol"), DIRECTIONS)
@pytest.mark.parametrize("count", [1, 2])
def test_a_fast_transfer_is_paid_out(bridge: Bridge, origin: int, destination: int, symbol: str, count: int) -> None:
    add_sequencers(ROOT, bridge.deployment, bridge.rpcs, [SEQUENCER.address])
    connext, local = bridge.connext(destination), bridge.token(destination, symbol)
    amount = 1_500 * local.unit + 7
    info = bridge.xcall(origin, destination, symbol, amount, to=STRANGER.address)
    transfer_id = compute_transfer_id(info)
    assert (info.bridged_amt, info.origin_domain, info.destination_domain) == (amount, origin, destination)
    assert connext.transfer_status(transfer_id) is DestinationStatus.NONE

    receipt = bridge.execute(info, sign_execute(info, ROUTERS[:count], SEQUENCER))

    debits = compute_debits(amount, count, 9995)
    assert bridge.token_balance(destination, symbol, STRANGER.address) == sum(debits)
    left = [connext.router_balance(router.address, local.address) for router in ROUTERS[:count]]
    assert left == [20_000 * local.unit - debit for debit in debits]
    assert connext.transfer_status(transfer_id) is DestinationStatus.EXECUTED
    assert read_routed_transfers(connext, transfer_id) == tuple(router.address for router in ROUTERS[:count])
    [event] = events_of(receipt, connext.address, "Executed")
    assert event.arguments["transferId"] == transfer_id
    assert event.arguments["args"] == sign_execute(info, ROUTERS[:count], SEQUENCER)
    assert event.arguments["caller"] == bridge.deployment.relayer


def test_the_transfer_id_of_the_chain_is_ours(bridge: Bridge) -> None:
    info = bridge.xcall(HUB, SPOKE, "USDC", 10, call_data=b"\x01\x02\x03")
    connext = bridge.connext(HUB)
    logs = bridge.rpc(HUB).logs(connext.address, 0, bridge.rpc(HUB).block_number())
    called = [event for event in map(decode_event, logs) if event.name == "XCalled"]
    assert called[-1].arguments["transferId"] == compute_transfer_id(info)
    assert [event.arguments["nonce"] for event in called] == list(range(len(called))) == list(range(connext.nonce()))


Change = Callable[[ExecuteArgs], ExecuteArgs]


@pytest.mark.parametrize(
    ("role", "change", "error"),
    [
        pytest.param("owner", lambda args: args, "BridgeFacet__execute_unapprovedSender", id="owner"),
        pytest.param("user-1", lambda args: args, "BridgeFacet__execute_unapprovedSender", id="stranger"),
        pytest.param(
            "relayer",
            lambda args: sign_execute(args.params, ROUTERS[:1], STRANGER),
            "BridgeFacet__execute_notSupportedSequencer",
            id="unknown sequencer",
        ),
        pytest.param(
            "relayer",
            lambda args: replace(args, sequencer_signature=STRANGER.personal_sign(bytes(32))),
            "BridgeFacet__execute_invalidSequencerSignature",
            id="signature of another sequencer",
        ),
        pytest.param(
            "relayer",
            lambda args: sign_execute(args.params, [STRANGER], SEQUENCER),
            "BridgeFacet__execute_notSupportedRouter",
            id="unapproved router",
        ),
        pytest.param(
            "relayer",
            lambda args: replace(
                sign_execute(args.params, ROUTERS[:2], SEQUENCER), router_signatures=args.router_signatures * 2
            ),
            "BridgeFacet__execute_invalidRouterSignature",
            id="path 1 signed, path 2 used",
        ),
        pytest.param(
            "relayer",
            lambda args: slow_execute(args.params),
            "BridgeFacet__execute_notReconciled",
            id="slow before it is reconciled",
        ),
        pytest.param(
            "relayer",
            lambda args: sign_execute(replace(args.params, destination_domain=HUB), ROUTERS[:1], SEQUENCER),
            "BridgeFacet__execute_wrongDomain",
            id="another destination",
        ),
        pytest.param(
            "relayer",
            lambda args: sign_execute(replace(args.params, bridged_amt=10**12 * 10**6), ROUTERS[:1], SEQUENCER),
            "Panic",
            id="more than the router has",
        ),
    ],
)
def test_what_connext_refuses_is_named(bridge: Bridge, role: str, change: Change, error: str) -> None:
    add_sequencers(ROOT, bridge.deployment, bridge.rpcs, [SEQUENCER.address])
    info = bridge.xcall(HUB, SPOKE, "USDC", 1_000_000)
    args = sign_execute(info, ROUTERS[:1], SEQUENCER)
    with pytest.raises(TransactionFailed) as caught:
        bridge.wallet(SPOKE, role).transact(bridge.connext(SPOKE).address, encode_execute(change(args)))
    assert caught.value.reason is not None
    assert caught.value.reason.name == error
    assert caught.value.receipt.status == 0
    bridge.execute(info, args)


def test_a_transfer_is_executed_once(bridge: Bridge) -> None:
    add_sequencers(ROOT, bridge.deployment, bridge.rpcs, [SEQUENCER.address])
    info = bridge.xcall(HUB, SPOKE, "USDC", 1_000_000)
    bridge.execute(info, sign_execute(info, ROUTERS[:1], SEQUENCER))
    with pytest.raises(TransactionFailed, match="BridgeFacet__execute_badFastLiquidityStatus"):
        bridge.execute(info, sign_execute(info, ROUTERS[1:2], SEQUENCER))


def test_overrides_let_a_simulation_pass_and_change_nothing(bridge: Bridge) -> None:
    info = bridge.xcall(HUB, SPOKE, "USDC", 1_000_000)
    connext, rpc = bridge.connext(SPOKE), bridge.rpc(SPOKE)
    calldata = encode_execute(sign_execute(info, ROUTERS[:1], SEQUENCER))
    trusted, allowed = (
        sequencer_override(connext.address, SEQUENCER.address),
        relayer_override(connext.address, STRANGER.address),
    )
    with pytest.raises(CallReverted) as caught:
        rpc.call(connext.address, calldata, sender=bridge.deployment.relayer)
    assert caught.value.name == "BridgeFacet__execute_notSupportedSequencer"
    returned = rpc.call(connext.address, calldata, sender=bridge.deployment.relayer, overrides=trusted)
    assert returned == compute_transfer_id(info)
    with pytest.raises(CallReverted) as caught:
        rpc.call(connext.address, calldata, sender=STRANGER.address, overrides=trusted)
    assert caught.value.name == "BridgeFacet__execute_unapprovedSender"
    [(address, state)] = trusted.items()
    both = {address: {"stateDiff": state["stateDiff"] | allowed[address]["stateDiff"]}}
    assert rpc.call(connext.address, calldata, sender=STRANGER.address, overrides=both) == returned
    assert not connext.is_sequencer_approved(SEQUENCER.address)
    assert connext.transfer_status(compute_transfer_id(info)) is DestinationStatus.NONE


def test_sequencers_and_gate_take_their_roles_once(bridge: Bridge) -> None:
    gates = {HUB: b"\x77" * 20, SPOKE: b"\x88" * 20}
    info = bridge.xcall(HUB, SPOKE, "USDC", 1_000_000)
    for _ in range(2):  # again changes nothing
        add_sequencers(ROOT, bridge.deployment, bridge.rpcs, [SEQUENCER.address, STRANGER.address])
        hand_over_to_gate(ROOT, bridge.deployment, bridge.rpcs, gates)
    for domain in (HUB, SPOKE):
        connext = bridge.connext(domain)
        assert connext.is_sequencer_approved(SEQUENCER.address)
        assert connext.is_sequencer_approved(STRANGER.address)
        assert connext.is_relayer_approved(gates[domain])
        assert not connext.is_relayer_approved(bridge.deployment.relayer)
        logs = bridge.rpc(domain).logs(connext.address, 0, bridge.rpc(domain).block_number())
        relayers: set[bytes] = set()
        for event in map(decode_event, logs):
            if event.name == "RelayerAdded":
                relayers.add(event.arguments["relayer"])
            elif event.name == "RelayerRemoved":
                relayers.remove(event.arguments["relayer"])
        assert relayers == {gates[domain]}, "the gate is the only one ever left"
    with pytest.raises(TransactionFailed, match="BridgeFacet__execute_unapprovedSender"):
        bridge.execute(info, sign_execute(info, ROUTERS[:1], SEQUENCER))


@pytest.mark.parametrize("domain", [HUB, SPOKE])
def test_the_slots_of_the_overrides_are_those_of_the_diamond(bridge: Bridge, domain: int) -> None:
    add_sequencers(ROOT, bridge.deployment, bridge.rpcs, [SEQUENCER.address])
    connext, relayer = bridge.connext(domain).address, bridge.deployment.relayer
    for override in (sequencer_override(connext, SEQUENCER.address), relayer_override(connext, relayer)):
        [state] = override.values()
        [(slot, value)] = state["stateDiff"].items()
        assert read_storage(bridge.rpc(domain), connext, int(slot, 16)) == bytes.fromhex(value[2:])


def test_an_estimate_is_enough_and_a_revert_is_named(bridge: Bridge) -> None:
    rpc, token = bridge.rpc(HUB), bridge.token(HUB, "USDC")
    user, stranger = bridge.wallet(HUB, "user-0"), bridge.wallet(HUB, "proposer")
    transfer = TOKEN.encode("transfer", STRANGER.address, 5)
    gas = rpc.estimate_gas(token.address, transfer, sender=user.address)
    assert user.transact(token.address, transfer, gas=gas).gas_used <= gas
    with pytest.raises(CallReverted, match="transfer amount exceeds balance"):
        rpc.estimate_gas(token.address, transfer, sender=stranger.address)
    with pytest.raises(TransactionFailed, match="transfer amount exceeds balance"):
        stranger.transact(token.address, transfer)


# -- the cache --------------------------------------------------------------------------------------------------------


def free_ports() -> dict[int, int]:
    return {domain: find_free_port() for domain in (HUB, SPOKE)}


def test_a_second_start_is_the_same_deployment_and_time_goes_on(tmp_path: Path) -> None:
    params = default_params(routers=1)
    cache = tmp_path / "cache"
    first, deployed = start_deployed(ROOT, params, free_ports(), tmp_path, cache)
    try:
        hashes = {domain: chain.rpc.block(deployed.domain(domain).end_block).hash for domain, chain in first.items()}
    finally:
        for chain in first.values():
            chain.stop()
    ports = free_ports()
    second, loaded = start_deployed(ROOT, params, ports, tmp_path, cache)
    try:
        assert loaded == deployed.at_ports(ports)
        for domain, chain in second.items():
            end_block = loaded.domain(domain).end_block
            assert chain.rpc.block().number == end_block
            assert chain.rpc.block(end_block).hash == hashes[domain]
            assert len(chain.rpc.logs(loaded.domain(domain).connext, 0, end_block)) > 15, "its logs are there"
        chain = second[HUB]
        end_block = chain.rpc.block_number()
        use_interval_mining(chain.rpc, 1)
        deadline = time.monotonic() + 20
        while chain.rpc.block_number() < end_block + 4 and time.monotonic() < deadline:
            time.sleep(0.1)
        use_interval_mining(chain.rpc, 3600)
        blocks = [chain.rpc.block(number) for number in range(end_block, end_block + 5)]
        assert all(block.timestamp_s <= later.timestamp_s for block, later in pairwise(blocks))
        assert abs(blocks[-1].timestamp_s - time.time()) < 20, "neither far ahead nor behind"
        assert chain.rpc.finalized().number == chain.rpc.block_number() - 2
    finally:
        for chain in second.values():
            chain.stop()


@pytest.mark.parametrize("damage", ["1111.json", "deployment.json", "sha256.json"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    params = default_params(routers=1)
    entry = tmp_path / "cache" / compute_cache_key(ROOT, params)
    entry.mkdir(parents=True)
    (entry / "sha256.json").write_text(json.dumps({"1111.json": "00", "deployment.json": "00"}))
    (entry / damage).write_text("{")
    chains, deployed = start_deployed(ROOT, params, free_ports(), tmp_path, tmp_path / "cache")
    try:
        assert chains[HUB].rpc.block_number() == deployed.hub.end_block
        assert {path.name for path in entry.iterdir()} == {"1111.json", "2222.json", "deployment.json", "sha256.json"}
    finally:
        for chain in chains.values():
            chain.stop()


def test_the_key_changes_with_the_parameters() -> None:
    params = default_params(routers=2)
    keys = {
        compute_cache_key(ROOT, params),
        compute_cache_key(ROOT, default_params(routers=3)),
        compute_cache_key(ROOT, replace(params, window_blocks=6)),
        compute_cache_key(ROOT, replace(params, tokens=params.tokens[:1])),
    }
    assert len(keys) == 4
    assert compute_cache_key(ROOT, default_params(routers=2)) in keys


def test_a_chain_that_cannot_start_says_why(bridge: Bridge, tmp_path: Path) -> None:
    taken = bridge.deployment.hub.rpc_port
    before = bridge.rpc(HUB).block()
    with pytest.raises(ChainFailed, match=f"port {taken} of 127.0.0.1 is in use"):
        start_deployed(ROOT, default_params(), {HUB: find_free_port(), SPOKE: taken}, tmp_path, tmp_path / "cache")
    assert bridge.rpc(HUB).block() == before
