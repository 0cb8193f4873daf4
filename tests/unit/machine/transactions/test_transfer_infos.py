"""Submitted TransferInfos: what they complete (TX-2, LIM-1, LIM-4, SLW-1), and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.params import Params
from abci_app.machine.results import TxResult
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Hash, decode
from abci_app.machine.state.records import (
    EMPTY_HASH,
    ChainState,
    HeightEntry,
    Reference,
    Stub,
    Transfer,
    TransferInfo,
    TransferStatus,
)
from abci_app.machine.state.view import MemoryState, StateDelta
from abci_app.machine.transactions.dispatch import process_tx
from abci_app.machine.transactions.tx import encode_info_submission
from tests.kit.machine.small_world import (
    DESTINATION,
    LOCALS,
    ORIGIN,
    first_state,
    put_record,
    put_transfer_record,
    valid_info,
)

INFO = valid_info(call_data=b"\x07" * 9000)
ID = compute_transfer_id(INFO)
HEIGHT, TIME_S = 9, 1_700_000_300
EXPIRES_S = TIME_S + 1000


def run(state: MemoryState, info: TransferInfo = INFO) -> TxResult:
    delta = StateDelta(state)
    result = process_tx(Scope.open(delta, HEIGHT, TIME_S), encode_info_submission(info))
    state.apply(delta.changes())
    return result


def world_with_hash_only(**changes: Any) -> MemoryState:
    """A state with a SLOW transfer whose callData is known by hash only."""
    state = first_state()
    put_transfer_record(state, info=INFO, **{"status": TransferStatus.SLOW, "info_known": False, **changes})
    return state


def world_with_stub(**changes: Any) -> MemoryState:
    """A state with a reconciled stub."""
    state = first_state()
    stub = Stub(ORIGIN, DESTINATION, False, True, (), EMPTY_HASH, Hash(b"\x05" * 32), EXPIRES_S)
    put_record(state, keys.stub(ID), replace(stub, **changes))
    put_record(state, keys.stub_expiry(EXPIRES_S, ID), HeightEntry(3))
    return state


def transfer_of(state: MemoryState) -> Transfer:
    return decode(Transfer, state.values[keys.transfer(ID)])


def test_a_slow_transfer_gets_its_info_and_waits_for_its_message() -> None:
    """TX-2, LIM-1: nothing is decided for it until it is reconciled."""
    state = world_with_hash_only()
    assert run(state).code is Code.OK
    assert decode(TransferInfo, state.values[keys.transfer_info(ID)]) == INFO
    after = transfer_of(state)
    assert (after.status, after.info_known, after.slow_next_s) == (TransferStatus.SLOW, True, 0)


def test_a_reconciled_transfer_gets_its_slow_decision_in_the_next_block() -> None:
    """TX-2, SLW-1: it is due from this block's time on, and this block's slow decisions are already made."""
    state = world_with_hash_only(status=TransferStatus.RECONCILED)
    result = run(state)
    assert [event.kind for event in result.events] == ["info"]
    after = transfer_of(state)
    assert (after.status, after.info_known, after.slow_next_s) == (TransferStatus.RECONCILED, True, TIME_S)
    due = keys.slow_due(ORIGIN, DESTINATION, TIME_S, after.acceptance)
    assert decode(Reference, state.values[due]) == Reference(ID)


def test_a_reconciled_stub_becomes_a_reconciled_transfer() -> None:
    """LIM-4, ORD-3: the stub goes, the transfer takes the next acceptance number, its slow decision is due."""
    state = world_with_stub()
    assert run(state).code is Code.OK
    after = transfer_of(state)
    assert (after.status, after.acceptance, after.info_known) == (TransferStatus.RECONCILED, 1, True)
    assert (after.origin, after.destination, after.amount) == (ORIGIN, DESTINATION, 1000)
    assert (after.local, after.has_call_data) == (LOCALS[DESTINATION], True)
    assert (after.reconciled_tx, after.origin_tx) == (b"\x05" * 32, EMPTY_HASH)
    assert (after.slow_next_s, after.drop_after_s) == (TIME_S, TIME_S + Params().slow_ttl_s)
    assert keys.stub(ID) not in state.values
    assert keys.stub_expiry(EXPIRES_S, ID) not in state.values
    assert keys.slow_due(ORIGIN, DESTINATION, after.slow_next_s, 1) in state.values
    assert keys.drop(after.drop_after_s, 1) in state.values
    assert decode(ChainState, state.values[keys.CHAIN]).next_acceptance == 2
    assert run(state).code is Code.TRANSFER_INFO_KNOWN


@pytest.mark.parametrize("state, code", [
    (first_state(), Code.TRANSFER_UNKNOWN),
    (world_with_hash_only(info_known=True), Code.TRANSFER_INFO_KNOWN),
    (world_with_hash_only(status=TransferStatus.EXECUTED), Code.TRANSFER_FINISHED),
    (world_with_hash_only(status=TransferStatus.COMPLETED), Code.TRANSFER_FINISHED),
    (world_with_hash_only(destination=ORIGIN), Code.TRANSFER_INFO_MISMATCH),
    (world_with_hash_only(origin=DESTINATION), Code.TRANSFER_INFO_MISMATCH),
    (world_with_hash_only(nonce=1), Code.TRANSFER_INFO_MISMATCH),
    (world_with_hash_only(amount=999), Code.TRANSFER_INFO_MISMATCH),
    (world_with_stub(reconciled=False, executed=True), Code.TRANSFER_UNKNOWN),
    (world_with_stub(executed=True), Code.TRANSFER_FINISHED),
    (world_with_stub(origin=DESTINATION), Code.TRANSFER_INFO_MISMATCH),
    (world_with_stub(destination=ORIGIN), Code.TRANSFER_INFO_MISMATCH),
])
def test_tx_2_refuses_what_completes_nothing(state: MemoryState, code: Code) -> None:
    """TX-2, LIM-4: unknown, known, paid out or contradicting; no trace of it."""
    before = dict(state.values)
    assert run(state).code is code
    assert state.values == before


def test_tx_2_refuses_an_info_that_hashes_to_another_id() -> None:
    """TX-2: the id is the hash of the bytes, so another TransferInfo is another transfer."""
    for change in ({"to": b"\x01" * 20}, {"slippage": 301}, {"call_data": INFO.call_data[:-1] + b"\x08"}):
        assert run(world_with_hash_only(), replace(INFO, **change)).code is Code.TRANSFER_UNKNOWN
