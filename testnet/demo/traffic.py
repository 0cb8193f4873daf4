"""Users of a local network: xcalls on the real Connext, sent as any wallet would."""

from collections.abc import Mapping
from dataclasses import dataclass

from abci_app.evm.connext import encode_xcall
from abci_app.evm.connext_events import TOPICS
from abci_app.evm.rpc import Rpc
from abci_app.evm.wallet import Wallet
from testnet.connext.deployment import Deployment, dev_account
from testnet.connext.supply import TOKEN, UNLIMITED

SLIPPAGE_BPS = 300


@dataclass(frozen=True)
class Order:
    """What a user wants: whole units of a token, or smallest units, from one domain to an address on another."""

    label: str
    symbol: str
    origin: int
    destination: int
    amount: int
    """In the token's smallest units."""
    to: bytes
    call_data: bytes = b""


@dataclass(frozen=True)
class SentTransfer:
    """An order that is mined on its origin."""

    order: Order
    transfer_id: bytes
    tx_hash: bytes
    block: int
    gas: int


class User:
    """One funded account on every chain."""

    def __init__(self, deployment: Deployment, rpcs: Mapping[int, Rpc], index: int) -> None:
        account = dev_account(f"user-{index}")
        self._deployment = deployment
        self.address = account.address
        self._wallets = {
            domain: Wallet(rpc, account, chain_id=deployment.domain(domain).chain_id) for domain, rpc in rpcs.items()
        }
        self._approved: set[tuple[int, str]] = set()

    def create(self, domain: int, creation: bytes) -> bytes:
        """Deploy a contract, return its address. Raises EvmError."""
        created = self._wallets[domain].transact(None, creation).contract_address
        if created is None:
            raise ValueError("the transaction created no contract")
        return created

    def post(self, order: Order) -> bytes:
        """Sign and hand over an order's xcall without waiting; return the transaction's hash."""
        deployed = self._deployment.domain(order.origin)
        token, wallet = deployed.tokens[order.symbol], self._wallets[order.origin]
        if (order.origin, order.symbol) not in self._approved:
            wallet.send(token.address, TOKEN.encode("approve", deployed.connext, UNLIMITED), gas=100_000)
            self._approved.add((order.origin, order.symbol))
        data = encode_xcall(
            destination_domain=order.destination, to=order.to, asset=token.address, delegate=self.address,
            amount=order.amount, slippage_bps=SLIPPAGE_BPS, call_data=order.call_data,
        )
        return wallet.send(deployed.connext, data, gas=1_000_000)

    def confirm(self, order: Order, tx_hash: bytes) -> SentTransfer:
        """Wait until a posted order is mined. Raises TransactionFailed, DeadlineExceeded."""
        receipt = self._wallets[order.origin].confirm(tx_hash)
        connext = self._deployment.domain(order.origin).connext
        for log in receipt.logs:
            if log.address == connext and log.topics[0] == TOPICS["XCalled"]:
                return SentTransfer(order, log.topics[1], tx_hash, receipt.block_number, receipt.gas_used)
        raise ValueError(f"0x{tx_hash.hex()} emitted no XCalled")

    def send(self, order: Order) -> SentTransfer:
        """Post and confirm."""
        return self.confirm(order, self.post(order))
