"""The plan: attested leaves and a view of the chain → submissions, settled leaves, and why the rest waits."""

from dataclasses import replace
from typing import Any

import pytest

from abci_app.bridge.leaves import AttestedLeaf, LeafKey
from abci_app.bridge.plan import SUBMISSIONS_MAX, ChainView, Turn, choose_signers, compute_rank, plan
from abci_app.evm.connext import DestinationStatus
from abci_app.evm.gate import GATE, TRANSACTION_GAS_MAX, GateMember, InstalledSet, compute_gas_limit, list_members
from abci_app.evm.types import Fees
from abci_app.machine.connext import keccak
from abci_app.machine.state.codec import Address, Hash
from tests.kit.bridge.fake_gate_chain import GWEI, START_S
from tests.kit.bridge.relay_kit import LEASE_S, attested_leaf, make_offer, make_test_quorum

ME = Address(b"\x01" * 20)
NONE, RECONCILED = DestinationStatus.NONE, DestinationStatus.RECONCILED
EXECUTED, COMPLETED = DestinationStatus.EXECUTED, DestinationStatus.COMPLETED


def installed(epoch: int = 1) -> InstalledSet:
    return InstalledSet(epoch, START_S + 10**6, list_members(make_test_quorum().validator_set()))


def view(*leaves: AttestedLeaf, status: DestinationStatus = NONE, **changes: Any) -> ChainView:
    fields: dict[str, Any] = {
        "head_number": 100, "timestamp_s": START_S, "now_s": 1000.0,
        "statuses": {transfer_id: status for leaf in leaves for transfer_id in leaf.transfer_ids},
        "installed": installed(), "fees": Fees(3 * GWEI, GWEI), "spendable_wei": 10**20, "capacity": 8,
    }
    return ChainView(**(fields | changes))


def at(leaf: AttestedLeaf, height: int) -> AttestedLeaf:
    return replace(leaf, key=LeafKey(height, 0))


def test_a_leaf_becomes_a_transaction_to_its_gate() -> None:
    leaf = attested_leaf(make_offer(), make_offer(2), make_offer(4))
    [submission] = plan([leaf], view(leaf), Turn(ME)).submissions
    call = GATE.function("executeBatch").decode_input(submission.calldata)
    assert call["skipExecuted"] is True
    assert (call["batch"]["height"], call["batch"]["epoch"]) == (leaf.key.height, 1)
    assert [entry["sequence"] for entry in call["entries"]] == [entry.entry.sequence for entry in leaf.entries]
    assert submission.gas == compute_gas_limit(submission.batch, submission.calldata) > 3 * 600_000
    assert submission.executable == leaf.entries


def test_only_as_many_signatures_as_make_a_quorum_and_in_the_gates_order() -> None:
    leaf = attested_leaf(make_offer(), signers=(0, 1, 2, 3))
    [submission] = plan([leaf], view(leaf), Turn(ME)).submissions
    members = installed().members
    chosen = [member for bit, member in enumerate(members) if submission.batch.signers >> bit & 1]
    assert sorted(member.power for member in chosen) == [3, 4]
    by_signer: dict[bytes, bytes] = {one.signer: one.signature for one in leaf.attestations}
    assert submission.batch.signatures == b"".join(by_signer[member.address] for member in chosen)


SLOW = 0
STATUSES = [
    # routers, status, seconds to the end of the lease, submitted, settled
    (1, NONE, 100, True, None),
    (1, NONE, 1, True, None),
    (1, NONE, 0, False, None),  # the next block is later than the head
    (1, NONE, -1, False, "expired"),
    (1, EXECUTED, 100, False, "executed"),
    (1, RECONCILED, 100, False, "executed"),
    (1, COMPLETED, 100, False, "executed"),
    (SLOW, RECONCILED, 100, True, None),
    (SLOW, NONE, 100, False, None),  # our endpoint does not see it reconciled yet
    (SLOW, NONE, -1, False, "expired"),
    (SLOW, COMPLETED, 100, False, "executed"),
    (SLOW, EXECUTED, 100, False, "executed"),
]


