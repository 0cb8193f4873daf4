"""Every kind of transaction that must be refused at the door, with its code; each call makes another one."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import coincurve

from abci_app.evm.account import Account
from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_bid_digest, keccak, sign_digest
from abci_app.machine.params import BUNDLE_BIDS_MAX, TX_BYTES_MAX
from abci_app.machine.state.codec import Address, Signature, TransferId
from abci_app.machine.state.records import PathSignature
from abci_app.machine.transactions.tx import (
    SubmittedBid,
    Withdraw,
    encode_bundle,
    encode_info_submission,
    encode_withdraw,
)
from abci_app.pb import tx_pb2
from tests.kit.machine.small_world import valid_bid, valid_info

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1."""
STRANGER_KEY = b"\x55" * 32

Make = Callable[[int], bytes]
"""Number → transaction; another one for each number, but for what has no room for one."""


def make_id(number: int) -> TransferId:
    """An id that no transfer has."""
    return TransferId(keccak(b"unknown %d" % number))


def make_key(number: int) -> bytes:
    """A stranger's private key."""
    return keccak(b"stranger %d" % number)


def list_kinds(router: Account, finished: TransferId, assigned: TransferId) -> dict[str, tuple[Code, Make]]:
    """Kinds by name.

    ``router`` is approved and has a bid on record for ``assigned``; ``finished`` is a transfer that is paid out.
    """
    address = Address(router.address)

    def sign(number: int) -> SubmittedBid:
        return valid_bid(make_id(number), router.private_key)

    def corrupt(number: int, change: Callable[[bytes], bytes]) -> bytes:
        bid = sign(number)
        wrong = PathSignature(1, Signature(change(bid.signatures[0].signature)))
        return encode_unsorted([replace(bid, signatures=(wrong,))])

    return {
        "random bytes": (Code.TX_MALFORMED, lambda number: b"\xff" + number.to_bytes(40, "big")),
        "too large": (Code.TX_TOO_LARGE, lambda number: b"\x0a" + number.to_bytes(TX_BYTES_MAX, "big")),
        "an injected commit": (Code.TX_INJECTED_KIND, lambda number: b"\x00\x01" + number.to_bytes(40, "big")),
        "an injected segment": (Code.TX_INJECTED_KIND, lambda number: b"\x00\x02" + number.to_bytes(40, "big")),
        "unknown fields": (Code.TX_NOT_CANONICAL, lambda number: encode_bundle([sign(number)]) + b"\x7a\x01\x00"),
        "an empty bundle": (Code.TX_EMPTY, lambda number: b"\x0a\x00"),
        "too many bids": (
            Code.BUNDLE_TOO_LARGE, lambda number: encode_unsorted([sign(number)] * (BUNDLE_BIDS_MAX + 1)),
        ),
        "unsorted bids": (Code.BUNDLE_UNSORTED, lambda number: encode_unsorted([sign(number)] * 2)),
        "no path length": (
            Code.PATH_LENGTH_INVALID, lambda number: encode_unsorted([replace(sign(number), signatures=())]),
        ),
        "a signature of 64 bytes": (Code.SIGNATURE_LENGTH, lambda number: corrupt(number, lambda raw: raw[:64])),
        "a high s": (Code.SIGNATURE_HIGH_S, lambda number: corrupt(number, raise_s)),
        "a wrong v": (Code.SIGNATURE_V, lambda number: corrupt(number, lambda raw: raw[:64] + b"\x1d")),
        "no signature of anybody": (
            Code.SIGNATURE_UNRECOVERABLE, lambda number: corrupt(number, lambda raw: b"\xff" * 32 + raw[32:]),
        ),
        "another router's name": (
            Code.SIGNATURE_WRONG_SIGNER,
            lambda number: encode_bundle([replace(valid_bid(make_id(number), STRANGER_KEY), router=address)]),
        ),
        "a withdraw in another's name": (
            Code.SIGNATURE_WRONG_SIGNER,
            lambda number: encode_withdraw(
                Withdraw(make_id(number), address, sign_digest(STRANGER_KEY, keccak(b"%d" % number)))
            ),
        ),
        "an unknown transfer": (Code.TRANSFER_UNKNOWN, lambda number: encode_bundle([sign(number)])),
        "terms of no transfer": (
            Code.TRANSFER_UNKNOWN, lambda number: encode_info_submission(valid_info(nonce=10**9 + number)),
        ),
        "a finished transfer": (
            Code.TRANSFER_FINISHED, lambda number: encode_bundle([valid_bid(finished, make_key(number))]),
        ),
        "a stranger's bid": (
            Code.ROUTER_NOT_APPROVED, lambda number: encode_bundle([valid_bid(assigned, make_key(number))]),
        ),
        "the bid on record, signed anew": (
            Code.BID_DUPLICATE, lambda number: encode_bundle([resign(router.private_key, assigned, number)]),
        ),
    }


def encode_unsorted(bids: Sequence[SubmittedBid]) -> bytes:
    """The canonical bytes of a bundle in this very order, whatever is wrong with it."""
    return tx_pb2.Transaction(bid_bundle=tx_pb2.BidBundle(bids=[
        tx_pb2.Bid(transfer_id=bid.transfer_id, router=bid.router, signatures=[
            tx_pb2.PathSignature(path_length=each.path_length, signature=each.signature) for each in bid.signatures
        ]) for bid in bids
    ])).SerializeToString(deterministic=True)


def raise_s(signature: bytes) -> bytes:
    """The other s of the same signature."""
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([27 + 28 - signature[64]])


def resign(private_key: bytes, transfer_id: TransferId, number: int) -> SubmittedBid:
    """The router's bid under a signature with a nonce of our own: there are as many as one likes."""
    nonce = int.from_bytes(keccak(b"nonce %d" % number), "big") % (ORDER - 1) + 1
    point = coincurve.PrivateKey(nonce.to_bytes(32, "big")).public_key.format()
    digest, r = compute_bid_digest(transfer_id, 1), int.from_bytes(point[1:], "big") % ORDER
    product = int.from_bytes(digest, "big") + r * int.from_bytes(private_key, "big")
    s, v = pow(nonce, -1, ORDER) * product % ORDER, point[0] - 2 + 27
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([v])
    low = raise_s(signature) if s > ORDER // 2 else signature
    honest = valid_bid(transfer_id, private_key)
    return replace(honest, signatures=(PathSignature(1, Signature(low)),))
