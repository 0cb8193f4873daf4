"""One destination chain as the relayer needs it: a few reads, two simulations, one send. Every call has a deadline.

``Chain`` is what the other modules see; ``EvmChain`` is the real one. Its exceptions are those of ``evm/``.
"""

from typing import Protocol

from abci_app.bridge.errors import Fatal
from abci_app.bridge.leaves import GateTarget
from abci_app.daemon.runner import Retryable
from abci_app.evm.connext import Connext, DestinationStatus, ExecuteArgs, encode_execute
from abci_app.evm.errors import CallReverted, ChainMismatch, DecodeFailed, EvmError
from abci_app.evm.gate import Gate, InstalledSet
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Address, EvmBlock, Fees, Receipt
from abci_app.machine.decisions.batches import compute_domain_separator

CALL_TIMEOUT_S = 3.0
"""One attempt, and no other: the runner repeats, and says why. Short enough to end in time when told to."""


class Chain(Protocol):
    """A destination chain with a gate."""

    def head(self) -> EvmBlock:
        """Return the latest block."""

    def next_nonce(self, account: Address) -> int:
        """Count of the account's mined transactions: its *confirmed* nonce, whatever waits in a pool."""

    def balance_wei(self, account: Address) -> int:
        """Return an account's native balance."""

    def fees(self) -> Fees:
        """Return what a transaction should offer now."""

    def status(self, transfer_id: bytes) -> DestinationStatus:
        """Return where a transfer stands at the head."""

    def validator_set(self) -> InstalledSet:
        """Return the set in force at the gate."""

    def simulate_batch(self, sender: Address, calldata: bytes, gas: int) -> None:
        """Run executeBatch at the head without sending it. Raises CallReverted."""

    def simulate_entry(self, args: ExecuteArgs, gas: int) -> None:
        """Run one execute at the head, as the gate would. Raises CallReverted."""

    def send(self, raw: bytes) -> bytes:
        """Hand over a signed transaction, return its hash; one that is known already is no error."""

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """Return the receipt, None while it is not mined."""


class EvmChain:
    """A chain behind one RPC endpoint; ``check`` it first, ``close`` it at the end."""

    def __init__(self, rpc_url: str, place: GateTarget, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._rpc = Rpc(rpc_url, timeout_s=timeout_s, retry_delays_s=())
        self._place = place
        self._gate = Gate(self._rpc, place.gate)
        self._connext: Connext | None = None

    def check(self, chain_id: str) -> None:
        """Raise Fatal unless this is the configured chain, with a gate of consensus network ``chain_id``.

        Raises EvmError where the endpoint does not say.
        """
        place, gate = self._place, f"gate 0x{self._place.gate.hex()} of domain {self._place.domain}"
        try:
            self._rpc.require_chain(place.chain_id)
        except ChainMismatch as error:
            raise Fatal(f"domain {place.domain} at {self._rpc.name}: {error}") from error
        if not self._rpc.code(place.gate):
            raise Fatal(f"{gate}: there is no contract")
        try:
            separator, connext = self._gate.domain_separator(), self._gate.connext()
            domain = Connext(self._rpc, connext).domain()
        except (CallReverted, DecodeFailed) as error:
            raise Fatal(f"{gate}: the contract is no ConsensusGate") from error
        if separator != compute_domain_separator(chain_id):
            raise Fatal(f"{gate}: it belongs to another consensus network than {chain_id!r}")
        if domain != place.domain:
            raise Fatal(f"{gate}: its Connext is that of domain {domain}")
        self._connext = Connext(self._rpc, connext)

    def __enter__(self) -> "EvmChain":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections."""
        self._rpc.close()

    @property
    def connext(self) -> Connext:
        """Return the diamond behind the gate, known after ``check``."""
        if self._connext is None:
            raise Retryable("chain-unchecked", f"domain {self._place.domain} has not been checked yet")
        return self._connext

    def head(self) -> EvmBlock:
        return self._rpc.block("latest")

    def next_nonce(self, account: Address) -> int:
        return self._rpc.transaction_count(account, "latest")

    def balance_wei(self, account: Address) -> int:
        return self._rpc.balance(account)

    def fees(self) -> Fees:
        return self._rpc.fees()

    def status(self, transfer_id: bytes) -> DestinationStatus:
        return self.connext.transfer_status(transfer_id)

    def validator_set(self) -> InstalledSet:
        return self._gate.validator_set()

    def simulate_batch(self, sender: Address, calldata: bytes, gas: int) -> None:
        self._rpc.call(self._place.gate, calldata, sender=sender, gas=gas)

    def simulate_entry(self, args: ExecuteArgs, gas: int) -> None:
        calldata = encode_execute(args)
        # The gate gives `execute` exactly `gas`; as a transaction of its own the call pays for its bytes on top.
        intrinsic = 21_000 + sum(4 if byte == 0 else 16 for byte in calldata)
        self._rpc.call(self.connext.address, calldata, sender=self._place.gate, gas=gas + intrinsic)

    def send(self, raw: bytes) -> bytes:
        return self._rpc.send_raw_transaction(raw)

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        return self._rpc.receipt(tx_hash)


def check_once(chain: EvmChain, chain_id: str) -> None:
    """``check`` at the start: what is wrong is fatal, an endpoint that does not answer is waited for later."""
    try:
        chain.check(chain_id)
    except EvmError:
        return
