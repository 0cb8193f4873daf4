"""Reads of one domain through one endpoint, verified by comparing logs, headers, receipts and blooms.

A range of blocks is accepted when its headers follow on the block before it, each log stands in a header's block and
in the receipts of that block, and no bloom of the newest blocks or receipt holds a log that was not given.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from abci_app.evm import parse
from abci_app.evm.errors import EvmError, RpcMalformed, RpcNotFound, RpcRefused, RpcTooLarge, RpcUnavailable
from abci_app.evm.optional_methods import OptionalMethod
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Log, Logged
from abci_app.machine.connext import keccak
from abci_app.machine.state.codec import Address, Hash
from abci_app.observer.observation_errors import ErrorCause, ObservationError

NEWEST_BLOCKS = 32
"""Blocks at the end of a range whose headers are read and blooms checked: an endpoint's log index lags there."""

HEADERS_MAX = 4096
"""Headers kept; those below the cursor are dropped, so only a chain of events in every block comes near it."""


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """Fields of a block header that the observer compares."""

    number: int
    hash: Hash
    parent_hash: Hash
    timestamp_s: int
    logs_bloom: int
    """The 2048 bits as an integer; 0 where the endpoint gives none."""


class VerifiedReads:
    """Reads of one Connext's logs through one RPC, for one thread. Every method raises `ObservationError`."""

    def __init__(
        self, rpc: Rpc, connext: Address, topics: Sequence[bytes], block_receipts: OptionalMethod | None = None
    ) -> None:
        self._rpc = rpc
        self._connext = connext
        self._topics = tuple(topics)
        self._topics_set = frozenset(topics)
        self._bloom_address = bloom_bits(connext)
        self._bloom_topics = tuple(bloom_bits(topic) for topic in topics)
        self._headers: dict[int, BlockHeader] = {}
        self._block_receipts = OptionalMethod() if block_receipts is None else block_receipts

    def require_chain(self, chain_id: int) -> None:
        """Raise `ObservationError` for an endpoint of another chain."""
        with _evm_errors_mapped():
            actual = self._rpc.chain_id()
        if actual != chain_id:
            raise ObservationError(ErrorCause.WRONG_CHAIN, f"chain id {actual}, the domain's is {chain_id}")

    def head_number(self, finality_depth: int) -> int:
        """Return the final block's number: by tag ``finalized`` or depth below the latest; −1 if there is none."""
        with _evm_errors_mapped():
            if finality_depth:
                return max(self._rpc.block_number() - finality_depth, -1)
            answer = self._rpc.request("eth_getBlockByNumber", ["finalized", False])
            if answer is None:
                return -1
            header = _parse_header(answer)
        known = self._headers.get(header.number)
        if known is not None and known.hash != header.hash:
            detail = f"final block {header.number} was {known.hash.hex()}, is now {header.hash.hex()}"
            raise ObservationError(ErrorCause.HASH_CHANGED, detail)
        self._keep(header)
        return header.number

    def header(self, number: int, fresh: bool = False) -> BlockHeader:
        """Return the header of a final block; one read before is not read again, unless ``fresh``."""
        if not fresh and number in self._headers:
            return self._headers[number]
        with _evm_errors_mapped():
            answer = self._rpc.request("eth_getBlockByNumber", [hex(number), False])
            if answer is None:
                raise RpcNotFound(f"no block {number}")
            header = _parse_header(answer)
            if header.number != number:
                raise RpcMalformed(f"asked for block {number}, got {header.number}")
        self._keep(header)
        return header

    def block_info(self, number: int) -> tuple[Hash, int]:
        """Return hash and timestamp of a final block, as `segment_builder.build_segments` needs them."""
        header = self.header(number)
        return header.hash, header.timestamp_s

    def forget(self, below: int) -> None:
        """Drop headers of blocks below a number."""
        self._headers = {number: header for number, header in self._headers.items() if number >= below}

    def read_logs(self, first: int, last: int, parent_hash: Hash) -> tuple[Log, ...]:
        """Return the verified logs of blocks ``first … last``; ``parent_hash`` is that of block ``first`` − 1."""
        newest = self._read_newest(first, last, parent_hash)
        with _evm_errors_mapped():
            logs = self._rpc.logs(self._connext, first, last, self._topics)
        by_block: dict[int, list[Log]] = defaultdict(list)
        for log in logs:
            by_block[log.block_number].append(log)
        for number, block_logs in by_block.items():
            self._verify_block(self.header(number), block_logs)
        for header in newest:
            if header.number not in by_block and self.may_hold_logs(header):
                self._verify_block(header, [])
        return logs

    def _read_newest(self, first: int, last: int, parent_hash: Hash) -> list[BlockHeader]:
        """Return headers at the end of a range, each the parent of the next; the first follows on ``parent_hash``."""
        start = max(first, last - NEWEST_BLOCKS + 1)
        newest = [self.header(number) for number in range(start, last + 1)]
        previous = parent_hash
        if start != first:
            previous = newest[0].parent_hash
            if first > 0 and self.header(first - 1, fresh=True).hash != parent_hash:
                raise ObservationError(ErrorCause.HASH_CHANGED, f"block {first - 1} is no longer {parent_hash.hex()}")
        for header in newest:
            if header.parent_hash != previous:
                raise ObservationError(
                    ErrorCause.HASH_CHANGED,
                    f"block {header.number} follows on {header.parent_hash.hex()}, not on {previous.hex()}",
                )
            previous = header.hash
        return newest

    def _verify_block(self, header: BlockHeader, logs: Sequence[Log]) -> None:
        """Compare a block's logs with its header and its receipts, in both directions."""
        for log in logs:
            if log.removed or log.block_hash != header.hash:
                raise ObservationError(
                    ErrorCause.HEADER_MISMATCH, f"log {log.block_number}/{log.log_index} is not of {header.hash.hex()}"
                )
        in_receipts: list[Log] = []
        for receipt in self._read_receipts(header, logs):
            listed = [log for log in receipt.logs if self._is_listed(log)]
            if receipt.block_hash != header.hash or (listed and not receipt.is_success):
                raise ObservationError(
                    ErrorCause.RECEIPT_MISMATCH, f"transaction {receipt.tx_hash.hex()} failed or is of another block"
                )
            in_receipts += listed
        given, real = set(logs), set(in_receipts)
        if given - real:
            detail = f"{len(given - real)} logs of block {header.number} in no receipt"
            raise ObservationError(ErrorCause.RECEIPT_MISMATCH, detail)
        if real - given:
            detail = f"{len(real - given)} logs of block {header.number} in receipts only"
            raise ObservationError(ErrorCause.LOG_MISSING, detail)

    def _read_receipts(self, header: BlockHeader, logs: Sequence[Log]) -> list[Logged]:
        """Return a block's receipts; where the endpoint cannot give them, those of the transactions that logged."""
        with _evm_errors_mapped():
            if not self._block_receipts.is_missing:
                try:
                    return self._read_block_receipts(header)
                except RpcTooLarge:
                    pass  # anybody may fill a block with logs; it must not be one that nobody can read
                except (RpcRefused, RpcNotFound, RpcMalformed) as error:
                    # An index of logs that lags shows in an answer without the block's receipts only: look again.
                    if not self._block_receipts.is_refused_for_good(error, header.number):
                        raise
                    self._block_receipts.note_missing()
            receipts = []
            for tx_hash in dict.fromkeys(log.tx_hash for log in logs):
                answer = self._rpc.request("eth_getTransactionReceipt", ["0x" + tx_hash.hex()])
                if answer is None:
                    raise RpcNotFound(f"no receipt of {tx_hash.hex()}")
                receipts.append(parse.logged(answer, self._connext))
                if receipts[-1].tx_hash != tx_hash:
                    raise RpcMalformed("receipt of another transaction")
            return receipts

    def _read_block_receipts(self, header: BlockHeader) -> list[Logged]:
        answer = self._rpc.request("eth_getBlockReceipts", [hex(header.number)])
        if not isinstance(answer, list):
            raise RpcNotFound(f"no receipts of block {header.number}")
        receipts = [parse.logged(entry, self._connext) for entry in answer]
        if header.logs_bloom and not any(receipt.has_any for receipt in receipts):
            raise RpcNotFound(f"no logs in the receipts of block {header.number}, whose bloom has some")
        return receipts

    def _is_listed(self, log: Log) -> bool:
        return log.address == self._connext and bool(log.topics) and log.topics[0] in self._topics_set

    def may_hold_logs(self, header: BlockHeader) -> bool:
        """Whether a block can hold logs of the stream, going by its bloom; it may hold none all the same."""
        bloom = header.logs_bloom
        if bloom & self._bloom_address != self._bloom_address:
            return False
        return any(bloom & bits == bits for bits in self._bloom_topics)

    def _keep(self, header: BlockHeader) -> None:
        if len(self._headers) >= HEADERS_MAX:
            self._headers.pop(min(self._headers))
        self._headers[header.number] = header


def bloom_bits(value: bytes) -> int:
    """Return the three bits of an address or topic in a header's bloom (Ethereum yellow paper, 4.3.1)."""
    digest = keccak(value)
    bits = 0
    for start in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[start:start + 2], "big") & 2047)
    return bits


def _parse_header(answer: Any) -> BlockHeader:
    block = parse.block(answer)
    return BlockHeader(
        block.number, Hash(block.hash), Hash(block.parent_hash), block.timestamp_s, parse.logs_bloom(answer)
    )


@contextmanager
def _evm_errors_mapped() -> Iterator[None]:
    """Raise `ObservationError` for what `evm` raises."""
    try:
        yield
    except EvmError as error:
        raise ObservationError(_cause_of(error), str(error)[:300]) from error


def _cause_of(error: EvmError) -> ErrorCause:
    if isinstance(error, RpcUnavailable):
        return ErrorCause.UNAVAILABLE
    if isinstance(error, RpcRefused | RpcNotFound):
        return ErrorCause.REFUSED
    return ErrorCause.MALFORMED
