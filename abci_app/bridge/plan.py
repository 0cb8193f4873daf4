"""Planning of submissions from attested leaves and a view of the chain: pure, bounded, oldest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from abci_app.bridge.leaves import AttestedLeaf, LeafEntry, LeafKey, VerifiedAttestation
from abci_app.evm.connext import DestinationStatus
from abci_app.evm.gate import GateBatch, InstalledSet, compute_gas_limit, encode_execute_batch
from abci_app.evm.types import Fees
from abci_app.machine.connext import keccak
from abci_app.machine.state.codec import Address, Hash, TransferId

SUBMISSIONS_MAX = 8
"""Maximum of submissions in one pass."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Position of this relayer in the order of turns, and the length of a turn in seconds."""

    submitter: Address
    relayers: tuple[Address, ...] = ()
    step_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ChainView:
    """State of the destination chain on which a plan depends, read at one moment."""

    head_number: int
    timestamp_s: int
    """Of the head, on the chain's own clock."""
    now_s: float
    """Our monotonic clock."""
    statuses: Mapping[TransferId, DestinationStatus]
    """Of the transfers of every leaf planned for."""
    installed: InstalledSet
    fees: Fees
    spendable_wei: int
    """Balance without what open transactions may still take."""
    capacity: int
    """Transactions that may still be opened."""
    denied_transfers: frozenset[bytes] = frozenset()
    """Transfers that reverted too often in mined transactions: no transaction is sent for them alone."""


