"""EVT-1 to EVT-5, LIM-1, LIM-2, LIM-4, SLW-3 and ORD-5: one event each, ending in a status, a field or an alarm."""

from dataclasses import fields, is_dataclass, replace

import pytest

from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_transfer_id, keccak
from abci_app.machine.events.dispatch import HANDLERS
from abci_app.machine.observation.stream import (
    EVENT_KINDS,
    AssetAdded,
    AssetRemoved,
    DiamondCut,
    Event,
    ForceReceiveLocal,
    LiquidityFeeNumeratorUpdated,
    MaxRoutersPerTransferUpdated,
    OwnershipTransferred,
    Paused,
    PortalApprovalChanged,
    PortalMinted,
    PortalRepaid,
    RelayerChanged,
    RelayerFeesIncreased,
    RoleChanged,
    RouterAdded,
    RouterAllowlistRemoved,
    RouterLiquidityAdded,
    RouterList,
    RouterRemoved,
    SequencerChanged,
    SlippageUpdated,
    Unpaused,
    decode_event,
)
from abci_app.machine.params import FeeRow, Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, Hash, TransferId, encode
from abci_app.machine.state.records import (
    EMPTY_ADDRESS,
    EMPTY_HASH,
    Asset,
    DecisionKind,
    RelayerFee,
    Stub,
    Transfer,
    TransferInfo,
    TransferStatus,
)
from abci_app.machine.transactions.tx import encode_info_submission
from tests.kit.machine.driver import (
    CANONICAL_ID,
    LIQUIDITY,
    ROUTERS,
    A,
    B,
    C,
    Network,
    bundle,
    executed,
    local_of,
    reconciled,
    router_list,
    xcalled,
)

R1, R2, R3, R4 = ROUTERS
UNKNOWN = TransferId(b"\x99" * 32)
PARAMS = Params(lease_s=30, slow_spacing_s=30)


# --- XCalled --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changed, status, alarm", [
    ({}, "ACCEPTED", None),
    ({"bridged_amt": 10}, "ACCEPTED", None),
    ({"bridged_amt": 9}, "SLOW", None),
    ({"bridged_amt": 0}, "SLOW", None),
    ({"canonical_id": EMPTY_HASH}, "SLOW", None),
    ({"canonical_domain": B}, "SLOW", None),
    ({"call_data": b"\1" * 8192}, "ACCEPTED", None),
    ({"destination_domain": A}, None, "XCalled to its own origin"),
    ({"destination_domain": C}, None, "XCalled to an unknown domain"),
    ({"origin_domain": C}, None, "XCalled of another origin or nonce"),
    ({"nonce": 7}, None, "XCalled of another origin or nonce"),
])
def test_xcalled(changed, status, alarm):
    """EVT-1, EVT-2, LIM-2: accepted, SLOW, or skipped with an alarm."""
    net = Network(PARAMS)
    info = replace(net.info(), **changed)
    net.block({A: [replace(xcalled(info), nonce=0)]})
    transfer = net.read(keys.transfer(compute_transfer_id(info)), Transfer)
    assert (transfer.status.name if transfer else None) == status
    assert net.alarms() == ([alarm] if alarm else [])
    assert net.domain(A).next_nonce == 1
    if transfer:
        assert (transfer.drop_after_s > 0) == (status == "SLOW")
        assert net.must(keys.transfer_info(transfer.transfer_id), TransferInfo) == info


def test_xcalled_whose_info_hashes_to_another_id():
    """EVT-1."""
    net = Network(PARAMS)
    net.block({A: [replace(xcalled(net.info()), transfer_id=UNKNOWN)]})
    assert net.alarms() == ["XCalled whose TransferInfo does not hash to its id"]
    assert net.read(keys.transfer(UNKNOWN), Transfer) is None


@pytest.mark.parametrize("nonce, alarms, next_nonce", [
    (0, [], 1),
    (5, ["nonce gap"], 6),
    (2**64 - 1, ["nonce gap"], 2**64 - 1),
])
def test_a_nonce_gap_is_taken_with_an_alarm(nonce, alarms, next_nonce):
    """EVT-1: the next expected one follows what came; its record never overflows."""
    net = Network(PARAMS)
    info = net.info(nonce=nonce)
    net.block({A: [xcalled(info)]})
    assert net.status(compute_transfer_id(info)) == "ACCEPTED"
    assert (net.alarms(), net.domain(A).next_nonce) == (alarms, next_nonce)


