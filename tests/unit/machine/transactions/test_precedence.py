"""Two things wrong at once: the code is that of the first check (TX-1, BID-1 to BID-5, TX-2), the same for every node.

Codes are hashed into headers, so which of two right answers is given is no matter of taste.
"""

from dataclasses import replace
from typing import Any

import pytest

from abci_app.machine.codes import Code
from abci_app.machine.connext import encode_transfer_info, sign_digest
from abci_app.machine.params import TX_BYTES_MAX, Params
from abci_app.machine.scope import Scope
from abci_app.machine.state.codec import Address, Signature, TransferId
from abci_app.machine.state.records import PathSignature, TransferStatus
from abci_app.machine.state.view import MemoryState, StateDelta
from abci_app.machine.transactions.bids import compute_withdraw_digest
from abci_app.machine.transactions.dispatch import process_tx
from abci_app.machine.transactions.tx import SubmittedBid, Withdraw, encode_bundle, encode_withdraw
from abci_app.pb import tx_pb2 as pb
from tests.kit.machine.bid_world import GOOD, HEIGHT, ID, RAW, TIME_S, UNKNOWN, world
from tests.kit.machine.small_world import (
    CHAIN_ID,
    DESTINATION,
    ROUTER_KEYS,
    ROUTERS,
    change_domain,
    change_router,
    sign_path,
    valid_bid,
    valid_info,
)

HIGH_S = RAW[:32] + b"\xff" * 32 + RAW[64:]
NO_KEY = (5).to_bytes(32, "big") + RAW[32:]


def bid(transfer_id: bytes = ID, router: bytes = ROUTERS[0], **signatures: bytes) -> SubmittedBid:
    """A bid as it is written there: ``p1``, ``p2``, ``p3`` … the signatures of these path lengths, in this order."""
    paths = tuple(PathSignature(int(name[1:]), Signature(raw)) for name, raw in signatures.items())
    return SubmittedBid(TransferId(transfer_id), Address(router), paths)


def pack(*bids: SubmittedBid) -> bytes:
    """A bundle of these bids in this order."""
    return pb.Transaction(bid_bundle=pb.BidBundle(bids=[
        pb.Bid(transfer_id=each.transfer_id, router=each.router, signatures=[
            pb.PathSignature(path_length=path.path_length, signature=path.signature) for path in each.signatures
        ]) for each in bids
    ])).SerializeToString(deterministic=True)


def info_tx(raw: bytes) -> bytes:
    """A submission of these bytes."""
    body = pb.TransferInfoSubmission(transfer_info=raw)
    return pb.Transaction(transfer_info=body).SerializeToString(deterministic=True)


INFO = encode_transfer_info(valid_info())
TOO_LONG = INFO[:14 * 32] + (65_537).to_bytes(32, "big")
OUT_OF_RANGE = b"\xff" * 32
LOW_ID = b"\x01" * 32

