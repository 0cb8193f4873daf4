"""An in-memory EVM chain that answers the observer's JSON-RPC calls, with logs as a Connext diamond encodes them."""

from dataclasses import astuple, dataclass, field, replace
from hashlib import sha256
from typing import Any

from eth_abi.abi import encode as abi_encode

from abci_app.evm.connext import CONNEXT
from abci_app.evm.errors import RpcUnavailable
from abci_app.evm.refusals import map_refusal
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Log
from abci_app.machine.connext import compute_transfer_id, keccak
from abci_app.machine.observation.stream import compute_first_digest
from abci_app.machine.params import INDEX_WHOLE_BLOCK
from abci_app.machine.state.codec import Address, DomainId, Hash
from abci_app.machine.state.records import Cursor, Domain, DomainStatus, TransferInfo
from tests.kit.evm.rpc_proxy import Absent, Faults, JsonRpcError

CHAIN_ID = 31337
DOMAIN = DomainId(1111)
OTHER_DOMAIN = DomainId(2222)
CONNEXT_ADDRESS = Address(bytes.fromhex("c0" * 20))
GENESIS_TIME_S = 1_700_000_000


def address(number: int) -> Address:
    """A recognizable address."""
    return Address(b"\xad" + number.to_bytes(19, "big"))


def word(number: int) -> Hash:
    """A recognizable 32-byte value."""
    return Hash(b"\x77" + number.to_bytes(31, "big"))


def make_info(nonce: int, call_data: bytes = b"", **changes: Any) -> TransferInfo:
    """Terms of a transfer from DOMAIN to OTHER_DOMAIN."""
    values: dict[str, Any] = {
        "origin_domain": DOMAIN, "destination_domain": OTHER_DOMAIN, "canonical_domain": DOMAIN, "to": address(1),
        "delegate": address(2), "receive_local": False, "call_data": call_data, "slippage": 300,
        "origin_sender": address(3), "bridged_amt": 10**6 + nonce, "normalized_in": 10**18, "nonce": nonce,
        "canonical_id": word(9),
    }
    return TransferInfo(**{**values, **changes})


def xcalled(nonce: int, call_data: bytes = b"") -> tuple[str, dict[str, Any]]:
    """The XCalled of `make_info`, as `encode_log` takes it."""
    info = make_info(nonce, call_data)
    return "XCalled", {
        "transferId": compute_transfer_id(info), "nonce": nonce, "messageHash": word(nonce), "params": info,
        "asset": address(4), "amount": info.bridged_amt, "local": address(5), "messageBody": b"body",
    }


def encode_log(
    name: str, arguments: dict[str, Any], *, block: int = 1, index: int = 0, tx: int = 0,
    block_hash: bytes = bytes(32), contract: Address = CONNEXT_ADDRESS,
) -> Log:
    """A log as the contract would emit it: ABI-encoded by the event's signature."""
    event = next(event for event in CONNEXT.events.values() if event.name == name)
    plain = [parameter for parameter in event.inputs if not parameter.indexed]
    topics = [abi_encode([p.type], [_plain(arguments[p.name])]) for p in event.inputs if p.indexed]
    data = abi_encode([p.type for p in plain], [_plain(arguments[p.name]) for p in plain])
    return Log(
        contract, (event.topic0, *topics), data, block, block_hash, keccak(b"tx%d/%d" % (block, tx)), tx, index, False
    )


def _plain(value: Any) -> Any:
    return astuple(value) if isinstance(value, TransferInfo) else value


@dataclass
class FakeBlock:
    """A block: its fork makes its hash, its logs make its bloom."""

    number: int
    parent_hash: bytes
    fork: int
    logs: list[Log] = field(default_factory=list)

    @property
    def hash(self) -> bytes:
        return sha256(b"block%d/%d" % (self.number, self.fork) + self.parent_hash).digest()

    @property
    def timestamp_s(self) -> int:
        return GENESIS_TIME_S + self.number