def test_a_second_xcalled_adds_nothing():
    """EVT-1: known id, nothing missing."""
    net = Network(PARAMS)
    transfer_id = net.assign(R1)
    before = net.transfer(transfer_id)
    info = net.must(keys.transfer_info(transfer_id), TransferInfo)
    net.block({A: [replace(xcalled(info), relayer_fees=(RelayerFee(R1, 5),))]})
    assert net.transfer(transfer_id) == before
    assert "XCalled twice" in net.alarms()


def by_hash(info: TransferInfo, call_data: bytes):
    """The XCalled and the id of a transfer whose callData travels as hash and length."""
    transfer_id = compute_transfer_id(replace(info, call_data=call_data))
    return transfer_id, replace(
        xcalled(info), transfer_id=transfer_id, call_data_hash=keccak(call_data), call_data_length=len(call_data)
    )


def test_long_call_data_goes_slow_until_its_info_is_submitted():
    """LIM-1, SLW-1, TX-2: known by hash only; reconciled, nothing is decided before the TransferInfo is there."""
    net = Network(PARAMS)
    info, call_data = net.info(), b"\2" * 8193
    transfer_id, event = by_hash(info, call_data)
    net.block({A: [event]})
    transfer = net.transfer(transfer_id)
    assert (transfer.status.name, transfer.info_known, transfer.has_call_data) == ("SLOW", False, True)
    assert net.read(keys.transfer_info(transfer_id), TransferInfo) is None
    net.block({B: [reconciled(transfer_id)]})
    net.block()
    assert net.transfer(transfer_id).attempts == ()
    submission = encode_info_submission(replace(info, call_data=call_data))
    assert net.block(txs=[submission]).results[-1].code is Code.OK
    assert net.transfer(transfer_id).attempts == ()
    net.block()
    assert [attempt.kind for attempt in net.transfer(transfer_id).attempts] == [DecisionKind.SLOW]
    assert net.decisions()[0].gas_limit == 6_000_000
    assert net.block(txs=[submission]).results[-1].code is Code.TRANSFER_INFO_KNOWN


def test_fees_that_precede_xcalled_are_the_transfers():
    """EVT-1, LIM-6."""
    net = Network(PARAMS)
    info = net.info()
    net.block({A: [xcalled(info, relayer_fees=(RelayerFee(R2, 7), RelayerFee(R1, 5), RelayerFee(R2, 1)))]})
    fees = net.transfer(compute_transfer_id(info)).fees
    assert fees == tuple(sorted((RelayerFee(R1, 5), RelayerFee(R2, 8)), key=lambda fee: fee.asset))


# --- Executed and Reconciled in every state -------------------------------------------------------------------------


def in_status(net: Network, status: str) -> TransferId:
    """Bring a transfer into a status."""
    if status == "ACCEPTED":
        return net.accept()
    if status == "SLOW":
        return net.accept(amount=5)
    transfer_id = net.assign(R1)
    steps: dict[str, list[Event]] = {
        "ASSIGNED": [], "EXECUTED": [executed(transfer_id, R1)], "RECONCILED": [reconciled(transfer_id)],
        "COMPLETED": [executed(transfer_id, R1), reconciled(transfer_id, R1)],
    }
    if status == "WAITING":
        net.change(keys.router(B, R1), type(net.router(R1)), eligible=False)
        net.let_lease_end()
    elif steps[status]:
        net.block({B: steps[status]})
    assert net.status(transfer_id) == status
    return transfer_id


