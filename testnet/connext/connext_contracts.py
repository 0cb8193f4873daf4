"""Connext's contracts on one chain: messaging and diamond, created from the published artifacts and wired together."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from abci_app.evm.artifacts.deploy import Artifact, compute_create_address, load_artifact
from abci_app.evm.codec import load_interface
from abci_app.evm.connext import encode_admin
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import ZERO_ADDRESS, Address, Fees
from abci_app.evm.wallet import Wallet
from testnet.connext.deployment import DomainDeployment, dev_account

ARTIFACTS = Path("contracts/node_modules/@connext/smart-contracts/artifacts/contracts")
"""Below the repository's root; `npm ci` in contracts/ puts it there."""

HUB_DOMAIN, SPOKE_DOMAIN = 1111, 2222
CHAIN_IDS = {HUB_DOMAIN: 31337, SPOKE_DOMAIN: 31338}
"""Domain → chain id; different on purpose."""

PROCESS_GAS, RESERVE_GAS = 850_000, 15_000
"""The least that the spoke connectors accept."""

FACETS = (
    *("DiamondLoupe", "Token", "Bridge", "Inbox", "ProposedOwnable", "Portal", "Relayer", "Routers"),
    *("StableSwap", "SwapAdmin", "DiamondCut"),
)

DEPLOY_FEES = Fees(max_fee_wei=100 * 10**9, priority_fee_wei=10**9)

ROOT_MANAGER_NONCE = 5
"""Of the hub's first transactions: WatcherManager is 0, the four contracts of the root tree 1 to 4."""

DIAMOND_INIT, LP_TOKEN = load_interface("diamond_init"), load_interface("lp_token")
ROOT_MANAGER, SPOKE = load_interface("root_manager"), load_interface("spoke_connector")
TREE, WATCHERS = load_interface("merkle_tree_manager"), load_interface("watcher_manager")


class Sender:
    """Sends one account's transactions without waiting for each; `finish` looks at every receipt."""

    def __init__(self, root: Path, domain: int, rpc: Rpc, role: str = "owner") -> None:
        self.root, self.domain, self.rpc = root, domain, rpc
        self.wallet = Wallet(rpc, dev_account(role), chain_id=CHAIN_IDS[domain], fees=DEPLOY_FEES)
        self._pending: list[bytes] = []

    def create(self, path: str, *arguments: object) -> Address:
        """Create a Connext contract; its address is known before it is mined."""
        address = compute_create_address(self.wallet.address, self.wallet.next_nonce())
        self._pending.append(self.wallet.send(None, load_connext_artifact(self.root, path).creation_code(*arguments)))
        return address

    def call(self, to: Address, data: bytes) -> None:
        """Send a call."""
        self._pending.append(self.wallet.send(to, data))

    def finish(self) -> int:
        """Wait for all that was sent, return the last block (0 for nothing). Raises TransactionFailed."""
        blocks = [self.wallet.confirm(tx_hash).block_number for tx_hash in self._pending]
        self._pending.clear()
        return max(blocks, default=0)


def load_connext_artifact(root: Path, path: str) -> Artifact:
    """Return the artifact of `<path>.sol` in the Connext package. Raises ArtifactInvalid."""
    return load_artifact(root / ARTIFACTS / f"{path}.sol" / f"{path.rpartition('/')[2]}.json")


def deploy_domain(sender: Sender, window_blocks: int) -> DomainDeployment:
    """Deploy messaging and diamond of one fresh chain: addresses follow from the account's first nonces."""
    domain, window = sender.domain, window_blocks
    hub_root_manager = compute_create_address(sender.wallet.address, ROOT_MANAGER_NONCE)
    watcher_manager = sender.create("messaging/WatcherManager")
    root_tree = root_manager = None
    if domain == HUB_DOMAIN:
        root_tree = _create_tree(sender)
        root_manager = sender.create("messaging/RootManager", window, root_tree, watcher_manager, window, window)
        if root_manager != hub_root_manager:
            raise RuntimeError("the hub's chain is not fresh, or its first transactions are in another order")
        sender.call(root_tree, TREE.encode("setArborist", root_manager))
    spoke_tree = _create_tree(sender)
    spoke = _create_spoke(sender, spoke_tree, watcher_manager, hub_root_manager, window)
    hub_connectors = None
    if root_manager is not None:
        admin = sender.create(
            *("messaging/connectors/admin/AdminHubConnector", HUB_DOMAIN, SPOKE_DOMAIN),
            *(ZERO_ADDRESS, root_manager, ZERO_ADDRESS),
        )
        hub_connectors = {HUB_DOMAIN: spoke, SPOKE_DOMAIN: admin}
    connext = _create_diamond(sender, spoke)
    return DomainDeployment(
        domain=domain,
        chain_id=CHAIN_IDS[domain],
        rpc_port=int(sender.rpc.url.rpartition(":")[2]),
        connext=connext,
        spoke_connector=spoke,
        spoke_tree=spoke_tree,
        watcher_manager=watcher_manager,
        tokens={},
        end_block=sender.finish(),
        root_manager=root_manager,
        root_tree=root_tree,
        hub_connectors=hub_connectors,
    )


