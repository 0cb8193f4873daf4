"""Decoding and encoding of user transactions (TX-1, TX-2, BID-1).

After ``decode_tx`` shape is a fact: lengths, orders and the form of every signature hold. Who signed is not yet known.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.connext import check_signature_form, encode_transfer_info
from abci_app.machine.params import BUNDLE_BIDS_MAX, CALL_DATA_SUBMIT_MAX, PATH_LENGTHS, TX_BYTES_MAX
from abci_app.machine.state.codec import Address, DomainId, Hash, Signature, TransferId
from abci_app.machine.state.records import PathSignature, TransferInfo
from abci_app.pb import tx_pb2 as pb

WORD = 32
_HEAD_WORDS = 13
"""Words of a TransferInfo's head; callData, its only dynamic field, lies behind it."""
_CALL_DATA_AT = (1 + _HEAD_WORDS + 1) * WORD
"""Where callData begins: after the tuple's offset, the head and callData's length."""


@dataclass(frozen=True, slots=True)
class SubmittedBid:
    """A router's bid as submitted in a transaction."""

    transfer_id: TransferId
    router: Address
    signatures: tuple[PathSignature, ...]
    """By path length, strictly ascending, at least one."""


@dataclass(frozen=True, slots=True)
class BidBundle:
    """1 to 64 bids, strictly ascending by (transferId, router)."""

    bids: tuple[SubmittedBid, ...]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """A router's withdrawal of its bid from all future attempts of a transfer."""

    transfer_id: TransferId
    router: Address
    signature: Signature


@dataclass(frozen=True, slots=True)
class TransferInfoSubmission:
    """The TransferInfo of a transfer known by hash only."""

    info: TransferInfo


Transaction = BidBundle | Withdraw | TransferInfoSubmission


def decode_tx(raw: bytes) -> Transaction:
    """Return the transaction that ``raw`` encodes; ``Rejected`` with the code of the first thing that is wrong."""
    if len(raw) > TX_BYTES_MAX:
        raise Rejected(Code.TX_TOO_LARGE, f"{len(raw)} bytes, at most {TX_BYTES_MAX}")
    if raw[:1] == b"\0":
        raise Rejected(Code.TX_INJECTED_KIND, "only a proposer may put this first in a block")
    envelope = _parse_envelope(raw)
    if envelope is None:
        if _begins_with_a_field(raw):
            raise Rejected(Code.TX_NOT_CANONICAL, "not the one encoding of a routing.v1.Tx")
        raise Rejected(Code.TX_MALFORMED, "not a routing.v1.Tx")

    body = envelope.WhichOneof("body")
    if body == "bid_bundle":
        return _parse_bundle(envelope.bid_bundle)
    if body == "withdraw":
        return _parse_withdraw(envelope.withdraw)
    if body == "transfer_info":
        return TransferInfoSubmission(decode_transfer_info(envelope.transfer_info.transfer_info))
    raise Rejected(Code.TX_EMPTY, "no body")


def _parse_envelope(raw: bytes) -> pb.Transaction | None:
    """Return the message whose one encoding is ``raw``, None where there is none."""
    try:
        envelope = pb.Transaction.FromString(raw)
    except DecodeError:
        return None
    envelope.DiscardUnknownFields()
    return envelope if envelope.SerializeToString(deterministic=True) == raw else None


def _begins_with_a_field(raw: bytes) -> bool:
    """Tell whether ``raw`` begins with one whole field of bytes: tag of one byte, length of one to five, the bytes.

    Codes are hashed into headers, and protobuf's libraries differ in what they refuse to parse: which of two refusals
    an encoding gets is decided here, never by whether a library raised.
    """
    if not raw or raw[0] & 0x87 != 2:
        return False
    length = 0
    for index, byte in enumerate(raw[1:6]):
        length |= (byte & 127) << 7 * index
        if byte < 128:
            return 2 + index + length <= len(raw)
    return False


def _parse_bundle(message: pb.BidBundle) -> BidBundle:
    if not message.bids:
        raise Rejected(Code.TX_EMPTY, "a bundle without bids")
    if len(message.bids) > BUNDLE_BIDS_MAX:
        raise Rejected(Code.BUNDLE_TOO_LARGE, f"{len(message.bids)} bids, at most {BUNDLE_BIDS_MAX}")
    bids = tuple(map(_parse_bid, message.bids))
    places = [(bid.transfer_id, bid.router) for bid in bids]
    if not all(low < high for low, high in zip(places, places[1:], strict=False)):
        raise Rejected(Code.BUNDLE_UNSORTED, "bids must ascend strictly by (transferId, router)")
    return BidBundle(bids)