@pytest.mark.parametrize("status, fast, slow, message", [
    ("ACCEPTED", "EXECUTED", None, "RECONCILED"),
    ("ASSIGNED", "EXECUTED", None, "RECONCILED"),
    ("WAITING", "EXECUTED", None, "RECONCILED"),
    ("SLOW", "EXECUTED", None, "RECONCILED"),
    ("EXECUTED", None, None, "COMPLETED"),
    ("RECONCILED", None, "COMPLETED", None),
    ("COMPLETED", None, None, None),
])
def test_executed_and_reconciled_in_every_status(status, fast, slow, message):
    """EVT-3, EVT-4: a table of the walks; everything else is an alarm. Debits and credits are always made."""
    for event, expected, change in (("fast", fast, -999), ("slow", slow, 0), ("message", message, 1000)):
        net = Network(PARAMS)
        transfer_id = in_status(net, status)
        before = net.liquidity_of(R2).balance
        table: dict[str, Event] = {
            "fast": executed(transfer_id, R2), "slow": executed(transfer_id), "message": reconciled(transfer_id, R2),
        }
        net.block({B: [table[event]]})
        transfer = net.transfer(transfer_id)
        assert transfer.status.name == (expected or status), event
        assert bool(net.alarms()) == (expected is None), event
        assert net.liquidity_of(R2).balance - before == change, event
        assert (transfer.finished_height == net.height) == (expected == "COMPLETED"), event
        assert (transfer.drop_after_s > 0) == (transfer.status.name in ("SLOW", "RECONCILED")), event
        if transfer.status.name in ("EXECUTED", "COMPLETED", "RECONCILED") and expected:
            assert net.liquidity_of(R1).reserved == 0


def test_executed_and_reconciled_beside_the_destination():
    """EVT-3, EVT-4: skipped with an alarm, balances moved."""
    net = Network(PARAMS)
    transfer_id = net.assign(R1)
    net.block({A: [executed(transfer_id, R1, domain=A), reconciled(transfer_id, R1, domain=A, amount=500)]})
    assert net.status(transfer_id) == "ASSIGNED"
    assert net.alarms() == ["Executed beside the destination", "Reconciled beside the destination"]
    assert net.liquidity_of(R1, A).balance == LIQUIDITY - 999 + 500


def test_more_than_16_routers():
    """LIQ-3: the list is a hash, so balances there can no longer be followed; the status is."""
    net = Network(PARAMS)
    transfer_id = net.assign(R1)
    many = RouterList(17, (), Hash(b"\5" * 32))
    net.block({B: [executed(transfer_id, routers=many)]})
    assert (net.status(transfer_id), net.domain(B).eligible) == ("EXECUTED", False)
    assert net.alarms() == ["Executed with more than 16 routers"]
    net = Network(PARAMS)
    transfer_id = net.accept()
    net.block({B: [reconciled(transfer_id, routers=many)]})
    assert (net.status(transfer_id), net.domain(B).eligible) == ("RECONCILED", False)


def test_debits_split_and_a_router_named_twice_pays_twice():
    """LIQ-2: Connext checks no uniqueness."""
    net = Network(PARAMS)
    net.block({B: [executed(UNKNOWN, R1, R1, R2, amount=30)]})
    to_swap = 30 * 9995 // 10_000
    assert LIQUIDITY - net.liquidity_of(R1).balance == 2 * (to_swap // 3)
    assert LIQUIDITY - net.liquidity_of(R2).balance == to_swap // 3 + to_swap % 3
    net.block({B: [reconciled(UNKNOWN, R1, R2, R3, amount=31)]})
    assert net.liquidity_of(R3).balance == LIQUIDITY + 11


def test_executed_clears_faults():
    """FLT-2."""
    net = Network(PARAMS)
    net.change(keys.router(B, R1), type(net.router(R1)), faults=3, cool_down_until=999)
    net.block({B: [executed(UNKNOWN, R1)]})
    assert (net.router(R1).faults, net.router(R1).cool_down_until) == (0, 999)
    net.change(keys.router(B, R1), type(net.router(R1)), faults=3)
    net.block({B: [executed(UNKNOWN, R2)]})
    assert net.router(R1).faults == 3


# --- stubs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("events, status", [
    (lambda i: [executed(i, R1)], "EXECUTED"),
    (lambda i: [reconciled(i)], "RECONCILED"),
    (lambda i: [executed(i, R1), reconciled(i, R1)], "COMPLETED"),
    (lambda i: [reconciled(i), executed(i)], "COMPLETED"),
    (lambda i: [executed(i)], "COMPLETED"),
])
def test_a_later_xcalled_takes_its_stubs_status(events, status):
    """LIM-4: without an auction."""
    net = Network(PARAMS)
    info = net.info()
    transfer_id = compute_transfer_id(info)
    net.block({B: events(transfer_id)})
    assert net.must(keys.stub(transfer_id), Stub).destination == B
    net.block({A: [xcalled(info)]}, [bundle(transfer_id, R1)])
    assert net.status(transfer_id) == status
    assert net.read(keys.stub(transfer_id), Stub) is None
    assert not [key for key in net.state.values if key.startswith(keys.stub_expiries())]
    net.wait(3)
    assert net.status(transfer_id) == status
    assert net.read(keys.auction(transfer_id, 1), Asset) is None
    slow = [attempt.kind for attempt in net.transfer(transfer_id).attempts]
    assert slow == ([DecisionKind.SLOW] if status == "RECONCILED" else [])


