"""User transactions: what decodes (TX-1, TX-2, BID-1), and everything else with its code."""

from collections.abc import Callable

import pytest

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.connext import encode_transfer_info
from abci_app.machine.observation.extension import INJECTED_COMMIT, INJECTED_SEGMENT
from abci_app.machine.params import BUNDLE_BIDS_MAX, CALL_DATA_SUBMIT_MAX, TX_BYTES_MAX
from abci_app.machine.state.codec import Address, Signature, TransferId
from abci_app.machine.state.records import PathSignature
from abci_app.machine.transactions.tx import (
    BidBundle,
    SubmittedBid,
    TransferInfoSubmission,
    Withdraw,
    decode_transfer_info,
    decode_tx,
    encode_bundle,
    encode_info_submission,
    encode_withdraw,
)
from abci_app.pb import tx_pb2 as pb
from tests.kit.machine.small_world import ROUTER_KEYS, ROUTERS, sign_path, valid_bid, valid_info

ID = TransferId(b"\x11" * 32)
BID = valid_bid(ID, lengths=(1, 2, 4))
WITHDRAW = Withdraw(ID, ROUTERS[0], sign_path(ROUTER_KEYS[0], ID, 1).signature)
SIGNATURE = sign_path(ROUTER_KEYS[0], ID, 1).signature
HIGH_S = SIGNATURE[:32] + b"\xff" * 32 + SIGNATURE[64:]
ABI = encode_transfer_info(valid_info(call_data=b"\xca\x11" * 50))


def code_of(call: Callable[[], object]) -> Code:
    """The code with which a call is rejected, OK where it is not."""
    try:
        call()
    except Rejected as rejection:
        return rejection.code
    return Code.OK


def raw_bundle(*bids: pb.Bid) -> bytes:
    return pb.Transaction(bid_bundle=pb.BidBundle(bids=bids)).SerializeToString(deterministic=True)


def raw_bid(lengths: tuple[int, ...] = (1,), signature: bytes = SIGNATURE, **changes: bytes) -> pb.Bid:
    signatures = [pb.PathSignature(path_length=length, signature=signature) for length in lengths]
    return pb.Bid(**{"transfer_id": ID, "router": ROUTERS[0], **changes}, signatures=signatures)


# --- TX-1 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transaction, raw", [
    (BidBundle((BID,)), encode_bundle([BID])),
    (WITHDRAW, encode_withdraw(WITHDRAW)),
    (TransferInfoSubmission(valid_info()), encode_info_submission(valid_info())),
])
def test_decodes_what_clients_encode(transaction: object, raw: bytes) -> None:
    """TX-1, BID-1, TX-2: every kind survives the way there and back."""
    assert decode_tx(raw) == transaction


def test_the_bytes_of_each_kind_are_pinned() -> None:
    """TX-1: golden bytes; a client in another language makes the same."""
    bid = SubmittedBid(ID, Address(b"\x22" * 20), (PathSignature(2, SIGNATURE),))
    inner = bytes([0x0A, 32]) + ID + bytes([0x12, 20]) + b"\x22" * 20 + bytes([0x1A, 69, 0x08, 2, 0x12, 65]) + SIGNATURE
    assert encode_bundle([bid]) == bytes([0x0A, 129, 1, 0x0A, 127]) + inner
    assert encode_withdraw(WITHDRAW) == (
        bytes([0x12, 123, 0x0A, 32]) + ID + bytes([0x12, 20]) + ROUTERS[0] + bytes([0x1A, 65]) + WITHDRAW.signature
    )
    assert encode_info_submission(valid_info())[:6] == bytes([0x1A, 227, 3, 0x0A, 224, 3])


NOTHING = b""
VALID = encode_bundle([BID])


