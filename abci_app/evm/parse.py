"""Strict parsing of JSON-RPC answers; any deviation from the specification raises RpcMalformed."""

import re
from collections.abc import Sequence
from typing import Any

from abci_app.evm.errors import RpcMalformed
from abci_app.evm.types import Address, BlockTag, EvmBlock, Log, Logged, Receipt, to_hex

_QUANTITY = re.compile("0x[0-9a-fA-F]{1,64}")
_BLOOM = re.compile("0x[0-9a-fA-F]{1,512}")
COUNT_BITS_MAX = 62
"""Of block numbers, times, nonces, gas: no honest chain comes near it, and whatever we store them in holds it."""
_TAGS = frozenset({"latest", "finalized", "safe", "pending", "earliest"})


def tag(block_tag: BlockTag) -> str:
    """Format a block number or tag. Raises ValueError for a caller's mistake."""
    if isinstance(block_tag, int):
        if block_tag < 0:
            raise ValueError(f"block number {block_tag}")
        return hex(block_tag)
    if block_tag not in _TAGS:
        raise ValueError(f"block tag {block_tag!r}")
    return block_tag


def quantity(answer: Any) -> int:
    """Parse a `0x`-hex integer below 2^256."""
    if isinstance(answer, str) and _QUANTITY.fullmatch(answer):
        return int(answer, 16)
    raise RpcMalformed(f"not a quantity: {str(answer)[:80]!r}")


def count(answer: Any) -> int:
    """Parse a quantity that counts something, hence is below 2^62."""
    number = quantity(answer)
    if number >> COUNT_BITS_MAX:
        raise RpcMalformed(f"{number} is no number of a block, a second, a nonce or gas")
    return number


def data(answer: Any) -> bytes:
    """Parse `0x`-hex bytes of any length."""
    if isinstance(answer, str) and answer.startswith("0x"):
        try:
            parsed = bytes.fromhex(answer[2:])
            if len(answer) == 2 + 2 * len(parsed):  # fromhex takes spaces too
                return parsed
        except ValueError:
            pass
    raise RpcMalformed(f"not data: {str(answer)[:80]!r}")


def word(answer: Any) -> bytes:
    """Parse exactly 32 bytes."""
    parsed = data(answer)
    if len(parsed) != 32:
        raise RpcMalformed(f"{len(parsed)} bytes where a hash of 32 was expected")
    return parsed


def address(answer: Any) -> Address:
    """Parse exactly 20 bytes."""
    parsed = data(answer)
    if len(parsed) != 20:
        raise RpcMalformed(f"{len(parsed)} bytes where an address was expected")
    return Address(parsed)


def block(answer: Any) -> EvmBlock:
    """Parse the header of a block object."""
    fields = _object(answer, "block")
    return EvmBlock(
        number=count(fields.get("number")),
        hash=word(fields.get("hash")),
        parent_hash=word(fields.get("parentHash")),
        timestamp_s=count(fields.get("timestamp")),
        base_fee_wei=_optional_quantity(fields, "baseFeePerGas"),
    )


def logs_bloom(answer: Any) -> int:
    """Parse the bloom of a block object as an integer of 2048 bits; 0 where the endpoint gives none."""
    found = _object(answer, "block").get("logsBloom")
    if found is None or found == "0x":
        return 0
    if isinstance(found, str) and _BLOOM.fullmatch(found):
        return int(found, 16)
    raise RpcMalformed(f"not a bloom: {str(found)[:80]!r}")


def logs(answer: Any) -> tuple[Log, ...]:
    """Parse a list of log objects."""
    if not isinstance(answer, list):
        raise RpcMalformed(f"not a list of logs: {str(answer)[:80]!r}")
    return tuple(_log(entry) for entry in answer)