@pytest.mark.parametrize("origin, there", [(A, True), (C, False), (B, False)])
def test_stubs_are_kept_for_origins_that_are_our_domains(origin, there):
    """LIM-4: neither for a foreign origin nor for the event's own domain."""
    net = Network(PARAMS)
    net.block({B: [executed(UNKNOWN, R1, origin=origin)]})
    assert (net.read(keys.stub(UNKNOWN), Stub) is not None) == there
    assert net.alarms() == []
    assert net.liquidity_of(R1).balance == LIQUIDITY - 999


def test_a_stub_expires():
    """LIM-4: ``stub_ttl_s`` after its last event."""
    net = Network(Params(lease_s=30, stub_ttl_s=100))
    net.block({B: [executed(UNKNOWN, R1)]})
    net.block({B: [reconciled(UNKNOWN, R1)]}, seconds=60)
    net.block(seconds=100)
    assert net.read(keys.stub(UNKNOWN), Stub) is not None
    net.block(seconds=1)
    assert net.read(keys.stub(UNKNOWN), Stub) is None
    assert not [key for key in net.state.values if b"stub" in key]


def test_a_stub_of_other_domains_is_forgotten():
    """LIM-4: an event on a domain that is not the transfer's destination gives it no status."""
    net = Network(PARAMS, domains=(A, B, C))
    info = net.info(A, B)
    transfer_id = compute_transfer_id(info)
    net.block({B: [reconciled(transfer_id)], C: [executed(transfer_id, R1, domain=C)]})
    assert net.alarms() == ["event of other domains than its stub's"]
    net = Network(PARAMS, domains=(A, B, C))
    info = net.info(A, B)
    net.block({C: [executed(transfer_id, R1, domain=C)]})
    net.block({A: [xcalled(info)]})
    assert (net.status(transfer_id), net.alarms()) == ("ACCEPTED", ["stub of other domains"])


def test_a_submitted_info_turns_a_reconciled_stub_into_a_transfer():
    """LIM-4, TX-2, ORD-3; its XCalled then fills in what was missing (EVT-1)."""
    net = Network(PARAMS)
    info = net.info()
    transfer_id = compute_transfer_id(info)
    submission = encode_info_submission(info)
    assert net.block(txs=[submission]).results[-1].code is Code.TRANSFER_UNKNOWN
    net.block({B: [executed(transfer_id, R1)]})
    assert net.block(txs=[submission]).results[-1].code is Code.TRANSFER_UNKNOWN
    net = Network(PARAMS)
    net.block({B: [reconciled(transfer_id)]})
    assert net.block(txs=[submission]).results[-1].code is Code.OK
    transfer = net.transfer(transfer_id)
    assert (transfer.status.name, transfer.acceptance, transfer.origin_tx) == ("RECONCILED", 1, EMPTY_HASH)
    net.block({A: [xcalled(info, relayer_fees=(RelayerFee(R1, 5),))]})
    transfer = net.transfer(transfer_id)
    assert (transfer.status.name, len(transfer.attempts)) == ("RECONCILED", 1)
    assert (transfer.origin_tx, transfer.fees) == (xcalled(info).tx_hash, (RelayerFee(R1, 5),))
    assert net.alarms() == []


# --- routers and the domain -----------------------------------------------------------------------------------------

NEW = Address(b"\x0e" * 20)


