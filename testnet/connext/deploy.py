"""The complete Connext 2.4.0 on two local chains, deployed from its published artifacts.

Hub and spoke connectors run in optimistic mode with windows of a few blocks. Order of a new network: `deploy` (or a
cached state of it), the gates, `add_sequencers`, `hand_over_to_gate`.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from abci_app.evm.connext import Connext, encode_admin
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Address
from testnet.chains.anvil import mine_until, rpc_url, set_balance
from testnet.connext.connext_contracts import HUB_DOMAIN, SPOKE_DOMAIN, Sender, deploy_domain, wire_domain, wire_hub
from testnet.connext.deployment import Deployment, DomainDeployment, Token, dev_account
from testnet.connext.message_layer import settle
from testnet.connext.supply import (
    NATIVE_BALANCE_WEI,
    Holdings,
    TokenPlan,
    create_tokens,
    hand_out,
    list_assets,
    read_tokens,
    receive_abroad,
    send_abroad,
)

WINDOW_BLOCKS = 5
"""disputeBlocks, minDisputeBlocks and delayBlocks of hub and spokes: a whole round takes 15 s of one-second blocks."""

TOKENS = (
    TokenPlan("USDC", "Local USD Coin", 6, HUB_DOMAIN),
    TokenPlan("DAI", "Local Dai", 18, SPOKE_DOMAIN),
)

ROLES = ("owner", "proposer", "watcher", "relayer")


@dataclass(frozen=True)
class DeployParams:
    """What a deployment depends on, besides the code."""

    holdings: Holdings
    tokens: tuple[TokenPlan, ...] = TOKENS
    window_blocks: int = WINDOW_BLOCKS


def default_params(routers: int = 3) -> DeployParams:
    """Return routers `router-0` … of the dev keys with 20,000 units of each token, six users with 1,000,000."""
    addresses = tuple(dev_account(f"router-{index}").address for index in range(routers))
    return DeployParams(Holdings(addresses, router_units=20_000, users=6, user_units=1_000_000))


def connect(deployment: Deployment) -> dict[int, Rpc]:
    """Return a client for each domain's chain; the caller closes them."""
    return {deployed.domain: Rpc(rpc_url(deployed.rpc_port)) for deployed in deployment.domains}


def deploy(root: Path, rpcs: Mapping[int, Rpc], params: DeployParams) -> Deployment:
    """Deploy everything on two fresh chains under automine; `root` is the repository, `rpcs` are by domain.

    Afterwards the dev key `relayer` is the only approved relayer and there is no sequencer.
    Raises EvmError, ChainFailed, MessageLayerFailed.
    """
    senders = {domain: Sender(root, domain, rpcs[domain]) for domain in (HUB_DOMAIN, SPOKE_DOMAIN)}
    for rpc in rpcs.values():
        for role in ROLES:
            set_balance(rpc, dev_account(role).address, NATIVE_BALANCE_WEI)
    with ThreadPoolExecutor(len(senders)) as pool:
        bare = list(pool.map(lambda sender: deploy_domain(sender, params.window_blocks), senders.values()))
        canonical = create_tokens(senders, params.tokens)
        connexts = {deployed.domain: deployed.connext for deployed in bare}
        wire_hub(senders[HUB_DOMAIN], bare[0])
        domains = tuple(pool.map(lambda one: _wire(senders[one.domain], one, connexts, canonical, params), bare))
    deployment = Deployment(
        domains=domains,
        hub_domain=HUB_DOMAIN,
        owner=dev_account("owner").address,
        proposer=dev_account("proposer").address,
        watcher=dev_account("watcher").address,
        relayer=dev_account("relayer").address,
        routers=params.holdings.routers,
        router_liquidity_units=params.holdings.router_units,
        users=params.holdings.users,
    )
    send_abroad(senders, domains, params.holdings)
    settle(deployment, rpcs, mine_until)
    receive_abroad(senders, domains)
    with ThreadPoolExecutor(len(senders)) as pool:
        list(pool.map(lambda one: hand_out(senders[one.domain], one, params.holdings), domains))
    return replace(
        deployment,
        domains=tuple(replace(one, end_block=rpcs[one.domain].block_number()) for one in deployment.domains),
    )


def add_sequencers(root: Path, deployment: Deployment, rpcs: Mapping[int, Rpc], sequencers: Sequence[Address]) -> None:
    """Approve addresses as sequencers on every diamond; those approved already are left alone. Raises EvmError."""
    for deployed in deployment.domains:
        connext = Connext(rpcs[deployed.domain], deployed.connext)
        sender = Sender(root, deployed.domain, connext.rpc)
        for sequencer in sequencers:
            if not connext.is_sequencer_approved(sequencer):
                sender.call(deployed.connext, encode_admin("addSequencer", sequencer))
        sender.finish()


def hand_over_to_gate(
    root: Path, deployment: Deployment, rpcs: Mapping[int, Rpc], gates: Mapping[int, Address]
) -> None:
    """Make each domain's gate the only approved relayer of its diamond. Raises EvmError."""
    for deployed in deployment.domains:
        connext = Connext(rpcs[deployed.domain], deployed.connext)
        sender = Sender(root, deployed.domain, connext.rpc)
        if not connext.is_relayer_approved(gates[deployed.domain]):
            sender.call(deployed.connext, encode_admin("addRelayer", gates[deployed.domain]))
        if connext.is_relayer_approved(deployment.relayer):
            sender.call(deployed.connext, encode_admin("removeRelayer", deployment.relayer))
        sender.finish()


def _wire(
    sender: Sender,
    deployed: DomainDeployment,
    connexts: Mapping[int, Address],
    canonical: Mapping[str, Token],
    params: DeployParams,
) -> DomainDeployment:
    wire_domain(sender, deployed, connexts, params.holdings.routers)
    list_assets(sender, deployed, params.tokens, canonical)
    sender.finish()
    return replace(deployed, tokens=read_tokens(sender, deployed, canonical))
