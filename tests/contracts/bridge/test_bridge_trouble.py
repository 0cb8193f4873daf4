"""The relayer while something is wrong: no money, an endpoint or a node that is away or lies, a stuck transaction."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from abci_app.bridge.chain import EvmChain
from abci_app.evm.account import Transaction
from abci_app.evm.types import Fees
from testnet.chains.anvil import set_balance
from tests.kit.bridge.fake_node import FakeNode
from tests.kit.contracts.bridge_kit import MONEY_WEI, Crossing, Lines, relaying, submit_as_stranger, wait_for
from tests.kit.evm.rpc_proxy import RpcProxy

GWEI = 10**9


@pytest.fixture
def by_hand(world: Crossing) -> Iterator[Callable[[int], None]]:
    """No block comes by itself; the function mines one at this base fee."""
    rpc = world.scene.rpc

    def mine(base_fee_wei: int) -> None:
        rpc.request("anvil_setNextBlockBaseFeePerGas", [hex(base_fee_wei)])
        rpc.request("evm_mine", [])

    rpc.request("evm_setAutomine", [False])
    yield mine
    mine(GWEI)  # what the next block asks survives the test's undoing
    rpc.request("evm_setAutomine", [True])


# -- money ------------------------------------------------------------------------------------------------------------


def test_without_gas_money_it_says_so_once_and_sends_nothing(world: Crossing, lines: Lines) -> None:
    set_balance(world.scene.rpc, world.account.address, 10**12)
    world.decide(world.offer(world.scene.execution()), world.offer(world.scene.execution()))
    world.decide(world.offer(world.scene.execution()))
    with relaying(world.home()):
        wait_for(lambda: "gas-money" in lines.causes(), "its line")
        time.sleep(0.9)
        assert lines.causes() == ["gas-money"]
        assert f"0x{world.account.address.hex()} lacks " in lines.named("waiting")[0]["reason"]
        assert (world.nonces(), lines.named("sent")) == ((0, 0), [])
        set_balance(world.scene.rpc, world.account.address, MONEY_WEI)
        wait_for(lambda: all(world.executions(offer) for offer in world.offers), "execution once there is money")
    assert world.nonces() == (2, 2)


def test_gas_above_the_cap_is_not_bought(world: Crossing, lines: Lines, by_hand: Callable[[int], None]) -> None:
    by_hand(50 * GWEI)
    world.decide(world.offer(world.scene.execution()))
    with relaying(world.home(max_fee_gwei=20)):
        wait_for(lambda: "gas-price" in lines.causes(), "its line")
        assert world.nonces() == (0, 0)
        by_hand(5 * GWEI)
        wait_for(lambda: world.nonces() == (0, 1), "its transaction once gas is cheap")
        by_hand(5 * GWEI)
        wait_for(lambda: world.executions(world.offers[0]), "its execution")


# -- the endpoint -----------------------------------------------------------------------------------------------------


def test_an_endpoint_that_goes_away_is_waited_for(world: Crossing, lines: Lines) -> None:
    with RpcProxy(world.scene.rpc.url) as proxy, relaying(world.home(rpc_url=proxy.url)):
        world.decide(world.offer(world.scene.execution()))
        wait_for(lambda: lines.named("confirmed"), "the first batch")
        proxy.faults.is_absent = True
        world.decide(world.offer(world.scene.execution()))
        wait_for(lambda: "chain-unavailable" in lines.causes(), "its line")
        proxy.faults.behave()
        wait_for(lambda: all(world.executions(offer) for offer in world.offers), "the second batch")
        wait_for(lambda: lines.named("recovered"), "the end of it")
    assert world.nonces() == (2, 2)
    assert lines.causes().count("chain-unavailable") <= 3


def test_an_endpoint_that_is_away_at_the_start_is_waited_for(world: Crossing, lines: Lines) -> None:
    world.decide(world.offer(world.scene.execution()))
    with RpcProxy(world.scene.rpc.url) as proxy:
        proxy.faults.is_absent = True
        with relaying(world.home(rpc_url=proxy.url)):
            wait_for(lambda: "chain-unavailable" in lines.causes(), "its line")
            proxy.faults.behave()
            wait_for(lambda: world.executions(world.offers[0]), "its execution")


def test_one_that_hangs_does_not_hold_up_the_end(world: Crossing) -> None:
    world.decide(world.offer(world.scene.execution()))
    with RpcProxy(world.scene.rpc.url) as proxy:
        proxy.faults.hang()
        with relaying(world.home(rpc_url=proxy.url)) as relay:
            wait_for(lambda: proxy.faults.calls, "a call that hangs")
            started_s = time.monotonic()
            relay.stop()
        assert time.monotonic() - started_s < 8.0


@pytest.mark.parametrize(
    "method", ["eth_sendRawTransaction", "eth_getTransactionReceipt", "eth_call", "eth_getBalance"]
)
def test_answers_that_make_no_sense_are_no_answers(world: Crossing, lines: Lines, method: str) -> None:
    with RpcProxy(world.scene.rpc.url) as proxy, relaying(world.home(rpc_url=proxy.url)):
        wait_for(lambda: lines.named("relaying"), "its start")
        proxy.faults.junk_methods = (method,)
        world.decide(world.offer(world.scene.execution()))
        wait_for(lambda: "chain-unavailable" in lines.causes(), "its line")
        proxy.faults.behave()
        wait_for(lambda: lines.named("confirmed"), "its execution")
    assert (world.executions(world.offers[0]), world.nonces()) == (1, (1, 1))


# -- nodes ------------------------------------------------------------------------------------------------------------


def lie(answer: Any) -> Any:
    """Every signature of a router is another one's."""
    for entry in getattr(answer, "entries", ()):
        entry.router_signatures[0] = entry.sequencer_signature
    return answer