@pytest.mark.parametrize(("routers", "status", "left_s", "is_submitted", "settled"), STATUSES)
def test_what_can_be_executed_is_submitted_and_what_never_can_is_settled(
    routers: int, status: DestinationStatus, left_s: int, is_submitted: bool, settled: str | None
) -> None:
    leaf = attested_leaf(make_offer(routers))
    made = plan([leaf], view(leaf, status=status, timestamp_s=START_S + LEASE_S - left_s), Turn(ME))
    assert bool(made.submissions) is is_submitted
    assert made.settled == (((leaf.key, settled),) if settled else ())


def test_a_leaf_is_submitted_for_the_part_that_is_left() -> None:
    done, late, open_ = make_offer(), make_offer(valid_until_s=START_S - 1), make_offer()
    leaf = attested_leaf(done, late, open_)
    statuses = dict(zip(leaf.transfer_ids, (EXECUTED, NONE, NONE), strict=True))
    [submission] = plan([leaf], view(leaf, statuses=statuses), Turn(ME)).submissions
    assert [entry.transfer_id for entry in submission.executable] == [leaf.transfer_ids[2]]
    assert len(submission.batch.entries) == 3
    statuses[leaf.transfer_ids[2]] = EXECUTED
    assert plan([leaf], view(leaf, statuses=statuses), Turn(ME)).settled == ((leaf.key, "executed or expired"),)


def test_oldest_first_and_never_more_than_the_bound() -> None:
    leaf = attested_leaf(make_offer())
    leaves = [at(leaf, height) for height in (30, 7, 12, *range(40, 60))]
    made = plan(leaves, view(leaf), Turn(ME))
    assert [one.key.height for one in made.submissions] == [7, 12, 30, 40, 41, 42, 43, 44]
    assert len(made.submissions) == SUBMISSIONS_MAX
    assert [one.key.height for one in plan(leaves, view(leaf, capacity=2), Turn(ME)).submissions] == [7, 12]
    assert plan(leaves, view(leaf, capacity=0), Turn(ME)).submissions == ()


def test_money_is_counted_for_all_submissions_and_its_lack_is_named() -> None:
    leaf = attested_leaf(make_offer())
    leaves = [at(leaf, 7), at(leaf, 8)]
    [first, _] = plan(leaves, view(leaf), Turn(ME)).submissions
    cost_wei = first.gas * 3 * GWEI
    enough = plan(leaves, view(leaf, spendable_wei=2 * cost_wei), Turn(ME))
    assert (len(enough.submissions), enough.missing_wei) == (2, 0)
    short = plan(leaves, view(leaf, spendable_wei=2 * cost_wei - 1), Turn(ME))
    assert ([one.key.height for one in short.submissions], short.missing_wei) == ([7], 1)
    nothing = plan(leaves, view(leaf, spendable_wei=-5), Turn(ME))
    assert (nothing.submissions, nothing.missing_wei) == ((), cost_wei + 5)


def sequenced(leaf: AttestedLeaf, index: int, sequencer: Address) -> AttestedLeaf:
    """The leaf as a node gives it that chose another sequencer for one entry."""
    entries = list(leaf.entries)
    args = replace(entries[index].entry.args, sequencer=sequencer)
    entries[index] = replace(entries[index], entry=replace(entries[index].entry, args=args))
    return replace(leaf, entries=tuple(entries))


@pytest.mark.parametrize("sequencer", [Address(bytes(20)), Address(b"\x99" * 20)])
def test_what_no_validator_sequenced_is_not_paid_for(sequencer: Address) -> None:
    """Neither alone nor beside another: Connext would refuse it, and the node that gave it is the one to be left."""
    leaf = sequenced(attested_leaf(make_offer(), make_offer()), 1, sequencer)
    made = plan([leaf], view(leaf), Turn(ME))
    reason = f"decision {leaf.entries[1].entry.sequence}: sequencer 0x{sequencer.hex()} is no validator"
    assert (made.submissions, made.below_quorum) == ((), ((leaf.key, reason),))


