"""The description of a local network, from which its genesis is read: the same that an operator writes."""

from collections.abc import Mapping, Sequence
from typing import Any

from abci_app.evm.rpc import Rpc
from abci_app.machine.genesis.form import GenesisValidator
from abci_app.machine.params import Params
from abci_app.machine.state.codec import Address, DomainId, Hash
from abci_app.operator.description import NO_GATE, DescribedAsset, DescribedChain, Description
from abci_app.operator.genesis_build import read_app_state
from testnet.connext.deployment import Deployment

LOCAL_PARAMS = Params(lease_s=30, slow_spacing_s=30)
SEGMENT_BLOCKS = 1
IDLE_BLOCKS = 2


def read_genesis(
    chain_id: str, deployment: Deployment, rpcs: Mapping[int, Rpc], gates: Mapping[int, bytes],
    validators: Sequence[GenesisValidator],
) -> dict[str, Any]:
    """Return ``app_state`` as of both chains' heads, which must stand still meanwhile. Raises OperatorError, EvmError.

    Nothing is final yet on a chain that mines on demand; nobody takes a local one back.
    """
    heads = {domain: rpc.block("latest") for domain, rpc in rpcs.items()}
    return read_app_state(chain_id, describe(deployment, gates, validators), rpcs, heads)


def describe(
    deployment: Deployment, gates: Mapping[int, bytes], validators: Sequence[GenesisValidator]
) -> Description:
    """Return what an operator would write about a deployment; chains without a gate yet are left without one."""
    return Description(
        tuple(
            DescribedChain(
                DomainId(deployed.domain), deployed.chain_id, Address(deployed.connext), SEGMENT_BLOCKS, IDLE_BLOCKS,
                Address(gates.get(deployed.domain, NO_GATE)),
            )
            for deployed in deployment.domains
        ),
        tuple(
            DescribedAsset(DomainId(token.canonical_domain), Hash(token.canonical_id))
            for _, token in sorted(deployment.hub.tokens.items())
        ),
        tuple(map(Address, deployment.routers)), tuple(validators), LOCAL_PARAMS,
    )
