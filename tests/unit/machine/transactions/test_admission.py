"""The doors of the mempool (BID-6) and of a block (BID-7, COM-4): what they let in, and what a refusal costs."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.connext import sign_digest
from abci_app.machine.params import BUNDLE_BIDS_MAX
from abci_app.machine.results import BidSubject
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, TransferId, decode
from abci_app.machine.state.records import Bid, ChainState, Liquidity
from abci_app.machine.state.view import StateDelta
from abci_app.machine.transactions import bids
from abci_app.machine.transactions.admission import (
    check_accepted,
    check_tx,
    count_signatures,
    list_unknown_bids,
    parse_tx,
)
from abci_app.machine.transactions.bids import compute_withdraw_digest
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
    LOCALS,
    ORIGIN,
    ROUTER_KEYS,
    ROUTERS,
    STRANGER,
    STRANGER_KEY,
    change_domain,
    put_record,
    put_transfer_record,
    valid_bid,
    valid_info,
)

NOT_SEEN, SEEN = (lambda _: False), (lambda _: True)


def withdraw_by(private_key: bytes) -> bytes:
    """A transaction that takes a router's bid back."""
    router = ROUTERS[ROUTER_KEYS.index(private_key)]
    return encode_withdraw(Withdraw(ID, router, sign_digest(private_key, compute_withdraw_digest(CHAIN_ID, ID))))


def count_recoveries() -> int:
    """Signatures recovered since the memory was cleared."""
    return bids._recover_bidder.cache_info().misses


# --- the mempool ----------------------------------------------------------------------------------------------------


def test_bid_6_admits_bids_for_known_and_for_seen_transfers() -> None:
    """BID-6: what an admitted transaction is about comes back to the caller, who bounds it."""
    bundle = [GOOD, valid_bid(UNKNOWN), valid_bid(UNKNOWN, ROUTER_KEYS[2])]
    answer = check_tx(world(), encode_bundle(bundle), lambda transfer_id: transfer_id == UNKNOWN)
    assert answer.code is Code.OK
    ordered = sorted(bundle, key=lambda bid: (bid.transfer_id, bid.router))
    assert answer.subjects == tuple(
        BidSubject(bid.transfer_id + bid.router, bid.router, bid.transfer_id == UNKNOWN) for bid in ordered
    )
    assert check_tx(world(), encode_bundle([GOOD]), SEEN).subjects == (BidSubject(ID + ROUTERS[0], ROUTERS[0], False),)
    answer = check_tx(world(), withdraw_by(ROUTER_KEYS[1]), SEEN)
    assert answer.subjects == (BidSubject(b"withdraw" + ID + ROUTERS[1], ROUTERS[1], False),)


@pytest.mark.parametrize("extra, seen, code", [
    (valid_bid(UNKNOWN), False, Code.TRANSFER_UNKNOWN),
    (valid_bid(UNKNOWN, STRANGER_KEY), True, Code.ROUTER_NOT_APPROVED),
    (valid_bid(ID, STRANGER_KEY), True, Code.ROUTER_NOT_APPROVED),
    (with_signature(valid_bid(UNKNOWN), RAW), True, Code.SIGNATURE_WRONG_SIGNER),
])
def test_bid_6_refuses_a_bundle_of_which_any_bid_would_be_skipped(extra: SubmittedBid, seen: bool, code: Code) -> None:
    """BID-6: the mempool is stricter than the block: one bid that would be skipped refuses all."""
    state = world()
    before = dict(state.values)
    answer = check_tx(state, encode_bundle([GOOD, extra]), lambda _: seen)
    assert (answer.code, answer.subjects) == (code, ())
    assert state.values == before


def test_bid_6_refuses_what_the_rules_of_form_refuse() -> None:
    """BID-6: TX-1, TX-2 and BID-1 hold at the door too."""
    assert check_tx(world(), b"\x00\x01", SEEN).code is Code.TX_INJECTED_KIND
    assert check_tx(world(), b"", SEEN).code is Code.TX_EMPTY
    assert check_tx(world(), encode_info_submission(valid_info()), SEEN).code is Code.TRANSFER_INFO_KNOWN
    assert check_tx(world(), encode_info_submission(valid_info(nonce=9)), SEEN).code is Code.TRANSFER_UNKNOWN


