"""Raw JSON-RPC and hand-decoded logs: the checker's own eyes, sharing no code with what it checks.

Standard library only. Offsets follow the Solidity ABI: a static field is one 32-byte word, a dynamic one is an offset.
"""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 10.0
RANGE_BLOCKS = 5_000

XCALLED = "0xed8e6ba697dd65259e5ce532ac08ff06d1a3607bcec58f8f0937fe36a5666c54"
EXECUTED = "0x0b07a8b0b083f8976b3c832b720632f49cb8ba1e7a99e1b145f51a47d3391cb7"
RECONCILED = "0x30bf44531c04b96173a40012c90db840a147cf7d50a3e160f5227f1af2faa3a0"
LIQUIDITY_ADDED = "0xcc3100122c1752fe0f6bfa5503175bc53eb00b5f2d774e81efedcd2b10a6d24b"
LIQUIDITY_REMOVED = "0xfacf3161e9675ca1ca84a16d238bc838c7e2084c302cf411d9da7ac0391f6486"
ERC20_TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
ROUTER_BALANCES = "0x41258b5c"
"""routerBalances(address,address)"""
BALANCE_OF = "0x70a08231"
TOTAL_SUPPLY = "0x18160ddd"
CALLS, LAST_CALL_DATA = "0x305f72b7", "0x72a853b1"
"""calls() and lastCallData() of a Recorder"""
ZERO = "0x" + "00" * 20


@dataclass(frozen=True)
class XCalled:
    """A user's order on its origin."""

    transfer_id: str
    origin: int
    destination: int
    to: str
    canonical_id: str
    canonical_domain: int
    bridged_amt: int
    call_data: bytes
    sender: str
    asset: str
    amount: int
    """What the sender paid, in ``asset``."""
    tx_hash: str
    block: int


@dataclass(frozen=True)
class Executed:
    """A payout on the destination."""

    transfer_id: str
    to: str
    routers: tuple[str, ...]
    bridged_amt: int
    local: str
    asset: str
    amount: int
    caller: str
    tx_hash: str
    block: int


@dataclass(frozen=True)
class Reconciled:
    """The message's arrival on the destination: routers are repaid."""

    transfer_id: str
    local: str
    routers: tuple[str, ...]
    amount: int
    tx_hash: str
    block: int


@dataclass(frozen=True)
class LiquidityChange:
    """Liquidity a router added (positive) or removed (negative), then with who got the tokens."""

    router: str
    local: str
    amount: int
    to: str = ZERO


@dataclass(frozen=True)
class TokenMove:
    """A token's own word that some of it changed hands; minted from and burnt to the zero address."""

    sender: str
    to: str
    amount: int
    tx_hash: str


