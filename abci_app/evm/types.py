"""Records of this package's interface. Addresses are 20 bytes, hashes and words 32 bytes."""

from dataclasses import dataclass

Address = bytes
"""20 bytes of an account or contract. An alias: the state machine's own Address passes, and none of it is imported."""

BlockTag = int | str
"""A block number, or `latest`, `finalized`, `safe`, `pending`, `earliest`."""

ZERO_ADDRESS = Address(bytes(20))


@dataclass(frozen=True, slots=True)
class EvmBlock:
    """Header fields in use; `timestamp_s` in Unix seconds, `base_fee_wei` 0 where the chain has none."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp_s: int
    base_fee_wei: int


@dataclass(frozen=True, slots=True)
class Log:
    """One event log as the endpoint gave it; `log_index` counts through the whole block."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    tx_hash: bytes
    tx_index: int
    log_index: int
    removed: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction; `status` is 1 for success and 0 for a revert."""

    tx_hash: bytes
    tx_index: int
    block_number: int
    block_hash: bytes
    status: int
    gas_used: int
    effective_gas_price_wei: int
    sender: Address
    to: Address | None
    contract_address: Address | None
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class Logged:
    """What one contract logged in a transaction, by its receipt, and whether anything else was logged."""

    tx_hash: bytes
    block_hash: bytes
    is_success: bool
    """True, too, where the contract logged nothing: nobody looks then."""
    logs: tuple[Log, ...]
    has_any: bool


@dataclass(frozen=True, slots=True)
class Fees:
    """EIP-1559 fees of a transaction, in wei a gas."""

    max_fee_wei: int
    priority_fee_wei: int


def parse_address(text: str) -> Address:
    """Parse an address of `0x` and 40 hex digits of any case. Raises ValueError."""
    if len(text) != 42 or not text.startswith("0x"):
        raise ValueError(f"not an address: {text[:60]!r}")
    return Address(bytes.fromhex(text[2:]))


def to_hex(data: bytes) -> str:
    """Format bytes as `0x` and lower-case hex digits."""
    return "0x" + data.hex()
