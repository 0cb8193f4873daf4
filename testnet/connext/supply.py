"""Tokens of the local chains, backed in both directions, and who holds them when a network starts.

A canonical token is minted on its own domain. What circulates on the other one was sent there by an xcall that the
message layer reconciled and that was then executed without routers, so that there the supply of the representation
equals what Connext holds in custody here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from abci_app.evm.codec import load_interface
from abci_app.evm.connext import (
    Connext,
    ExecuteArgs,
    encode_add_router_liquidity_for,
    encode_admin,
    encode_execute,
    encode_xcall,
)
from abci_app.evm.connext_events import TOPICS, decode_event
from abci_app.evm.types import ZERO_ADDRESS, Address
from abci_app.machine.state.records import TransferInfo
from testnet.chains.anvil import set_balance
from testnet.connext.connext_contracts import Sender
from testnet.connext.deployment import DomainDeployment, Token, dev_account

TOKEN = load_interface("erc20")

UNLIMITED = 2**256 - 1
NATIVE_BALANCE_WEI = 10_000 * 10**18


@dataclass(frozen=True)
class TokenPlan:
    """A token to create on its canonical domain and to represent on the others."""

    symbol: str
    name: str
    decimals: int
    canonical_domain: int


@dataclass(frozen=True)
class Holdings:
    """Who gets what of each token on each domain, in whole units."""

    routers: tuple[Address, ...]
    router_units: int
    users: int
    user_units: int

    @property
    def total_units(self) -> int:
        return len(self.routers) * self.router_units + self.users * self.user_units


def user_address(index: int) -> Address:
    """Return the address of the dev key `user-<index>`."""
    return dev_account(f"user-{index}").address


def create_tokens(senders: Mapping[int, Sender], plans: Sequence[TokenPlan]) -> dict[str, Token]:
    """Create the canonical tokens, owned by the deployer; by symbol."""
    tokens = {}
    for plan in plans:
        sender = senders[plan.canonical_domain]
        address = sender.create("core/connext/helpers/BridgeToken", plan.decimals, plan.name, plan.symbol)
        canonical_id = address.rjust(32, b"\x00")
        tokens[plan.symbol] = Token(plan.symbol, address, plan.decimals, plan.canonical_domain, canonical_id)
    return tokens


def list_assets(
    sender: Sender, deployed: DomainDeployment, plans: Sequence[TokenPlan], tokens: Mapping[str, Token]
) -> None:
    """List every token with a diamond; away from its canonical domain that creates the representation."""
    for plan in plans:
        canonical = (plan.canonical_domain, tokens[plan.symbol].canonical_id)
        at_home = plan.canonical_domain == deployed.domain
        name, symbol = ("", "") if at_home else (plan.name, plan.symbol)
        listed = (canonical, plan.decimals, name, symbol, ZERO_ADDRESS, ZERO_ADDRESS, 0)
        sender.call(deployed.connext, encode_admin("setupAsset", *listed))


def read_tokens(sender: Sender, deployed: DomainDeployment, canonical: Mapping[str, Token]) -> dict[str, Token]:
    """Return the tokens as they are on one domain, once their assets are listed there."""
    connext = Connext(sender.rpc, deployed.connext)
    return {
        symbol: Token(
            symbol=symbol,
            address=connext.local_asset(token.canonical_id, token.canonical_domain),
            decimals=token.decimals,
            canonical_domain=token.canonical_domain,
            canonical_id=token.canonical_id,
        )
        for symbol, token in canonical.items()
    }


def send_abroad(senders: Mapping[int, Sender], domains: Sequence[DomainDeployment], holdings: Holdings) -> None:
    """Mint every canonical token for both sides, and xcall the other side's part there."""
    for home in domains:
        sender = senders[home.domain]
        others = [deployed.domain for deployed in domains if deployed.domain != home.domain]
        for token in home.tokens.values():
            if token.canonical_domain != home.domain:
                continue
            amount = holdings.total_units * token.unit
            minted = TOKEN.encode("mint", sender.wallet.address, amount * len(domains))
            sender.call(token.address, minted)
            sender.call(token.address, TOKEN.encode("approve", home.connext, UNLIMITED))
            for destination in others:
                owner = sender.wallet.address
                call = encode_xcall(
                    destination_domain=destination,
                    to=owner,
                    asset=token.address,
                    delegate=owner,
                    amount=amount,
                    slippage_bps=0,
                )
                sender.call(home.connext, call)
        sender.finish()


def receive_abroad(senders: Mapping[int, Sender], domains: Sequence[DomainDeployment]) -> None:
    """Execute the reconciled transfers of send_abroad on the slow path, as their delegate."""
    by_domain = {deployed.domain: deployed for deployed in domains}
    for home in domains:
        for info in _sent_from(senders[home.domain], home):
            args = ExecuteArgs(info, (), (), ZERO_ADDRESS, b"")
            senders[info.destination_domain].call(by_domain[info.destination_domain].connext, encode_execute(args))
    for sender in senders.values():
        sender.finish()


def hand_out(sender: Sender, deployed: DomainDeployment, holdings: Holdings) -> None:
    """Give users gas and tokens and routers gas and liquidity, on one domain, out of the deployer's pocket."""
    for account in (*holdings.routers, *(user_address(index) for index in range(holdings.users))):
        set_balance(sender.rpc, account, NATIVE_BALANCE_WEI)
    for token in deployed.tokens.values():
        sender.call(token.address, TOKEN.encode("approve", deployed.connext, UNLIMITED))
        for router in holdings.routers:
            amount = holdings.router_units * token.unit
            sender.call(deployed.connext, encode_add_router_liquidity_for(amount, token.address, router))
        for index in range(holdings.users):
            amount = holdings.user_units * token.unit
            sender.call(token.address, TOKEN.encode("transfer", user_address(index), amount))
    sender.finish()


def _sent_from(sender: Sender, home: DomainDeployment) -> list[TransferInfo]:
    logs = sender.rpc.logs(home.connext, 0, sender.rpc.block_number(), [TOPICS["XCalled"]])
    return [decode_event(log).arguments["params"] for log in logs]
