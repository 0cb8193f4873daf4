"""Who may call: plain accounts, in transactions of their own (BAT-7); what a contract in between would take."""

from collections.abc import Callable

import pytest
from eth_account import Account as EthAccount

from abci_app.evm.connext import DestinationStatus, encode_admin, encode_execute
from abci_app.evm.errors import CallReverted, TransactionFailed
from abci_app.evm.gate import encode_execute_batch, encode_execute_reconciled
from abci_app.evm.types import Address
from testnet.connext.deployment import dev_account
from testnet.connext.supply import user_address
from tests.kit.contracts.gate_kit import Scene, refusal_of
from tests.kit.contracts.stable_pool import UNIT, VICTIM_UNITS, open_pool

DOORS = ("executeBatch", "executeReconciled")


def encode_door(scene: Scene, door: str) -> bytes:
    """A call that a plain account may make."""
    if door == "executeReconciled":
        return encode_execute_reconciled([scene.transfer()])
    return encode_execute_batch(scene.decide(scene.execution()), skip_executed=False)


def delegate_account(scene: Scene, role: str, implementation: Address) -> Address:
    """Have an account delegate to a contract (EIP-7702), in a transaction of its own."""
    account, rpc = dev_account(role), scene.rpc
    chain_id, nonce = rpc.chain_id(), rpc.transaction_count(account.address, "latest")
    # The account sends the transaction itself, which raises its nonce before the authorization is looked at.
    granted = EthAccount.sign_authorization(
        {"chainId": chain_id, "address": implementation, "nonce": nonce + 1}, account.private_key
    )
    fees = rpc.fees()
    fields = {
        "type": 4, "chainId": chain_id, "nonce": nonce, "to": account.address, "value": 0, "data": b"",
        "gas": 200_000, "maxFeePerGas": fees.max_fee_wei, "maxPriorityFeePerGas": fees.priority_fee_wei,
        "authorizationList": [granted],
    }
    signed = EthAccount.sign_transaction(fields, account.private_key)
    receipt = rpc.wait_receipt(rpc.send_raw_transaction(bytes(signed.raw_transaction)), 10.0, poll_s=0.01)
    assert receipt.status == 1
    assert rpc.code(account.address) == b"\xef\x01\x00" + implementation
    return account.address


def refused(send: Callable[[], object]) -> tuple[object, ...]:
    """(name, arguments …) of the error with which a sent transaction fails."""
    with pytest.raises(TransactionFailed) as failed:
        send()
    reason = failed.value.reason
    assert isinstance(reason, CallReverted)
    return (reason.name, *reason.arguments)


@pytest.mark.parametrize("door", DOORS)
def test_a_plain_account_is_let_in(scene: Scene, door: str) -> None:
    assert scene.wallet("user-5").transact(scene.gate, encode_door(scene, door)).status == 1


@pytest.mark.parametrize("door", DOORS)
def test_a_contract_is_refused(scene: Scene, door: str) -> None:
    forwarder = scene.create("Forwarder")
    calldata = scene.interface("Forwarder").encode("forward", scene.gate, encode_door(scene, door))
    send = lambda: scene.wallet("user-5").transact(forwarder, calldata)  # noqa: E731
    assert refused(send) == ("CallerNotPlain", forwarder)


@pytest.mark.parametrize("door", DOORS)
def test_a_contract_under_construction_is_refused(scene: Scene, door: str) -> None:
    """It has no code yet; but it is not the origin."""
    with pytest.raises(TransactionFailed):
        scene.create("CallsFromConstructor", scene.gate, encode_door(scene, door))


@pytest.mark.parametrize("door", DOORS)
def test_an_account_that_delegates_is_refused(scene: Scene, door: str) -> None:
    """It is the origin of its own transaction; but it has code. Directly, through itself, and when others call it."""
    forwarder = scene.create("Forwarder")
    calldata = encode_door(scene, door)
    through = scene.interface("Forwarder").encode("forward", scene.gate, calldata)
    delegated = delegate_account(scene, "user-3", forwarder)
    for sender, to, data in (
        ("user-3", scene.gate, calldata), ("user-3", delegated, through), ("user-5", delegated, through)
    ):
        send = lambda s=sender, t=to, d=data: scene.wallet(s).transact(t, d)  # type: ignore[misc]  # noqa: E731
        assert refused(send) == ("CallerNotPlain", delegated)


@pytest.mark.parametrize("door", DOORS)
def test_an_account_that_delegates_no_more_is_let_in_again(scene: Scene, door: str) -> None:
    calldata = encode_door(scene, door)
    delegate_account(scene, "user-3", scene.create("Forwarder"))
    scene.rpc.request("anvil_setCode", ["0x" + user_address(3).hex(), "0x"])
    assert scene.wallet("user-3").transact(scene.gate, calldata).status == 1


def test_the_refusal_is_the_same_in_a_simulation(scene: Scene) -> None:
    """So a relayer whose account has code learns it before it pays."""
    forwarder = scene.create("Forwarder")
    calldata = scene.interface("Forwarder").encode("forward", scene.gate, encode_door(scene, "executeBatch"))
    assert refusal_of(scene.rpc, forwarder, calldata) == ("CallerNotPlain", forwarder)


# -- what it is good for ----------------------------------------------------------------------------------------------


def test_a_sandwich_around_the_gate_gets_nothing(scene: Scene) -> None:
    """The attack reverts as a whole; afterwards the transfer is paid at the pool's own price."""
    pool = open_pool(scene)
    args = pool.execution()
    batch = scene.decide(args)
    calldata = encode_execute_batch(batch, skip_executed=False)
    before = pool.balance(pool.local.address, pool.sandwich)
    assert refused(lambda: pool.attack(scene.gate, calldata)) == ("CallerNotPlain", pool.sandwich)
    assert pool.balance(pool.local.address, pool.sandwich) == before
    assert scene.status(args) is DestinationStatus.NONE
    assert scene.submit(batch).executed == 1
    lost = VICTIM_UNITS * UNIT - pool.balance(pool.adopted, user_address(1))
    assert lost < VICTIM_UNITS * UNIT * 150 // 10_000, "fee and price of the pool, nothing else"


def test_the_same_sandwich_pays_where_contracts_may_execute(scene: Scene) -> None:
    """The attack is a real one: with itself as an approved relayer it takes what the user tolerates."""
    pool = open_pool(scene)
    scene.wallet("owner").transact(scene.connext.address, encode_admin("addRelayer", pool.sandwich))
    args = pool.execution()
    before = pool.balance(pool.local.address, pool.sandwich)
    pool.attack(scene.connext.address, encode_execute(args))
    gained = pool.balance(pool.local.address, pool.sandwich) - before
    lost = VICTIM_UNITS * UNIT - pool.balance(pool.adopted, user_address(1))
    assert scene.status(args) is DestinationStatus.EXECUTED
    assert gained > VICTIM_UNITS * UNIT * 100 // 10_000
    assert lost > VICTIM_UNITS * UNIT * 200 // 10_000
