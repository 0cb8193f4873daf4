"""A new network: keys, chains with the complete Connext, gates, genesis and homes, before anything else runs."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from abci_app.evm.rpc import Rpc
from abci_app.machine.genesis.form import GenesisValidator
from abci_app.machine.state.codec import Address, DomainId, Hash
from abci_app.machine.upgrades import APP_VERSION
from abci_app.node.config import Config, ObservedChain
from abci_app.node.home import init_home, load_home
from abci_app.operator.gate_deploy import deploy_gate
from testnet.chains import anvil
from testnet.chains.state_cache import start_deployed
from testnet.connext.deploy import add_sequencers, default_params, hand_over_to_gate
from testnet.connext.deployment import Deployment, dev_account, to_json
from testnet.network import endpoints, parties
from testnet.network.genesis import describe, read_genesis
from testnet.network.layout import CHAIN_DOMAINS, ENGINE, ROOT, Layout, NodePlace, save_manifest
from testnet.processes import cometbft
from testnet.processes.spawn import identify, save_identity

POLL_MS = 200

Say = Callable[[str], None]
"""Takes a line about what is going on, for people."""


def create(layout: Layout, say: Say) -> None:
    """Make a network: keys → chains → Connext → gates → genesis, each on disk before the next; its chains run then.

    The manifest comes first, as of a network that is not complete: whatever happens, its processes can be found.
    """
    save_manifest(layout.home, replace(layout.manifest, complete=False))
    say("keys: validators")
    nodes = list(layout.nodes())
    for node in nodes:
        cometbft.init_home(ENGINE, node.engine_home)
        init_home(node.app_home, _node_config(layout, node))
    keys = [_read_keys(layout, node) for node in nodes]
    say("chains: two EVM chains with the complete Connext")
    for folder in (layout.logs, layout.pids, layout.home / "chains"):
        folder.mkdir(parents=True, exist_ok=True)
    names = {domain: name for name, domain in layout.chains().items()}
    chains, deployment = start_deployed(
        ROOT, default_params(layout.manifest.routers), {domain: layout.chain_port(domain) for domain in names},
        layout.logs, register=lambda domain, pid: save_identity(layout.pids, identify(names[domain], pid)),
    )
    rpcs = {domain: chain.rpc for domain, chain in chains.items()}
    say("gates: the validators' quorum becomes the only relayer")
    add_sequencers(ROOT, deployment, rpcs, [key.attestation for key in keys])
    gates = _deploy_gates(layout, deployment, rpcs, keys)
    hand_over_to_gate(ROOT, deployment, rpcs, gates)
    parties.fund(layout, rpcs)
    layout.deployment.write_text(to_json(deployment))
    say("genesis: balances, approvals and positions as the chains have them")
    app_state = read_genesis(layout.manifest.chain_id, deployment, rpcs, gates, keys)
    endpoints.save_gates(layout, gates)
    cometbft.create_network(
        ENGINE,
        [cometbft.Node(node.name, node.engine_home, node.abci, node.rpc_port, node.p2p_port, node.metrics_port)
         for node in nodes],
        cometbft.Genesis(layout.manifest.chain_id, app_state=app_state, app_version=APP_VERSION),
        {},
    )
    parties.create(layout, deployment, gates)
    for rpc in rpcs.values():
        anvil.use_interval_mining(rpc, anvil.BLOCK_SECONDS)
        rpc.close()
    save_manifest(layout.home, layout.manifest)


def _node_config(layout: Layout, node: NodePlace) -> Config:
    return Config(
        chain_id=layout.manifest.chain_id, abci_address=node.abci, grpc_address=node.grpc,
        cometbft_rpc_url=node.rpc_url, poll_ms=POLL_MS,
        chains=tuple(
            ObservedChain(DomainId(domain), (anvil.rpc_url(layout.chain_port(domain)),), 1)
            for domain in CHAIN_DOMAINS
        ),
    )


def _read_keys(layout: Layout, node: NodePlace) -> GenesisValidator:
    public_key = cometbft.consensus_key(node.engine_home).public_key
    signer = load_home(node.app_home).signer
    proof = signer.prove_possession(layout.manifest.chain_id, public_key)
    return GenesisValidator(Hash(public_key), 1, signer.address, proof)


def _deploy_gates(
    layout: Layout, deployment: Deployment, rpcs: Mapping[int, Rpc], keys: list[GenesisValidator]
) -> dict[int, Address]:
    described = describe(deployment, {}, keys)
    owner = dev_account("owner")
    return {
        chain.domain: deploy_gate(
            layout.manifest.chain_id, described, chain, rpcs[chain.domain], owner
        ).checked.chain.gate
        for chain in described.chains
    }