@pytest.mark.parametrize("fault", ["away", "hangs", "lies", "other network", "no key"])
def test_another_node_is_asked(world: Crossing, lines: Lines, fault: str) -> None:
    world.decide(world.offer(world.scene.execution()))
    with FakeNode(world.node.quorum) as bad:
        bad.stored, bad.height = world.node.stored, world.node.height
        if fault == "away":
            bad.stop()
        elif fault == "hangs":
            bad.hang_s = 4.0
        elif fault == "lies":
            bad.corrupt = lie
        elif fault == "no key":
            bad.refuse["Execution"] = ("NO_KEY", "this node is no validator")
        else:
            bad.quorum = type(bad.quorum)("another-network", 1, bad.quorum.validators)
        with relaying(world.home(nodes=(bad.address, world.node.address))):
            wait_for(lambda: world.executions(world.offers[0]), "its execution by way of the second node")
    assert world.nonces() == (1, 1)
    given = {"lies": "node-untrustworthy", "no key": "node-untrustworthy", "other network": "node-of-another-network"}
    assert lines.causes()[0] == given.get(fault, "node-unavailable")


def test_a_node_that_comes_back_is_used_again(world: Crossing, lines: Lines) -> None:
    with relaying(world.home()):
        wait_for(lambda: "Batches" in world.node.calls, "a question")
        world.node.stop()
        wait_for(lambda: "node-unavailable" in lines.causes(), "its line")
        world.node.start()
        world.decide(world.offer(world.scene.execution()))
        wait_for(lambda: world.executions(world.offers[0]), "its execution")


def test_what_one_node_invents_is_forgotten_with_it(world: Crossing, lines: Lines) -> None:
    """A node that pretends to be far ahead moves the cursor; the next one is asked from where it stands."""
    world.decide(world.offer(world.scene.execution()))
    with FakeNode(world.node.quorum) as bad:
        bad.height = 2**40
        with relaying(world.home(nodes=(bad.address, world.node.address))):
            wait_for(lambda: bad.calls.count("Batches") > 2, "questions")
            bad.stop()
            wait_for(lambda: world.executions(world.offers[0]), "its execution by way of the honest one")


# -- stuck transactions -----------------------------------------------------------------------------------------------


def test_a_transaction_that_blocks_pass_over_is_replaced(
    world: Crossing, lines: Lines, by_hand: Callable[[int], None]
) -> None:
    world.decide(world.offer(world.scene.execution()))
    with relaying(world.home()):
        wait_for(lambda: lines.named("sent"), "its transaction")
        offered_wei = lines.named("sent")[0]["max_fee_wei"]
        for _ in range(3):
            by_hand(2 * offered_wei)
            time.sleep(0.3)
        wait_for(lambda: lines.named("replacing"), "its replacement")
        wait_for(lambda: lines.named("replacing")[-1]["max_fee_wei"] >= 4 * offered_wei, "what the market asks")
        by_hand(2 * offered_wei)
        wait_for(lambda: lines.named("confirmed"), "its confirmation")
    assert world.executions(world.offers[0]) == 1
    assert world.nonces() == (1, 1)
    assert lines.named("replacing")[0]["max_fee_wei"] * 8 >= offered_wei * 9


