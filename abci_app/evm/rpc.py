"""JSON-RPC client of one endpoint over web3's HTTP provider without middleware.

A call makes at most 1 + len(retry_delays_s) attempts of `timeout_s` each; only transport faults are repeated. Answers
are parsed strictly into the records of `types.py`: a lie about shapes gives RpcMalformed, never a guess.
An Rpc may be used from several threads.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from eth_utils.crypto import keccak
from web3.types import RPCEndpoint

from abci_app.evm import parse
from abci_app.evm.errors import (
    ChainMismatch,
    DeadlineExceeded,
    MethodMissing,
    RpcError,
    RpcMalformed,
    RpcNotFound,
    RpcRefused,
    RpcTooLarge,
    RpcUnavailable,
    TransactionKnown,
    foreign_mapped,
)
from abci_app.evm.log_range import LogRange
from abci_app.evm.refusals import map_refusal
from abci_app.evm.transport import BoundedProvider
from abci_app.evm.types import Address, BlockTag, EvmBlock, Fees, Log, Receipt, to_hex

TIMEOUT_S = 5.0
"""Default limit of one attempt, connecting and reading together."""

RETRY_DELAYS_S = (0.2, 0.5, 1.0)
"""Pauses before further attempts after a transport fault: a call ends within 4 × 5 s + 1.7 s."""

LOG_BLOCKS_MAX = 1000
"""Blocks in one eth_getLogs request at most; fewer where an endpoint refuses so many."""

POLL_S = 0.1
"""Pause between two looks for a receipt."""

StateOverride = Mapping[str, Mapping[str, Any]]
"""eth_call's third argument: `{address: {"stateDiff": {slot: value}, "balance": …, "code": …}}`, all in hex."""


