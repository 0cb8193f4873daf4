"""Bindings of ConsensusGate: creation, calldata of a leaf, outcome of its execution, reads.

Towards a gate the members of an epoch stand by attestation address, ascending; signer i is bit i (BAT-6). Bytes and
rules: docs/protocol.md section 7, contracts/interfaces/IConsensusGate.sol.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from abci_app.evm.artifacts.deploy import Artifact
from abci_app.evm.codec import decode_revert, load_interface
from abci_app.evm.connext import ExecuteArgs, execute_args_tuple, transfer_info_tuple
from abci_app.evm.errors import EncodeFailed
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Address, BlockTag, Receipt
from abci_app.evm.wallet import Wallet
from abci_app.machine.connext import keccak
from abci_app.machine.state.codec import Hash
from abci_app.machine.state.records import BatchSignature, Decision, DecisionBatch, TransferInfo, ValidatorSet

GATE = load_interface("gate")

SET_LIFETIME_S = 365 * 24 * 3600
"""How long a set counts when none follows it: sets are refreshed at half of their life."""

TRANSACTION_GAS_MAX = 1 << 24
"""No transaction may ask for more (EIP-7825)."""
GAS_FIXED = 80_000
"""Upper bound of what a batch costs besides entries, signatures and calldata: the transaction, the set, the event."""
GAS_PER_SIGNATURE = 4_000
"""Recovery takes 3,000; its calldata is counted with the rest."""
GAS_PER_ENTRY = 25_000
"""Upper bound of the gate's own work on an entry: hashing, margin before the call, a status query, an event."""
MEMORY_COPIES = 3
"""Calldata is encoded twice on the way to Connext; each copy takes memory, and none is given back."""


@dataclass(frozen=True, slots=True)
class GateMember:
    """Validator as stored in a gate."""

    address: Address
    power: int


@dataclass(frozen=True, slots=True)
class InstalledSet:
    """Validator set in force on a gate, valid up to `expires_at_s` (Unix seconds)."""

    epoch: int
    expires_at_s: int
    members: tuple[GateMember, ...]


@dataclass(frozen=True, slots=True)
class GateEntry:
    """One decision with Connext's arguments for its execution."""

    sequence: int
    valid_until_s: int
    gas_limit: int
    args: ExecuteArgs


@dataclass(frozen=True, slots=True)
class GateBatch:
    """Argument of executeBatch: a leaf with its Merkle proof and the signatures over the batch."""

    epoch: int
    height: int
    lane: int
    lane_floor: int
    siblings: tuple[Hash, ...]
    path_bits: int
    signers: int
    signatures: bytes
    """65 bytes for each bit of `signers`, ascending."""
    entries: tuple[GateEntry, ...]


@dataclass(frozen=True, slots=True)
class FailedTransfer:
    """A transfer that Connext refused; only a hint, since anyone can cause it with an invalid router signature."""

    transfer_id: bytes
    sequence: int
    """0 where it was executed without a decision."""
    reason: bytes
    """First 256 bytes of the revert data."""
    name: str | None
    """Name of the error, where it is a known one."""


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """Outcome of one gate transaction, from its events. Entries that are in no list were executed."""

    submitter: Address
    executed: int
    entries: int
    failed: tuple[FailedTransfer, ...]
    expired: tuple[int, ...]
    """Sequences whose time was over."""
    skipped: tuple[int, ...]
    """Sequences that could not be executed any more."""


# -- creation ---------------------------------------------------------------------------------------------------------


def list_members(validators: ValidatorSet) -> tuple[GateMember, ...]:
    """Return members as a gate orders them: by attestation address, ascending."""
    members = (GateMember(member.attestation, member.power) for member in validators.members)
    return tuple(sorted(members, key=lambda member: member.address))


def encode_creation(
    artifact: Artifact,
    *,
    connext: Address,
    chain_id: str,
    epoch: int,
    members: Sequence[GateMember],
    set_time_s: int,
    set_lifetime_s: int = SET_LIFETIME_S,
) -> bytes:
    """Return the data of the creating transaction; `chain_id` is the consensus network's. Raises EncodeFailed."""
    addresses, powers = [member.address for member in members], [member.power for member in members]
    salt = keccak(chain_id.encode())
    return artifact.creation_code(connext, salt, epoch, addresses, powers, set_time_s, set_lifetime_s)


def deploy_gate(wallet: Wallet, creation: bytes) -> Address:
    """Send the creating transaction, return the gate's address. Raises TransactionFailed."""
    created = wallet.transact(None, creation).contract_address
    if created is None:
        raise EncodeFailed("the transaction created no contract")
    return created


# -- calldata ---------------------------------------------------------------------------------------------------------


def order_signatures(validators: ValidatorSet, signatures: Sequence[BatchSignature]) -> tuple[int, bytes]:
    """Return (signers, signatures) as executeBatch takes them, from signatures by the set's member index."""
    positions = {member.address: bit for bit, member in enumerate(list_members(validators))}
    by_bit = {positions[validators.members[one.member].attestation]: one.signature for one in signatures}
    return sum(1 << bit for bit in by_bit), b"".join(by_bit[bit] for bit in sorted(by_bit))


