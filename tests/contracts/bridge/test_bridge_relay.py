"""The relayer against the real gate and the real Connext: what it brings there, and what it leaves alone."""

import shutil
import time
from dataclasses import replace
from datetime import datetime

from abci_app.bridge.config import Stagger
from abci_app.bridge.runner import Options, Relay
from abci_app.evm.account import Account
from abci_app.evm.connext import DestinationStatus, encode_add_router_liquidity_for, encode_admin
from abci_app.machine.connext import keccak
from abci_app.machine.state.codec import Address
from testnet.chains.anvil import set_balance
from testnet.connext.deployment import dev_account
from tests.kit.bridge.fake_node import transfer_id_of
from tests.kit.contracts.bridge_kit import Crossing, Lines, relaying, submit_as_stranger, wait_for
from tests.kit.contracts.gate_kit import ERC20


def test_every_attested_decision_is_executed_once_with_one_transaction_a_batch(world: Crossing, lines: Lines) -> None:
    world.decide(world.offer(world.scene.execution()), world.offer(world.scene.execution(2)))
    with relaying(world.home()):
        wait_for(lambda: all(world.executions(offer) for offer in world.offers), "the first batch")
        for _ in range(3):
            world.decide(world.offer(world.scene.execution()))
        wait_for(lambda: all(world.executions(offer) for offer in world.offers), "three more")
        wait_for(lambda: len(lines.named("confirmed")) == 4, "four lines")
    assert [world.executions(offer) for offer in world.offers] == [1] * 5
    assert world.nonces() == (4, 4)
    confirmed = lines.named("confirmed")
    assert [(one["batch_height"], one["executed"], one["entries"], one["failed"]) for one in confirmed] == [
        (height, executed, executed, []) for height, executed in zip(world.heights, (2, 1, 1, 1), strict=True)
    ]


def test_a_new_batch_is_sent_within_moments(world: Crossing, lines: Lines) -> None:
    with relaying(world.home()):
        world.decide(world.offer(world.scene.execution()))
        wait_for(lambda: lines.named("confirmed"), "the first, which warms up")
        delays_s = []
        for count in range(2, 7):
            offer = world.offer(world.scene.execution())
            started_s = time.time()
            world.decide(offer)
            wait_for(lambda count=count: len(lines.named("sent")) == count, "sent")  # type: ignore[misc]
            delays_s.append(datetime.fromisoformat(lines.named("sent")[-1]["time"]).timestamp() - started_s)
    print("attested to sent, seconds:", [round(delay_s, 3) for delay_s in delays_s])
    assert sorted(delays_s)[2] < 2.0  # far above what is seen: a busy machine must not fail this


# -- nothing to do ----------------------------------------------------------------------------------------------------


def test_what_somebody_else_has_executed_is_left_alone(world: Crossing, lines: Lines) -> None:
    height = world.decide(world.offer(world.scene.execution()))
    submit_as_stranger(world, height)
    wait_for(lambda: world.executions(world.offers[0]), "the stranger's transaction")
    Relay(world.home(), Options(is_once=True)).run()
    assert world.nonces() == (0, 0)
    assert not lines.named("sent")


def test_what_is_expired_is_left_alone(world: Crossing) -> None:
    late = world.offer(world.scene.execution(), lease_s=1)
    world.decide(late)
    while world.scene.now_s() <= late.valid_until_s:
        time.sleep(0.3)
        world.scene.rpc.request("evm_mine", [])
    Relay(world.home(), Options(is_once=True)).run()
    assert world.nonces() == (0, 0)
    assert world.status(late) is DestinationStatus.NONE


def test_a_leaf_that_is_partly_executed_is_finished(world: Crossing, lines: Lines) -> None:
    first, second = world.offer(world.scene.execution()), world.offer(world.scene.execution())
    height = world.decide(first)
    submit_as_stranger(world, height)
    wait_for(lambda: world.executions(first), "the stranger's transaction")
    world.decide(first, second)
    with relaying(world.home()):
        wait_for(lambda: lines.named("confirmed"), "the second leaf")
    assert (world.executions(first), world.executions(second)) == (1, 1)
    [confirmed] = lines.named("confirmed")
    assert (confirmed["executed"], len(confirmed["skipped"]), confirmed["failed"]) == (1, 1, [])


def test_a_batch_without_a_quorum_waits_for_it(world: Crossing, lines: Lines) -> None:
    height = world.decide(world.offer(world.scene.execution()), attested=False)
    with relaying(world.home()):
        wait_for(lambda: world.node.calls.count("Batches") > 5, "several looks")
        assert not lines.named("sent")
        world.node.attest(height, signers=(3, 2))  # 4 + 3 of 10
        wait_for(lambda: world.executions(world.offers[0]), "its execution")


def test_a_node_that_calls_too_little_a_quorum_is_not_believed(world: Crossing, lines: Lines) -> None:
    world.decide(world.offer(world.scene.execution()), signers=(3,))
    with relaying(world.home()):
        wait_for(lambda: "payload-refused" in lines.causes(), "its refusal")
    assert world.nonces() == (0, 0)
    assert "signed by 4 of 10" in lines.named("waiting")[0]["reason"]