def test_bid_6_looks_at_committed_state_of_the_next_height() -> None:
    """BID-6: CheckTx asks what the next block would; an empty chain (height 0) is no exception."""
    state = world()
    chain = decode(ChainState, state.values[keys.CHAIN])
    put_record(state, keys.CHAIN, replace(chain, height=41))
    assert check_tx(state, encode_bundle([GOOD]), NOT_SEEN).code is Code.OK


@pytest.mark.parametrize("key, code, again", [
    (STRANGER_KEY, Code.ROUTER_NOT_APPROVED, False), (ROUTER_KEYS[0], Code.TRANSFER_UNKNOWN, False),
    (ROUTER_KEYS[0], Code.TRANSFER_UNKNOWN, True), (STRANGER_KEY, Code.TRANSFER_UNKNOWN, True),
])
def test_bid_6_what_is_refused_costs_one_bid(key: bytes, code: Code, again: bool) -> None:
    """BID-6: 192 valid signatures of nobody's are 17 KB to send; of them a node recovers those of one bid, or none."""
    state = world()
    ids = [ID, *(TransferId(bytes([number]) * 32) for number in range(1, BUNDLE_BIDS_MAX))]
    for transfer_id in ids if key == STRANGER_KEY and not again else ():
        put_transfer_record(state, transfer_id=transfer_id)
    raw = encode_bundle([valid_bid(transfer_id, key, (1, 2, 4)) for transfer_id in ids[1:]])
    bids._recover_bidder.cache_clear()
    assert check_tx(state, raw, NOT_SEEN, again).code is code
    assert count_recoveries() == (0 if again else 3)


@pytest.mark.parametrize("allowlist_removed, balance, local, code", [
    (False, 5, LOCALS[DESTINATION], Code.ROUTER_NOT_APPROVED),
    (True, 0, LOCALS[DESTINATION], Code.ROUTER_NOT_APPROVED),
    (True, 1, LOCALS[ORIGIN], Code.ROUTER_NOT_APPROVED),
    (True, 1, LOCALS[DESTINATION], Code.OK),
])
def test_bid_6_a_stranger_needs_liquidity_where_nobody_needs_approval(
    allowlist_removed: bool, balance: int, local: Address, code: Code
) -> None:
    """BID-6: what the state takes of anyone the door does not, for keys cost nothing: bids, early bids, withdraws."""
    state = world()
    change_domain(state, DESTINATION, allowlist_removed=allowlist_removed)
    put_record(state, keys.liquidity(DESTINATION, local, STRANGER), Liquidity(balance, 0, False))
    for transfer_id in (ID, UNKNOWN):
        answer = check_tx(state, encode_bundle([valid_bid(transfer_id, STRANGER_KEY)]), SEEN)
        assert answer.code is code
    digest = compute_withdraw_digest(CHAIN_ID, ID)
    raw = encode_withdraw(Withdraw(ID, STRANGER, sign_digest(STRANGER_KEY, digest)))
    assert check_tx(state, raw, SEEN).code is code


def test_bid_6_a_stranger_takes_back_what_it_bid() -> None:
    """BID-5, BID-6: with a bid on record a withdraw needs neither approval nor liquidity."""
    state = world()
    put_record(state, keys.bid(ID, STRANGER), Bid(STRANGER, valid_bid(ID, STRANGER_KEY).signatures, False, 1))
    raw = encode_withdraw(Withdraw(ID, STRANGER, sign_digest(STRANGER_KEY, compute_withdraw_digest(CHAIN_ID, ID))))
    assert check_tx(state, raw, NOT_SEEN).code is Code.OK


def recheck(bundle: Sequence[SubmittedBid], committed: Sequence[SubmittedBid], seen: Sequence[TransferId] = ()) -> Code:
    """The answer for a bundle that waits while others, one by one, are committed."""
    state = world()
    put_transfer_record(state, transfer_id=OTHER_ID)
    for bid in committed:
        delta = StateDelta(state)
        assert process_tx(Scope.open(delta, HEIGHT, TIME_S), encode_bundle([bid])).code is Code.OK
        state.apply(delta.changes())
    return check_tx(state, encode_bundle(bundle), seen.__contains__, again=True).code


