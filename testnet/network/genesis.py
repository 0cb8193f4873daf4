"""Genesis of a local network, read from its chains at one block each: what the protocol calls G."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abci_app.evm.connext import Connext
from abci_app.evm.rpc import Rpc
from abci_app.machine.genesis.build import make_app_state
from abci_app.machine.genesis.form import (
    GenesisAsset,
    GenesisBalance,
    GenesisCursor,
    GenesisDomain,
    GenesisLocal,
    GenesisRouter,
    GenesisValidator,
)
from abci_app.machine.params import Params
from abci_app.machine.state.codec import Address, DomainId, Hash, Signature
from testnet.connext.deployment import Deployment, DomainDeployment

LOCAL_PARAMS = Params(lease_s=30, slow_spacing_s=30)
SEGMENT_BLOCKS = 1
IDLE_BLOCKS = 2
FINALIZED_TAG = 0


@dataclass(frozen=True)
class ValidatorKeys:
    """One validator's public half, with the proof that it holds the attestation key."""

    consensus_key: bytes
    power: int
    attestation: bytes
    proof: bytes


def read_genesis(
    deployment: Deployment, rpcs: Mapping[int, Rpc], gates: Mapping[int, bytes], validators: Sequence[ValidatorKeys]
) -> dict[str, Any]:
    """Return ``app_state`` as of both chains' heads, which must stand still meanwhile. Raises EvmError."""
    routers: list[GenesisRouter] = []
    domains: list[GenesisDomain] = []
    for deployed in deployment.domains:
        connext = Connext(rpcs[deployed.domain], deployed.connext)
        domains.append(_read_domain(connext, deployed, gates[deployed.domain]))
        routers += [_read_router(connext, deployed, router) for router in deployment.routers]
    return make_app_state(
        LOCAL_PARAMS, domains, _list_assets(deployment), routers,
        [
            GenesisValidator(Hash(keys.consensus_key), keys.power, Address(keys.attestation), Signature(keys.proof))
            for keys in validators
        ],
    )


def _read_domain(connext: Connext, deployed: DomainDeployment, gate: bytes) -> GenesisDomain:
    block = connext.rpc.block("latest")
    tag = block.number
    return GenesisDomain(
        domain=DomainId(deployed.domain), chain_id=deployed.chain_id,
        connext=Address(deployed.connext), gate=Address(gate),
        finality_depth=FINALIZED_TAG, segment_blocks=SEGMENT_BLOCKS, idle_blocks=IDLE_BLOCKS,
        cursor=GenesisCursor(block.number, Hash(block.hash), block.timestamp_s), next_nonce=connext.nonce(tag),
        max_routers=connext.max_routers(tag), fee_numerator=connext.fee_numerator(tag),
        connext_paused=connext.is_paused(tag),
        allowlist_removed=connext.is_router_allowlist_removed(tag) or not any(connext.owner(tag)),
    )


def _read_router(connext: Connext, deployed: DomainDeployment, router: bytes) -> GenesisRouter:
    balances = (
        GenesisBalance(Address(token.address), connext.router_balance(router, token.address))
        for _, token in sorted(deployed.tokens.items())
    )
    return GenesisRouter(
        Address(router), DomainId(deployed.domain), connext.is_router_approved(router), tuple(balances)
    )


def _list_assets(deployment: Deployment) -> list[GenesisAsset]:
    assets = []
    for symbol, token in sorted(deployment.hub.tokens.items()):
        locals_ = tuple(
            GenesisLocal(DomainId(deployed.domain), Address(local.address), local.decimals)
            for deployed in deployment.domains for local in [deployed.tokens[symbol]]
        )
        assets.append(GenesisAsset(DomainId(token.canonical_domain), Hash(token.canonical_id), locals_))
    return assets