def require_asked_logs(
    answer: Sequence[Log], contract: Address, first: int, last: int, topics0: Sequence[bytes]
) -> None:
    """Require that sorted logs match the filter, each position once."""
    previous = (-1, -1)
    for log in answer:
        position = (log.block_number, log.log_index)
        if log.address != contract:
            raise RpcMalformed(f"log of contract {to_hex(log.address)} that was not asked for")
        if not first <= log.block_number <= last:
            raise RpcMalformed(f"log of block {log.block_number} outside {first} to {last}")
        if topics0 and (not log.topics or log.topics[0] not in topics0):
            raise RpcMalformed("log with a topic that was not asked for")
        if position <= previous:
            raise RpcMalformed(f"log {position} after {previous}: twice")
        previous = position


def receipt(answer: Any) -> Receipt:
    """Parse a transaction receipt; fields that chains leave out, null or empty are as if they were not there."""
    fields = _object(answer, "receipt")
    status = quantity(fields.get("status"))
    if status > 1:
        raise RpcMalformed(f"receipt status {status}")
    return Receipt(
        tx_hash=word(fields.get("transactionHash")),
        tx_index=count(fields.get("transactionIndex")),
        block_number=count(fields.get("blockNumber")),
        block_hash=word(fields.get("blockHash")),
        status=status,
        gas_used=count(fields.get("gasUsed")),
        effective_gas_price_wei=_optional_quantity(fields, "effectiveGasPrice"),
        sender=address(fields.get("from")),
        to=_optional_address(fields, "to"),
        contract_address=_optional_address(fields, "contractAddress"),
        logs=logs(fields.get("logs")),
    )


def logged(answer: Any, contract: Address) -> Logged:
    """Parse of a receipt what one contract logged in its transaction, and whether it succeeded if it logged anything.

    Most receipts of a block are strangers': what such a one holds beside its hashes and logs may be of any form.
    """
    fields = _object(answer, "receipt")
    entries = fields.get("logs")
    if entries is None:
        entries = []
    if not isinstance(entries, list):
        raise RpcMalformed(f"not a list of logs: {str(entries)[:80]!r}")
    named = to_hex(contract)
    found = logs([entry for entry in entries if str(_object(entry, "log").get("address")).lower() == named])
    return Logged(
        tx_hash=word(fields.get("transactionHash")),
        block_hash=word(fields.get("blockHash")),
        is_success=not found or quantity(fields.get("status")) == 1,
        logs=found,
        has_any=bool(entries),
    )


def revert_data(answer: Any) -> bytes:
    """Extract revert data of an error object: plain hex, hex inside an object or after the word Reverted, else b""."""
    if isinstance(answer, dict):
        answer = answer.get("data")
    if isinstance(answer, str):
        answer = answer.removeprefix("Reverted ")
        try:
            return bytes.fromhex(answer.removeprefix("0x"))
        except ValueError:
            pass
    return b""


def _optional_quantity(fields: dict[str, Any], name: str) -> int:
    return 0 if fields.get(name) is None else quantity(fields[name])


def _optional_address(fields: dict[str, Any], name: str) -> Address | None:
    found = fields.get(name)
    return None if found in (None, "", "0x", []) else address(found)


def _log(answer: Any) -> Log:
    fields = _object(answer, "log")
    topics = fields.get("topics")
    if not isinstance(topics, list) or len(topics) > 4:
        raise RpcMalformed("log without a list of at most four topics")
    return Log(
        address=address(fields.get("address")),
        topics=tuple(word(topic) for topic in topics),
        data=data(fields.get("data")),
        block_number=count(fields.get("blockNumber")),
        block_hash=word(fields.get("blockHash")),
        tx_hash=word(fields.get("transactionHash")),
        tx_index=count(fields.get("transactionIndex")),
        log_index=count(fields.get("logIndex")),
        removed=fields.get("removed") is True,
    )


def _object(answer: Any, what: str) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise RpcMalformed(f"not a {what}: {str(answer)[:80]!r}")
    return answer
