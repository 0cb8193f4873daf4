"""Receivers that call back: into the gate, or from inside somebody else's `execute`."""

import pytest

from abci_app.evm.codec import encode_arguments, known_errors
from abci_app.evm.connext import CONNEXT, DestinationStatus, ExecuteArgs, encode_execute
from abci_app.evm.errors import TransactionFailed
from abci_app.evm.gate import GateBatch, encode_execute_batch, encode_execute_reconciled
from abci_app.evm.types import Address
from tests.kit.contracts.gate_kit import Scene


def calling_back(scene: Scene, caller: Address, calldata: bytes, **changes: bytes) -> ExecuteArgs:
    """A transfer whose receiver calls the gate."""
    call_data = encode_arguments(["address", "bytes"], [scene.gate, calldata])
    return scene.execution(to=caller, call_data=call_data, **changes)


def inner_result(scene: Scene, caller: Address) -> tuple[bool, bytes]:
    """(success, returned) of the receiver's call."""
    assert scene.read("Caller", caller, "called") is True
    return scene.read("Caller", caller, "success"), scene.read("Caller", caller, "returned")


def selector(name: str) -> bytes:
    return next(found for found, error in known_errors().items() if error.name == name)


def encode_batch(batch: GateBatch) -> bytes:
    return encode_execute_batch(batch, skip_executed=False)


def test_a_receiver_cannot_enter_the_gate_again(scene: Scene) -> None:
    """Neither with another attested batch nor by the door without signatures; the outer batch is not disturbed."""
    inner = scene.execution()
    first, second = scene.create("Caller"), scene.create("Caller")
    outer = scene.decide(
        calling_back(scene, first, encode_batch(scene.decide(inner))),
        calling_back(scene, second, encode_execute_reconciled([scene.transfer()])),
        scene.execution(),
        gas_limits=[2_000_000] * 3,
    )
    assert scene.submit(outer).executed == 3
    for caller in (first, second):
        assert inner_result(scene, caller) == (False, selector("Reentered"))
    assert scene.status(inner) is DestinationStatus.NONE
    assert scene.submit(scene.decide(inner)).executed == 1


def test_two_batches_in_one_transaction_are_refused(scene: Scene) -> None:
    """It takes a contract to make two calls, and a contract is no plain account."""
    pair = scene.create("Twice")
    executions = [scene.execution() for _ in range(2)]
    calldata = scene.interface("Twice").encode(
        "callAll", scene.gate, [encode_batch(scene.decide(execution)) for execution in executions]
    )
    with pytest.raises(TransactionFailed):
        scene.wallet("user-5").transact(pair, calldata)
    assert [scene.status(execution) for execution in executions] == [DestinationStatus.NONE] * 2


def test_from_inside_a_foreign_execute_the_whole_batch_reverts(scene: Scene) -> None:
    """A transfer's delegate may call `execute` itself. Its receiver then finds Connext locked: were that taken for the
    transfers' own failure, a stranger could make every one of them fail. The receiver is refused before."""
    victims = [scene.execution(), scene.execution()]
    batch = scene.decide(*victims)
    caller, delegate = scene.create("Caller"), scene.wallet("user-3")
    foreign = calling_back(scene, caller, encode_batch(batch), delegate=delegate.address)
    receipt = delegate.transact(scene.connext.address, encode_execute(foreign))
    assert inner_result(scene, caller) == (False, selector("CallerNotPlain") + caller.rjust(32, b"\0"))
    assert [log for log in receipt.logs if log.address == scene.gate] == []
    assert [scene.status(victim) for victim in victims] == [DestinationStatus.NONE] * 2
    assert scene.submit(batch).executed == 2


def test_reconciled_ones_are_not_burnt_from_inside_either(scene: Scene) -> None:
    caller, delegate = scene.create("Caller"), scene.wallet("user-3")
    calldata = encode_execute_reconciled([scene.transfer()])
    foreign = calling_back(scene, caller, calldata, delegate=delegate.address)
    delegate.transact(scene.connext.address, encode_execute(foreign), gas=4_000_000)
    assert inner_result(scene, caller) == (False, selector("CallerNotPlain") + caller.rjust(32, b"\0"))


def test_the_delegate_gets_past_the_gate_only_with_the_signatures(scene: Scene) -> None:
    """Known and accounted for: what it then executes shows in Connext's own event, with the routers."""
    delegate = scene.wallet("user-3")
    args = scene.execution(delegate=delegate.address)
    receipt = delegate.transact(scene.connext.address, encode_execute(args))
    [executed] = [log for log in receipt.logs if log.topics[0] == CONNEXT.event("Executed").topic0]
    assert CONNEXT.event("Executed").decode(executed)["caller"] == delegate.address
    assert scene.submit(scene.decide(args), skip_executed=True).skipped == (101,)