@pytest.mark.parametrize("raw, code", [
    (VALID, Code.OK),
    (NOTHING, Code.TX_EMPTY),
    (VALID + bytes(TX_BYTES_MAX), Code.TX_TOO_LARGE),
    (bytes(TX_BYTES_MAX + 1), Code.TX_TOO_LARGE),
    (b"\xff" * TX_BYTES_MAX, Code.TX_MALFORMED),
    (b"\x0a\x05abc", Code.TX_MALFORMED),
    (VALID[:-1], Code.TX_MALFORMED),
    (VALID + b"\x22\x01x", Code.TX_NOT_CANONICAL),
    (VALID + b"\x98\x06\x01", Code.TX_NOT_CANONICAL),
    (VALID + VALID, Code.TX_NOT_CANONICAL),
    (VALID + encode_withdraw(WITHDRAW), Code.TX_NOT_CANONICAL),
    (bytes([0x0A, VALID[1] | 0x80, *([VALID[2] | 0x80, 0])]) + VALID[3:], Code.TX_NOT_CANONICAL),
    (raw_bundle(), Code.TX_EMPTY),
    (INJECTED_COMMIT + b"\x00\x01", Code.TX_INJECTED_KIND),
    (INJECTED_SEGMENT, Code.TX_INJECTED_KIND),
    (b"\0", Code.TX_INJECTED_KIND),
])
def test_tx_1_refuses_every_other_encoding(raw: bytes, code: Code) -> None:
    """TX-1: too large, unparsable, another encoding of the same content, unknown fields, no body, injected kinds."""
    assert code_of(lambda: decode_tx(raw)) is code


def test_tx_1_refuses_unknown_fields_at_every_depth() -> None:
    """TX-1: an unknown field inside a bid or a signature is no second encoding of it either."""
    message = pb.Transaction.FromString(VALID)
    for inner in (message.bid_bundle, message.bid_bundle.bids[0], message.bid_bundle.bids[0].signatures[0]):
        inner.MergeFromString(b"\xa2\x06\x01x")
        assert code_of(lambda: decode_tx(message.SerializeToString(deterministic=True))) is Code.TX_NOT_CANONICAL
        inner.DiscardUnknownFields()
    assert decode_tx(message.SerializeToString(deterministic=True)) == BidBundle((BID,))


# --- BID-1 ----------------------------------------------------------------------------------------------------------


def ids(count: int) -> list[pb.Bid]:
    return [raw_bid(transfer_id=number.to_bytes(32, "big")) for number in range(count)]


@pytest.mark.parametrize("raw, code", [
    (raw_bundle(*ids(BUNDLE_BIDS_MAX)), Code.OK),
    (raw_bundle(*ids(BUNDLE_BIDS_MAX + 1)), Code.BUNDLE_TOO_LARGE),
    (raw_bundle(*reversed(ids(2))), Code.BUNDLE_UNSORTED),
    (raw_bundle(raw_bid(), raw_bid()), Code.BUNDLE_UNSORTED),
    (raw_bundle(raw_bid(router=b"\x02" * 20), raw_bid(router=b"\x01" * 20)), Code.BUNDLE_UNSORTED),
    (raw_bundle(raw_bid(router=b"\x01" * 20), raw_bid(router=b"\x02" * 20)), Code.OK),
    (raw_bundle(raw_bid((1, 2, 4))), Code.OK),
    (raw_bundle(raw_bid((4,))), Code.OK),
    (raw_bundle(raw_bid(())), Code.PATH_LENGTH_INVALID),
    (raw_bundle(raw_bid((0,))), Code.PATH_LENGTH_INVALID),
    (raw_bundle(raw_bid((3,))), Code.PATH_LENGTH_INVALID),
    (raw_bundle(raw_bid((1, 2**32 - 1))), Code.PATH_LENGTH_INVALID),
    (raw_bundle(raw_bid((2, 1))), Code.PATH_LENGTHS_UNSORTED),
    (raw_bundle(raw_bid((1, 1))), Code.PATH_LENGTHS_UNSORTED),
    (raw_bundle(raw_bid((1, 2, 4, 4))), Code.PATH_LENGTHS_UNSORTED),
    (raw_bundle(raw_bid(transfer_id=ID[:31])), Code.TX_MALFORMED),
    (raw_bundle(raw_bid(transfer_id=b"")), Code.TX_MALFORMED),
    (raw_bundle(raw_bid(router=bytes(32))), Code.TX_MALFORMED),
    (raw_bundle(raw_bid(signature=SIGNATURE[:64])), Code.SIGNATURE_LENGTH),
    (raw_bundle(raw_bid(signature=SIGNATURE + b"\0")), Code.SIGNATURE_LENGTH),
    (raw_bundle(raw_bid(signature=b"")), Code.SIGNATURE_LENGTH),
    (raw_bundle(raw_bid(signature=HIGH_S)), Code.SIGNATURE_HIGH_S),
    (raw_bundle(raw_bid(signature=SIGNATURE[:64] + b"\x00")), Code.SIGNATURE_V),
    (raw_bundle(raw_bid(signature=SIGNATURE[:64] + b"\x1d")), Code.SIGNATURE_V),
    (encode_withdraw(Withdraw(ID, Address(b"\x01"), SIGNATURE)), Code.TX_MALFORMED),
    (encode_withdraw(Withdraw(TransferId(b""), ROUTERS[0], SIGNATURE)), Code.TX_MALFORMED),
    (encode_withdraw(Withdraw(ID, ROUTERS[0], Signature(b"\x1b" * 64))), Code.SIGNATURE_LENGTH),
    (encode_withdraw(Withdraw(ID, ROUTERS[0], Signature(HIGH_S))), Code.SIGNATURE_HIGH_S),
])
def test_bid_1_refuses_other_shapes(raw: bytes, code: Code) -> None:
    """BID-1 (and the form of BID-2's signatures): counts, orders, lengths."""
    assert code_of(lambda: decode_tx(raw)) is code


