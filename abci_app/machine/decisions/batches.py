"""Decision batches: their leaves, roots, digests and signatures as gates verify them (docs/protocol.md section 7).

The upper half computes; the lower half closes a block's batch, knows which batches are live and who still owes one a
signature. Signatures come in through ``signatures.py``.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from abci_app.machine.block_events import EventKind
from abci_app.machine.codes import invariant
from abci_app.machine.connext import hash_routers, keccak
from abci_app.machine.decisions.merkle import compute_proof, compute_root
from abci_app.machine.ledger.transfers import find_open_attempt, get_transfer
from abci_app.machine.params import CALL_DATA_BYTE_GAS, EXTENSION_SIGNATURES_MAX, LEAF_ENTRIES_MAX, LEAF_GAS_MAX
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId, Hash
from abci_app.machine.state.records import (
    EMPTY_HASH,
    ChainState,
    Decision,
    DecisionBatch,
    Domain,
    HeightEntry,
    Leaf,
    Transfer,
    TransferInfo,
    ValidatorSet,
)
from abci_app.machine.state.view import StateDelta, StateReader

_DECISION_TYPE = keccak(
    b"Decision(uint64 sequence,bytes32 transferId,bytes32 routersHash,uint64 validUntil,uint64 gasLimit,"
    b"bytes32 callHash)"
)
_LEAF_TYPE = keccak(
    b"Leaf(uint256 chainId,address gate,uint64 height,uint64 lane,uint64 laneFloor,uint64 count,bytes32 decisionsRoot)"
)
_BATCH_TYPE = keccak(b"DecisionBatch(uint64 epoch,uint64 height,bytes32 root)")
_DOMAIN_TYPE = keccak(b"EIP712Domain(string name,string version,bytes32 salt)")
_GATE_NAME = keccak(b"ConsensusGate")
_GATE_VERSION = keccak(b"1")
LANE_UNORDERED = 0
"""Lane of leaves whose decisions a gate may execute in any order."""


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def encode_decision(decision: Decision, call_hash: Hash = EMPTY_HASH) -> bytes:
    """Return the 224 bytes whose keccak is the decision's node (BAT-2); ``call_hash`` is zero on lane 0."""
    return (
        _DECISION_TYPE + _word(decision.sequence) + decision.transfer_id + hash_routers(decision.routers)
        + _word(decision.valid_until_s) + _word(decision.gas_limit) + call_hash
    )


def hash_decision(decision: Decision) -> Hash:
    """Return the node of a decision on lane 0 (BAT-2)."""
    return keccak(encode_decision(decision))


def compute_decisions_root(decisions: Sequence[Decision]) -> Hash:
    """Return the root over a leaf's decisions in order (BAT-3)."""
    return compute_root([hash_decision(decision) for decision in decisions])


def encode_leaf(leaf: Leaf, height: int, decisions_root: Hash) -> bytes:
    """Return the 256 bytes whose keccak is the leaf's node (BAT-3)."""
    return (
        _LEAF_TYPE + _word(leaf.chain_id) + b"\0" * 12 + leaf.gate + _word(height) + _word(leaf.lane)
        + _word(leaf.lane_floor) + _word(len(leaf.sequences)) + decisions_root
    )


def hash_leaf(leaf: Leaf, height: int, decisions: Sequence[Decision]) -> Hash:
    """Return the node of a leaf with these decisions, in the order of ``leaf.sequences``."""
    return keccak(encode_leaf(leaf, height, compute_decisions_root(decisions)))


def list_leaf_hashes(batch: DecisionBatch, decisions: Mapping[int, Decision]) -> tuple[Hash, ...]:
    """Return the batch's leaf nodes in order; ``decisions`` by global sequence, every one of the batch."""
    return tuple(
        hash_leaf(leaf, batch.height, [decisions[sequence] for sequence in leaf.sequences]) for leaf in batch.leaves
    )


def prove_leaf(
    batch: DecisionBatch, decisions: Mapping[int, Decision], leaf_index: int
) -> tuple[tuple[Hash, ...], int]:
    """Return (siblings bottom-up, path bits) that lead from a leaf to ``batch.root`` (``merkle.compute_proof``)."""
    return compute_proof(list_leaf_hashes(batch, decisions), leaf_index)


def compute_domain_separator(chain_id: str) -> Hash:
    """Return the EIP-712 domain separator of every gate of this consensus chain (BAT-4)."""
    return keccak(_DOMAIN_TYPE + _GATE_NAME + _GATE_VERSION + keccak(chain_id.encode()))


def compute_batch_digest(chain_id: str, epoch: int, height: int, root: Hash) -> Hash:
    """Return the digest that validators sign for (epoch, height, root) (BAT-4)."""
    body = keccak(_BATCH_TYPE + _word(epoch) + _word(height) + root)
    return keccak(b"\x19\x01" + compute_domain_separator(chain_id) + body)


def compute_digest(chain_id: str, batch: DecisionBatch) -> Hash:
    """Return the digest that validators of ``batch.epoch`` sign (BAT-4)."""
    return compute_batch_digest(chain_id, batch.epoch, batch.height, batch.root)


def build_leaf(domain: Domain, decisions: Sequence[Decision]) -> Leaf:
    """Return one leaf of lane 0 for ``domain``'s gate."""
    sequences = tuple(decision.sequence for decision in decisions)
    return Leaf(domain.domain, domain.chain_id, domain.gate, LANE_UNORDERED, 0, sequences)