@pytest.mark.parametrize("event, field, value", [
    (MaxRoutersPerTransferUpdated(2), "max_routers", 2),
    (MaxRoutersPerTransferUpdated(0), "max_routers", 0),
    (MaxRoutersPerTransferUpdated(2**256 - 1), "max_routers", 65_535),
    (LiquidityFeeNumeratorUpdated(10_000), "fee_numerator", 10_000),
    (LiquidityFeeNumeratorUpdated(0), "fee_numerator", 0),
    (LiquidityFeeNumeratorUpdated(10_001), "fee_numerator", 9995),
    (LiquidityFeeNumeratorUpdated(10**30), "fee_numerator", 9995),
    (Paused(), "connext_paused", True),
    (Unpaused(), "connext_paused", False),
    (RouterAllowlistRemoved(True), "allowlist_removed", True),
    (RouterAllowlistRemoved(False), "allowlist_removed", False),
    (OwnershipTransferred(EMPTY_ADDRESS), "allowlist_removed", True),
    (OwnershipTransferred(NEW), "allowlist_removed", False),
    (DiamondCut(Hash(b"\1" * 32)), "eligible", False),
])
def test_events_of_a_domain(event, field, value):
    """EVT-5, LIQ-3: what the event changes on its domain, and nothing elsewhere."""
    net = Network(PARAMS)
    other = net.domain(A)
    net.block({B: [event]})
    assert getattr(net.domain(B), field) == value
    assert replace(net.domain(A), cursor=other.cursor) == other
    alarming = isinstance(event, DiamondCut) or (
        isinstance(event, LiquidityFeeNumeratorUpdated) and event.value > 10_000
    )
    assert bool(net.alarms()) == alarming


def test_an_allowlist_comes_back():
    """EVT-5: off and on again."""
    net = Network(PARAMS)
    net.block({B: [RouterAllowlistRemoved(True)]})
    assert net.domain(B).allowlist_removed
    net.block({B: [RouterAllowlistRemoved(False)]})
    assert not net.domain(B).allowlist_removed


def test_router_added_and_removed():
    """EVT-5: approval on this domain only; FLT-1 only where something is reserved."""
    net = Network(PARAMS)
    net.block({B: [RouterAdded(NEW), RouterRemoved(R1)]})
    assert net.router(NEW).approved and not net.router(R1).approved
    assert net.router(R1, A).approved
    assert net.router(R1).faults == 0


@pytest.mark.parametrize("allowlist_removed, faults", [(False, 1), (True, 0)])
def test_approval_lost_while_reserved_is_a_fault(allowlist_removed, faults):
    """FLT-1: unless nobody needs approval; counted once, not at every RouterRemoved."""
    net = Network(PARAMS)
    transfer_id = net.assign(R1)
    net.block({B: [RouterAllowlistRemoved(allowlist_removed), RouterRemoved(R1), RouterRemoved(R1)]})
    assert net.router(R1).faults == faults
    assert len(net.transfer(transfer_id).attempts[0].charges) == 1 - faults


def test_asset_added_and_removed():
    """EVT-5: listing decides whether a transfer may be fast (LIM-2)."""
    net = Network(PARAMS)
    asset_key = keccak(CANONICAL_ID + A.to_bytes(32, "big"))
    net.block({B: [AssetRemoved(asset_key)]})
    assert net.status(net.accept()) == "SLOW"
    net.block({B: [AssetAdded(A, CANONICAL_ID, NEW, NEW)]})
    transfer = net.transfer(net.accept())
    assert (transfer.status, transfer.local) == (TransferStatus.ACCEPTED, NEW)
    asset = net.must(keys.asset(A, CANONICAL_ID), Asset)
    assert [(each.domain, each.address, each.decimals) for each in asset.locals] == [(A, local_of(A), 6), (B, NEW, 6)]
    net.block({B: [AssetRemoved(Hash(b"\1" * 32))]})
    assert net.alarms() == ["AssetRemoved of an unknown asset"]
    net.block({B: [AssetAdded(B, Hash(b"\2" * 32), NEW, NEW)]})
    assert net.must(keys.asset(B, Hash(b"\2" * 32)), Asset).min_fast == 0


