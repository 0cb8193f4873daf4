"""Bindings of the gate without a chain: order of signatures, what does not fit together, outcomes of receipts."""

from dataclasses import replace

import pytest

from abci_app.evm.codec import encode_arguments
from abci_app.evm.connext import ExecuteArgs
from abci_app.evm.errors import EncodeFailed
from abci_app.evm.gate import (
    GATE,
    encode_execute_batch,
    list_members,
    make_batch,
    make_entry,
    order_signatures,
    parse_outcome,
)
from abci_app.evm.types import Log, Receipt
from abci_app.machine.decisions.batches import hash_leaf, order_signers
from abci_app.machine.state.codec import Address, Hash, Signature
from abci_app.machine.state.records import (
    BatchSignature,
    Decision,
    DecisionBatch,
    DecisionKind,
    Leaf,
    Member,
    TransferInfo,
    ValidatorSet,
)

GATE_ADDRESS, STRANGER = b"\x11" * 20, b"\x22" * 20
INFO = TransferInfo(1111, 2222, 1111, STRANGER, STRANGER, False, b"", 30, STRANGER, 5, 5, 1, bytes(32))
ROUTER = Address(b"\x33" * 20)
DECISION = Decision(7, 9, 1111, 2222, 1, bytes(32), 1, DecisionKind.FAST, (ROUTER,), 100, 350_000)
ARGS = ExecuteArgs(INFO, (ROUTER,), (bytes(65),), STRANGER, bytes(65))
VALIDATORS = ValidatorSet(
    3, tuple(Member(Hash(bytes(32)), power, Address(bytes([first]) * 20)) for first, power in ((9, 4), (2, 3), (5, 1)))
)
"""In the machine's order, by power; a gate has them as 2, 5, 9."""


def batch_of(epoch: int = 3) -> DecisionBatch:
    leaf = Leaf(2222, 31338, GATE_ADDRESS, 0, 0, (7,))
    return DecisionBatch(9, epoch, hash_leaf(leaf, 9, [DECISION]), (leaf,), 11, ())


def signature(byte: int) -> Signature:
    return Signature(bytes([byte]) * 65)


@pytest.mark.parametrize(
    ("members", "signers", "order"),
    [((), 0, ()), ((0,), 0b100, (0,)), ((0, 1), 0b101, (1, 0)), ((0, 1, 2), 0b111, (1, 2, 0)), ((2,), 0b010, (2,))],
)
def test_signatures_stand_by_address(members: tuple[int, ...], signers: int, order: tuple[int, ...]) -> None:
    given = [BatchSignature(member, signature(member)) for member in members]
    expected = b"".join(bytes([member]) * 65 for member in order)
    assert order_signatures(VALIDATORS, given) == (signers, expected)


def test_members_stand_as_the_machine_says() -> None:
    addresses = [member.attestation for member in VALIDATORS.members]
    assert [one.address for one in list_members(VALIDATORS)] == [addresses[i] for i in order_signers(addresses)]
    assert [one.power for one in list_members(VALIDATORS)] == [3, 1, 4]


def test_an_entry_has_the_routers_decided() -> None:
    assert make_entry(DECISION, ARGS).args is ARGS
    for routers in ((), (ROUTER, ROUTER), (Address(STRANGER),)):
        with pytest.raises(EncodeFailed):
            make_entry(DECISION, replace(ARGS, routers=routers))


def test_a_batch_has_all_entries_of_its_leaf_and_its_epochs_set() -> None:
    entry = make_entry(DECISION, ARGS)
    made = make_batch(batch_of(), 0, ((), 0), VALIDATORS, [entry])
    assert (made.epoch, made.height, made.entries) == (3, 9, (entry,))
    calldata = encode_execute_batch(made, skip_executed=True)
    assert GATE.function("executeBatch").decode_input(calldata)["skipExecuted"] is True
    for entries in ([], [entry, entry], [replace(entry, sequence=8)]):
        with pytest.raises(EncodeFailed):
            make_batch(batch_of(), 0, ((), 0), VALIDATORS, entries)
    with pytest.raises(EncodeFailed):
        make_batch(batch_of(epoch=4), 0, ((), 0), VALIDATORS, [entry])


def log_of(name: str, topics: list[bytes], types: list[str], values: list[object], address: bytes) -> Log:
    padded = tuple(topic.rjust(32, b"\0") for topic in topics)
    data = encode_arguments(types, values)
    return Log(address, (GATE.event(name).topic0, *padded), data, 1, bytes(32), bytes(32), 0, 0, False)


def receipt_of(*logs: Log) -> Receipt:
    return Receipt(bytes(32), 0, 1, bytes(32), 1, 1, 1, STRANGER, GATE_ADDRESS, None, logs)


def test_an_outcome_is_read_from_the_gates_own_events_only() -> None:
    done = log_of("BatchExecuted", [b"\x09", STRANGER], ["uint256", "uint256"], [1, 4], GATE_ADDRESS)
    failed = log_of("TransferFailed", [b"\x01", b"\x07"], ["bytes"], [bytes.fromhex("7c32a2b3")], GATE_ADDRESS)
    expired = log_of("DecisionExpired", [b"\x02", b"\x08"], ["uint64"], [5], GATE_ADDRESS)
    skipped = log_of("DecisionSkipped", [b"\x03", b"\x0a"], [], [], GATE_ADDRESS)
    forged = log_of("BatchExecuted", [b"\x09", STRANGER], ["uint256", "uint256"], [9, 9], STRANGER)
    outcome = parse_outcome(receipt_of(forged, failed, expired, skipped, done), GATE_ADDRESS)
    assert outcome is not None
    assert (outcome.submitter, outcome.executed, outcome.entries) == (STRANGER, 1, 4)
    assert (outcome.expired, outcome.skipped) == ((8,), (10,))
    assert [(one.sequence, one.name) for one in outcome.failed] == [(7, "BridgeFacet__execute_unapprovedSender")]
    assert parse_outcome(receipt_of(forged, failed), GATE_ADDRESS) is None


def test_two_batches_in_one_transaction_are_added_up() -> None:
    done = log_of("BatchExecuted", [b"\x09", STRANGER], ["uint256", "uint256"], [1, 2], GATE_ADDRESS)
    outcome = parse_outcome(receipt_of(done, done), GATE_ADDRESS)
    assert outcome is not None
    assert (outcome.executed, outcome.entries) == (2, 4)
