"""An asset whose adopted token is not the local one, with Connext's own StableSwap pool between the two."""

from dataclasses import dataclass, replace

from abci_app.evm.codec import Interface
from abci_app.evm.connext import ExecuteArgs, encode_add_router_liquidity_for
from abci_app.evm.types import ZERO_ADDRESS, Address, Receipt
from abci_app.machine.connext import keccak
from bench.quorum import make_transfer, sign_execution
from testnet.connext.connext_contracts import HUB_DOMAIN, SPOKE_DOMAIN, load_connext_artifact
from testnet.connext.deployment import Token, dev_account
from testnet.connext.supply import TOKEN, UNLIMITED, user_address
from tests.kit.contracts.gate_kit import ROOT, Scene

UNIT = 10**18
SLIPPAGE_BPS = 300
POOL_UNITS = 200_000
ATTACK_UNITS = 70_000
VICTIM_UNITS = 100_000
AMPLIFICATION = 200
BRIDGE_TOKEN = "core/connext/helpers/BridgeToken"
FEE_PER_1E10 = 1_000_000
"""One basis point; none of it is the administrator's."""


@dataclass(frozen=True)
class Pooled:
    """The asset on the spoke: `local` is what routers hold, `adopted` what users get."""

    scene: Scene
    local: Token
    adopted: Address
    sandwich: Address

    @property
    def key(self) -> bytes:
        return compute_key(self.local)

    def execution(self) -> ExecuteArgs:
        """A large transfer with a tolerance of 3 %, served by one router."""
        info = make_transfer(
            self.local, origin=HUB_DOMAIN, destination=SPOKE_DOMAIN, to=user_address(1),
            amount=VICTIM_UNITS * UNIT, nonce=next(self.scene.nonces),
        )
        info = replace(info, slippage=SLIPPAGE_BPS)
        return sign_execution(info, [dev_account("router-0")], self.scene.quorum.validators[0].account)

    def balance(self, token: Address, account: Address) -> int:
        """Balance in the smallest units."""
        returned = self.scene.rpc.call(token, TOKEN.encode("balanceOf", account))
        return int(TOKEN.function("balanceOf").decode(returned)[0])

    def encode_attack(self, target: Address, calldata: bytes) -> bytes:
        """Calldata with which the sandwich has `target` execute the victim's transfer between its two swaps."""
        pool = (self.scene.connext.address, self.key, self.local.address, self.adopted)
        return self.scene.interface("Sandwich").encode("attack", pool, ATTACK_UNITS * UNIT, target, calldata)

    def attack(self, target: Address, calldata: bytes) -> Receipt:
        """Send the attack. Raises TransactionFailed where it fails as a whole."""
        return self.scene.wallet("user-4").transact(self.sandwich, self.encode_attack(target, calldata))


def compute_key(token: Token) -> bytes:
    """Hash under which Connext keeps an asset's configuration and pool."""
    return keccak(token.canonical_id + token.canonical_domain.to_bytes(32, "big"))


def facet(name: str) -> Interface:
    """Interface of one of the diamond's facets."""
    return load_connext_artifact(ROOT, f"core/connext/facets/{name}Facet").interface


def create_token(scene: Scene, symbol: str) -> Address:
    """A plain token of 18 decimals that the owner may mint."""
    creation = load_connext_artifact(ROOT, BRIDGE_TOKEN).creation_code(18, symbol, symbol)
    created = scene.wallet("owner").transact(None, creation).contract_address
    assert created is not None
    return created


def open_pool(scene: Scene) -> Pooled:
    """List the asset, fill the pool evenly, give a router liquidity and a sandwich its capital."""
    owner, connext = scene.wallet("owner"), scene.connext.address
    local, adopted = create_token(scene, "nextSTB"), create_token(scene, "STB")
    token = Token("STB", local, 18, HUB_DOMAIN, b"\x66" * 32)
    sandwich = scene.create("Sandwich")
    for minted, holder, units in (
        (local, owner.address, 10 * POOL_UNITS), (adopted, owner.address, POOL_UNITS), (local, sandwich, ATTACK_UNITS)
    ):
        owner.transact(minted, TOKEN.encode("mint", holder, units * UNIT))
    for approved in (local, adopted):
        owner.transact(approved, TOKEN.encode("approve", connext, UNLIMITED))
    handing_over = load_connext_artifact(ROOT, BRIDGE_TOKEN).interface.encode("transferOwnership", connext)
    owner.transact(local, handing_over)  # Connext mints and burns what it lists as a representation
    canonical, key = (token.canonical_domain, token.canonical_id), compute_key(token)
    listing = ("setupAssetWithDeployedRepresentation", canonical, local, adopted, ZERO_ADDRESS)
    owner.transact(connext, facet("Token").encode(*listing))
    pool = ("initializeSwap", key, [local, adopted], [18, 18], "LP", "LP", AMPLIFICATION, FEE_PER_1E10, 0)
    owner.transact(connext, facet("SwapAdmin").encode(*pool))
    filling = ("addSwapLiquidity", key, [POOL_UNITS * UNIT] * 2, 0, scene.now_s() + 24 * 3600)
    owner.transact(connext, facet("StableSwap").encode(*filling))
    router = dev_account("router-0").address
    owner.transact(connext, encode_add_router_liquidity_for(2 * VICTIM_UNITS * UNIT, local, router))
    return Pooled(scene, token, adopted, sandwich)