def test_portal_events_make_a_router_ineligible():
    """LIQ-3."""
    net = Network(PARAMS)
    net.block({B: [PortalMinted(UNKNOWN, R1, local_of(B), 5), PortalRepaid(UNKNOWN, local_of(B), R2)]})
    assert [net.router(router).eligible for router in (R1, R2, R3)] == [False, False, True]
    assert net.router(R1, A).eligible
    assert net.alarms() == ["portal mint", "portal repayment"]


def test_a_debit_above_the_balance():
    """LIQ-3: leaves 0, ineligible, alarm; adding liquidity makes nobody eligible again."""
    net = Network(PARAMS)
    net.block({B: [executed(UNKNOWN, R1, amount=LIQUIDITY * 2)]})
    assert (net.liquidity_of(R1).balance, net.router(R1).eligible) == (0, False)
    assert net.alarms() == ["debit above the balance"]
    net.block({B: [RouterLiquidityAdded(R1, local_of(B), 7)]})
    assert (net.liquidity_of(R1).balance, net.router(R1).eligible) == (7, False)


@pytest.mark.parametrize("event, kind", [
    (SequencerChanged(NEW, True), "sequencer"), (RelayerChanged(NEW, False), "relayer"), (RoleChanged(NEW, 3), "role"),
    (PortalApprovalChanged(NEW, True), "portal_approval"),
])
def test_recorded_only(event, kind):
    """EVT-5: an event in the results, no change of the state but the cursor's."""
    net, quiet = Network(PARAMS), Network(PARAMS)
    net.block({B: [event]})
    quiet.block({B: [Unpaused()]})
    assert kind in net.kinds()
    differing = {key for key in net.state.values if net.state.values[key] != quiet.state.values.get(key)}
    assert differing == {keys.domain(B)}


# --- fees and options -----------------------------------------------------------------------------------------------


def test_fees_are_summed_and_bounded():
    """LIM-6: per asset; 16 assets, and beyond that those of the fee table only."""
    row = FeeRow(A, B, Address(b"\xfe" * 20), 1)
    net = Network(Params(lease_s=30, fee_table=(row,)))
    transfer_id = net.accept()
    events = [RelayerFeesIncreased(transfer_id, Address(bytes([i]) * 20), 1) for i in range(1, 19)]
    net.block({A: [*events, events[0], RelayerFeesIncreased(transfer_id, row.asset, 2**256 - 1)]})
    fees = {fee.asset: fee.amount for fee in net.transfer(transfer_id).fees}
    assert len(fees) == 17
    assert (fees[events[0].asset], fees[row.asset]) == (2, 2**256 - 1)


@pytest.mark.parametrize("domain, event", [
    (B, RelayerFeesIncreased), (A, SlippageUpdated), (A, ForceReceiveLocal),
])
def test_fees_and_options_on_the_wrong_side(domain, event):
    """LIM-6, SLW-3: fees count on the origin, options on the destination; elsewhere, and of unknown ids: an alarm."""
    for transfer_id in (None, UNKNOWN):
        net = Network(PARAMS)
        transfer_id = transfer_id or net.assign(R1)
        args = {RelayerFeesIncreased: (R1, 5), SlippageUpdated: (5,), ForceReceiveLocal: ()}[event]
        before = net.read(keys.transfer(transfer_id), Transfer)
        net.block({domain: [event(transfer_id, *args)]})
        assert len(net.alarms()) == 1
        assert net.read(keys.transfer(transfer_id), Transfer) == before


@pytest.mark.parametrize("domain, make", [
    (A, lambda i: RelayerFeesIncreased(i, R1, 5)), (B, lambda i: SlippageUpdated(i, 500)),
    (B, lambda i: ForceReceiveLocal(i)),
])
def test_options_start_slow_attempts_again(domain, make):
    """SLW-3: at once, also where all slow attempts were made; SLW-4: and the transfer is kept."""
    net = Network(Params(lease_s=30, slow_spacing_s=10, slow_attempts=1))
    transfer_id = net.accept(amount=5)
    net.block({B: [reconciled(transfer_id)]})
    net.wait(5, seconds=60)
    assert len(net.transfer(transfer_id).attempts) == 1
    net.block({domain: [make(transfer_id)]})
    transfer = net.transfer(transfer_id)
    assert (len(transfer.attempts), transfer.slow_decisions) == (2, 1)
    assert transfer.drop_after_s == net.time_s + net.params.slow_ttl_s


