"""Bids and withdraws: signatures (BID-2) and state (BID-3 … BID-5)."""

from dataclasses import replace
from typing import Any

import pytest

from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_bid_digest, keccak, sign_digest
from abci_app.machine.params import Params
from abci_app.machine.results import TxResult
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, Signature, TransferId, decode
from abci_app.machine.state.records import Bid, Liquidity, PathSignature, Transfer, TransferStatus
from abci_app.machine.state.view import MemoryState, StateDelta
from abci_app.machine.transactions import bids
from abci_app.machine.transactions.admission import check_tx
from abci_app.machine.transactions.bids import compute_withdraw_digest, merge_signatures
from abci_app.machine.transactions.dispatch import process_tx
from abci_app.machine.transactions.tx import (
    SubmittedBid,
    Withdraw,
    encode_bundle,
    encode_info_submission,
    encode_withdraw,
)
from tests.kit.machine.bid_world import GOOD, HEIGHT, ID, RAW, TIME_S, UNKNOWN, with_signature, world
from tests.kit.machine.small_world import (
    CHAIN_ID,
    DESTINATION,
    LIQUIDITY,
    LOCALS,
    ORIGIN,
    ROUTER_KEYS,
    ROUTERS,
    STRANGER,
    STRANGER_KEY,
    change_domain,
    change_router,
    put_record,
    sign_path,
    valid_bid,
    valid_info,
)


def run(state: MemoryState, raw: bytes, height: int = HEIGHT) -> TxResult:
    """Apply one transaction and keep what it changed."""
    delta = StateDelta(state)
    result = process_tx(Scope.open(delta, height, TIME_S), raw)
    state.apply(delta.changes())
    return result


def valid_withdraw(private_key: bytes = ROUTER_KEYS[0], **changes: Any) -> Withdraw:
    signature = sign_digest(private_key, compute_withdraw_digest(CHAIN_ID, ID))
    return replace(Withdraw(ID, ROUTERS[ROUTER_KEYS.index(private_key)], signature), **changes)


def bid_on_record(state: MemoryState, router: Address = ROUTERS[0]) -> Bid:
    return decode(Bid, state.values[keys.bid(ID, router)])


# --- BID-2 ----------------------------------------------------------------------------------------------------------


def unrecoverable() -> bytes:
    """A signature of right form whose r is no point's abscissa."""
    return (5).to_bytes(32, "big") + (1).to_bytes(32, "big") + b"\x1b"


OTHER_V = RAW[:64] + bytes([55 - RAW[64]])
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
MALLEATED = RAW[:32] + (N - int.from_bytes(RAW[32:64], "big")).to_bytes(32, "big") + bytes([55 - RAW[64]])


@pytest.mark.parametrize("bid, code", [
    (GOOD, Code.OK),
    (replace(GOOD, router=ROUTERS[1]), Code.SIGNATURE_WRONG_SIGNER),
    (with_signature(GOOD, sign_path(ROUTER_KEYS[1], ID, 1).signature), Code.SIGNATURE_WRONG_SIGNER),
    (with_signature(GOOD, sign_path(ROUTER_KEYS[0], ID, 2).signature), Code.SIGNATURE_WRONG_SIGNER),
    (with_signature(GOOD, sign_path(ROUTER_KEYS[0], UNKNOWN, 1).signature), Code.SIGNATURE_WRONG_SIGNER),
    (with_signature(GOOD, sign_digest(ROUTER_KEYS[0], keccak(ID))), Code.SIGNATURE_WRONG_SIGNER),
    (with_signature(GOOD, OTHER_V), Code.SIGNATURE_WRONG_SIGNER),
    (with_signature(GOOD, MALLEATED), Code.SIGNATURE_HIGH_S),
    (with_signature(GOOD, RAW[:64]), Code.SIGNATURE_LENGTH),
    (with_signature(GOOD, RAW[:64] + b"\x01"), Code.SIGNATURE_V),
    (with_signature(GOOD, unrecoverable()), Code.SIGNATURE_UNRECOVERABLE),
    (with_signature(GOOD, bytes(64) + b"\x1b"), Code.SIGNATURE_UNRECOVERABLE),
])
def test_bid_2_refuses_signatures_of_others(bid: SubmittedBid, code: Code) -> None:
    """BID-2: only the router's own low-s signature over this transfer and path length counts."""
    state = world()
    before = dict(state.values)
    assert run(state, encode_bundle([bid])).code is code
    assert check_tx(world(), encode_bundle([bid]), lambda _: False).code is code
    assert (state.values == before) is (code is not Code.OK)


