"""The slow path: transfers that a real message layer has reconciled, with a decision or without one."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from abci_app.evm.codec import load_interface
from abci_app.evm.connext import DestinationStatus, ExecuteArgs, encode_admin, encode_xcall
from abci_app.evm.connext_events import TOPICS, decode_event
from abci_app.evm.gate import BatchOutcome, encode_execute_reconciled, parse_outcome
from abci_app.evm.types import ZERO_ADDRESS
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.state.records import TransferInfo
from bench.quorum import sign_execution
from testnet.chains.anvil import mine_until
from testnet.connext.connext_contracts import HUB_DOMAIN, SPOKE_DOMAIN
from testnet.connext.deployment import dev_account
from testnet.connext.message_layer import settle
from testnet.connext.supply import user_address
from tests.kit.contracts.gate_kit import Scene, refusal_of, untouched

AMOUNT = 25_000_000
SLOW_GAS = 6_000_000
ERC20 = load_interface("erc20")


@pytest.fixture(scope="module")
def reconciled(opened: Scene) -> dict[str, TransferInfo]:
    """Real xcalls on the hub, brought to the spoke by the real message layer."""
    recorder, refuser = opened.create("Recorder"), opened.create("Refuser")
    calls = {
        "plain": (user_address(1), b""),
        "second": (user_address(2), b""),
        "recorded": (recorder, b"hello"),
        "refused": (refuser, b"hello"),
    }
    sender = opened.wallet("user-0", HUB_DOMAIN)
    hub = opened.deployment.domain(HUB_DOMAIN)
    token = hub.tokens["USDC"].address
    sender.transact(token, ERC20.encode("approve", hub.connext, AMOUNT * len(calls)))
    infos = {}
    for name, (to, call_data) in calls.items():
        calldata = encode_xcall(
            destination_domain=SPOKE_DOMAIN, to=to, asset=token, delegate=ZERO_ADDRESS, amount=AMOUNT,
            slippage_bps=30, call_data=call_data,
        )
        logs = sender.transact(hub.connext, calldata).logs
        [xcalled] = [decode_event(log) for log in logs if log.topics[0] == TOPICS["XCalled"]]
        infos[name] = xcalled.arguments["params"]
    rpcs = {domain: chain.rpc for domain, chain in opened.chains.items()}
    assert settle(opened.deployment, rpcs, mine_until).failures == ()
    return infos


@pytest.fixture
def scene(opened: Scene, reconciled: dict[str, TransferInfo]) -> Iterator[Scene]:
    with untouched(opened):
        yield opened


def slow(info: TransferInfo) -> ExecuteArgs:
    return sign_execution(info, [], None)


def execute_reconciled(scene: Scene, *infos: TransferInfo) -> BatchOutcome:
    receipt = scene.wallet("user-5").transact(scene.gate, encode_execute_reconciled(infos))
    outcome = parse_outcome(receipt, scene.gate)
    assert outcome is not None
    assert outcome.submitter == user_address(5)
    return outcome


def test_they_are_reconciled(scene: Scene, reconciled: dict[str, TransferInfo]) -> None:
    assert {scene.status(slow(info)) for info in reconciled.values()} == {DestinationStatus.RECONCILED}


@pytest.mark.parametrize("skip_executed", [False, True])
def test_a_slow_decision_pays_in_full(
    scene: Scene, reconciled: dict[str, TransferInfo], skip_executed: bool
) -> None:
    before = scene.balance(user_address(1))
    outcome = scene.submit(scene.decide(slow(reconciled["plain"])), skip_executed=skip_executed)
    assert outcome.executed == 1
    assert scene.balance(user_address(1)) - before == AMOUNT
    assert scene.status(slow(reconciled["plain"])) is DestinationStatus.COMPLETED


def test_a_slow_decision_delivers_callData_with_its_gas(scene: Scene, reconciled: dict[str, TransferInfo]) -> None:
    info = reconciled["recorded"]
    assert scene.submit(scene.decide(slow(info), gas_limits=[SLOW_GAS])).executed == 1
    assert scene.read("Recorder", info.to, "calls") == 1
    assert scene.refusal(scene.decide(slow(info), gas_limits=[SLOW_GAS]), gas=SLOW_GAS)[0] == "InsufficientGas"


def test_a_failing_call_is_swallowed_and_the_money_stays_with_the_receiver(
    scene: Scene, reconciled: dict[str, TransferInfo]
) -> None:
    info = reconciled["refused"]
    assert scene.submit(scene.decide(slow(info), gas_limits=[SLOW_GAS])).executed == 1
    assert scene.balance(info.to) == AMOUNT
    assert scene.status(slow(info)) is DestinationStatus.COMPLETED


def test_fast_and_slow_stand_in_one_leaf(scene: Scene, reconciled: dict[str, TransferInfo]) -> None:
    batch = scene.decide(slow(reconciled["plain"]), scene.execution(), slow(reconciled["second"]))
    assert scene.submit(batch).executed == 3
    assert scene.submit(batch, skip_executed=True).skipped == (101, 102, 103)


def test_fast_execution_of_a_reconciled_one_is_refused_or_skipped(
    scene: Scene, reconciled: dict[str, TransferInfo]
) -> None:
    late = sign_execution(reconciled["plain"], [dev_account("router-0")], scene.quorum.validators[0].account)
    [failed] = scene.submit(scene.decide(late)).failed
    assert failed.name == "BridgeFacet__execute_badFastLiquidityStatus"
    assert scene.submit(scene.decide(late), skip_executed=True).skipped == (101,)


# -- without a decision -----------------------------------------------------------------------------------------------


def test_anyone_has_the_gate_execute_reconciled_ones(scene: Scene, reconciled: dict[str, TransferInfo]) -> None:
    before = scene.balance(user_address(1)), scene.balance(user_address(2))
    outcome = execute_reconciled(scene, reconciled["plain"], reconciled["second"])
    assert (outcome.executed, outcome.entries, outcome.failed) == (2, 2, ())
    assert (scene.balance(user_address(1)) - before[0], scene.balance(user_address(2)) - before[1]) == (AMOUNT, AMOUNT)


def test_one_that_is_not_reconciled_does_not_block_the_others(
    scene: Scene, reconciled: dict[str, TransferInfo]
) -> None:
    unknown = scene.transfer()
    outcome = execute_reconciled(scene, unknown, reconciled["plain"])
    [failed] = outcome.failed
    assert (outcome.executed, failed.name) == (1, "BridgeFacet__execute_notReconciled")
    assert (failed.transfer_id, failed.sequence) == (compute_transfer_id(unknown), 0)


def test_one_that_is_done_is_not_paid_twice(scene: Scene, reconciled: dict[str, TransferInfo]) -> None:
    execute_reconciled(scene, reconciled["plain"])
    before = scene.balance(user_address(1))
    outcome = execute_reconciled(scene, reconciled["plain"], reconciled["plain"])
    assert (outcome.executed, len(outcome.failed)) == (0, 2)
    assert scene.balance(user_address(1)) == before


def test_callData_needs_a_decision(scene: Scene, reconciled: dict[str, TransferInfo]) -> None:
    """Otherwise a stranger could starve the call, which Connext swallows, and nobody could ever repeat it."""
    calldata = encode_execute_reconciled([reconciled["plain"], reconciled["recorded"]])
    assert refusal_of(scene.rpc, scene.gate, calldata) == ("CallDataNotEmpty", 1)


def test_nothing_is_nothing(scene: Scene) -> None:
    assert refusal_of(scene.rpc, scene.gate, encode_execute_reconciled([])) == ("NoEntries",)


def test_short_gas_is_named(scene: Scene, reconciled: dict[str, TransferInfo]) -> None:
    calldata = encode_execute_reconciled([reconciled["plain"]])
    assert refusal_of(scene.rpc, scene.gate, calldata, gas=600_000)[0] == "InsufficientGas"


def test_a_paused_connext_reverts_all(scene: Scene, reconciled: dict[str, TransferInfo]) -> None:
    scene.wallet("owner").transact(scene.connext.address, encode_admin("pause"))
    calldata = encode_execute_reconciled([reconciled["plain"]])
    assert refusal_of(scene.rpc, scene.gate, calldata)[0] == "Systemic"


def test_changed_terms_are_another_transfer(
    scene: Scene, reconciled: dict[str, TransferInfo]
) -> None:
    """The id binds every term, so only the reconciled terms are paid."""
    stolen = replace(reconciled["plain"], to=user_address(5))
    assert execute_reconciled(scene, stolen).executed == 0