def _parse_bid(message: pb.Bid) -> SubmittedBid:
    transfer_id = TransferId(_fixed(message.transfer_id, 32, "transfer_id"))
    router = Address(_fixed(message.router, 20, "router"))
    lengths = [each.path_length for each in message.signatures]
    if not lengths or not all(length in PATH_LENGTHS for length in lengths):
        raise Rejected(Code.PATH_LENGTH_INVALID, f"path lengths {lengths[:8]}, each must be one of {PATH_LENGTHS}")
    if not all(low < high for low, high in zip(lengths, lengths[1:], strict=False)):
        raise Rejected(Code.PATH_LENGTHS_UNSORTED, "path lengths must ascend strictly")
    return SubmittedBid(transfer_id, router, tuple(
        PathSignature(each.path_length, _parse_signature(each.signature)) for each in message.signatures
    ))


def _parse_withdraw(message: pb.Withdraw) -> Withdraw:
    return Withdraw(
        TransferId(_fixed(message.transfer_id, 32, "transfer_id")),
        Address(_fixed(message.router, 20, "router")),
        _parse_signature(message.signature),
    )


def _parse_signature(raw: bytes) -> Signature:
    check_signature_form(raw)
    return Signature(raw)


def _fixed(value: bytes, length: int, name: str) -> bytes:
    if len(value) != length:
        raise Rejected(Code.TX_MALFORMED, f"{name} has {len(value)} bytes, must be {length}")
    return value


def decode_transfer_info(raw: bytes) -> TransferInfo:
    """Return the TransferInfo whose ``abi.encode`` is exactly ``raw`` (TX-2); ``Rejected`` for anything else."""
    if len(raw) < _CALL_DATA_AT:
        raise Rejected(Code.TX_MALFORMED, f"TransferInfo of {len(raw)} bytes, at least {_CALL_DATA_AT}")
    words = [int.from_bytes(raw[at:at + WORD], "big") for at in range(WORD, _CALL_DATA_AT, WORD)]
    length = words[_HEAD_WORDS]
    if length > CALL_DATA_SUBMIT_MAX:
        raise Rejected(Code.TRANSFER_INFO_TOO_LARGE, f"{length} bytes of callData, at most {CALL_DATA_SUBMIT_MAX}")
    if max(words[:3]) >> 32 or max(words[3], words[4], words[8]) >> 160 or words[5] > 1:
        raise Rejected(Code.TX_MALFORMED, "a domain, address or bool out of range")
    info = TransferInfo(
        origin_domain=DomainId(words[0]), destination_domain=DomainId(words[1]), canonical_domain=DomainId(words[2]),
        to=_address(words[3]), delegate=_address(words[4]), receive_local=words[5] == 1,
        call_data=raw[_CALL_DATA_AT:_CALL_DATA_AT + length], slippage=words[7], origin_sender=_address(words[8]),
        bridged_amt=words[9], normalized_in=words[10], nonce=words[11],
        canonical_id=Hash(words[12].to_bytes(WORD, "big")),
    )
    if encode_transfer_info(info) != raw:
        raise Rejected(Code.TX_NOT_CANONICAL, "not what abi.encode makes of this TransferInfo")
    return info


def _address(word: int) -> Address:
    return Address(word.to_bytes(20, "big"))


def encode_bundle(bids: Iterable[SubmittedBid]) -> bytes:
    """Return the transaction that carries ``bids``, sorted here as BID-1 wants them."""
    ordered = sorted(bids, key=lambda bid: (bid.transfer_id, bid.router))
    return _serialize(pb.Transaction(bid_bundle=pb.BidBundle(bids=[
        pb.Bid(transfer_id=bid.transfer_id, router=bid.router, signatures=[
            pb.PathSignature(path_length=each.path_length, signature=each.signature) for each in bid.signatures
        ]) for bid in ordered
    ])))


def encode_withdraw(withdraw: Withdraw) -> bytes:
    """Return the transaction that carries ``withdraw``."""
    return _serialize(pb.Transaction(withdraw=pb.Withdraw(
        transfer_id=withdraw.transfer_id, router=withdraw.router, signature=withdraw.signature
    )))


def encode_info_submission(info: TransferInfo) -> bytes:
    """Return the transaction that submits ``info``."""
    return _serialize(pb.Transaction(transfer_info=pb.TransferInfoSubmission(transfer_info=encode_transfer_info(info))))


def _serialize(envelope: pb.Transaction) -> bytes:
    return envelope.SerializeToString(deterministic=True)