FORMS = [
    (b"\0" * (TX_BYTES_MAX + 1), Code.TX_TOO_LARGE),
    (b"\0" + encode_bundle([GOOD]), Code.TX_INJECTED_KIND),
    (pack(*[bid(b"")] * 65), Code.BUNDLE_TOO_LARGE),
    (pack(bid(b"", b"")), Code.TX_MALFORMED),
    (pack(bid(ID, b"")), Code.TX_MALFORMED),
    (pack(bid(ID), bid(b"")), Code.PATH_LENGTH_INVALID),
    (pack(bid(p2=b"", p1=b"", p3=b"")), Code.PATH_LENGTH_INVALID),
    (pack(bid(p2=b"", p1=RAW)), Code.PATH_LENGTHS_UNSORTED),
    (pack(bid(p1=HIGH_S[:64], p2=b"")), Code.SIGNATURE_LENGTH),
    (pack(bid(p1=HIGH_S[:64] + b"\x01")), Code.SIGNATURE_HIGH_S),
    (pack(bid(p1=RAW[:64] + b"\x01", p2=HIGH_S)), Code.SIGNATURE_V),
    (pack(GOOD, bid(LOW_ID, p1=HIGH_S)), Code.SIGNATURE_HIGH_S),
    (pack(GOOD, bid(LOW_ID, p1=NO_KEY)), Code.BUNDLE_UNSORTED),
    (pack(bid(LOW_ID, p1=NO_KEY), bid(p1=NO_KEY)), Code.SIGNATURE_UNRECOVERABLE),
    (pack(bid(LOW_ID, p1=RAW), bid(p1=NO_KEY)), Code.SIGNATURE_WRONG_SIGNER),
    (pack(bid(p1=NO_KEY, p2=RAW)), Code.SIGNATURE_UNRECOVERABLE),
    (pack(bid(p1=RAW, p2=RAW, p4=NO_KEY)), Code.SIGNATURE_WRONG_SIGNER),
    (pack(bid(UNKNOWN, p1=RAW)), Code.SIGNATURE_WRONG_SIGNER),
    (encode_withdraw(Withdraw(TransferId(b""), Address(b""), Signature(b""))), Code.TX_MALFORMED),
    (encode_withdraw(Withdraw(ID, Address(b""), Signature(b""))), Code.TX_MALFORMED),
    (encode_withdraw(Withdraw(UNKNOWN, ROUTERS[0], Signature(HIGH_S))), Code.SIGNATURE_HIGH_S),
    (encode_withdraw(Withdraw(UNKNOWN, ROUTERS[0], Signature(RAW))), Code.SIGNATURE_WRONG_SIGNER),
    (info_tx(TOO_LONG[:-1]), Code.TX_MALFORMED),
    (info_tx(TOO_LONG[:32] + OUT_OF_RANGE + TOO_LONG[64:]), Code.TRANSFER_INFO_TOO_LARGE),
    (info_tx(INFO[:32] + OUT_OF_RANGE + INFO[64:] + b"\1"), Code.TX_MALFORMED),
    (info_tx(b"\1" * 32 + INFO[32:]), Code.TX_NOT_CANONICAL),
]


@pytest.mark.parametrize("raw, code", FORMS)
def test_of_two_faults_of_form_the_first_is_told(raw: bytes, code: Code) -> None:
    """TX-1, BID-1, BID-2, BID-5, TX-2: form before signatures, signatures before the state, each in the order told."""
    result = process_tx(Scope.open(StateDelta(world()), HEIGHT, TIME_S), raw)
    assert (result.code, result.data) == (code, b"")


STATES = [
    ({"status": TransferStatus.COMPLETED}, Code.TRANSFER_FINISHED),
    ({"status": TransferStatus.RECONCILED}, Code.TRANSFER_SLOW),
    ({}, Code.ROUTER_NOT_APPROVED),
    ({"approved": True}, Code.ROUTER_WITHDRAWN),
    ({"approved": True, "withdrawn": False}, Code.PATH_LENGTH_ABOVE_MAX),
    ({"approved": True, "withdrawn": False, "max_routers": 2}, Code.BID_DUPLICATE),
    ({"approved": True, "known": False, "max_routers": 1}, Code.PATH_LENGTH_ABOVE_MAX),
    ({"approved": True, "known": False, "max_routers": 2}, Code.BIDS_FULL),
]


@pytest.mark.parametrize("changes, code", STATES)
def test_of_two_faults_of_state_the_first_is_told(changes: dict[str, Any], code: Code) -> None:
    """BID-3: all that can be wrong with a bid is wrong, less what the case puts right; its longest path counts."""
    state = world(Params(bids_per_transfer=1), **{
        name: value for name, value in changes.items() if name == "status"
    })
    paths = valid_bid(ID, ROUTER_KEYS[0], (1, 2))
    if changes.get("known", True):
        assert process(state, encode_bundle([paths])) in (Code.OK, code)
    else:
        assert process(state, encode_bundle([valid_bid(ID, ROUTER_KEYS[1])])) is Code.OK
    if changes.get("withdrawn", True) and changes.get("known", True):
        signature = sign_digest(ROUTER_KEYS[0], compute_withdraw_digest(CHAIN_ID, ID))
        process(state, encode_withdraw(Withdraw(ID, ROUTERS[0], signature)))
    change_router(state, ROUTERS[0], DESTINATION, approved=changes.get("approved", False))
    change_domain(state, DESTINATION, max_routers=changes.get("max_routers", 1))
    assert process(state, encode_bundle([paths])) is code


