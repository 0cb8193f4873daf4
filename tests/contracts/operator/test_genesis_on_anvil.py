"""The genesis of real chains: what an operator's command builds is what the testnet's creation makes."""

import json
from pathlib import Path

import pytest

from abci_app.cli import main as cli
from abci_app.evm.artifacts.compile import load_own_artifact
from abci_app.evm.gate import GateMember, deploy_gate, encode_creation
from abci_app.evm.types import to_hex
from abci_app.machine.genesis.json_form import to_json
from testnet.connext.deploy import add_sequencers, hand_over_to_gate
from testnet.network.genesis import describe, read_genesis
from tests.kit.evm.local_chains import ROOT, Bridge
from tests.kit.machine.small_world import CHAIN_ID, POWERS, valid_validator

VALIDATORS = [valid_validator(number) for number in range(len(POWERS))]
BLOCKS_TO_FINALITY = 3


def deploy_gates(bridge: Bridge) -> dict[int, bytes]:
    """Do what comes before the genesis: sequencers, gates, the gates as only relayers."""
    add_sequencers(ROOT, bridge.deployment, bridge.rpcs, [each.attestation for each in VALIDATORS])
    members = sorted((GateMember(each.attestation, each.power) for each in VALIDATORS), key=lambda one: one.address)
    gates = {}
    for domain, rpc in bridge.rpcs.items():
        creation = encode_creation(
            load_own_artifact(ROOT, "ConsensusGate"), connext=bridge.connext(domain).address, chain_id=CHAIN_ID,
            epoch=1, members=members, set_time_s=rpc.block("latest").timestamp_s,
        )
        gates[domain] = deploy_gate(bridge.wallet(domain, "owner"), creation)
    hand_over_to_gate(ROOT, bridge.deployment, bridge.rpcs, gates)
    return gates


def test_build_makes_the_genesis_of_the_testnet(
    bridge: Bridge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gates = deploy_gates(bridge)
    heads = {domain: rpc.block("latest").number for domain, rpc in bridge.rpcs.items()}
    expected = read_genesis(CHAIN_ID, bridge.deployment, bridge.rpcs, gates, VALIDATORS)
    for rpc in bridge.rpcs.values():
        for _ in range(BLOCKS_TO_FINALITY):
            rpc.request("evm_mine", [])

    description = to_json(describe(bridge.deployment, gates, VALIDATORS))
    for chain in description["chains"]:
        chain |= {"rpc_url": f"http://127.0.0.1:{bridge.deployment.domain(chain['domain']).rpc_port}"}
        chain |= {"block": heads[chain["domain"]]}
    config, out = tmp_path / "network.json", tmp_path / "genesis-app-state.json"
    config.write_text(json.dumps(description | {"chain_id": CHAIN_ID}))
    assert cli.run(("genesis", "build", "--config", str(config), "--out", str(out))) == 0, capsys.readouterr().err
    assert json.loads(out.read_text()) == expected

    tokens = [bridge.token(domain, symbol) for symbol in ("DAI", "USDC") for domain in bridge.rpcs]
    listed = [local for asset in expected["assets"] for local in asset["locals"]]
    assert [(local["address"], local["decimals"]) for local in listed] == [
        (to_hex(token.address), token.decimals) for token in tokens
    ]
    units = {to_hex(token.address): token.unit * bridge.deployment.router_liquidity_units for token in tokens}
    assert len(expected["routers"]) == len(bridge.deployment.routers) * len(bridge.rpcs)
    for router in expected["routers"]:
        assert router["approved"] is True
        balances = {one["local"]: int(one["amount"]) for one in router["balances"]}
        assert balances.items() <= units.items() and len(balances) == len(expected["assets"])
    assert cli.run(("genesis", "check", str(out), "--chain-id", CHAIN_ID)) == 0