class RawChain:
    """One chain behind a JSON-RPC endpoint."""

    def __init__(self, url: str) -> None:
        self._url = url

    def call(self, method: str, params: list[Any]) -> Any:
        """Return a call's result. Raises OSError, ValueError."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            answer = json.load(response)
        if "error" in answer:
            raise ValueError(f"{method}: {answer['error']}")
        return answer["result"]

    def head(self) -> int:
        """Return the number of the newest block."""
        return int(self.call("eth_blockNumber", []), 16)

    def logs(self, address: str, topic0: str, last_block: int) -> list[dict[str, Any]]:
        """Return all logs of one contract with one first topic, from block 0 to ``last_block``."""
        found: list[dict[str, Any]] = []
        for first in range(0, last_block + 1, RANGE_BLOCKS):
            found += self.call("eth_getLogs", [{
                "address": address, "topics": [topic0], "fromBlock": hex(first),
                "toBlock": hex(min(first + RANGE_BLOCKS - 1, last_block)),
            }])
        return found

    def read_int(self, to: str, data: str, block: int) -> int:
        """Return the single integer a view function answers."""
        return int(self.call("eth_call", [{"to": to, "data": data}, hex(block)]), 16)

    def router_balance(self, connext: str, router: str, local: str, block: int) -> int:
        """Return ``routerBalances(router, local)``."""
        return self.read_int(connext, ROUTER_BALANCES + _argument(router) + _argument(local), block)

    def token_balance(self, token: str, holder: str, block: int) -> int:
        """Return an ERC-20 balance."""
        return self.read_int(token, BALANCE_OF + _argument(holder), block)

    def total_supply(self, token: str, block: int) -> int:
        """Return an ERC-20 total supply."""
        return self.read_int(token, TOTAL_SUPPLY, block)

    def recorded_calls(self, recorder: str, block: int) -> tuple[int, bytes]:
        """Return how often a Recorder (contracts/test) was called, and the hash of what it got last."""
        count, last = (self.read_int(recorder, data, block) for data in (CALLS, LAST_CALL_DATA))
        return count, last.to_bytes(32, "big")


class _Words:
    """ABI data by byte offset."""

    def __init__(self, data: str, start: int = 0) -> None:
        self._data = bytes.fromhex(data.removeprefix("0x"))
        self._start = start

    def integer(self, index: int) -> int:
        begin = self._start + 32 * index
        return int.from_bytes(self._data[begin:begin + 32], "big")

    def address(self, index: int) -> str:
        return "0x" + self.integer(index).to_bytes(32, "big")[12:].hex()

    def word(self, index: int) -> str:
        return "0x" + self.integer(index).to_bytes(32, "big").hex()

    def inner(self, index: int) -> "_Words":
        """Return the dynamic value whose offset stands at word ``index``."""
        return _Words(self._data.hex(), self._start + self.integer(index))

    def text(self, index: int) -> bytes:
        """Return the dynamic bytes whose offset stands at word ``index``."""
        value = self.inner(index)
        begin = value._start + 32
        return value._data[begin:begin + value.integer(0)]

    def addresses(self, index: int) -> tuple[str, ...]:
        values = self.inner(index)
        return tuple(values.address(1 + place) for place in range(values.integer(0)))


def decode_xcalled(log: dict[str, Any]) -> XCalled:
    """Decode XCalled: data is (params, asset, amount, …)."""
    data = _Words(log["data"])
    params = data.inner(0)
    return XCalled(
        transfer_id=log["topics"][1], origin=params.integer(0), destination=params.integer(1), to=params.address(3),
        canonical_id=params.word(12), canonical_domain=params.integer(2), bridged_amt=params.integer(9),
        call_data=params.text(6), sender=params.address(8), asset=data.address(1), amount=data.integer(2),
        tx_hash=log["transactionHash"], block=int(log["blockNumber"], 16),
    )


def decode_executed(log: dict[str, Any]) -> Executed:
    """Decode Executed: data is (args, local, amount, caller), args is (params, routers, …)."""
    data = _Words(log["data"])
    args = data.inner(0)
    return Executed(
        transfer_id=log["topics"][1], to="0x" + log["topics"][2][26:], asset="0x" + log["topics"][3][26:],
        routers=args.addresses(1), bridged_amt=args.inner(0).integer(9), local=data.address(1),
        amount=data.integer(2), caller=data.address(3), tx_hash=log["transactionHash"],
        block=int(log["blockNumber"], 16),
    )


def decode_reconciled(log: dict[str, Any]) -> Reconciled:
    """Decode Reconciled: data is (routers, amount, caller)."""
    data = _Words(log["data"])
    return Reconciled(
        transfer_id=log["topics"][1], local="0x" + log["topics"][3][26:], routers=data.addresses(0),
        amount=data.integer(1), tx_hash=log["transactionHash"], block=int(log["blockNumber"], 16),
    )


def decode_liquidity_added(log: dict[str, Any]) -> LiquidityChange:
    """Decode RouterLiquidityAdded: data is (local, key, amount, caller)."""
    data = _Words(log["data"])
    return LiquidityChange("0x" + log["topics"][1][26:], data.address(0), data.integer(2))


def decode_liquidity_removed(log: dict[str, Any]) -> LiquidityChange:
    """Decode RouterLiquidityRemoved: data is (to, local, key, amount, caller)."""
    data = _Words(log["data"])
    return LiquidityChange("0x" + log["topics"][1][26:], data.address(1), -data.integer(3), data.address(0))


def decode_token_move(log: dict[str, Any]) -> TokenMove:
    """Decode an ERC-20's Transfer: data is the amount."""
    sender, to = ("0x" + topic[26:] for topic in log["topics"][1:3])
    return TokenMove(sender, to, _Words(log["data"]).integer(0), log["transactionHash"])


def _argument(address: str) -> str:
    return address.removeprefix("0x").lower().rjust(64, "0")