def make_entry(decision: Decision, args: ExecuteArgs) -> GateEntry:
    """Build the entry of a decision. Raises EncodeFailed where the routers are not those decided, in their order."""
    if args.routers != decision.routers:
        raise EncodeFailed(f"routers of decision {decision.sequence} differ from its execution's")
    return GateEntry(decision.sequence, decision.valid_until_s, decision.gas_limit, args)


def make_batch(
    batch: DecisionBatch,
    leaf_index: int,
    proof: tuple[tuple[Hash, ...], int],
    validators: ValidatorSet,
    entries: Sequence[GateEntry],
) -> GateBatch:
    """Build executeBatch's argument; `proof` is (siblings, path bits), `entries` the whole leaf in its order.

    `validators` is the set of the batch's epoch. Raises EncodeFailed where entries or epoch are not the leaf's.
    """
    leaf = batch.leaves[leaf_index]
    if tuple(entry.sequence for entry in entries) != leaf.sequences:
        raise EncodeFailed(f"entries differ from leaf {leaf_index} of batch {batch.height}")
    if validators.epoch != batch.epoch:
        raise EncodeFailed(f"set of epoch {validators.epoch} for a batch of epoch {batch.epoch}")
    signers, signatures = order_signatures(validators, batch.signatures)
    return GateBatch(batch.epoch, batch.height, leaf.lane, leaf.lane_floor, *proof, signers, signatures, tuple(entries))


def encode_execute_batch(batch: GateBatch, *, skip_executed: bool) -> bytes:
    """Return the calldata of executeBatch. With `skip_executed` the gate asks Connext first, 1,500 gas an entry."""
    head = (
        *(batch.epoch, batch.height, batch.lane, batch.lane_floor, batch.siblings, batch.path_bits),
        *(batch.signers, batch.signatures),
    )
    entries = [
        (entry.sequence, entry.valid_until_s, entry.gas_limit, execute_args_tuple(entry.args))
        for entry in batch.entries
    ]
    return GATE.encode("executeBatch", head, entries, skip_executed)


def encode_execute_reconciled(transfers: Sequence[TransferInfo]) -> bytes:
    """Return the calldata of executeReconciled for transfers without callData whose message arrived."""
    return GATE.encode("executeReconciled", [transfer_info_tuple(info) for info in transfers])


def compute_gas_limit(batch: GateBatch, calldata: bytes) -> int:
    """Return a gas limit that suffices for every entry, whatever the others use of their own limits.

    It is cut at TRANSACTION_GAS_MAX, which only leaves with very much callData reach: then the simulation decides.
    """
    gas_limits = [entry.gas_limit for entry in batch.entries]
    zeros = calldata.count(0)
    tokens = zeros + 4 * (len(calldata) - zeros)
    memory_words = MEMORY_COPIES * len(calldata) // 32
    work = (
        GAS_FIXED
        + GAS_PER_SIGNATURE * (len(batch.signatures) // 65)
        + GAS_PER_ENTRY * len(gas_limits)
        + 3 * memory_words
        + memory_words**2 // 512
        + sum(gas_limits)
        + max(gas_limits, default=0) // 63
    )
    # Calldata costs 4 a token beside the work, and the whole transaction at least 10 a token (EIP-7623).
    return min(TRANSACTION_GAS_MAX, max(21_000 + 10 * tokens, 4 * tokens + work))


# -- outcome and reads ------------------------------------------------------------------------------------------------


def parse_outcome(receipt: Receipt, gate: Address) -> BatchOutcome | None:
    """Return the outcome of a mined transaction at the gate; None where it completed nothing. Raises DecodeFailed.

    Somebody may pass several batches in one transaction: then these are the sums, and the submitter of the first.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for log in receipt.logs:
        if log.address == gate:
            name, arguments = GATE.decode_log(log)
            found.setdefault(name, []).append(arguments)
    done = found.get("BatchExecuted", []) + found.get("ReconciledExecuted", [])
    if not done:
        return None
    return BatchOutcome(
        submitter=done[0]["submitter"],
        executed=sum(one["executed"] for one in done),
        entries=sum(one["entries"] for one in done),
        failed=tuple(
            FailedTransfer(one["transferId"], one["sequence"], one["reason"], decode_revert(one["reason"])[0])
            for one in found.get("TransferFailed", ())
        ),
        expired=tuple(one["sequence"] for one in found.get("DecisionExpired", ())),
        skipped=tuple(one["sequence"] for one in found.get("DecisionSkipped", ())),
    )


class Gate:
    """Reads of one gate at a chosen block. Raises what `Rpc.call` raises, and DecodeFailed."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        self.rpc = rpc
        self.address = address

    def _read(self, name: str, tag: BlockTag) -> tuple[Any, ...]:
        function = GATE.function(name)
        return function.decode(self.rpc.call(self.address, function.encode(), tag=tag))

    def connext(self, tag: BlockTag = "latest") -> Address:
        return Address(self._read("connext", tag)[0])

    def domain_separator(self, tag: BlockTag = "latest") -> bytes:
        """Return the domain separator that binds the gate to one consensus network (BAT-4)."""
        return bytes(self._read("domainSeparator", tag)[0])

    def validator_set(self, tag: BlockTag = "latest") -> InstalledSet:
        epoch, expires_at_s, members, powers = self._read("validatorSet", tag)
        return InstalledSet(epoch, expires_at_s, tuple(map(GateMember, members, powers)))