def test_what_cannot_be_executed_any_more_needs_no_sequencer() -> None:
    over, good, slow = make_offer(valid_until_s=START_S - 1), make_offer(), make_offer(routers=0)
    leaf = sequenced(attested_leaf(over, good, slow), 0, Address(bytes(20)))
    statuses = {leaf.transfer_ids[0]: NONE, leaf.transfer_ids[1]: NONE, leaf.transfer_ids[2]: RECONCILED}
    [submission] = plan([leaf], view(leaf, statuses=statuses), Turn(ME)).submissions
    assert submission.executable == leaf.entries[1:]


@pytest.mark.parametrize(("signers", "weak"), [
    ((3,), "signed by 4 of 10"), ((1, 3), "signed by 6 of 10"), ((2, 3), None), ((0, 1, 2), "signed by 6 of 10"),
])
def test_two_thirds_or_less_are_no_quorum(signers: tuple[int, ...], weak: str | None) -> None:
    leaf = attested_leaf(make_offer(), signers=signers)
    made = plan([leaf], view(leaf), Turn(ME))
    assert made.below_quorum == (((leaf.key, weak),) if weak else ())
    assert len(made.submissions) == (0 if weak else 1)


@pytest.mark.parametrize(("powers", "signers", "chosen"), [
    ((1, 1, 1), (0, 1), "signed by 2 of 3"), ((1, 1, 1), (0, 1, 2), 3), ((1, 2), (1,), "signed by 2 of 3"),
    ((1, 2), (0, 1), 2), ((2**63, 2**63, 2**63), (0, 2), f"signed by {2**64} of {3 * 2**63}"),
])
def test_exactly_two_thirds_are_one_signer_short(
    powers: tuple[int, ...], signers: tuple[int, ...], chosen: str | int
) -> None:
    """Sets of powers that sum to two thirds: a gate refuses them, and whoever submits has paid for it."""
    leaf = attested_leaf(make_offer(), signers=signers)
    accounts = [one.account.address for one in make_test_quorum().validators[:len(powers)]]
    members = tuple(map(GateMember, accounts, powers))
    found = choose_signers(leaf, InstalledSet(1, START_S + 10**6, members))
    assert (found if isinstance(found, str) else len(found)) == chosen


def test_a_leaf_of_another_epoch_waits() -> None:
    leaf = attested_leaf(make_offer())
    made = plan([leaf], view(leaf, installed=installed(epoch=2)), Turn(ME))
    assert made.below_quorum == ((leaf.key, "signed in epoch 1, the gate is in 2"),)


def test_a_transaction_never_has_more_gas_than_one_may_have() -> None:
    leaf = attested_leaf(*(make_offer(gas_limit=750_000, call_data=b"\xff" * 8192) for _ in range(18)))
    [submission] = plan([leaf], view(leaf), Turn(ME)).submissions
    assert submission.gas == TRANSACTION_GAS_MAX


# -- turns ------------------------------------------------------------------------------------------------------------

RELAYERS = tuple(Address(bytes([index]) * 20) for index in range(1, 6))


def test_ranks_are_a_permutation_that_differs_from_leaf_to_leaf() -> None:
    seen = set()
    for index in range(50):
        leaf_hash = Hash(keccak(b"leaf %d" % index))
        ranks = [compute_rank(Turn(relayer, RELAYERS, 1.0), leaf_hash) for relayer in RELAYERS]
        assert sorted(ranks) == [0, 1, 2, 3, 4]
        seen.add(ranks[0])
    assert seen == {0, 1, 2, 3, 4}


def test_a_relayer_alone_never_waits() -> None:
    assert compute_rank(Turn(ME), Hash(bytes(32))) == 0
    assert compute_rank(Turn(ME, (ME,), 5.0), Hash(bytes(32))) == 0


@pytest.mark.parametrize("relayer", RELAYERS)
def test_each_waits_for_its_turn(relayer: Address) -> None:
    leaf = attested_leaf(make_offer())
    turn = Turn(relayer, RELAYERS, 2.0)
    turn_s = leaf.seen_s + 2.0 * compute_rank(turn, leaf.hash)
    before = plan([leaf], view(leaf, now_s=turn_s - 0.01), turn)
    assert (before.submissions, before.next_turn_s) == ((), turn_s)
    assert len(plan([leaf], view(leaf, now_s=turn_s), turn).submissions) == 1