def build_batch(
    height: int, epoch: int, decisions: Sequence[Decision], domains: Mapping[DomainId, Domain],
    call_data_bytes: Mapping[int, int] = MappingProxyType({}),
) -> DecisionBatch:
    """Return the batch of one height's decisions, at least one (BAT-1).

    Per destination, by domain id, in global-sequence order; a new leaf where the next decision would make more than
    32 entries or 14,000,000 gas, callData (``call_data_bytes``: length by sequence, where there is any) included.
    """
    leaves: list[Leaf] = []
    by_sequence = {decision.sequence: decision for decision in decisions}
    for destination in sorted({decision.destination for decision in decisions}):
        here = [by_sequence[sequence] for sequence in sorted(by_sequence)]
        mine = [decision for decision in here if decision.destination == destination]
        for group in _cut_leaves(mine, call_data_bytes):
            leaves.append(build_leaf(domains[destination], group))
    batch = DecisionBatch(height, epoch, EMPTY_HASH, tuple(leaves), 0, ())
    root = compute_root(list_leaf_hashes(batch, by_sequence))
    invariant(root != EMPTY_HASH, "a batch with a zero root")
    return DecisionBatch(height, epoch, root, batch.leaves, 0, ())


def _cut_leaves(decisions: Sequence[Decision], call_data_bytes: Mapping[int, int]) -> list[list[Decision]]:
    groups: list[list[Decision]] = []
    gas = 0
    for decision in decisions:
        own = decision.gas_limit + CALL_DATA_BYTE_GAS * call_data_bytes.get(decision.sequence, 0)
        gas += own
        if not groups or len(groups[-1]) == LEAF_ENTRIES_MAX or gas > LEAF_GAS_MAX:
            groups.append([])
            gas = own
        groups[-1].append(decision)
    return groups


def order_signers(addresses: Sequence[Address]) -> tuple[int, ...]:
    """Return member indexes as gates order them: by attestation address, ascending; the i-th is bit i (BAT-6)."""
    return tuple(sorted(range(len(addresses)), key=lambda member: addresses[member]))


# --- in the state ---------------------------------------------------------------------------------------------------


def close_batch(scope: Scope, first_sequence: int) -> DecisionBatch | None:
    """Store and return the batch of the decisions made in this block, from ``first_sequence`` on; None where none."""
    delta = scope.delta
    chain = delta.must(keys.CHAIN, ChainState)
    decisions = [
        delta.must(keys.decision(sequence), Decision) for sequence in range(first_sequence, chain.next_sequence)
    ]
    if not decisions:
        return None
    domains = {domain.domain: domain for _, domain in delta.scan(keys.domains(), Domain)}
    lengths = {decision.sequence: _count_call_data(delta, decision) for decision in decisions}
    batch = build_batch(scope.height, chain.epoch_next, decisions, domains, lengths)
    delta.write(keys.batch(batch.height), batch)
    delta.write(keys.unattested(batch.height), HeightEntry(batch.height))
    digest = compute_digest(chain.chain_id, batch)
    scope.emit(EventKind.BATCH, height=batch.height, epoch=batch.epoch, decisions=len(decisions), digest=digest)
    return batch


def _count_call_data(delta: StateDelta, decision: Decision) -> int:
    if not delta.must(keys.transfer(decision.transfer_id), Transfer).has_call_data:
        return 0
    return len(delta.must(keys.transfer_info(decision.transfer_id), TransferInfo).call_data)


def is_live(state: StateReader, batch: DecisionBatch) -> bool:
    """Tell whether some decision of the batch belongs to an attempt that has not ended (LSE-6)."""
    for leaf in batch.leaves:
        for sequence in leaf.sequences:
            decision = state.read(keys.decision(sequence), Decision)
            transfer = get_transfer(state, decision.transfer_id) if decision else None
            attempt = find_open_attempt(transfer) if transfer else None
            if attempt is not None and attempt.sequence == sequence:
                return True
    return False


def list_live_unattested(state: StateReader) -> list[DecisionBatch]:
    """Return the live batches that lack their quorum, oldest first."""
    marked = [state.must(keys.batch(mark.height), DecisionBatch) for _, mark in list_unattested_entries(state)]
    return [batch for batch in marked if is_live(state, batch)]


def list_unattested_entries(state: StateReader) -> list[tuple[bytes, HeightEntry]]:
    """Return the marks of batches without a quorum, oldest first."""
    return list(state.scan(keys.unattested_batches(), HeightEntry))


def drop_dead_entries(delta: StateDelta) -> None:
    """Delete the marks of unattested batches in which nothing is live: an ended attempt never opens again."""
    for key, mark in list_unattested_entries(delta):
        if not is_live(delta, delta.must(keys.batch(mark.height), DecisionBatch)):
            delta.delete(key)


def list_owed(state: StateReader, attestation: Address) -> tuple[tuple[int, int, Hash], ...]:
    """Return (height, epoch, digest) of batches that a member still has to sign: live, oldest first, ≤ 3 (EXT-4)."""
    owed = []
    chain_id = state.must(keys.CHAIN, ChainState).chain_id
    for batch in list_live_unattested(state):
        members = state.must(keys.epoch(batch.epoch), ValidatorSet).members
        signed = {signature.member for signature in batch.signatures}
        missing = [
            index for index, member in enumerate(members) if member.attestation == attestation and index not in signed
        ]
        if missing:
            owed.append((batch.height, batch.epoch, compute_digest(chain_id, batch)))
    return tuple(owed[:EXTENSION_SIGNATURES_MAX])
