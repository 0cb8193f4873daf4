"""Decisions in leaves, leaves in a batch, one digest a height: bytes that gates verify (docs/protocol.md section 7).

Nothing here looks at the state; ``attestation.py`` closes a block's batch and counts signatures.
"""

from collections.abc import Mapping, Sequence

from abci_app.machine.codec import Address, DomainId, Hash
from abci_app.machine.codes import invariant
from abci_app.machine.connext import hash_routers, keccak
from abci_app.machine.merkle import compute_proof, compute_root
from abci_app.machine.params import LEAF_ENTRIES_MAX, LEAF_GAS_MAX
from abci_app.machine.records import EMPTY_HASH, Decision, DecisionBatch, Domain, Leaf

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
    """Return what validators sign for (epoch, height, root) (BAT-4)."""
    body = keccak(_BATCH_TYPE + _word(epoch) + _word(height) + root)
    return keccak(b"\x19\x01" + compute_domain_separator(chain_id) + body)


def compute_digest(chain_id: str, batch: DecisionBatch) -> Hash:
    """Return what validators of ``batch.epoch`` sign (BAT-4)."""
    return compute_batch_digest(chain_id, batch.epoch, batch.height, batch.root)


def build_leaf(domain: Domain, decisions: Sequence[Decision]) -> Leaf:
    """Return one leaf of lane 0 for ``domain``'s gate."""
    sequences = tuple(decision.sequence for decision in decisions)
    return Leaf(domain.domain, domain.chain_id, domain.gate, LANE_UNORDERED, 0, sequences)


def build_batch(
    height: int, epoch: int, decisions: Sequence[Decision], domains: Mapping[DomainId, Domain]
) -> DecisionBatch:
    """Return the batch of one height's decisions, at least one (BAT-1).

    Per destination, by domain id, in global-sequence order; a new leaf where the next decision would make more than
    32 entries or 14,000,000 gas.
    """
    leaves: list[Leaf] = []
    by_sequence = {decision.sequence: decision for decision in decisions}
    for destination in sorted({decision.destination for decision in decisions}):
        here = [by_sequence[sequence] for sequence in sorted(by_sequence)]
        for group in _cut_leaves([decision for decision in here if decision.destination == destination]):
            leaves.append(build_leaf(domains[destination], group))
    batch = DecisionBatch(height, epoch, EMPTY_HASH, tuple(leaves), 0, ())
    root = compute_root(list_leaf_hashes(batch, by_sequence))
    invariant(root != EMPTY_HASH, "a batch with a zero root")
    return DecisionBatch(height, epoch, root, batch.leaves, 0, ())


def _cut_leaves(decisions: Sequence[Decision]) -> list[list[Decision]]:
    groups: list[list[Decision]] = []
    gas = 0
    for decision in decisions:
        gas += decision.gas_limit
        if not groups or len(groups[-1]) == LEAF_ENTRIES_MAX or gas > LEAF_GAS_MAX:
            groups.append([])
            gas = decision.gas_limit
        groups[-1].append(decision)
    return groups


def order_signers(addresses: Sequence[Address]) -> tuple[int, ...]:
    """Return member indexes as gates order them: by attestation address, ascending; the i-th is bit i (BAT-6)."""
    return tuple(sorted(range(len(addresses)), key=lambda member: addresses[member]))
