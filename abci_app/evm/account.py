"""EVM account that signs transactions (EIP-1559), messages (EIP-191) and bare digests.

Where the key comes from, and who may read its file, is the caller's matter.
"""

from dataclasses import dataclass

from coincurve import PrivateKey
from eth_account import Account as EthAccount

from abci_app.evm.errors import EncodeFailed, KeyInvalid, foreign_mapped
from abci_app.evm.types import Address, Fees
from abci_app.machine.connext import compute_address, keccak, sign_digest

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@dataclass(frozen=True)
class Transaction:
    """Transaction to be signed; `to` is None for a contract creation."""

    chain_id: int
    nonce: int
    to: Address | None
    data: bytes
    gas: int
    fees: Fees
    value_wei: int = 0


@dataclass(frozen=True)
class SignedTransaction:
    """Bytes for eth_sendRawTransaction, and their hash."""

    raw: bytes
    hash: bytes


class Account:
    """A secp256k1 key and its address. Its text form shows the address only."""

    def __init__(self, private_key: bytes) -> None:
        if len(private_key) != 32 or not 0 < int.from_bytes(private_key, "big") < SECP256K1_ORDER:
            raise KeyInvalid("a private key is 32 bytes, neither 0 nor above the curve's order")
        self._private_key = private_key
        self.address = compute_address(PrivateKey(private_key).public_key.format(compressed=False))

    def __repr__(self) -> str:
        return f"Account(0x{self.address.hex()})"

    @property
    def private_key(self) -> bytes:
        """Return the 32 secret bytes, for the code that writes key files."""
        return self._private_key

    def sign_transaction(self, transaction: Transaction) -> SignedTransaction:
        """Sign an EIP-1559 transaction. Raises EncodeFailed."""
        fields = {
            "type": 2,
            "chainId": transaction.chain_id,
            "nonce": transaction.nonce,
            "to": b"" if transaction.to is None else transaction.to,
            "value": transaction.value_wei,
            "data": transaction.data,
            "gas": transaction.gas,
            "maxFeePerGas": transaction.fees.max_fee_wei,
            "maxPriorityFeePerGas": transaction.fees.priority_fee_wei,
        }
        with foreign_mapped():
            try:
                signed = EthAccount.sign_transaction(fields, self._private_key)
            except (TypeError, ValueError) as error:
                raise EncodeFailed(str(error)[:300]) from error
        return SignedTransaction(bytes(signed.raw_transaction), bytes(signed.hash))

    def personal_sign(self, message: bytes) -> bytes:
        """Return 65 bytes r ‖ s ‖ v (27 or 28) over the EIP-191 form of a message, as Connext requires."""
        return self.sign_digest(eip191_digest(message))

    def sign_digest(self, digest: bytes) -> bytes:
        """Return 65 bytes r ‖ s ‖ v (27 or 28, s low) over 32 bytes without a prefix."""
        if len(digest) != 32:
            raise EncodeFailed(f"a digest has 32 bytes, got {len(digest)}")
        return sign_digest(self._private_key, digest)


def eip191_digest(message: bytes) -> bytes:
    """Return the hash that personal_sign signs."""
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message)