def test_bid_2_one_bad_signature_refuses_the_whole_bundle() -> None:
    """BID-2: a bundle proves itself or is nothing."""
    state = world()
    before = dict(state.values)
    bad = with_signature(valid_bid(ID, ROUTER_KEYS[1]), RAW)
    two_paths = replace(GOOD, signatures=(GOOD.signatures[0], sign_path(ROUTER_KEYS[1], ID, 2)))
    for bundle in ([GOOD, bad], [two_paths]):
        result = run(state, encode_bundle(bundle))
        assert (result.code, result.data, result.events) == (Code.SIGNATURE_WRONG_SIGNER, b"", ())
    assert state.values == before


def test_a_recovered_signer_is_remembered_and_the_memory_is_bounded() -> None:
    """BID-2: a block's execution does not recover again what CheckTx recovered; ORD-4: the answer is the same."""
    bids._recover_bidder.cache_clear()
    assert check_tx(world(), encode_bundle([GOOD]), lambda _: False).code is Code.OK
    assert run(world(), encode_bundle([GOOD])).code is Code.OK
    info = bids._recover_bidder.cache_info()
    assert (info.hits, info.misses) == (1, 1)
    assert info.maxsize == bids.RECOVERED_MAX


# --- BID-3 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change, bid, code", [
    ({}, GOOD, Code.OK),
    ({"status": TransferStatus.WAITING}, GOOD, Code.OK),
    ({"status": TransferStatus.ASSIGNED}, GOOD, Code.OK),
    ({}, valid_bid(UNKNOWN), Code.TRANSFER_UNKNOWN),
    ({"status": TransferStatus.EXECUTED}, GOOD, Code.TRANSFER_FINISHED),
    ({"status": TransferStatus.COMPLETED}, GOOD, Code.TRANSFER_FINISHED),
    ({"status": TransferStatus.SLOW}, GOOD, Code.TRANSFER_SLOW),
    ({"status": TransferStatus.RECONCILED}, GOOD, Code.TRANSFER_SLOW),
    ({}, valid_bid(ID, STRANGER_KEY), Code.ROUTER_NOT_APPROVED),
    ({"bidders": 2}, GOOD, Code.BIDS_FULL),
    ({"bidders": 1}, GOOD, Code.OK),
])
def test_bid_3_every_refusal_of_the_state_has_its_code(change: dict[str, Any], bid: SubmittedBid, code: Code) -> None:
    """BID-3: what state refuses is skipped, with its own code, and leaves no trace."""
    state = world(Params(bids_per_transfer=2), **change)
    before = dict(state.values)
    result = run(state, encode_bundle([bid]))
    assert (result.code, result.data) == (code, bytes([code]))
    assert (state.values == before) is (code is not Code.OK)
    assert bool(result.events) is (code is Code.OK)


@pytest.mark.parametrize("lengths, max_routers, code", [
    ((1, 2), 2, Code.OK),
    ((1, 2, 4), 4, Code.OK),
    ((1, 2, 4), 3, Code.PATH_LENGTH_ABOVE_MAX),
    ((2,), 1, Code.PATH_LENGTH_ABOVE_MAX),
])
def test_bid_3_refuses_paths_longer_than_the_destination_takes(
    lengths: tuple[int, ...], max_routers: int, code: Code
) -> None:
    """BID-3: PATH_LENGTH_ABOVE_MAX is the destination's limit."""
    state = world()
    change_domain(state, DESTINATION, max_routers=max_routers)
    change_domain(state, ORIGIN, max_routers=1)
    assert run(state, encode_bundle([valid_bid(ID, lengths=lengths)])).code is code


def test_bid_3_approval_is_the_destinations() -> None:
    """BID-3: approval counts on the destination, now; with the allowlist off nobody needs it."""
    state = world()
    change_router(state, ROUTERS[0], DESTINATION, approved=False)
    assert run(state, encode_bundle([GOOD])).code is Code.ROUTER_NOT_APPROVED
    change_domain(state, ORIGIN, allowlist_removed=True)
    assert run(state, encode_bundle([GOOD])).code is Code.ROUTER_NOT_APPROVED
    change_domain(state, DESTINATION, allowlist_removed=True)
    assert run(state, encode_bundle([GOOD])).code is Code.OK
    assert run(state, encode_bundle([valid_bid(ID, STRANGER_KEY)])).code is Code.OK
    assert keys.bid(ID, STRANGER) in state.values


def test_bid_3_the_other_bids_of_a_bundle_stand() -> None:
    """BID-3: one byte a bid; OK if any was taken, else the first bid's code."""
    bundle = [valid_bid(UNKNOWN), GOOD, valid_bid(ID, STRANGER_KEY)]
    state = world()
    result = run(state, encode_bundle(bundle))
    by_place = [Code(code) for code in result.data]
    ordered = sorted(bundle, key=lambda bid: (bid.transfer_id, bid.router))
    expected = {UNKNOWN: Code.TRANSFER_UNKNOWN, STRANGER: Code.ROUTER_NOT_APPROVED}
    assert by_place == [expected.get(bid.transfer_id, expected.get(bid.router, Code.OK)) for bid in ordered]
    assert result.code is Code.OK
    assert [event.kind for event in result.events] == ["bid"]
    again = run(state, encode_bundle(bundle))
    assert again.code is Code(again.data[0])
    assert Code.BID_DUPLICATE in again.data


