"""A gate that could never be right is not created, and a set that was not renewed stops counting."""

from dataclasses import replace
from typing import Any

import pytest

from abci_app.evm.artifacts.compile import load_own_artifact
from abci_app.evm.errors import CallReverted
from abci_app.evm.gate import GATE, GateMember, deploy_gate
from abci_app.evm.types import ZERO_ADDRESS
from abci_app.machine.connext import keccak
from abci_app.machine.decisions.batches import compute_domain_separator
from testnet.connext.connext_contracts import SPOKE_DOMAIN
from testnet.connext.supply import user_address
from tests.kit.contracts.gate_kit import ROOT, Scene, creation_of, gate_of

LOW, HIGH = GateMember(b"\x01" * 20, 1), GateMember(b"\x02" * 20, 1)


def creation_refusal(scene: Scene, creation: bytes) -> tuple[Any, ...]:
    """(name, arguments …) of the error with which the constructor reverts."""
    with pytest.raises(CallReverted) as refused:
        scene.rpc.estimate_gas(None, creation, sender=user_address(5))
    return (refused.value.name, *refused.value.arguments)


def many(count: int) -> list[GateMember]:
    return [GateMember((index + 1).to_bytes(20, "big"), 1) for index in range(count)]


REFUSED: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    ({"members": []}, ("EmptySet",)),
    ({"members": many(257)}, ("SetTooLarge", 257)),
    ({"members": [GateMember(ZERO_ADDRESS, 1), HIGH]}, ("MemberNotAscending", 0)),
    ({"members": [HIGH, LOW]}, ("MemberNotAscending", 1)),
    ({"members": [LOW, LOW]}, ("MemberNotAscending", 1)),
    ({"members": [LOW, GateMember(HIGH.address, 0)]}, ("ZeroPower", 1)),
    ({"members": [GateMember(LOW.address, 2**64 - 1), HIGH]}, ("PowerTooLarge",)),
    ({"connext": ZERO_ADDRESS}, ("ConnextMissing", ZERO_ADDRESS)),
    ({"connext": user_address(0)}, ("ConnextMissing", user_address(0))),
    ({"set_time_s": 0, "set_lifetime_s": 0}, ("SetTimeInvalid", 0)),
    ({"set_time_s": 1_000_000, "set_lifetime_s": 1_000_000}, ("SetTimeInvalid", 2_000_000)),
    ({"set_time_s": 2**64 - 1, "set_lifetime_s": 1}, ("SetTimeInvalid", 2**64)),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSED, ids=[case[1][0] for case in REFUSED])
def test_a_gate_that_could_never_be_right_is_refused(
    scene: Scene, changes: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    assert creation_refusal(scene, creation_of(scene, **changes)) == expected


def test_a_zero_salt_and_unequal_lists_are_refused(scene: Scene) -> None:
    artifact = load_own_artifact(ROOT, "ConsensusGate")
    connext, until = scene.connext.address, scene.now_s()
    zero = artifact.creation_code(connext, bytes(32), 1, [LOW.address], [1], until, 100)
    assert creation_refusal(scene, zero) == ("ZeroSalt",)
    short = artifact.creation_code(connext, keccak(b"x"), 1, [LOW.address, HIGH.address], [1], until, 100)
    assert creation_refusal(scene, short) == ("PowersMismatch", 2, 1)


def test_a_gate_says_what_it_was_made_with(scene: Scene) -> None:
    gate, installed = gate_of(scene), gate_of(scene).validator_set()
    assert gate.connext() == scene.connext.address
    assert gate.domain_separator() == compute_domain_separator(scene.quorum.chain_id)
    assert installed.expires_at_s > scene.now_s()


def test_the_largest_set_fits(scene: Scene) -> None:
    wallet = scene.wallet("user-4")
    receipt = wallet.transact(None, creation_of(scene, members=many(256)))
    name, arguments = GATE.decode_log(receipt.logs[0])
    assert (name, arguments["members"], arguments["epoch"]) == ("ValidatorSetInstalled", 256, 1)


def test_an_expired_set_decides_nothing(scene: Scene) -> None:
    """Up to its last second it does."""
    now_s = scene.now_s()
    gate = deploy_gate(scene.wallet("user-4"), creation_of(scene, set_time_s=now_s, set_lifetime_s=500))
    scene = replace(scene, gates=scene.gates | {SPOKE_DOMAIN: gate})
    batch = scene.decide(scene.execution())
    scene.rpc.request("evm_setNextBlockTimestamp", [now_s + 500])
    scene.rpc.request("evm_mine", [])
    assert scene.refusal(batch)[0] == "Systemic"  # not a relayer; its signatures were taken
    scene.rpc.request("evm_setNextBlockTimestamp", [now_s + 501])
    scene.rpc.request("evm_mine", [])
    assert scene.refusal(batch) == ("SetExpired", now_s + 500)
