"""The attestation key: what it signs, and that a sequencer signature comes only for what may be executed now."""

from dataclasses import replace

import pytest

from abci_app.gateway.codes import AnswerCode
from abci_app.machine.connext import compute_sequencer_digest, recover_address
from abci_app.machine.decisions.batches import build_batch, compute_digest
from abci_app.machine.genesis.build import compute_possession_digest
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, Hash, decode
from abci_app.machine.state.records import Decision, DecisionKind, Domain
from abci_app.machine.state.view import MemoryState
from abci_app.node.errors import SignatureRefused
from abci_app.node.signer import Signer
from tests.kit.machine.small_world import (
    ATTESTATION_KEYS,
    CHAIN_ID,
    DESTINATION,
    ORIGIN,
    ROUTERS,
    change_domain,
    first_state,
    key_address,
    put_record,
    valid_transfer,
)

DECISION = Decision(
    sequence=1, height=7, origin=ORIGIN, destination=DESTINATION, lane_sequence=1,
    transfer_id=valid_transfer().transfer_id, attempt=1, kind=DecisionKind.FAST, routers=ROUTERS[:2],
    valid_until_s=1_700_000_500, gas_limit=395_000,
)


@pytest.fixture
def state() -> MemoryState:
    """A state in which DECISION is attested and may be executed."""
    made = first_state()
    put_decision(made, DECISION)
    return made


def put_decision(state: MemoryState, decision: Decision, attested_height: int = 9) -> None:
    domain = decode(Domain, state.values[keys.domain(DESTINATION)])
    batch = build_batch(decision.height, 1, [decision], {DESTINATION: domain})
    put_record(state, keys.decision(decision.sequence), decision)
    put_record(state, keys.batch(decision.height), replace(batch, attested_height=attested_height))


def test_the_address_is_the_key_s() -> None:
    assert Signer(ATTESTATION_KEYS[0]).address == key_address(ATTESTATION_KEYS[0])


@pytest.mark.parametrize("key", [b"", b"\x00" * 32, b"\xff" * 32, b"\x01" * 31, b"\x01" * 33])
def test_what_is_no_key_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError):
        Signer(key)


def test_the_key_is_in_no_repr() -> None:
    assert ATTESTATION_KEYS[0].hex() not in repr(Signer(ATTESTATION_KEYS[0]))


def test_batch_and_possession_signatures_recover() -> None:
    signer = Signer(ATTESTATION_KEYS[0])
    domain = decode(Domain, first_state().values[keys.domain(DESTINATION)])
    digest = compute_digest(CHAIN_ID, build_batch(7, 1, [DECISION], {DESTINATION: domain}))
    assert recover_address(digest, signer.sign_batch(digest)) == signer.address
    key = Hash(b"\x05" * 32)
    assert recover_address(compute_possession_digest(CHAIN_ID, key), signer.prove_possession(CHAIN_ID, key)) == (
        signer.address
    )


def test_an_attested_decision_gets_its_sequencer_signature(state: MemoryState) -> None:
    signer = Signer(ATTESTATION_KEYS[2])
    signature = signer.sequencer_signature(state, DECISION)
    digest = compute_sequencer_digest(DECISION.transfer_id, DECISION.routers)
    assert recover_address(digest, signature) == signer.address


def test_a_decision_is_good_until_its_last_second(state: MemoryState) -> None:
    set_clock(state, DECISION.valid_until_s)
    assert Signer(ATTESTATION_KEYS[0]).sequencer_signature(state, DECISION)


def set_clock(state: MemoryState, timestamp_s: int) -> None:
    cursor = decode(Domain, state.values[keys.domain(DESTINATION)]).cursor
    change_domain(state, DESTINATION, cursor=replace(cursor, timestamp_s=timestamp_s))


@pytest.mark.parametrize(("corrupt", "asked", "code"), [
    (lambda state: put_decision(state, DECISION, attested_height=0), DECISION, AnswerCode.NOT_ATTESTED),
    (lambda state: set_clock(state, DECISION.valid_until_s + 1), DECISION, AnswerCode.EXPIRED),
    (lambda state: None, replace(DECISION, sequence=2), AnswerCode.NOT_FOUND),
    (lambda state: None, replace(DECISION, routers=ROUTERS[:1]), AnswerCode.NOT_FOUND),
    (lambda state: None, replace(DECISION, routers=(*ROUTERS[:1], Address(b"\x66" * 20))), AnswerCode.NOT_FOUND),
    (lambda state: None, replace(DECISION, valid_until_s=2**40), AnswerCode.NOT_FOUND),
    (lambda state: put_decision(state, replace(DECISION, kind=DecisionKind.SLOW, routers=())),
     replace(DECISION, kind=DecisionKind.SLOW, routers=()), AnswerCode.ARGUMENT_INVALID),
])
def test_nothing_else_gets_one(state: MemoryState, corrupt, asked: Decision, code: AnswerCode) -> None:
    corrupt(state)
    with pytest.raises(SignatureRefused) as refusal:
        Signer(ATTESTATION_KEYS[0]).sequencer_signature(state, asked)
    assert refusal.value.code is code


def test_a_key_of_no_validator_signs_for_nobody(state: MemoryState) -> None:
    with pytest.raises(SignatureRefused) as refusal:
        Signer(b"\x55" * 32).sequencer_signature(state, DECISION)
    assert refusal.value.code is AnswerCode.NO_KEY