# --- BID-4 ----------------------------------------------------------------------------------------------------------


def test_bid_4_bids_merge_and_the_first_signature_stays() -> None:
    """BID-4: union by path length; a bid that adds no length is a duplicate (BID-3)."""
    state = world()
    assert run(state, encode_bundle([valid_bid(ID, lengths=(2,))]), height=7).code is Code.OK
    assert run(state, encode_bundle([valid_bid(ID, lengths=(1, 2))]), height=9).code is Code.OK
    before = dict(state.values)
    for lengths in ((1,), (2,), (1, 2)):
        assert run(state, encode_bundle([valid_bid(ID, lengths=lengths)])).code is Code.BID_DUPLICATE
    assert state.values == before
    assert bid_on_record(state) == Bid(ROUTERS[0], valid_bid(ID, lengths=(1, 2)).signatures, False, 7)
    assert decode(Transfer, state.values[keys.transfer(ID)]).bidders == 1

    first, second = PathSignature(2, Signature(b"\x01" * 65)), PathSignature(2, Signature(b"\x02" * 65))
    one, four = PathSignature(1, Signature(b"\x03" * 65)), PathSignature(4, Signature(b"\x04" * 65))
    assert merge_signatures((first,), (one, second, four)) == (one, first, four)


def test_bid_4_short_liquidity_refuses_no_bid() -> None:
    """BID-4: whether a router can serve is the auction's question; nor does a full list stop one who is on it."""
    state = world(Params(bids_per_transfer=1), amount=10**30)
    assert run(state, encode_bundle([GOOD])).code is Code.OK
    assert run(state, encode_bundle([valid_bid(ID, lengths=(2,))])).code is Code.OK
    assert run(state, encode_bundle([valid_bid(ID, ROUTER_KEYS[1])])).code is Code.BIDS_FULL


@pytest.mark.parametrize("amount, key, places, code", [
    (LIQUIDITY, ROUTER_KEYS[0], 3, Code.OK),
    (LIQUIDITY, ROUTER_KEYS[0], 4, Code.BIDS_FULL),
    (LIQUIDITY + 1, ROUTER_KEYS[0], 1, Code.OK),
    (LIQUIDITY + 1, ROUTER_KEYS[0], 2, Code.BIDS_FULL),
    (LIQUIDITY, STRANGER_KEY, 1, Code.OK),
    (LIQUIDITY, STRANGER_KEY, 2, Code.BIDS_FULL),
])
def test_bid_3_half_of_the_places_are_for_who_could_serve(amount: int, key: bytes, places: int, code: Code) -> None:
    """BID-3: where nobody needs approval, keys without a penny do not keep everyone else out."""
    state = world(Params(bids_per_transfer=4), amount=amount, bidders=places)
    change_domain(state, DESTINATION, allowlist_removed=True)
    assert run(state, encode_bundle([valid_bid(ID, key)])).code is code


@pytest.mark.parametrize("amount, lengths, reserved, code", [
    (2 * LIQUIDITY - 2, (1, 2), 0, Code.OK),
    (2 * LIQUIDITY, (1, 2), 0, Code.BIDS_FULL),
    (2 * LIQUIDITY - 2, (1,), 0, Code.BIDS_FULL),
    (1, (4,), LIQUIDITY - 3, Code.OK),
    (1, (4,), LIQUIDITY - 2, Code.BIDS_FULL),
    (1, (1, 4), LIQUIDITY - 2, Code.OK),
])
def test_bid_3_could_serve_means_the_least_share_is_free(
    amount: int, lengths: tuple[int, ...], reserved: int, code: Code
) -> None:
    """BID-3, ASN-3: of the path lengths it bids for; what is reserved elsewhere serves nobody else."""
    state = world(Params(bids_per_transfer=4), amount=amount, bidders=3)
    key = keys.liquidity(DESTINATION, LOCALS[DESTINATION], ROUTERS[0])
    put_record(state, key, Liquidity(LIQUIDITY, reserved, False))
    assert run(state, encode_bundle([valid_bid(ID, lengths=lengths)])).code is code


def test_bid_5_a_withdraw_without_a_bid_takes_no_place_of_who_could_serve() -> None:
    """BID-5, BID-3."""
    for places, code in ((1, Code.OK), (2, Code.BIDS_FULL)):
        state = world(Params(bids_per_transfer=4), bidders=places)
        assert run(state, encode_withdraw(valid_withdraw())).code is code


