"""Sets whose powers can sum to exactly two thirds, or need all their 64 bits; lists of unequal lengths."""

from dataclasses import replace
from typing import Any

import pytest

from abci_app.evm.artifacts.compile import load_own_artifact
from abci_app.evm.errors import CallReverted
from abci_app.evm.gate import deploy_gate, list_members
from abci_app.machine.connext import keccak
from bench.quorum import make_quorum
from testnet.connext.connext_contracts import SPOKE_DOMAIN
from testnet.connext.supply import user_address
from tests.kit.contracts.gate_kit import ROOT, Scene, creation_of

TAKEN = ("Systemic",)
"""What Connext says to a gate that is not its relayer: the signatures were a quorum, and the gate called it."""


def answer(scene: Scene, powers: tuple[int, ...], signers: tuple[int, ...]) -> tuple[Any, ...]:
    """How a gate of its own with these powers answers to a batch that these validators signed."""
    quorum = make_quorum(scene.quorum.chain_id, powers)
    creation = creation_of(scene, members=list_members(quorum.validator_set()))
    gate = deploy_gate(scene.wallet("user-4"), creation)
    scene = replace(scene, quorum=quorum, gates=scene.gates | {SPOKE_DOMAIN: gate})
    refusal = scene.refusal(scene.decide(scene.execution(), signers=signers))
    return refusal[:1] if refusal[:1] == TAKEN else refusal


@pytest.mark.parametrize(("powers", "signers", "expected"), [
    ((1, 1, 1), (0, 1), ("QuorumMissing", 2, 3)), ((1, 1, 1), (0, 1, 2), TAKEN),
    ((2, 1), (0,), ("QuorumMissing", 2, 3)), ((2, 1), (0, 1), TAKEN),
    ((4, 1, 1), (0,), ("QuorumMissing", 4, 6)), ((4, 1, 1), (0, 1), TAKEN), ((3, 1), (0,), TAKEN),
])
def test_exactly_two_thirds_are_no_quorum(
    scene: Scene, powers: tuple[int, ...], signers: tuple[int, ...], expected: tuple[Any, ...]
) -> None:
    assert answer(scene, powers, signers) == expected


@pytest.mark.parametrize(("powers", "signers", "expected"), [
    ((2**32, 1, 1), (0,), TAKEN), ((2**32, 1, 1), (1, 2), ("QuorumMissing", 2, 2**32 + 2)),
    ((2**63, 2**62, 2**62 - 1), (0, 1), TAKEN),
    ((2**63, 2**62, 2**62 - 1), (0,), ("QuorumMissing", 2**63, 2**64 - 1)),
])
def test_powers_count_with_all_their_bits(
    scene: Scene, powers: tuple[int, ...], signers: tuple[int, ...], expected: tuple[Any, ...]
) -> None:
    assert answer(scene, powers, signers) == expected


@pytest.mark.parametrize("powers", [[], [1], [1, 1, 1]])
def test_each_member_has_one_power(scene: Scene, powers: list[int]) -> None:
    """Neither is a power without a member left out, nor is a member without one."""
    members = [b"\x01" * 20, b"\x02" * 20]
    terms = (scene.connext.address, keccak(b"salt"), 1, members, powers, scene.now_s(), 100)
    creation = load_own_artifact(ROOT, "ConsensusGate").creation_code(*terms)
    with pytest.raises(CallReverted) as refused:
        scene.rpc.estimate_gas(None, creation, sender=user_address(5))
    assert (refused.value.name, *refused.value.arguments) == ("PowersMismatch", 2, len(powers))