# -- transfers that fail ----------------------------------------------------------------------------------------------


def test_a_transfer_that_would_fail_is_not_paid_for_until_it_would_not(world: Crossing, lines: Lines) -> None:
    token = world.scene.deployment.domain(2222).tokens["USDC"]
    too_much = world.offer(world.scene.execution(amount=20_100 * token.unit))
    world.decide(too_much)
    with relaying(world.home()):
        wait_for(lambda: any("Panic" in line["reason"] for line in lines.named("waiting")), "a reason")
        assert world.nonces() == (0, 0)
        add_liquidity(world, 100 * token.unit)
        wait_for(lambda: world.executions(too_much), "its execution once there is liquidity")
    assert world.nonces() == (1, 1)


def test_one_failing_transfer_does_not_hold_up_the_others(world: Crossing, lines: Lines) -> None:
    token = world.scene.deployment.domain(2222).tokens["USDC"]
    good, bad = world.scene.execution(), world.scene.execution(amount=20_100 * token.unit)
    world.decide(world.offer(good), world.offer(bad))
    with relaying(world.home()):
        wait_for(lambda: any("Panic" in line["reason"] for line in lines.named("waiting")), "the second's reason")
        assert world.executions(world.offers[0]) == 1
        assert world.nonces() == (1, 1)
        add_liquidity(world, 100 * token.unit)
        wait_for(lambda: world.executions(world.offers[1]), "its execution once there is liquidity")
    assert world.nonces() == (2, 2)
    [failed] = lines.named("confirmed")[0]["failed"]
    assert (failed["transfer_id"], failed["reason"]) == (f"0x{transfer_id_of(world.offers[1]).hex()}", "Panic")


def test_a_paused_connext_is_waited_for(world: Crossing, lines: Lines) -> None:
    owner, connext = world.scene.wallet("owner"), world.scene.connext.address
    owner.transact(connext, encode_admin("pause"))
    world.decide(world.offer(world.scene.execution()))
    with relaying(world.home()):
        wait_for(lambda: any("Systemic" in line["reason"] for line in lines.named("waiting")), "a reason")
        assert world.nonces() == (0, 0)
        owner.transact(connext, encode_admin("unpause"))
        wait_for(lambda: world.executions(world.offers[0]), "its execution")


def add_liquidity(world: Crossing, amount: int) -> None:
    """More for router 0, out of a user's pocket."""
    token = world.scene.deployment.domain(2222).tokens["USDC"].address
    user, connext = world.scene.wallet("user-2"), world.scene.connext.address
    user.transact(token, ERC20.encode("approve", connext, amount))
    user.transact(connext, encode_add_router_liquidity_for(amount, token, dev_account("router-0").address))


# -- modes ------------------------------------------------------------------------------------------------------------


def test_once_ends_when_everything_is_settled(world: Crossing) -> None:
    for _ in range(3):
        world.decide(world.offer(world.scene.execution()))
    Relay(world.home(), Options(is_once=True)).run()
    assert [world.executions(offer) for offer in world.offers] == [1, 1, 1]
    assert world.nonces() == (3, 3)


def test_a_dry_run_sends_and_writes_nothing(world: Crossing, lines: Lines) -> None:
    world.decide(world.offer(world.scene.execution()))
    home = world.home()
    before = sorted(path.name for path in home.path.rglob("*"))
    Relay(home, Options(is_once=True, is_dry=True)).run()
    assert len(lines.named("would-send")) == 1
    assert sorted(path.name for path in home.path.rglob("*")) == before
    assert world.nonces() == (0, 0)
    Relay(home, Options(is_once=True)).run()
    assert world.executions(world.offers[0]) == 1
    Relay(home, Options(is_once=True, is_dry=True)).run()
    assert len(lines.named("would-send")) == 1


def test_a_journal_that_is_gone_costs_no_second_payment(world: Crossing) -> None:
    world.decide(world.offer(world.scene.execution()))
    Relay(world.home(), Options(is_once=True)).run()
    shutil.rmtree(world.home().path / "journal")
    Relay(world.home(), Options(is_once=True)).run()
    assert world.executions(world.offers[0]) == 1
    assert world.nonces() == (1, 1)


def test_two_relayers_that_take_turns_pay_once(world: Crossing, lines: Lines) -> None:
    other = Account(keccak(b"another relayer"))
    set_balance(world.scene.rpc, other.address, 10**20)
    stagger = Stagger(1_500, (Address(world.account.address), Address(other.address)))
    ours = world.home("ours", stagger=stagger)
    theirs = replace(world, account=other).home("theirs", stagger=stagger)
    with relaying(ours), relaying(theirs):
        wait_for(lambda: len(lines.named("relaying")) == 2, "both at work")
        for _ in range(4):
            world.decide(world.offer(world.scene.execution()))
            wait_for(lambda: world.executions(world.offers[-1]), "its execution")
        time.sleep(2.0)
    assert [world.executions(offer) for offer in world.offers] == [1] * 4
    assert world.nonces()[0] + world.scene.rpc.transaction_count(other.address) == 4