# --- BID-5 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change, withdraw, code", [
    ({}, valid_withdraw(), Code.OK),
    ({"status": TransferStatus.ASSIGNED}, valid_withdraw(), Code.OK),
    ({"status": TransferStatus.SLOW}, valid_withdraw(), Code.OK),
    ({"status": TransferStatus.EXECUTED}, valid_withdraw(), Code.TRANSFER_FINISHED),
    ({"status": TransferStatus.COMPLETED}, valid_withdraw(), Code.TRANSFER_FINISHED),
    ({"bidders": 256}, valid_withdraw(), Code.BIDS_FULL),
    ({"transfer_id": UNKNOWN}, valid_withdraw(), Code.TRANSFER_UNKNOWN),
    ({}, valid_withdraw(router=ROUTERS[1]), Code.SIGNATURE_WRONG_SIGNER),
    ({}, valid_withdraw(transfer_id=UNKNOWN), Code.SIGNATURE_WRONG_SIGNER),
    ({}, valid_withdraw(signature=RAW), Code.SIGNATURE_WRONG_SIGNER),
    ({}, valid_withdraw(signature=sign_digest(ROUTER_KEYS[0], compute_withdraw_digest("other-chain", ID))),
     Code.SIGNATURE_WRONG_SIGNER),
    ({}, valid_withdraw(signature=Signature(unrecoverable())), Code.SIGNATURE_UNRECOVERABLE),
])
def test_bid_5_refuses_withdraws_that_are_not_the_routers(
    change: dict[str, Any], withdraw: Withdraw, code: Code
) -> None:
    """BID-5: signed by the router, for this chain and transfer; nothing else, and no trace of a refusal."""
    state = world(**change)
    before = dict(state.values)
    result = run(state, encode_withdraw(withdraw))
    assert (result.code, result.data) == (code, b"")
    assert check_tx(world(**change), encode_withdraw(withdraw), lambda _: True).code is code
    assert (state.values == before) is (code is not Code.OK)


def test_bid_5_a_withdraw_is_final_with_or_without_a_bid_before_it() -> None:
    """BID-5: it stays, bids after it are refused (ROUTER_WITHDRAWN), a second one is a duplicate."""
    state = world()
    assert run(state, encode_bundle([GOOD])).code is Code.OK
    assert run(state, encode_withdraw(valid_withdraw())).events[0].kind == "withdrawn"
    assert bid_on_record(state) == Bid(ROUTERS[0], GOOD.signatures, True, HEIGHT)
    assert run(state, encode_withdraw(valid_withdraw(ROUTER_KEYS[1]))).code is Code.OK
    assert bid_on_record(state, ROUTERS[1]) == Bid(ROUTERS[1], (), True, HEIGHT)
    assert decode(Transfer, state.values[keys.transfer(ID)]).bidders == 2
    before = dict(state.values)
    assert run(state, encode_withdraw(valid_withdraw())).code is Code.WITHDRAW_DUPLICATE
    assert run(state, encode_bundle([valid_bid(ID, lengths=(1, 2))])).code is Code.ROUTER_WITHDRAWN
    assert run(state, encode_bundle([valid_bid(ID, ROUTER_KEYS[1])])).code is Code.ROUTER_WITHDRAWN
    assert state.values == before


def test_bid_5_refuses_a_router_without_approval() -> None:
    """BID-5: ROUTER_NOT_APPROVED, so that strangers cannot fill the record."""
    state = world()
    change_router(state, ROUTERS[0], DESTINATION, approved=False)
    assert run(state, encode_withdraw(valid_withdraw())).code is Code.ROUTER_NOT_APPROVED


def test_the_withdraw_digest_is_pinned() -> None:
    """BID-5: golden bytes: what a router's wallet signs, and not what a bid signs."""
    digest = compute_withdraw_digest("routing-test-1", TransferId(b"\x11" * 32))
    assert digest == keccak(
        b"\x19Ethereum Signed Message:\n32"
        + keccak(b"consensus-routing/withdraw" + keccak(b"routing-test-1") + b"\x11" * 32)
    )
    assert digest != compute_bid_digest(TransferId(b"\x11" * 32), 1)


def test_ord_5_a_refused_transaction_leaves_no_trace() -> None:
    """ORD-5: whatever is refused, state and events stay as they are; its code says why."""
    delta = StateDelta(world())
    for raw in (b"", b"\x00", encode_bundle([valid_bid(UNKNOWN)]), encode_info_submission(valid_info())):
        result = process_tx(Scope.open(delta, HEIGHT, TIME_S), raw)
        assert result.code is not Code.OK
        assert result.events == ()
    assert delta.changes() == {}
