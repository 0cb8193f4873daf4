"""A chain in memory with a gate that counts and pays: pool, nonces, base fee, blocks, receipts, and blocks taken back.

It obeys the rules a relayer depends on: a nonce is mined once and in order, a replacement must offer 10 % more, a
transaction below the base fee waits, a transfer is paid out once.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import encode as abi_encode
from eth_account import Account as EthAccount
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from abci_app.evm.connext import DestinationStatus, ExecuteArgs, execute_args_from_args
from abci_app.evm.errors import CallReverted, NonceUsed, RpcRefused
from abci_app.evm.gate import GATE, InstalledSet, list_members
from abci_app.evm.types import Address, EvmBlock, Fees, Log, Receipt
from abci_app.machine.connext import compute_transfer_id, keccak
from bench.quorum import Quorum

GWEI = 10**9
START_S = 1_800_000_000
GATE_ADDRESS = Address(b"\x6a" * 20)


@dataclass
class Pooled:
    """A transaction in the pool."""

    raw: bytes
    hash: bytes
    sender: Address
    to: Address
    nonce: int
    data: bytes
    gas: int
    max_fee_wei: int


@dataclass
class Ledger:
    """What blocks change, and taking blocks back restores."""

    number: int = 100
    timestamp_s: int = START_S
    nonces: dict[bytes, int] = field(default_factory=dict)
    statuses: dict[bytes, DestinationStatus] = field(default_factory=dict)
    receipts: dict[bytes, Receipt] = field(default_factory=dict)
    executed: list[bytes] = field(default_factory=list)
    mined: list[Pooled] = field(default_factory=list)


class FakeChain:
    """Implements bridge.chain.Chain. Set ``refusal`` or ``error`` to have sends fail, ``failing`` for transfers."""

    def __init__(self, quorum: Quorum, chain_id: int = 31338) -> None:
        self.chain_id = chain_id
        self.quorum = quorum
        self.ledger = Ledger()
        self.history: list[Ledger] = []
        self.pool: dict[int, Pooled] = {}
        self.base_fee_wei = GWEI
        self.balances: dict[bytes, int] = {}
        self.failing: dict[bytes, str] = {}
        """Transfer → name of the error that Connext gives."""
        self.failing_when_paid: set[bytes] = set()
        """Transfers that every simulation lets through."""
        self.batch_error: str | None = None
        """Name of the error that the gate gives to everything."""
        self.refusal: str | None = None
        self.is_strict = False
        """Whether sends below the base fee are refused, as sequencers of rollups do, not kept waiting."""
        self.error: Callable[[str], None] = lambda name: None
        """Called at the start of each method with its name; may raise."""
        self.calls: list[str] = []
        self.sent: list[bytes] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.error(name)

    # -- what the relayer sees ----------------------------------------------------------------------------------------

    def head(self) -> EvmBlock:
        self._call("head")
        number, timestamp_s = self.ledger.number, self.ledger.timestamp_s
        return EvmBlock(number, keccak(b"block %d" % number), bytes(32), timestamp_s, self.base_fee_wei)

    def next_nonce(self, account: Address) -> int:
        self._call("next_nonce")
        return self.ledger.nonces.get(account, 0)

    def balance_wei(self, account: Address) -> int:
        self._call("balance_wei")
        return self.balances.get(account, 10**20)

    def fees(self) -> Fees:
        self._call("fees")
        return Fees(2 * self.base_fee_wei + GWEI, GWEI)

    def status(self, transfer_id: bytes) -> DestinationStatus:
        self._call("status")
        return self.ledger.statuses.get(transfer_id, DestinationStatus.NONE)

    def validator_set(self) -> InstalledSet:
        self._call("validator_set")
        return InstalledSet(self.quorum.epoch, START_S + 10**8, list_members(self.quorum.validator_set()))

    def simulate_batch(self, sender: Address, calldata: bytes, gas: int) -> None:
        self._call("simulate_batch")
        if self.batch_error:
            raise CallReverted(3, "execution reverted", b"", self.batch_error, ())

    def simulate_entry(self, args: ExecuteArgs, gas: int) -> None:
        self._call("simulate_entry")
        error = self.failing.get(compute_transfer_id(args.params))
        if error:
            raise CallReverted(3, "execution reverted", b"", error, ())

    def send(self, raw: bytes) -> bytes:
        self._call("send")
        transaction = parse_raw(raw)
        self.sent.append(transaction.hash)
        if self.refusal:
            raise RpcRefused(-32000, self.refusal)
        if transaction.nonce < self.ledger.nonces.get(transaction.sender, 0):
            raise NonceUsed(-32000, "nonce too low")
        if self.is_strict and transaction.max_fee_wei < self.base_fee_wei:
            raise RpcRefused(-32000, "max fee per gas less than block base fee")
        known = self.pool.get(transaction.nonce)
        if known and known.hash != transaction.hash and transaction.max_fee_wei * 10 < known.max_fee_wei * 11:
            raise RpcRefused(-32000, "replacement transaction underpriced")
        self.pool[transaction.nonce] = transaction
        return transaction.hash

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        self._call("receipt")
        return self.ledger.receipts.get(tx_hash)

    # -- what happens to it ------------------------------------------------------------------------------------------

    def mine(self, blocks: int = 1, *, is_full: bool = False, seconds: int = 1) -> None:
        """Make blocks; ``is_full`` leaves the pool alone."""
        for _ in range(blocks):
            self.history.append(deepcopy(self.ledger))
            self.ledger.number += 1
            self.ledger.timestamp_s += seconds
            while not is_full and (ready := self._next_ready()):
                self._include(self.pool.pop(ready.nonce))

    def take_back(self, blocks: int) -> None:
        """A reorganisation: the last blocks never were; their transactions are forgotten."""
        self.ledger = self.history[-blocks]
        del self.history[-blocks:]

    def spend_nonce(self, account: Address) -> None:
        """A transaction of the account that the relayer knows nothing of is mined."""
        self.ledger.nonces[account] = self.ledger.nonces.get(account, 0) + 1
        self.pool = {nonce: one for nonce, one in self.pool.items() if nonce >= self.ledger.nonces[account]}
        self.mine(is_full=True)

    def _next_ready(self) -> Pooled | None:
        for one in self.pool.values():
            if one.nonce == self.ledger.nonces.get(one.sender, 0) and one.max_fee_wei >= self.base_fee_wei:
                return one
        return None

    def _include(self, one: Pooled) -> None:
        self.ledger.nonces[one.sender] = one.nonce + 1
        self.ledger.mined.append(one)
        is_batch = one.to == GATE_ADDRESS
        logs = self._execute_batch(one) if is_batch and not self.batch_error else ()
        status = 0 if is_batch and self.batch_error else 1
        self.ledger.receipts[one.hash] = Receipt(
            one.hash, 0, self.ledger.number, bytes(32), status, 200_000, GWEI, one.sender, one.to, None, logs
        )

    def _execute_batch(self, one: Pooled) -> tuple[Log, ...]:
        call = GATE.function("executeBatch").decode_input(one.data)
        logs, done = [], 0
        for entry in call["entries"]:
            transfer_id = self._transfer_id(entry)
            needed = DestinationStatus.NONE if entry["args"]["routers"] else DestinationStatus.RECONCILED
            place = (transfer_id, entry["sequence"].to_bytes(32, "big"))
            if self.ledger.timestamp_s > entry["validUntil"]:
                data = entry["validUntil"].to_bytes(32, "big")
                logs.append(self._log(one, "DecisionExpired", place, data))
            elif self.ledger.statuses.get(transfer_id, DestinationStatus.NONE) != needed:
                logs.append(self._log(one, "DecisionSkipped", place, b""))
            elif transfer_id in self.failing or transfer_id in self.failing_when_paid:
                logs.append(self._log(one, "TransferFailed", place, abi_encode(["bytes"], [b"\x4e\x48\x7b\x71"])))
            else:
                self.ledger.statuses[transfer_id] = DestinationStatus.EXECUTED
                self.ledger.executed.append(transfer_id)
                done += 1
        topics = (call["batch"]["height"].to_bytes(32, "big"), one.sender.rjust(32, b"\x00"))
        counts = abi_encode(["uint256", "uint256"], [done, len(call["entries"])])
        return (*logs, self._log(one, "BatchExecuted", topics, counts))

    def _transfer_id(self, entry: dict[str, Any]) -> bytes:
        return compute_transfer_id(execute_args_from_args(entry["args"]).params)

    def _log(self, one: Pooled, name: str, topics: tuple[bytes, ...], data: bytes) -> Log:
        return Log(
            GATE_ADDRESS, (GATE.event(name).topic0, *topics), data, self.ledger.number, bytes(32), one.hash, 0, 0, False
        )


def parse_raw(raw: bytes) -> Pooled:
    """A signed EIP-1559 transaction."""
    fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    sender = bytes.fromhex(EthAccount.recover_transaction(raw)[2:])
    return Pooled(
        raw, keccak(raw), Address(sender), Address(bytes(fields["to"])), fields["nonce"], bytes(fields["data"]),
        fields["gas"], fields["maxFeePerGas"],
    )
