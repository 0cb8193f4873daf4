"""The core's questions without a transport: plain answers that a message holds field by field."""

import subprocess
import sys
from dataclasses import fields, is_dataclass
from typing import get_args, get_type_hints

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core import answers, batch_answers, questions
from abci_app.gateway.core.reads import QueryError
from abci_app.gateway.messages import fill_message
from abci_app.machine.state.codec import TransferId
from abci_app.node.signer import Signer
from abci_app.pb import query_pb2 as pb
from tests.kit.gateway.gateway_kit import FakeNode
from tests.kit.machine.driver import ROUTERS, Network

ANSWERS = [
    each for module in (answers, batch_answers) for each in vars(module).values()
    if is_dataclass(each) and isinstance(each, type)
]


@pytest.fixture
def node() -> FakeNode:
    """A node with one transfer that two routers share, decided and attested."""
    network = Network()
    made = FakeNode(network, Signer(network.validators[0].attestation_key))
    network.assign(*ROUTERS[:2], lengths=(1, 2))
    made.publish()
    return made


def only_transfer(node: FakeNode) -> tuple[TransferId, answers.TransfersAnswer]:
    """The id of the transfer and the listing it stands in."""
    committed = node.committed()
    assert committed is not None
    listed = questions.get_transfers(committed)
    return TransferId(listed.transfers[0].transfer_id), listed


def test_answers_are_plain_values_with_integers_for_amounts(node: FakeNode) -> None:
    committed = node.committed()
    assert committed is not None
    transfer_id, listed = only_transfer(node)
    asked = questions.get_transfer(committed, transfer_id)
    assert asked.transfer == listed.transfers[0]
    assert isinstance(asked.transfer.amount, int) and asked.transfer.amount > 0
    auction = questions.get_auction(committed, transfer_id)
    assert [winner.router for winner in auction.winners] == list(asked.transfer.attempts[0].routers)
    assert hash(asked) == hash(questions.get_transfer(committed, transfer_id))


def test_a_message_says_what_its_answer_says(node: FakeNode) -> None:
    committed = node.committed()
    assert committed is not None
    transfer_id, listed = only_transfer(node)
    message = fill_message(pb.TransfersResponse(), listed)
    assert len(message.transfers) == 1 and message.height == committed.height
    assert message.transfers[0].amount == str(listed.transfers[0].amount)
    assert tuple(message.transfers[0].attempts[0].routers) == listed.transfers[0].attempts[0].routers
    batch = questions.get_batch(committed, listed.transfers[0].attempts[0].decided_height)
    nested = fill_message(pb.BatchResponse(), batch)
    assert nested.batch.digest == batch.batch.digest
    assert [leaf.hash for leaf in nested.batch.leaves] == [leaf.hash for leaf in batch.batch.leaves]
    assert transfer_id == message.transfers[0].transfer_id


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.__name__)
def test_every_answer_has_the_fields_of_its_message(answer: type) -> None:
    """An answer with one field more would fail when first asked; with one less the message would silently lack it."""
    described = find_message(answer.__name__).fields_by_name
    assert {each.name for each in fields(answer)} == set(described)
    for name, hint in get_type_hints(answer).items():
        assert described[name].is_repeated == bool(get_args(hint))
        child = get_args(hint)[0] if get_args(hint) else hint
        if is_dataclass(child):
            assert described[name].message_type is find_message(child.__name__)
        else:
            assert child in KINDS[described[name].type]


KINDS: dict[int, tuple[type, ...]] = {
    FieldDescriptor.TYPE_STRING: (str, int), FieldDescriptor.TYPE_BYTES: (bytes,), FieldDescriptor.TYPE_BOOL: (bool,),
    FieldDescriptor.TYPE_UINT32: (int,), FieldDescriptor.TYPE_UINT64: (int,),
}


def find_message(name: str) -> Descriptor:
    """The message that carries an answer."""
    named: Descriptor = pb.DESCRIPTOR.message_types_by_name[name.replace("Answer", "Response")]
    return named


@pytest.mark.parametrize("question, code", [
    (lambda committed: questions.get_transfer(committed, b"\1" * 31), AnswerCode.ARGUMENT_INVALID),
    (lambda committed: questions.get_transfer(committed, b"\1" * 32), AnswerCode.NOT_FOUND),
    (lambda committed: questions.get_transfers(committed, status="LOST"), AnswerCode.ARGUMENT_INVALID),
    (lambda committed: questions.get_auction(committed, b"\1" * 32), AnswerCode.NOT_FOUND),
    (lambda committed: questions.get_router(committed, b"\1" * 19), AnswerCode.ARGUMENT_INVALID),
    (lambda committed: questions.get_router(committed, b"\1" * 20), AnswerCode.NOT_FOUND),
    (lambda committed: questions.get_batch(committed, 10**9), AnswerCode.NOT_FOUND),
])
def test_a_refused_question_raises_its_code(node: FakeNode, question: object, code: AnswerCode) -> None:
    assert callable(question)
    with pytest.raises(QueryError) as refused:
        question(node.committed())
    assert refused.value.code is code


def test_the_core_loads_no_grpc_and_no_message_of_the_services() -> None:
    """Another transport that imports the core gets neither, not even through what the core imports."""
    code = (
        "import sys\nfrom abci_app.gateway.core import questions, submission\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'grpc'"
        " or name.startswith(('abci_app.pb.query', 'abci_app.pb.tx_service'))])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"
