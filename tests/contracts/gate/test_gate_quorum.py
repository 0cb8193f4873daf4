"""What was signed, and by whom: every way in which a leaf is not exactly what a quorum of this gate's set decided."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from abci_app.evm.account import SECP256K1_ORDER
from abci_app.evm.gate import GateBatch, order_signatures
from abci_app.machine.decisions.batches import hash_decision
from bench.quorum import make_decision, make_quorum
from tests.kit.contracts.gate_kit import ENOUGH, POWERS, Scene, gate_of, members_by_bit

Change = Callable[[GateBatch], GateBatch]


@pytest.fixture(scope="module")
def batch(opened: Scene) -> GateBatch:
    """Two decisions of two routers each; executable as it is."""
    return opened.decide(opened.execution(2), opened.execution(2))


def first_signer(batch: GateBatch) -> int:
    return bits(batch.signers)[0]


def pieces(batch: GateBatch) -> list[bytes]:
    return [batch.signatures[start : start + 65] for start in range(0, len(batch.signatures), 65)]


def with_pieces(batch: GateBatch, signatures: list[bytes], signers: int | None = None) -> GateBatch:
    return replace(batch, signatures=b"".join(signatures), signers=batch.signers if signers is None else signers)


def with_first(batch: GateBatch, signature: bytes) -> GateBatch:
    return with_pieces(batch, [signature, *pieces(batch)[1:]])


def bits(signers: int) -> list[int]:
    return [bit for bit in range(256) if signers >> bit & 1]


def other_signers(batch: GateBatch) -> int:
    """As many signers, but not the same."""
    return next(n for n in range(16) if len(bits(n)) == len(bits(batch.signers)) and n != batch.signers)


def first_difference(batch: GateBatch) -> int:
    pairs = zip(bits(other_signers(batch)), bits(batch.signers), strict=True)
    return next(claimed for claimed, true in pairs if claimed != true)


def raise_s(signature: bytes) -> bytes:
    """The other signature of the same key over the same digest."""
    s = SECP256K1_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


def test_the_batch_as_decided_is_executed(scene: Scene, batch: GateBatch) -> None:
    outcome = scene.submit(batch)
    assert (outcome.executed, outcome.entries, outcome.failed) == (2, 2, ())


def test_the_gate_knows_its_set(scene: Scene) -> None:
    installed = gate_of(scene).validator_set()
    assert installed.epoch == 1
    assert [member.power for member in installed.members] == members_by_bit(scene.quorum)
    assert [member.address for member in installed.members] == sorted(member.address for member in installed.members)


@pytest.mark.parametrize(("signers", "power"), [((), 0), ((3,), 4), ((0, 1, 2), 6), ((1, 3), 6), ((0, 1), 3)])
def test_two_thirds_or_less_are_no_quorum(
    scene: Scene, batch: GateBatch, signers: tuple[int, ...], power: int
) -> None:
    weak = scene.decide(*(entry.args for entry in batch.entries), signers=signers)
    assert scene.refusal(weak) == ("QuorumMissing", power, sum(POWERS))


@pytest.mark.parametrize("signers", [(2, 3), (0, 1, 3), (0, 1, 2, 3), ENOUGH])
def test_more_than_two_thirds_are_enough(scene: Scene, batch: GateBatch, signers: tuple[int, ...]) -> None:
    assert scene.submit(scene.decide(*(entry.args for entry in batch.entries), signers=signers)).executed == 2


FORMS: list[tuple[str, Change, Callable[[GateBatch], tuple[Any, ...]]]] = [
    ("swapped", lambda b: with_pieces(b, [pieces(b)[1], pieces(b)[0], *pieces(b)[2:]]),
        lambda b: ("SignatureInvalid", first_signer(b))),
    ("duplicated", lambda b: with_pieces(b, [pieces(b)[0], pieces(b)[0], *pieces(b)[2:]]),
        lambda b: ("SignatureInvalid", bits(b.signers)[1])),
    ("one missing", lambda b: with_pieces(b, pieces(b)[:-1]), lambda b: ("SignaturesLength", 130, 195)),
    ("one too many", lambda b: with_pieces(b, [*pieces(b), pieces(b)[0]]), lambda b: ("SignaturesLength", 260, 195)),
    ("a byte missing", lambda b: replace(b, signatures=b.signatures[:-1]), lambda b: ("SignaturesLength", 194, 195)),
    ("a byte trailing", lambda b: replace(b, signatures=b.signatures + b"\0"),
        lambda b: ("SignaturesLength", 196, 195)),
    ("none at all", lambda b: replace(b, signatures=b""), lambda b: ("SignaturesLength", 0, 65)),
    ("high s", lambda b: with_first(b, raise_s(pieces(b)[0])), lambda b: ("SignatureHighS", first_signer(b))),
    *((f"v {v}", lambda b, v=v: with_first(b, pieces(b)[0][:64] + bytes([v])),
        lambda b: ("SignatureInvalid", first_signer(b))) for v in (0, 1, 26, 29, 255)),
    ("v flipped", lambda b: with_first(b, pieces(b)[0][:64] + bytes([55 - pieces(b)[0][64]])),
        lambda b: ("SignatureInvalid", first_signer(b))),
    ("all zero", lambda b: with_first(b, bytes(65)), lambda b: ("SignatureInvalid", first_signer(b))),
    ("r zero", lambda b: with_first(b, bytes(32) + pieces(b)[0][32:]), lambda b: ("SignatureInvalid", first_signer(b))),
    ("bit 4 of a set of four", lambda b: with_pieces(b, [*pieces(b), pieces(b)[0]], b.signers | 16),
        lambda b: ("SignerUnknown", b.signers | 16)),
    ("bit 255", lambda b: with_pieces(b, [*pieces(b), pieces(b)[0]], b.signers | 1 << 255),
        lambda b: ("SignerUnknown", b.signers | 1 << 255)),
    ("bits of others", lambda b: replace(b, signers=other_signers(b)),
        lambda b: ("SignatureInvalid", first_difference(b))),
    ("no bit", lambda b: replace(b, signers=0, signatures=b""), lambda b: ("QuorumMissing", 0, 10)),
]


@pytest.mark.parametrize(("change", "expected"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_signatures_have_one_form(
    scene: Scene, batch: GateBatch, change: Change, expected: Callable[[GateBatch], tuple[Any, ...]]
) -> None:
    assert scene.refusal(change(batch)) == expected(batch)


# -- what the signatures bind -----------------------------------------------------------------------------------------


def with_entry(batch: GateBatch, index: int = 0, **changes: Any) -> GateBatch:
    entries = list(batch.entries)
    entries[index] = replace(entries[index], **changes)
    return replace(batch, entries=tuple(entries))


def with_args(batch: GateBatch, **changes: Any) -> GateBatch:
    return with_entry(batch, args=replace(batch.entries[0].args, **changes))


def with_params(batch: GateBatch, **changes: Any) -> GateBatch:
    return with_args(batch, params=replace(batch.entries[0].args.params, **changes))


STRANGER = bytes([0x77]) * 20
UNBOUND: list[tuple[str, Change]] = [
    ("height", lambda b: replace(b, height=b.height + 1)),
    ("sibling", lambda b: replace(b, siblings=(bytes(32), *b.siblings[1:]))),
    ("siblings swapped", lambda b: replace(b, siblings=b.siblings[::-1])),
    ("sibling dropped", lambda b: replace(b, siblings=b.siblings[:-1], path_bits=b.path_bits & 1)),
    ("siblings dropped", lambda b: replace(b, siblings=(), path_bits=0)),
    ("sibling added", lambda b: replace(b, siblings=(*b.siblings, bytes(32)))),
    ("path bit", lambda b: replace(b, path_bits=b.path_bits ^ 1)),
    ("upper path bit", lambda b: replace(b, path_bits=b.path_bits ^ 2)),
    ("sequence", lambda b: with_entry(b, sequence=b.entries[0].sequence + 1)),
    ("valid until", lambda b: with_entry(b, valid_until_s=b.entries[0].valid_until_s + 1)),
    ("gas limit up", lambda b: with_entry(b, gas_limit=b.entries[0].gas_limit + 1)),
    ("gas limit down", lambda b: with_entry(b, gas_limit=b.entries[0].gas_limit - 1)),
    ("router", lambda b: with_args(b, routers=(STRANGER, *b.entries[0].args.routers[1:]))),
    ("routers swapped", lambda b: with_args(b, routers=b.entries[0].args.routers[::-1])),
    ("router dropped", lambda b: with_args(b, routers=b.entries[0].args.routers[:1])),
    ("routers dropped", lambda b: with_args(b, routers=())),
    ("router added", lambda b: with_args(b, routers=(*b.entries[0].args.routers, STRANGER))),
    ("origin", lambda b: with_params(b, origin_domain=3333)),
    ("destination", lambda b: with_params(b, destination_domain=1111)),
    ("canonical domain", lambda b: with_params(b, canonical_domain=2222)),
    ("recipient", lambda b: with_params(b, to=STRANGER)),
    ("delegate", lambda b: with_params(b, delegate=STRANGER)),
    ("receive local", lambda b: with_params(b, receive_local=True)),
    ("callData", lambda b: with_params(b, call_data=b"\x01")),
    ("slippage", lambda b: with_params(b, slippage=31)),
    ("origin sender", lambda b: with_params(b, origin_sender=STRANGER)),
    ("amount", lambda b: with_params(b, bridged_amt=b.entries[0].args.params.bridged_amt + 1)),
    ("normalized amount", lambda b: with_params(b, normalized_in=0)),
    ("nonce", lambda b: with_params(b, nonce=0)),
    ("canonical id", lambda b: with_params(b, canonical_id=bytes(32))),
    ("entries reordered", lambda b: replace(b, entries=b.entries[::-1])),
    ("entry dropped", lambda b: replace(b, entries=b.entries[:1])),
    ("entry repeated", lambda b: replace(b, entries=(*b.entries, b.entries[1]))),
]


@pytest.mark.parametrize("change", [case[1] for case in UNBOUND], ids=[case[0] for case in UNBOUND])
def test_nothing_signed_can_be_changed(scene: Scene, batch: GateBatch, change: Change) -> None:
    """Another leaf has another digest, from which the first signature recovers somebody else."""
    changed = change(batch)
    assert changed != batch
    assert scene.refusal(changed) == ("SignatureInvalid", first_signer(batch))


DIRECT: list[tuple[str, Change, tuple[Any, ...]]] = [
    ("epoch", lambda b: replace(b, epoch=2), ("EpochMismatch", 2, 1)),
    ("epoch zero", lambda b: replace(b, epoch=0), ("EpochMismatch", 0, 1)),
    ("a lane", lambda b: replace(b, lane=1111 << 32 | 2222), ("LaneNotOpen", 1111 << 32 | 2222)),
    ("a floor", lambda b: replace(b, lane_floor=1), ("LaneFloorNotZero", 1)),
    ("no entries", lambda b: replace(b, entries=()), ("NoEntries",)),
    ("path bits above the path", lambda b: replace(b, path_bits=b.path_bits | 4), ("PathBitsSurplus", 5)),
]


@pytest.mark.parametrize(("change", "expected"), [case[1:] for case in DIRECT], ids=[case[0] for case in DIRECT])
def test_what_is_no_batch_of_now_is_refused(
    scene: Scene, batch: GateBatch, change: Change, expected: tuple[Any, ...]
) -> None:
    assert batch.path_bits == 1
    assert scene.refusal(change(batch)) == expected


@pytest.mark.parametrize("terms", [{"chain_id": 31337}, {"chain_id": 2222}, {"gate": STRANGER}], ids=str)
def test_another_chain_or_gate_is_not_this_one(scene: Scene, batch: GateBatch, terms: dict[str, Any]) -> None:
    """The same decisions, signed for another chain (the hub's, or the domain id taken for one) or another gate."""
    foreign = scene.decide(*(entry.args for entry in batch.entries), **terms)
    assert scene.refusal(foreign) == ("SignatureInvalid", first_signer(foreign))


def test_another_network_with_the_same_keys_is_not_this_one(scene: Scene, batch: GateBatch) -> None:
    foreign = replace(scene.quorum, chain_id="consensus-routing-other")
    signed = scene.decide(*(entry.args for entry in batch.entries), quorum=foreign)
    assert scene.refusal(signed) == ("SignatureInvalid", first_signer(signed))


def test_signatures_of_another_epoch_do_not_count_in_this_one(scene: Scene, batch: GateBatch) -> None:
    later = replace(scene.quorum, epoch=2)
    signed = scene.decide(*(entry.args for entry in batch.entries), quorum=later)
    assert scene.refusal(signed) == ("EpochMismatch", 2, 1)
    assert scene.refusal(replace(signed, epoch=1)) == ("SignatureInvalid", first_signer(signed))


def test_strangers_are_no_validators(scene: Scene, batch: GateBatch) -> None:
    others = make_quorum("consensus-routing-strangers", POWERS)
    here = replace(others, chain_id=scene.quorum.chain_id)
    signed = scene.decide(*(entry.args for entry in batch.entries), quorum=here)
    assert scene.refusal(signed)[0] == "SignatureInvalid"


def test_half_a_leaf_with_the_rest_as_its_path_is_refused(scene: Scene) -> None:
    """Decision 2 as a sibling of decision 1: both trees have nodes of the same form, but a leaf binds its count."""
    first, second = scene.execution(), scene.execution()
    whole = scene.decide(first, second, leaves=1, position=0)
    entry = whole.entries[1]
    node = hash_decision(make_decision(entry.sequence, entry.args, entry.valid_until_s, entry.gas_limit))
    half = replace(whole, entries=whole.entries[:1], siblings=(node,))
    assert scene.refusal(half)[0] == "SignatureInvalid"


def test_the_order_of_signatures_is_that_of_addresses(scene: Scene) -> None:
    validators = scene.quorum.validator_set()
    assert order_signatures(validators, ()) == (0, b"")
    batch = scene.decide(scene.execution(), signers=(0, 1, 2, 3))
    assert batch.signers == 15
    assert len(batch.signatures) == 4 * 65