@dataclass(frozen=True, slots=True)
class BatchSubmission:
    """Prepared transaction of one leaf to its gate, not sent yet."""

    key: LeafKey
    batch: GateBatch
    calldata: bytes
    gas: int
    valid_until_s: int
    executable: tuple[LeafEntry, ...]
    """Entries that Connext's status lets through and that are worth paying for."""
    transfer_ids: tuple[TransferId, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Submissions and settled leaves of one pass, and why other leaves wait."""

    submissions: tuple[BatchSubmission, ...]
    settled: tuple[tuple[LeafKey, str], ...]
    """Leaves with nothing left to execute, with the reason."""
    below_quorum: tuple[tuple[LeafKey, str], ...]
    """Leaves whose signers are no quorum of the gate's set, or for which no member of it signed as the sequencer."""
    missing_wei: int
    """Native balance that the next submission lacks; 0 when there is enough."""
    next_turn_s: float | None
    """When a leaf's turn comes, on our monotonic clock; None when none waits for its turn."""


def plan(leaves: Sequence[AttestedLeaf], view: ChainView, turn: Turn) -> Plan:
    """Plan submissions of leaves of which none is in flight or paused."""
    submissions: list[BatchSubmission] = []
    settled: list[tuple[LeafKey, str]] = []
    below_quorum: list[tuple[LeafKey, str]] = []
    next_turns: list[float] = []
    spendable_wei, missing_wei = view.spendable_wei, 0
    for leaf in sorted(leaves, key=lambda one: one.key):
        reason = find_settled(leaf, view.timestamp_s, view.statuses)
        if reason:
            settled.append((leaf.key, reason))
            continue
        executable = list_executable(leaf, view.timestamp_s, view.statuses)
        if not executable:
            continue  # a slow decision that our endpoint does not see reconciled yet
        payable = [entry for entry in executable if entry.transfer_id not in view.denied_transfers]
        if not payable:
            settled.append((leaf.key, "given up: fails whenever it is paid for"))
            continue
        turn_s = leaf.seen_s + turn.step_s * compute_rank(turn, leaf.hash)
        if turn_s > view.now_s:
            next_turns.append(turn_s)
            continue
        signers = choose_signers(leaf, view.installed)
        missing_sequencer = signers if isinstance(signers, str) else find_unsequenced(executable, view.installed)
        if isinstance(signers, str) or missing_sequencer:
            below_quorum.append((leaf.key, missing_sequencer))
            continue
        if missing_wei or len(submissions) >= min(SUBMISSIONS_MAX, view.capacity):
            continue
        submission = _make_submission(leaf, signers, view.installed, payable)
        cost_wei = submission.gas * view.fees.max_fee_wei
        if cost_wei > spendable_wei:
            missing_wei = cost_wei - spendable_wei
            continue
        spendable_wei -= cost_wei
        submissions.append(submission)
    return Plan(tuple(submissions), tuple(settled), tuple(below_quorum), missing_wei, min(next_turns, default=None))


def find_settled(
    leaf: AttestedLeaf, timestamp_s: int, statuses: Mapping[TransferId, DestinationStatus]
) -> str | None:
    """Return why nothing in the leaf can be executed any more; None while something can."""
    done = [is_done(entry, statuses[entry.transfer_id]) for entry in leaf.entries]
    if all(done):
        return "executed"
    over = [entry.entry.valid_until_s < timestamp_s for entry in leaf.entries]
    if all(one or other for one, other in zip(done, over, strict=True)):
        return "expired" if not any(done) else "executed or expired"
    return None


def list_executable(
    leaf: AttestedLeaf, timestamp_s: int, statuses: Mapping[TransferId, DestinationStatus]
) -> list[LeafEntry]:
    """Return the entries that Connext's status and the lease let through now. The next block is later than the head."""
    return [
        entry for entry in leaf.entries
        if entry.entry.valid_until_s > timestamp_s and statuses[entry.transfer_id] == _needed(entry)
    ]


def is_done(entry: LeafEntry, status: DestinationStatus) -> bool:
    """Whether this decision can never be executed (any more), going by Connext's status alone."""
    return status not in (DestinationStatus.NONE, _needed(entry))


def _needed(entry: LeafEntry) -> DestinationStatus:
    return DestinationStatus.NONE if entry.entry.args.routers else DestinationStatus.RECONCILED


def compute_rank(turn: Turn, leaf_hash: Hash) -> int:
    """Return our place among the relayers for this leaf: by keccak(relayer ‖ leaf), so that turns are spread evenly."""
    mine = keccak(turn.submitter + leaf_hash)
    return sum(keccak(other + leaf_hash) < mine for other in turn.relayers if other != turn.submitter)


def choose_signers(leaf: AttestedLeaf, installed: InstalledSet) -> tuple[VerifiedAttestation, ...] | str:
    """Return the fewest signers that are a quorum of the gate's set, in its order; or why there is none."""
    if leaf.epoch != installed.epoch:
        return f"signed in epoch {leaf.epoch}, the gate is in {installed.epoch}"
    total = sum(member.power for member in installed.members)
    powers = {member.address: member.power for member in installed.members}
    known = {one.signer: one for one in leaf.attestations if one.signer in powers}
    chosen: list[VerifiedAttestation] = []
    signed = 0
    for signer in sorted(known, key=lambda signer: (-powers[signer], signer)):
        if 3 * signed > 2 * total:
            break
        chosen.append(known[signer])
        signed += powers[signer]
    if 3 * signed <= 2 * total:
        return f"signed by {signed} of {total}"
    return tuple(sorted(chosen, key=lambda one: one.signer))


def find_unsequenced(executable: Sequence[LeafEntry], installed: InstalledSet) -> str:
    """Return which fast decision no validator signed as its sequencer; empty for none.

    Whose signature it is the node chooses, and no quorum signs that choice: an honest one gives its own while a
    decision can be executed, and validators are the sequencers that Connext knows.
    """
    members = {member.address for member in installed.members}
    for one in executable:
        if one.entry.args.routers and one.entry.args.sequencer not in members:
            return f"decision {one.entry.sequence}: sequencer 0x{one.entry.args.sequencer.hex()} is no validator"
    return ""


def _make_submission(
    leaf: AttestedLeaf, signers: Sequence[VerifiedAttestation], installed: InstalledSet, executable: Sequence[LeafEntry]
) -> BatchSubmission:
    bits = {member.address: bit for bit, member in enumerate(installed.members)}
    batch = GateBatch(
        epoch=leaf.epoch, height=leaf.key.height, lane=leaf.lane, lane_floor=leaf.lane_floor,
        siblings=leaf.siblings, path_bits=leaf.path_bits, signers=sum(1 << bits[one.signer] for one in signers),
        signatures=b"".join(one.signature for one in signers),
        entries=tuple(entry.entry for entry in leaf.entries),
    )
    calldata = encode_execute_batch(batch, skip_executed=True)
    gas = compute_gas_limit(batch, calldata)
    return BatchSubmission(leaf.key, batch, calldata, gas, leaf.valid_until_s, tuple(executable), leaf.transfer_ids)
