"""What an attested leaf does on the real diamond: pays, passes over, or fails one by one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from abci_app.evm.codec import known_errors
from abci_app.evm.connext import DestinationStatus, ExecuteArgs, encode_admin, encode_execute
from abci_app.evm.gate import GATE, compute_gas_limit, encode_execute_batch
from abci_app.machine.connext import compute_debits, compute_transfer_id
from bench.quorum import sign_execution
from testnet.connext.deployment import dev_account
from testnet.connext.supply import user_address
from tests.kit.contracts.connext_reads import read_routed_transfers
from tests.kit.contracts.gate_kit import Scene, refusal_of


def router_balance(scene: Scene, index: int) -> int:
    token = scene.deployment.domain(2222).tokens["USDC"].address
    return scene.connext.router_balance(dev_account(f"router-{index}").address, token)


# -- paying out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("routers", [1, 2, 4])
def test_a_path_pays_the_user_and_debits_each_router(scene: Scene, routers: int) -> None:
    args = scene.execution(routers, amount=10_000_001)
    before = [router_balance(scene, index) for index in range(routers)]
    user = scene.balance(user_address(1))
    assert scene.submit(scene.decide(args)).executed == 1
    debits = compute_debits(10_000_001, routers, 9995)
    assert [old - router_balance(scene, index) for index, old in enumerate(before)] == list(debits)
    assert scene.balance(user_address(1)) - user == sum(debits)
    assert scene.status(args) is DestinationStatus.EXECUTED
    assert read_routed_transfers(scene.connext, compute_transfer_id(args.params)) == args.routers


def test_a_batch_is_one_event_with_its_submitter(scene: Scene) -> None:
    batch = scene.decide(*(scene.execution() for _ in range(5)))
    receipt = scene.send(batch)
    own = [GATE.decode_log(log) for log in receipt.logs if log.address == scene.gate]
    expected = {"height": batch.height, "submitter": user_address(5), "executed": 5, "entries": 5}
    assert own == [("BatchExecuted", expected)]


def test_callData_is_delivered(scene: Scene) -> None:
    recorder = scene.create("Recorder")
    assert scene.submit(scene.decide(scene.execution(to=recorder, call_data=b"hello"))).executed == 1
    assert scene.read("Recorder", recorder, "calls") == 1


@pytest.mark.parametrize("position", [0, 1, 4])
def test_any_leaf_of_a_batch_is_executed(scene: Scene, position: int) -> None:
    assert scene.submit(scene.decide(scene.execution(), position=position, leaves=5)).executed == 1


def test_the_only_leaf_needs_no_path(scene: Scene) -> None:
    assert scene.submit(scene.decide(scene.execution(), position=0, leaves=1)).executed == 1


def test_a_full_leaf_fits_its_gas_limit(scene: Scene) -> None:
    batch = scene.decide(*(scene.execution() for _ in range(32)), gas_limits=[350_000] * 32)
    limit = compute_gas_limit(batch, encode_execute_batch(batch, skip_executed=True))
    assert limit < 1 << 24
    assert scene.submit(batch, skip_executed=True, gas=limit).executed == 32


# -- nobody but the gate --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["relayer", "owner", "user-5"], ids=["former relayer", "owner", "stranger"])
def test_nobody_else_executes(scene: Scene, role: str) -> None:
    args = scene.execution()
    calldata = encode_execute(args)
    tx_hash = scene.wallet(role).send(scene.connext.address, calldata, gas=1_000_000)
    receipt = scene.rpc.wait_receipt(tx_hash, poll_s=0.01)
    assert (receipt.status, receipt.logs) == (0, ())
    assert refusal_of(scene.rpc, scene.connext.address, calldata) == ("BridgeFacet__execute_unapprovedSender",)
    assert scene.status(args) is DestinationStatus.NONE
    assert scene.submit(scene.decide(args)).executed == 1


def test_the_gate_takes_no_money(scene: Scene) -> None:
    user = scene.wallet("user-5")
    receipt = scene.rpc.wait_receipt(user.send(scene.gate, b"", value_wei=1, gas=100_000), poll_s=0.01)
    assert (receipt.status, scene.rpc.balance(scene.gate)) == (0, 0)


# -- time -----------------------------------------------------------------------------------------------------------


def mine_at(scene: Scene, timestamp_s: int) -> None:
    """The next block has this timestamp."""
    scene.rpc.request("evm_setNextBlockTimestamp", [timestamp_s])


def test_the_last_second_counts_and_the_next_does_not(scene: Scene) -> None:
    deadline = scene.now_s() + 100
    in_time, late = scene.execution(), scene.execution()
    mine_at(scene, deadline)
    assert scene.submit(scene.decide(in_time, valid_until_s=deadline)).executed == 1
    mine_at(scene, deadline + 1)
    outcome = scene.submit(scene.decide(late, valid_until_s=deadline))
    assert (outcome.executed, outcome.expired) == (0, (101,))
    assert scene.status(late) is DestinationStatus.NONE


def test_an_expired_decision_does_not_block_the_others(scene: Scene) -> None:
    first, second = scene.execution(), scene.execution()
    batch = scene.decide(first, second, valid_until_s=scene.now_s() - 1)
    receipt = scene.send(batch)
    own = [GATE.decode_log(log) for log in receipt.logs if log.address == scene.gate]
    assert [name for name, _ in own] == ["DecisionExpired", "DecisionExpired", "BatchExecuted"]
    assert own[0][1]["transferId"] == compute_transfer_id(first.params)
    assert own[0][1]["validUntil"] == batch.entries[0].valid_until_s
    assert own[2][1]["executed"] == 0


# -- one fails, the others go on ------------------------------------------------------------------------------------


CORRUPTIONS: list[tuple[str, Callable[[ExecuteArgs], ExecuteArgs], str]] = [
    ("router signature", lambda args: replace(args, router_signatures=(args.sequencer_signature,)),
        "BridgeFacet__execute_invalidRouterSignature"),
    ("router signature of 64 bytes", lambda args: replace(args, router_signatures=(args.router_signatures[0][:64],)),
        "Error"),
    ("no router signature", lambda args: replace(args, router_signatures=()), "Panic"),
    ("sequencer signature", lambda args: replace(args, sequencer_signature=args.router_signatures[0]),
        "BridgeFacet__execute_invalidSequencerSignature"),
    ("sequencer", lambda args: replace(args, sequencer=user_address(5)),
        "BridgeFacet__execute_notSupportedSequencer"),
]


@pytest.mark.parametrize(("corrupt", "name"), [case[1:] for case in CORRUPTIONS], ids=[case[0] for case in CORRUPTIONS])
def test_corrupted_signatures_fail_one_transfer_for_now(
    scene: Scene, corrupt: Callable[[ExecuteArgs], ExecuteArgs], name: str
) -> None:
    """They are not part of the decision, so anyone can corrupt them; the honest submission still goes through."""
    good, args = scene.execution(), scene.execution()
    honest = scene.decide(args, good)
    entry = replace(honest.entries[0], args=corrupt(args))
    outcome = scene.submit(replace(honest, entries=(entry, honest.entries[1])))
    assert outcome.executed == 1
    [failed] = outcome.failed
    assert (failed.name, failed.sequence, failed.transfer_id) == (name, 101, compute_transfer_id(args.params))
    assert (scene.status(args), scene.status(good)) == (DestinationStatus.NONE, DestinationStatus.EXECUTED)
    outcome = scene.submit(honest, skip_executed=True)
    assert (outcome.executed, outcome.skipped, outcome.failed) == (1, (102,), ())


def no_liquidity(scene: Scene) -> ExecuteArgs:
    unit = scene.deployment.domain(2222).tokens["USDC"].unit
    return scene.execution(amount=50_000 * unit)


def wrong_domain(scene: Scene) -> ExecuteArgs:
    info = replace(scene.transfer(), destination_domain=1111)
    return sign_execution(info, [dev_account("router-0")], scene.quorum.validators[0].account)


def refusing(scene: Scene) -> ExecuteArgs:
    return scene.execution(to=scene.create("Refuser"), call_data=b"\x01")


def burning(scene: Scene) -> ExecuteArgs:
    return scene.execution(to=scene.create("GasBurner"), call_data=b"\x01")


def unapproved_router(scene: Scene) -> ExecuteArgs:
    return sign_execution(scene.transfer(), [dev_account("user-0")], scene.quorum.validators[0].account)


def not_reconciled(scene: Scene) -> ExecuteArgs:
    return sign_execution(scene.transfer(), [], None)


FAILING: list[tuple[Callable[[Scene], ExecuteArgs], str]] = [
    (no_liquidity, "Panic"),
    (wrong_domain, "BridgeFacet__execute_wrongDomain"),
    (refusing, "BridgeFacet__execute_externalCallFailed"),
    (burning, "BridgeFacet__execute_externalCallFailed"),
    (unapproved_router, "BridgeFacet__execute_notSupportedRouter"),
    (not_reconciled, "BridgeFacet__execute_notReconciled"),
]


@pytest.mark.parametrize(("make", "name"), FAILING, ids=[case[0].__name__ for case in FAILING])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_failing_transfer_never_blocks_the_others(
    scene: Scene, make: Callable[[Scene], ExecuteArgs], name: str, place: int
) -> None:
    good = [scene.execution(), scene.execution()]
    bad = make(scene)
    outcome = scene.submit(scene.decide(*good[:place], bad, *good[place:]))
    assert (outcome.executed, outcome.entries) == (2, 3)
    [failed] = outcome.failed
    assert (failed.name, failed.sequence) == (name, 101 + place)
    assert all(scene.status(args) is DestinationStatus.EXECUTED for args in good)
    assert scene.status(bad) is DestinationStatus.NONE


# -- done already ---------------------------------------------------------------------------------------------------


def test_a_second_submission_fails_each_transfer_or_skips_it(scene: Scene) -> None:
    batch = scene.decide(scene.execution(), scene.execution(2))
    assert scene.submit(batch, skip_executed=True).executed == 2
    money = scene.balance(user_address(1))
    again = scene.submit(batch)
    assert again.executed == 0
    assert [one.name for one in again.failed] == ["BridgeFacet__execute_badFastLiquidityStatus"] * 2
    skipped = scene.submit(batch, skip_executed=True)
    assert (skipped.executed, skipped.failed, skipped.skipped) == (0, (), (101, 102))
    assert scene.balance(user_address(1)) == money


def test_skipping_is_cheaper_than_failing(scene: Scene) -> None:
    batch = scene.decide(*(scene.execution() for _ in range(8)))
    scene.submit(batch)
    assert scene.send(batch, skip_executed=True).gas_used + 8 * 15_000 < scene.send(batch).gas_used


def test_a_renewed_decision_executes_what_the_first_one_did_not(scene: Scene) -> None:
    """Two decisions of one transfer: whichever comes first wins, the other one finds it done."""
    args = scene.execution()
    first, second = scene.decide(args), scene.decide(args, valid_until_s=scene.now_s() + 1_000)
    assert scene.submit(second).executed == 1
    assert scene.submit(first, skip_executed=True).skipped == (101,)


# -- Connext refuses everything -------------------------------------------------------------------------------------


def selector_of(name: str) -> bytes:
    return next(selector for selector, error in known_errors().items() if error.name == name)


def pause(scene: Scene) -> None:
    scene.wallet("owner").transact(scene.connext.address, encode_admin("pause"))


def remove_gate(scene: Scene) -> None:
    scene.wallet("owner").transact(scene.connext.address, encode_admin("removeRelayer", scene.gate))


@pytest.mark.parametrize(
    ("stop", "undo", "name"),
    [
        (pause, "unpause", "BaseConnextFacet__whenNotPaused_paused"),
        (remove_gate, "addRelayer", "BridgeFacet__execute_unapprovedSender"),
    ],
)
def test_what_stops_everything_reverts_the_whole_batch(
    scene: Scene, stop: Callable[[Scene], None], undo: str, name: str
) -> None:
    batch = scene.decide(scene.execution(), scene.execution())
    stop(scene)
    assert scene.refusal(batch) == ("Systemic", selector_of(name))
    assert scene.refusal(batch, skip_executed=True) == ("Systemic", selector_of(name))
    receipt = scene.send(batch)
    assert (receipt.status, receipt.logs) == (0, ())
    arguments = (scene.gate,) if undo == "addRelayer" else ()
    scene.wallet("owner").transact(scene.connext.address, encode_admin(undo, *arguments))
    assert scene.submit(batch).executed == 2