class FakeChain:
    """A chain whose blocks the test makes; `finalized` is the head, unless said otherwise."""

    def __init__(self, blocks: int = 1) -> None:
        self.blocks = [FakeBlock(0, bytes(32), 0)]
        self.unfinalized = 0
        for _ in range(blocks):
            self.add()

    def add(self, *events: tuple[str, dict[str, Any]], fork: int = 0, one_tx: bool = False) -> int:
        """Append a block with these events, each in its own transaction unless `one_tx`. Returns its number."""
        parent = self.blocks[-1]
        block = FakeBlock(parent.number + 1, parent.hash, fork)
        block.logs = [
            encode_log(
                name, arguments, block=block.number, index=at, tx=0 if one_tx else at, block_hash=block.hash
            )
            for at, (name, arguments) in enumerate(events)
        ]
        self.blocks.append(block)
        return block.number

    def grow(self, count: int) -> None:
        """Append empty blocks."""
        for _ in range(count):
            self.add()

    def reorganise(self, number: int, fork: int) -> None:
        """Replace block `number` and all after it by an empty branch of the same length."""
        count = len(self.blocks) - number
        del self.blocks[number:]
        for _ in range(count):
            self.add(fork=fork)

    def cursor(self, number: int = 1) -> Cursor:
        """A genesis cursor after the whole of a block."""
        block = self.blocks[number]
        return Cursor(0, number, INDEX_WHOLE_BLOCK, Hash(block.hash), block.timestamp_s, Hash(bytes(32)))

    def domain(self, at: int = 1, **changes: Any) -> Domain:
        """The committed domain, its stream starting after block `at`."""
        values: dict[str, Any] = {
            "domain": DOMAIN, "chain_id": CHAIN_ID, "connext": CONNEXT_ADDRESS, "gate": address(8),
            "finality_depth": 0, "stream_version": 1, "segment_blocks": 1, "idle_blocks": 2,
            "cursor": self.cursor(at), "next_nonce": 0, "max_routers": 5, "fee_numerator": 9995,
            "connext_paused": False, "allowlist_removed": False, "status": DomainStatus.OPEN, "eligible": True,
        }
        domain = Domain(**{**values, **changes})
        if "cursor" in changes:
            return domain
        return replace(domain, cursor=replace(domain.cursor, digest=compute_first_digest(domain)))

    # -- JSON-RPC -----------------------------------------------------------------------------------------------------

    def answer(self, method: str, params: list[Any]) -> Any:
        """`result` of a call. Raises JsonRpcError for a method that it does not have."""
        if method == "eth_chainId":
            return hex(CHAIN_ID)
        if method == "eth_blockNumber":
            return hex(len(self.blocks) - 1)
        if method == "eth_getBlockByNumber":
            block = self._find(params[0])
            return None if block is None else _block_json(block)
        if method == "eth_getLogs":
            first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
            topics = set(params[0]["topics"][0])
            found = [log for block in self.blocks[first:last + 1] for log in block.logs]
            return [
                _log_json(log) for log in found
                if "0x" + log.topics[0].hex() in topics and "0x" + log.address.hex() == params[0]["address"]
            ]
        if method == "eth_getBlockReceipts":
            block = self._find(params[0])
            return None if block is None else _receipts_json(block)
        if method == "eth_getTransactionReceipt":
            receipts = [receipt for block in self.blocks for receipt in _receipts_json(block)]
            return next((receipt for receipt in receipts if receipt["transactionHash"] == params[0]), None)
        raise JsonRpcError(-32601, f"no method {method}")

    def _find(self, tag: str) -> FakeBlock | None:
        if tag == "latest":
            return self.blocks[-1]
        number = len(self.blocks) - 1 - self.unfinalized if tag == "finalized" else int(tag, 16)
        return self.blocks[number] if 0 <= number < len(self.blocks) else None


class FakeRpc(Rpc):
    """The real client over the in-memory chain: what differs is how the bytes travel."""

    def __init__(self, chain: FakeChain, faults: Faults | None = None) -> None:
        super().__init__("http://fake.invalid", timeout_s=1.0, retry_delays_s=())
        self.chain = chain
        self.faults = faults or Faults()

    def request(self, method: str, params: Any) -> Any:
        try:
            return self.faults.answer(method, list(params), self.chain.answer)
        except Absent as error:
            raise RpcUnavailable(f"no answer from {self.name}") from error
        except JsonRpcError as error:
            raise map_refusal({"code": error.code, "message": str(error)}) from error


def _block_json(block: FakeBlock) -> dict[str, Any]:
    bloom = 0
    for log in block.logs:
        for value in (log.address, *log.topics):
            digest = keccak(value)
            for at in range(0, 6, 2):
                bloom |= 1 << (int.from_bytes(digest[at:at + 2], "big") % 2048)
    return {
        "number": hex(block.number), "hash": "0x" + block.hash.hex(), "parentHash": "0x" + block.parent_hash.hex(),
        "timestamp": hex(block.timestamp_s), "logsBloom": "0x" + bloom.to_bytes(256, "big").hex(),
    }


def _log_json(log: Log) -> dict[str, Any]:
    return {
        "address": "0x" + log.address.hex(), "topics": ["0x" + topic.hex() for topic in log.topics],
        "data": "0x" + log.data.hex(), "blockNumber": hex(log.block_number), "blockHash": "0x" + log.block_hash.hex(),
        "transactionHash": "0x" + log.tx_hash.hex(), "transactionIndex": hex(log.tx_index),
        "logIndex": hex(log.log_index), "removed": log.removed,
    }


def _receipts_json(block: FakeBlock) -> list[dict[str, Any]]:
    by_tx: dict[bytes, list[Log]] = {}
    for log in block.logs:
        by_tx.setdefault(log.tx_hash, []).append(log)
    return [
        {
            "transactionHash": "0x" + tx_hash.hex(), "transactionIndex": hex(at), "blockNumber": hex(block.number),
            "blockHash": "0x" + block.hash.hex(), "status": "0x1", "gasUsed": "0x5208", "from": "0x" + "11" * 20,
            "to": "0x" + "22" * 20, "contractAddress": None, "logs": [_log_json(log) for log in logs],
        }
        for at, (tx_hash, logs) in enumerate(by_tx.items())
    ]