def test_encode_bundle_sorts() -> None:
    """BID-1: a client need not know the order."""
    bids = [valid_bid(TransferId(bytes([number]) * 32), key) for number in (3, 1, 2) for key in ROUTER_KEYS]
    decoded = decode_tx(encode_bundle(bids))
    assert isinstance(decoded, BidBundle)
    assert set(decoded.bids) == set(bids)


# --- TX-2 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 8193, CALL_DATA_SUBMIT_MAX])
def test_transfer_info_survives(length: int) -> None:
    """TX-2: abi.encode and back, for every padding, up to 64 KiB of callData, through a whole transaction."""
    info = valid_info(call_data=b"\x05" * length, slippage=2**256 - 1, receive_local=True)
    assert decode_transfer_info(encode_transfer_info(info)) == info
    assert decode_tx(encode_info_submission(info)) == TransferInfoSubmission(info)


def with_word(index: int, value: int) -> bytes:
    """ABI with one of its words replaced; word 0 is the tuple's offset."""
    return ABI[:32 * index] + value.to_bytes(32, "big") + ABI[32 * index + 32:]


@pytest.mark.parametrize("raw, code", [
    (ABI, Code.OK),
    (b"", Code.TX_MALFORMED),
    (ABI[:479], Code.TX_MALFORMED),
    (ABI[:-32], Code.TX_NOT_CANONICAL),
    (ABI[:-1], Code.TX_NOT_CANONICAL),
    (ABI + b"\0", Code.TX_NOT_CANONICAL),
    (ABI + bytes(32), Code.TX_NOT_CANONICAL),
    (ABI[:-1] + b"\x01", Code.TX_NOT_CANONICAL),
    (with_word(0, 64), Code.TX_NOT_CANONICAL),
    (with_word(7, 14 * 32), Code.TX_NOT_CANONICAL),
    (with_word(14, 99), Code.TX_NOT_CANONICAL),
    (with_word(14, 2000), Code.TX_NOT_CANONICAL),
    (with_word(14, CALL_DATA_SUBMIT_MAX), Code.TX_NOT_CANONICAL),
    (with_word(14, CALL_DATA_SUBMIT_MAX + 1), Code.TRANSFER_INFO_TOO_LARGE),
    (with_word(14, 2**256 - 1), Code.TRANSFER_INFO_TOO_LARGE),
    (with_word(1, 2**32), Code.TX_MALFORMED),
    (with_word(2, 2**32), Code.TX_MALFORMED),
    (with_word(3, 2**255), Code.TX_MALFORMED),
    (with_word(4, 2**160), Code.TX_MALFORMED),
    (with_word(5, 2**160), Code.TX_MALFORMED),
    (with_word(9, 2**160), Code.TX_MALFORMED),
    (with_word(6, 2), Code.TX_MALFORMED),
])
def test_tx_2_refuses_other_encodings(raw: bytes, code: Code) -> None:
    """TX-2: one TransferInfo has one encoding, the one that hashes to its id."""
    assert code_of(lambda: decode_transfer_info(raw)) is code


def test_tx_2_refuses_call_data_beyond_64_kib_in_a_transaction() -> None:
    """TX-2: too much callData has its own code, because such a transaction still fits into TX-1's size."""
    raw = encode_info_submission(valid_info(call_data=bytes(CALL_DATA_SUBMIT_MAX + 1)))
    assert len(raw) < TX_BYTES_MAX
    assert code_of(lambda: decode_tx(raw)) is Code.TRANSFER_INFO_TOO_LARGE