class Rpc:
    """JSON-RPC client of one endpoint; `close()` it, or use it as a context manager."""

    def __init__(
        self, url: str, *, timeout_s: float = TIMEOUT_S, retry_delays_s: Sequence[float] = RETRY_DELAYS_S
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"RPC URL must start with http:// or https://, got {url[:100]!r}")
        self.url = url
        self.name = name_endpoint(url)
        self._retry_delays_s = tuple(retry_delays_s)
        self._provider = BoundedProvider(url, timeout_s)
        self._log_range = LogRange(LOG_BLOCKS_MAX)

    def __enter__(self) -> "Rpc":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def timeout_s(self) -> float:
        """Return the time limit of one request."""
        return self._provider.timeout_s

    @timeout_s.setter
    def timeout_s(self, limit_s: float) -> None:
        self._provider.timeout_s = limit_s

    def close(self) -> None:
        """Close pooled connections."""
        self._provider.session.close()

    # -- the chain --------------------------------------------------------------------------------------------------

    def chain_id(self) -> int:
        return parse.quantity(self.request("eth_chainId", []))

    def require_chain(self, chain_id: int) -> None:
        """Raise ChainMismatch unless the endpoint serves this chain."""
        actual = self.chain_id()
        if actual != chain_id:
            raise ChainMismatch(chain_id, actual)

    def block_number(self) -> int:
        return parse.count(self.request("eth_blockNumber", []))

    def block(self, tag: BlockTag = "latest") -> EvmBlock:
        """Return the header of a block. Raises RpcNotFound where there is none (yet)."""
        block = parse.block(self._found(self.request("eth_getBlockByNumber", [parse.tag(tag), False]), f"block {tag}"))
        if isinstance(tag, int) and block.number != tag:
            raise RpcMalformed(f"asked for block {tag}, got {block.number}")
        return block

    def finalized(self) -> EvmBlock:
        """Return the endpoint's finalized head."""
        return self.block("finalized")

    def logs(self, address: Address, from_block: int, to_block: int, topics0: Sequence[bytes] = ()) -> tuple[Log, ...]:
        """Return one contract's logs in blocks [from, to], in chain order, of these first topics if any are given.

        The range is asked for in pieces of at most `log_blocks`, halved where the endpoint refuses one. Logs that were
        not asked for, or come twice, raise RpcMalformed. That none is missing cannot be seen here.
        """
        if not 0 <= from_block <= to_block:
            raise ValueError(f"block range {from_block} to {to_block}")
        logs: list[Log] = []
        start = from_block
        while start <= to_block:
            end, found = self._read_logs(address, start, to_block, topics0)
            logs += found
            start = end + 1
        return tuple(logs)

    @property
    def log_blocks(self) -> int:
        """Return how many blocks the endpoint gives logs of in one request, as far as it is known."""
        return self._log_range.blocks

    def _read_logs(
        self, address: Address, start: int, last: int, topics0: Sequence[bytes]
    ) -> tuple[int, Sequence[Log]]:
        """Return the last block of as many of a range as the endpoint gives at once, and the logs up to it."""
        asked: dict[str, Any] = {"address": to_hex(address), "fromBlock": hex(start)}
        if topics0:
            asked["topics"] = [[to_hex(topic) for topic in topics0]]
        blocks, refused = min(last - start + 1, self._log_range.blocks), None
        while True:
            end = start + blocks - 1
            try:
                answer = parse.logs(self.request("eth_getLogs", [asked | {"toBlock": hex(end)}]))
            except (RpcRefused, RpcTooLarge) as error:
                if blocks == 1 or isinstance(error, MethodMissing):
                    raise
                refused, blocks = blocks, blocks // 2
                continue
            self._log_range.note_served(blocks, refused)
            found = sorted(answer, key=lambda log: (log.block_number, log.log_index))
            parse.require_asked_logs(found, address, start, end, topics0)
            return end, found

    def code(self, address: Address, tag: BlockTag = "latest") -> bytes:
        return parse.data(self.request("eth_getCode", [to_hex(address), parse.tag(tag)]))

    def balance(self, address: Address, tag: BlockTag = "latest") -> int:
        """Return the native balance in wei."""
        return parse.quantity(self.request("eth_getBalance", [to_hex(address), parse.tag(tag)]))

    def transaction_count(self, address: Address, tag: BlockTag = "latest") -> int:
        """Return the account's next nonce at a block; `pending` includes the endpoint's pool."""
        return parse.count(self.request("eth_getTransactionCount", [to_hex(address), parse.tag(tag)]))

    # -- calls ------------------------------------------------------------------------------------------------------

    def call(
        self,
        to: Address,
        data: bytes,
        *,
        sender: Address | None = None,
        value_wei: int = 0,
        gas: int | None = None,
        tag: BlockTag = "latest",
        overrides: StateOverride | None = None,
    ) -> bytes:
        """Simulate a call and return its data. Raises CallReverted."""
        params: list[Any] = [_call_object(to, data, sender, value_wei, gas), parse.tag(tag)]
        if overrides:
            params.append(overrides)
        return parse.data(self.request("eth_call", params))

    def estimate_gas(
        self, to: Address | None, data: bytes, *, sender: Address, value_wei: int = 0, tag: BlockTag = "latest"
    ) -> int:
        """Return the gas that a transaction needs now. Raises CallReverted."""
        return parse.count(
            self.request("eth_estimateGas", [_call_object(to, data, sender, value_wei, None), parse.tag(tag)])
        )

    def fees(self) -> Fees:
        """Return fees that suffice for six full blocks in a row: the endpoint's tip plus twice the base fee.

        An endpoint without a method for tips is asked for its price of gas, of which the base fee is a part.
        """
        try:
            tip_wei = parse.quantity(self.request("eth_maxPriorityFeePerGas", []))
        except (RpcRefused, RpcMalformed):
            price_wei = parse.quantity(self.request("eth_gasPrice", []))
            base_fee_wei = self.block("latest").base_fee_wei
            tip_wei = max(0, price_wei - base_fee_wei)
        else:
            base_fee_wei = self.block("latest").base_fee_wei
        return Fees(max_fee_wei=2 * base_fee_wei + tip_wei, priority_fee_wei=tip_wei)

    # -- transactions -----------------------------------------------------------------------------------------------

    def send_raw_transaction(self, raw: bytes) -> bytes:
        """Submit a signed transaction and return its hash; one that the endpoint has already is no error.

        Raises NonceUsed where another transaction has the nonce, RpcRefused for any other reason of the endpoint.
        """
        expected = keccak(raw)
        try:
            tx_hash = parse.word(self.request("eth_sendRawTransaction", [to_hex(raw)]))
        except TransactionKnown:
            return expected
        if tx_hash != expected:
            raise RpcMalformed("endpoint answered with the hash of another transaction")
        return tx_hash

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """Return the receipt, or None while the transaction is not mined."""
        answer = self.request("eth_getTransactionReceipt", [to_hex(tx_hash)])
        if answer is None:
            return None
        receipt = parse.receipt(answer)
        if receipt.tx_hash != tx_hash:
            raise RpcMalformed("receipt of another transaction")
        return receipt

    def wait_receipt(self, tx_hash: bytes, deadline_s: float = 30.0, poll_s: float = POLL_S) -> Receipt:
        """Wait until mined. Raises DeadlineExceeded after `deadline_s`."""
        deadline = time.monotonic() + deadline_s
        while (receipt := self.receipt(tx_hash)) is None:
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"transaction {tx_hash.hex()} not mined after {deadline_s} s")
            time.sleep(poll_s)
        return receipt

    # -- any method -------------------------------------------------------------------------------------------------

    def request(self, method: str, params: Sequence[Any]) -> Any:
        """Return the unparsed `result` of one JSON-RPC call; transport faults are retried after the listed delays."""
        for delay_s in self._retry_delays_s:
            try:
                return self._attempt(method, params)
            except RpcUnavailable:
                time.sleep(delay_s)
        return self._attempt(method, params)

    def _attempt(self, method: str, params: Sequence[Any]) -> Any:
        try:
            with foreign_mapped():
                answer = self._provider.make_request(RPCEndpoint(method), list(params))
        except RpcError as error:
            raise type(error)(hide_secrets(str(error), self.url)) from None  # the foreign one names the whole URL
        if not isinstance(answer, dict):
            raise RpcMalformed(f"answer to {method} is no object")
        if answer.get("error") is not None:
            raise map_refusal(answer["error"])
        if "result" not in answer:
            raise RpcMalformed(f"answer to {method} has neither result nor error")
        return answer["result"]

    @staticmethod
    def _found(answer: Any, what: str) -> Any:
        if answer is None:
            raise RpcNotFound(f"no {what}")
        return answer


def name_endpoint(url: str) -> str:
    """Return scheme, host and port of a URL, for messages: providers put access keys into the rest."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else url


def hide_secrets(text: str, url: str) -> str:
    """Return a text without the parts of a URL in which providers put access keys."""
    parts = urlsplit(url)
    secrets = (parts._replace(scheme="", netloc="").geturl(), parts.path, parts.query, parts.username, parts.password)
    for secret in sorted({each for each in secrets if each and len(each) > 1}, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def _call_object(
    to: Address | None, data: bytes, sender: Address | None, value_wei: int, gas: int | None
) -> dict[str, Any]:
    fields: dict[str, Any] = {"data": to_hex(data)}
    if to is not None:
        fields["to"] = to_hex(to)
    if sender is not None:
        fields["from"] = to_hex(sender)
    if value_wei:
        fields["value"] = hex(value_wei)
    if gas is not None:
        fields["gas"] = hex(gas)
    return fields