def process(state: MemoryState, raw: bytes) -> Code:
    """The code of a transaction, and the state after it."""
    delta = StateDelta(state)
    result = process_tx(Scope.open(delta, HEIGHT, TIME_S), raw)
    state.apply(delta.changes())
    return result.code


def test_data_tells_each_bids_code_even_where_none_was_taken() -> None:
    """BID-3: the transaction's code is the first bid's, and its data is there all the same."""
    unknown = valid_bid(TransferId(b"\xff" * 32))
    state = world()
    raw = encode_bundle([GOOD, replace(unknown, signatures=(sign_path(ROUTER_KEYS[0], unknown.transfer_id, 1),))])
    assert process(state, raw) is Code.OK
    result = process_tx(Scope.open(StateDelta(state), HEIGHT, TIME_S), raw)
    assert result.code is Code.BID_DUPLICATE
    assert result.data == bytes([Code.BID_DUPLICATE, Code.TRANSFER_UNKNOWN])


def test_a_bundles_code_is_ok_if_any_bid_was_taken() -> None:
    """BID-3: whichever it was."""
    state = world()
    early, late = valid_bid(TransferId(b"\x00" * 32)), valid_bid(TransferId(b"\xff" * 32))
    result = process_tx(Scope.open(StateDelta(state), HEIGHT, TIME_S), encode_bundle([early, GOOD, late]))
    assert result.code is Code.OK
    assert result.data == bytes([Code.TRANSFER_UNKNOWN, Code.OK, Code.TRANSFER_UNKNOWN])


FIELD = b"\xff" * 200
"""What no message begins with."""


@pytest.mark.parametrize("raw, code", [
    (b"\x0a", Code.TX_MALFORMED),
    (b"\x0a\x01", Code.TX_MALFORMED),
    (b"\x0a\x01\xff", Code.TX_NOT_CANONICAL),
    (b"\x7a\x00", Code.TX_NOT_CANONICAL),
    (b"\x82\x01\x00", Code.TX_MALFORMED),
    (b"\x8a\x01\x00", Code.TX_MALFORMED),
    (b"\x08\x01", Code.TX_MALFORMED),
    (b"\x0b\x0c", Code.TX_MALFORMED),
    (b"\x0d\x00\x00\x00\x00", Code.TX_MALFORMED),
    (b"\x0a\x7f" + FIELD[:127], Code.TX_NOT_CANONICAL),
    (b"\x0a\x7f" + FIELD[:126], Code.TX_MALFORMED),
    (b"\x0a\x80\x01" + FIELD[:128], Code.TX_NOT_CANONICAL),
    (b"\x0a\x80\x01" + FIELD[:127], Code.TX_MALFORMED),
    (b"\x0a\x80\x80\x80\x80\x00", Code.TX_NOT_CANONICAL),
    (b"\x0a\x80\x80\x80\x80\x80\x00", Code.TX_MALFORMED),
    (b"\x0a\xff\xff\xff\xff\xff", Code.TX_MALFORMED),
    (b"\x0a\xff\xff\xff\xff\x7f", Code.TX_MALFORMED),
])
def test_which_of_two_refusals_bytes_get_is_no_librarys_choice(raw: bytes, code: Code) -> None:
    """TX-1: one whole length-delimited field in front, a tag of one byte and a length of one to five, or none."""
    result = process_tx(Scope.open(StateDelta(world()), HEIGHT, TIME_S), raw)
    assert result.code is code