def wire_domain(
    sender: Sender, deployed: DomainDeployment, connexts: Mapping[int, Address], routers: Sequence[Address]
) -> None:
    """Set roles and remote contracts of one chain."""
    watcher, proposer = dev_account("watcher").address, dev_account("proposer").address
    relayer = dev_account("relayer").address
    for domain, connext in connexts.items():
        if domain != deployed.domain:
            sender.call(deployed.connext, encode_admin("enrollRemoteRouter", domain, connext.rjust(32, b"\x00")))
    sender.call(deployed.spoke_connector, SPOKE.encode("addSender", deployed.connext))
    sender.call(deployed.spoke_connector, SPOKE.encode("addProposer", proposer))
    sender.call(deployed.spoke_connector, SPOKE.encode("activateOptimisticMode"))
    sender.call(deployed.watcher_manager, WATCHERS.encode("addWatcher", watcher))
    sender.call(deployed.connext, encode_admin("assignRoleWatcher", watcher))
    sender.call(deployed.connext, encode_admin("addRelayer", relayer))
    sender.call(deployed.connext, encode_admin("setRelayerFeeVault", relayer))
    for router in routers:
        sender.call(deployed.connext, encode_admin("approveRouter", router))


def wire_hub(sender: Sender, hub: DomainDeployment) -> None:
    """Tell the RootManager its connectors, its proposer and its mode."""
    if hub.root_manager is None or hub.hub_connectors is None:
        raise RuntimeError(f"domain {hub.domain} is not the hub")
    for domain, connector in hub.hub_connectors.items():
        sender.call(hub.root_manager, ROOT_MANAGER.encode("addConnector", domain, connector))
    sender.call(hub.root_manager, ROOT_MANAGER.encode("setHubDomain", hub.domain))
    sender.call(hub.root_manager, ROOT_MANAGER.encode("addProposer", dev_account("proposer").address))
    sender.call(hub.root_manager, ROOT_MANAGER.encode("activateOptimisticMode"))


def _create_tree(sender: Sender) -> Address:
    """Create a MerkleTreeManager behind an upgrade beacon, as in production."""
    controller = sender.create("shared/upgrade/UpgradeBeaconController")
    implementation = sender.create("messaging/MerkleTreeManager")
    beacon = sender.create("shared/upgrade/UpgradeBeacon", implementation, controller)
    return sender.create("shared/upgrade/UpgradeBeaconProxy", beacon, TREE.encode("initialize", ZERO_ADDRESS))


def _create_spoke(
    sender: Sender, tree: Address, watcher_manager: Address, root_manager: Address, window: int
) -> Address:
    connector = "mainnet/Mainnet" if sender.domain == HUB_DOMAIN else "admin/Admin"
    spoke = sender.create(
        f"messaging/connectors/{connector}SpokeConnector",
        (
            *(sender.domain, HUB_DOMAIN, ZERO_ADDRESS, root_manager, ZERO_ADDRESS, PROCESS_GAS, RESERVE_GAS),
            *(window, tree, watcher_manager, window, window),
        ),
    )
    sender.call(tree, TREE.encode("setArborist", spoke))
    return spoke


def _create_diamond(sender: Sender, spoke: Address) -> Address:
    lp_token = sender.create("core/connext/helpers/LPToken")
    sender.call(lp_token, LP_TOKEN.encode("initialize", "Connext LP token", "CLP"))
    cuts = []
    for name in FACETS:
        path = f"core/connext/facets/{name}Facet"
        cuts.append((sender.create(path), 0, load_connext_artifact(sender.root, path).selectors()))
    init = sender.create("core/connext/facets/upgrade-initializers/DiamondInit")
    init_call = DIAMOND_INIT.encode("init", sender.domain, spoke, 0, lp_token)
    return sender.create("core/connext/helpers/ConnextDiamond", sender.wallet.address, cuts, [(init, init_call)])