OTHER_ID = TransferId(b"\x77" * 32)
OTHER_BID = valid_bid(OTHER_ID)
EARLY_BID = valid_bid(UNKNOWN)


@pytest.mark.parametrize("bundle, committed, seen, code", [
    ([GOOD, OTHER_BID], [], [], Code.OK),
    ([GOOD, OTHER_BID], [GOOD], [], Code.OK),
    ([GOOD, OTHER_BID], [OTHER_BID], [], Code.OK),
    ([GOOD, OTHER_BID], [GOOD, OTHER_BID], [], Code.BID_DUPLICATE),
    ([GOOD], [GOOD], [], Code.BID_DUPLICATE),
    ([GOOD, EARLY_BID], [GOOD], [UNKNOWN], Code.OK),
    ([GOOD, EARLY_BID], [], [], Code.TRANSFER_UNKNOWN),
    ([GOOD, EARLY_BID], [GOOD], [], Code.TRANSFER_UNKNOWN),
])
def test_bid_6_a_bundle_waits_on_while_it_adds_something(
    bundle: Sequence[SubmittedBid], committed: Sequence[SubmittedBid], seen: Sequence[TransferId], code: Code
) -> None:
    """BID-6: a bid that somebody copied out of a waiting bundle, and that is committed, does not drop the others.

    What can be in no block (BID-7) goes whole, whatever else is in it.
    """
    assert recheck(bundle, committed, seen) is code


def test_bid_6_a_waiting_withdraw_is_looked_at_again() -> None:
    """BID-6: of its signature nothing is asked again, of the state everything."""
    state = world()
    raw = withdraw_by(ROUTER_KEYS[0])
    assert check_tx(state, raw, NOT_SEEN, again=True).code is Code.OK
    delta = StateDelta(state)
    process_tx(Scope.open(delta, HEIGHT, TIME_S), raw)
    state.apply(delta.changes())
    assert check_tx(state, raw, NOT_SEEN, again=True).code is Code.WITHDRAW_DUPLICATE


# --- a block --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw, accepted, unknown", [
    (encode_bundle([GOOD]), (), ()),
    (encode_bundle([GOOD, valid_bid(UNKNOWN)]), (), (UNKNOWN,)),
    (encode_bundle([GOOD, valid_bid(UNKNOWN)]), (UNKNOWN,), ()),
    (encode_bundle([valid_bid(UNKNOWN, key) for key in ROUTER_KEYS]), (ID,), (UNKNOWN,) * 3),
    (encode_withdraw(Withdraw(UNKNOWN, ROUTERS[0], RAW)), (), ()),
    (encode_info_submission(valid_info(nonce=9)), (), ()),
    (b"", (), ()),
    (b"\x00\x01", (), ()),
    (b"\xff" * 40, (), ()),
])
def test_bid_7_refuses_bids_nobody_accepted_yet(
    raw: bytes, accepted: tuple[TransferId, ...], unknown: tuple[TransferId, ...]
) -> None:
    """BID-7: Prepare holds back exactly what Process would refuse; what is no bundle is neither."""
    delta, transaction = StateDelta(world()), parse_tx(raw)
    named = frozenset(accepted)
    assert list_unknown_bids(delta, transaction, named) == unknown
    if unknown:
        with pytest.raises(Rejected) as refused:
            check_accepted(delta, transaction, named)
        assert refused.value.code is Code.BID_NOT_ACCEPTED_YET
    else:
        check_accepted(delta, transaction, named)


@pytest.mark.parametrize("raw, count", [
    (encode_bundle([GOOD]), 1),
    (encode_bundle([valid_bid(ID, lengths=(1, 2, 4)), valid_bid(UNKNOWN, lengths=(2, 4))]), 5),
    (encode_bundle([with_signature(GOOD, b"\1" * 64 + b"\x1b")]), 1),
    (withdraw_by(ROUTER_KEYS[0]), 1),
    (encode_info_submission(valid_info()), 0),
    (b"\xff" * 40, 0),
])
def test_com_4_counts_what_has_to_be_recovered(raw: bytes, count: int) -> None:
    """COM-4: signatures as they stand there, right or wrong; none where the form alone refuses."""
    assert count_signatures(parse_tx(raw)) == count
