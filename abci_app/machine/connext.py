"""Hashes and arithmetic of Connext: transferId, bid and sequencer digests, shares, debits, credits.

Vectors: ``tests/vectors/connext_vectors.json`` (values accepted by Connext's mainnet bytecode).
"""

from collections.abc import Sequence

import coincurve
from sha3 import keccak_256

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.state.codec import Address, Hash, Signature, TransferId
from abci_app.machine.state.records import TransferInfo

FEE_DENOMINATOR = 10_000
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_PERSONAL_32 = b"\x19Ethereum Signed Message:\n32"


def keccak(data: bytes) -> Hash:
    """Return Ethereum's keccak256 of ``data``, 32 bytes."""
    return Hash(keccak_256(data).digest())


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _padded(data: bytes) -> bytes:
    return b"\0" * (32 - len(data)) + data


def encode_transfer_info(info: TransferInfo) -> bytes:
    """Return ``abi.encode(TransferInfo)``: one dynamic tuple, hence the leading offset word 0x20."""
    head = (
        _word(info.origin_domain) + _word(info.destination_domain) + _word(info.canonical_domain)
        + _padded(info.to) + _padded(info.delegate) + _word(int(info.receive_local))
        + _word(13 * 32) + _word(info.slippage) + _padded(info.origin_sender)
        + _word(info.bridged_amt) + _word(info.normalized_in) + _word(info.nonce) + info.canonical_id
    )
    tail = _word(len(info.call_data)) + info.call_data + b"\0" * (-len(info.call_data) % 32)
    return _word(32) + head + tail


def compute_transfer_id(info: TransferInfo) -> TransferId:
    """Return ``keccak256(abi.encode(TransferInfo))``."""
    return TransferId(keccak(encode_transfer_info(info)))


def hash_personal(digest: bytes) -> Hash:
    """Return the EIP-191 hash that ``personal_sign`` of a 32-byte ``digest`` signs."""
    return keccak(_PERSONAL_32 + digest)


def compute_bid_digest(transfer_id: TransferId, path_length: int) -> Hash:
    """Return the digest a router signs for one path length: EIP-191 over keccak(abi.encode(transferId, length))."""
    return hash_personal(keccak(transfer_id + _word(path_length)))


def compute_sequencer_digest(transfer_id: TransferId, routers: Sequence[Address]) -> Hash:
    """Return the digest that the sequencer signs: EIP-191 over keccak(abi.encode(transferId, address[] routers))."""
    body = transfer_id + _word(64) + _word(len(routers)) + b"".join(map(_padded, routers))
    return hash_personal(keccak(body))


def hash_routers(routers: Sequence[Address]) -> Hash:
    """Return keccak256 of the routers in order, each padded to a word (``abi.encodePacked(address[])``)."""
    return keccak(b"".join(map(_padded, routers)))


def check_signature_form(signature: bytes) -> None:
    """Reject the signatures that Connext's ECDSA library rejects: other lengths than 65, high s, v outside {27, 28}."""
    if len(signature) != 65:
        raise Rejected(Code.SIGNATURE_LENGTH, f"{len(signature)} bytes, must be 65")
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        raise Rejected(Code.SIGNATURE_HIGH_S, "s is in the upper half")
    if signature[64] not in (27, 28):
        raise Rejected(Code.SIGNATURE_V, f"v is {signature[64]}, must be 27 or 28")


def recover_address(digest: bytes, signature: bytes) -> Address:
    """Return the address whose key made ``signature`` over ``digest``; ``Rejected`` where there is none."""
    check_signature_form(signature)
    try:
        key = coincurve.PublicKey.from_signature_and_message(
            signature[:64] + bytes([signature[64] - 27]), digest, hasher=None
        )
    except ValueError as error:  # no point on the curve has this r, or s is zero
        raise Rejected(Code.SIGNATURE_UNRECOVERABLE, "no key recovers from it") from error
    return compute_address(key.format(compressed=False))


def compute_address(public_key: bytes) -> Address:
    """Return the address of an uncompressed secp256k1 public key (65 bytes, leading 4)."""
    return Address(keccak(public_key[1:])[12:])


def sign_digest(private_key: bytes, digest: bytes) -> Signature:
    """Return the 65-byte low-s signature (RFC 6979, deterministic) of a 32-byte digest."""
    raw = coincurve.PrivateKey(private_key).sign_recoverable(digest, hasher=None)
    return Signature(raw[:64] + bytes([raw[64] + 27]))


def compute_share(amount: int, count: int) -> int:
    """Return a router's share for feasibility, reservation and charge: an upper bound of every position's debit."""
    return amount if count == 1 else amount // count + count - 1


def compute_debits(amount: int, count: int, fee_numerator: int) -> tuple[int, ...]:
    """Return the amounts that ``execute`` debits each of ``count`` routers; the last one's has the remainder."""
    to_swap = amount * fee_numerator // FEE_DENOMINATOR
    return _split(to_swap, count)


def compute_credits(amount: int, count: int) -> tuple[int, ...]:
    """Return the amounts that ``handle`` credits each of ``count`` routers; the last one's has the remainder."""
    return _split(amount, count)


def _split(amount: int, count: int) -> tuple[int, ...]:
    each = amount // count
    return (each,) * (count - 1) + (each + amount % count,)