def test_a_base_fee_that_rises_before_it_is_sent_holds_nothing_up(
    world: Crossing, lines: Lines, by_hand: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """anvil, like sequencers of rollups, takes nothing below the base fee: the same bytes would be refused for ever."""
    send, risen = EvmChain.send, threading.Event()

    def send_later(chain: EvmChain, raw: bytes) -> bytes:
        if not risen.is_set():
            risen.set()
            by_hand(60 * GWEI)
        return send(chain, raw)

    monkeypatch.setattr(EvmChain, "send", send_later)
    world.decide(world.offer(world.scene.execution()))
    with relaying(world.home()):
        wait_for(lambda: "transaction-refused" in lines.causes(), "the refusal")
        for _ in range(3):
            by_hand(60 * GWEI)
        wait_for(lambda: lines.named("replacing"), "its replacement")
        by_hand(60 * GWEI)
        wait_for(lambda: world.executions(world.offers[0]), "its execution")
    assert world.nonces() == (1, 1)


def test_what_is_stuck_and_useless_is_cancelled(
    world: Crossing, lines: Lines, by_hand: Callable[[int], None]
) -> None:
    height = world.decide(world.offer(world.scene.execution()))
    with relaying(world.home()):
        wait_for(lambda: lines.named("sent"), "its transaction")
        offered_wei = lines.named("sent")[0]["max_fee_wei"]
        by_hand(2 * offered_wei)
        submit_as_stranger(world, height)
        for _ in range(2):
            by_hand(2 * offered_wei)
        wait_for(lambda: lines.named("cancelling"), "its cancellation")
        by_hand(2 * offered_wei)
        wait_for(lambda: lines.named("cancelled"), "the end of its nonce")
        world.decide(world.offer(world.scene.execution()))
        wait_for(lambda: len(lines.named("sent")) == 2, "the next one")
        by_hand(2 * offered_wei)
        wait_for(lambda: world.executions(world.offers[1]), "the next one's execution")
    assert [world.executions(offer) for offer in world.offers] == [1, 1]
    assert world.nonces() == (2, 2)


def test_a_nonce_that_somebody_else_used_is_given_up(
    world: Crossing, lines: Lines, by_hand: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key's owner sends by hand, against all advice: its leaf gets another nonce."""
    monkeypatch.setattr("abci_app.bridge.inclusion.TAKEN_AFTER_S", 0.5)
    world.decide(world.offer(world.scene.execution()))
    with relaying(world.home()):
        wait_for(lambda: lines.named("sent"), "its transaction")
        foreign = send_to_self(world, nonce=0, fee_wei=100 * GWEI)
        by_hand(GWEI)
        assert world.scene.rpc.receipt(foreign) is not None
        wait_for(lambda: lines.named("nonce-taken"), "its line")
        wait_for(lambda: len(lines.named("sent")) == 2, "another transaction")
        by_hand(GWEI)
        wait_for(lambda: world.executions(world.offers[0]), "its execution")
    assert world.nonces() == (2, 2)


def test_a_foreign_transaction_in_the_pool_is_outbid(
    world: Crossing, lines: Lines, by_hand: Callable[[int], None]
) -> None:
    """What waits in the pool is not confirmed: our nonce starts there, and ours replaces it."""
    send_to_self(world, nonce=0, fee_wei=30 * GWEI)
    world.decide(world.offer(world.scene.execution()))
    with relaying(world.home()):
        wait_for(lambda: "transaction-refused" in lines.causes() or lines.named("sent"), "its first try")
        for _ in range(60):
            by_hand(60 * GWEI)
            time.sleep(0.15)
            if world.executions(world.offers[0]):
                break
    assert (world.executions(world.offers[0]), world.nonces()) == (1, (1, 1))


def send_to_self(world: Crossing, nonce: int, fee_wei: int) -> bytes:
    """A transaction of the relayer's key that the relayer knows nothing of."""
    address, fees = world.account.address, Fees(fee_wei, fee_wei)
    signed = world.account.sign_transaction(Transaction(world.place.chain_id, nonce, address, b"", 21_000, fees))
    return world.scene.rpc.send_raw_transaction(signed.raw)