def test_options_of_other_transfers_start_nothing():
    """SLW-3: only RECONCILED ones; a SLOW one is merely kept."""
    net = Network(PARAMS)
    assigned, slow = net.assign(R1), net.accept(amount=5)
    before = net.transfer(assigned)
    net.block({B: [SlippageUpdated(assigned, 500), SlippageUpdated(slow, 500)]}, seconds=10)
    assert net.transfer(assigned) == before
    transfer = net.transfer(slow)
    assert (transfer.status.name, transfer.attempts) == ("SLOW", ())
    assert transfer.drop_after_s == net.time_s + net.params.slow_ttl_s


# --- what no event can do -------------------------------------------------------------------------------------------


def filled(kind: type, number: int, seed: bytes = b"\xff"):
    """An event of ``kind`` with every integer at ``number``, as far as its bytes allow."""
    values = []
    for each in fields(kind):
        values.append(_value(each.type, each.name, number, seed))
    return kind(*values)


def _value(hint, name, number, seed):
    if hint is bool or hint == "bool":
        return True
    if hint is int:
        return number
    if hint is bytes:
        return b""
    named = {
        "info": lambda: filled(TransferInfo, number, seed), "relayer_fees": lambda: (RelayerFee(R1, number),),
        "routers": lambda: router_list(R1, R2, R1), "call_data_hash": lambda: None, "call_data_length": lambda: 0,
        "nonce": lambda: min(number, 2**64 - 1), "role": lambda: 65_535, "origin": lambda: A,
        "origin_domain": lambda: A, "destination_domain": lambda: B, "canonical_domain": lambda: A,
    }
    if name in named:
        return named[name]()
    length = 20 if "Address" in str(hint) else 32
    return seed * length


@pytest.mark.parametrize("number", [0, 1, 2**64 - 1, 2**128, 2**256 - 1])
def test_absurd_values_stop_nothing(number):
    """ORD-5: any canonical event, in any order, twice: the machine goes on and every record still encodes."""
    net = Network(PARAMS)
    transfer_id = net.assign(R1)
    events = []
    for kind in EVENT_KINDS.values():
        event = filled(kind, number)
        assert not is_dataclass(event) or encode(event) is not None
        events.append(event)
        for name in ("router", "caller"):
            if hasattr(event, name):
                events.append(replace(event, **{name: R1}))
        if hasattr(event, "local"):
            events.append(replace(event, local=local_of(B)))
        if hasattr(event, "transfer_id") and not hasattr(event, "info"):
            events.append(replace(event, transfer_id=transfer_id))
        if hasattr(event, "info"):
            info = replace(event.info, origin_domain=A, nonce=event.nonce)
            events.append(replace(event, info=info, transfer_id=compute_transfer_id(info)))
    for domain in (A, B):
        for _ in range(2):
            net.block({domain: events})
            net.block({domain: events[::-1]}, seconds=100)
    net.wait(3, seconds=1000)
    assert all(kind in HANDLERS for kind in EVENT_KINDS.values())


def test_integers_beyond_256_bits_are_malformed():
    """ORD-5, SEG-2: canonical bytes could hold them, no log can; sums of such would outgrow a record."""
    net = Network(PARAMS)
    with pytest.raises(AssertionError, match="SEGMENT_MALFORMED"):
        net.block({B: [RouterLiquidityAdded(R1, local_of(B), 2**256)]})
    assert net.liquidity_of(R1).balance == LIQUIDITY


@pytest.mark.parametrize("clock_s", [0, 2**64 - 1])
def test_absurd_timestamps_stop_nothing(clock_s):
    """LSE-1: a destination at the beginning or end of time; every record still encodes."""
    net = Network(PARAMS)
    net.assign(R1)
    net.block(clocks={B: clock_s})
    transfer_id = net.accept()
    net.block(txs=[bundle(transfer_id, R2)], clocks={B: clock_s})
    net.wait(2, clocks={A: clock_s})
    net.block()


def test_kinds_of_the_stream_decode_to_what_is_handled():
    """EVT-5: no kind of stream version 1 is without a handler."""
    assert set(HANDLERS) == set(EVENT_KINDS.values())
    assert decode_event(12, b"") == Paused()
