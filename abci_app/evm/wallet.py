"""Sequential transactions from one account, for set-up, demo and tests.

It keeps the account's next nonce in memory and trusts that nobody else uses the account. A relayer, whose intent must
survive a kill, does not use this.
"""

from abci_app.evm.account import Account, Transaction
from abci_app.evm.errors import CallReverted, EvmError, TransactionFailed
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Address, Fees, Receipt

GAS_MAX = 16_000_000
"""Gas limit when none is given: below the 2^24 that EIP-7825 allows a transaction."""


class Wallet:
    """Account on one chain that sends transactions one after the other."""

    def __init__(self, rpc: Rpc, account: Account, *, chain_id: int | None = None, fees: Fees | None = None) -> None:
        self.rpc = rpc
        self.account = account
        self._chain_id = chain_id
        self._fees = fees
        self._nonce: int | None = None

    @property
    def address(self) -> Address:
        return self.account.address

    def next_nonce(self) -> int:
        """Return the nonce of the next transaction that `send` signs."""
        if self._nonce is None:
            self._nonce = self.rpc.transaction_count(self.address, "pending")
        return self._nonce

    def send(self, to: Address | None, data: bytes, *, value_wei: int = 0, gas: int = GAS_MAX) -> bytes:
        """Sign and submit a transaction, return its hash; `to` None creates a contract."""
        if self._chain_id is None:
            self._chain_id = self.rpc.chain_id()
        nonce = self.next_nonce()
        transaction = Transaction(self._chain_id, nonce, to, data, gas, self._fees or self.rpc.fees(), value_wei)
        try:
            tx_hash = self.rpc.send_raw_transaction(self.account.sign_transaction(transaction).raw)
        except EvmError:
            self._nonce = None  # refused or unknown: look again before the next one
            raise
        self._nonce = nonce + 1
        return tx_hash

    def confirm(self, tx_hash: bytes, deadline_s: float = 30.0) -> Receipt:
        """Wait for a transaction of this wallet. Raises TransactionFailed if it reverted, DeadlineExceeded."""
        receipt = self.rpc.wait_receipt(tx_hash, deadline_s, poll_s=0.05)
        if receipt.status != 1:
            raise TransactionFailed(receipt, None)
        return receipt

    def transact(
        self, to: Address | None, data: bytes, *, value_wei: int = 0, gas: int = GAS_MAX, deadline_s: float = 30.0
    ) -> Receipt:
        """Send and wait. Raises TransactionFailed with the contract's reason where a repeated call still shows it."""
        receipt = self.rpc.wait_receipt(self.send(to, data, value_wei=value_wei, gas=gas), deadline_s, poll_s=0.05)
        if receipt.status != 1:
            raise TransactionFailed(receipt, self._reason(to, data, value_wei, gas, receipt))
        return receipt

    def _reason(
        self, to: Address | None, data: bytes, value_wei: int, gas: int, receipt: Receipt
    ) -> CallReverted | None:
        if to is None:
            return None
        try:
            self.rpc.call(to, data, sender=self.address, value_wei=value_wei, gas=gas, tag=receipt.block_number)
        except CallReverted as reverted:
            return reverted
        except EvmError:
            return None
        return None
