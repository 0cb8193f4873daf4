"""Parsing and verification of a node's execution payload to an attested leaf (pure functions).

A gate checks all of this again. Here it is checked so that a node that lies is found out before gas is spent on it.
"""

from abci_app.bridge.leaves import AttestedLeaf, GateTarget, LeafEntry, LeafKey, VerifiedAttestation
from abci_app.evm.connext import ExecuteArgs
from abci_app.evm.gate import GateEntry
from abci_app.machine.codes import Rejected
from abci_app.machine.connext import (
    compute_bid_digest,
    compute_sequencer_digest,
    compute_transfer_id,
    recover_address,
)
from abci_app.machine.decisions.batches import LANE_UNORDERED, compute_batch_digest, hash_leaf
from abci_app.machine.decisions.merkle import compute_root_from_proof
from abci_app.machine.params import LEAF_ENTRIES_MAX, PATH_LENGTHS
from abci_app.machine.state.codec import Address, DomainId, Hash, Signature, TransferId
from abci_app.machine.state.records import EMPTY_ADDRESS, Decision, DecisionKind, Leaf
from abci_app.machine.transactions.tx import decode_transfer_info
from abci_app.pb import query_pb2 as pb

SIBLINGS_MAX = 16
"""A batch of 65,536 leaves; a real one has one or two a destination."""
TIME_MAX_S = 1 << 62
"""Far above any clock; keeps what a node invents within a journal's integers."""
ATTESTATIONS_MAX = 256
"""A gate's set has no more members."""


class PayloadInvalid(Exception):
    """The answer is not an attested leaf for this place. Somebody lies, or serves another network."""


def parse_execution(
    answer: pb.ExecutionResponse, key: LeafKey, place: GateTarget, chain_id: str, seen_s: float
) -> AttestedLeaf:
    """Return the leaf asked for; ``chain_id`` is the consensus network's. Raises PayloadInvalid.

    The batch's epoch, height and root are bound by the attestations, which must all recover to their signers.
    """
    _require(answer.batch_height == key.height, f"batch {answer.batch_height} where {key.height} was asked for")
    leaf, entries = answer.leaf, answer.entries
    _require(leaf.destination == place.domain, f"leaf is for domain {leaf.destination}")
    _require(leaf.chain_id == place.chain_id, f"leaf is for chain id {leaf.chain_id}")
    _require(leaf.gate == place.gate, f"leaf is for gate 0x{leaf.gate.hex()}")
    _require(leaf.lane == LANE_UNORDERED and leaf.lane_floor == 0, f"leaf is of lane {leaf.lane}: not open")
    _require(0 < len(entries) <= LEAF_ENTRIES_MAX, f"{len(entries)} entries")
    _require(len(answer.proof) <= SIBLINGS_MAX and len(answer.attestations) <= ATTESTATIONS_MAX, "proof too long")
    _require(all(len(sibling) == 32 for sibling in answer.proof), "a sibling is no hash")
    _require(answer.path_bits >> len(answer.proof) == 0, "path bits beyond the proof")

    decisions = [_parse_decision(entry.decision, place) for entry in entries]
    sequences = tuple(decision.sequence for decision in decisions)
    _require(sequences == tuple(leaf.sequences), "entries are not those of the leaf")
    record = Leaf(place.domain, place.chain_id, place.gate, leaf.lane, leaf.lane_floor, sequences)
    leaf_hash = hash_leaf(record, key.height, decisions)
    siblings = tuple(map(Hash, answer.proof))
    root = compute_root_from_proof(leaf_hash, siblings, answer.path_bits)
    digest = compute_batch_digest(chain_id, answer.epoch, key.height, root)
    return AttestedLeaf(
        key=key, epoch=answer.epoch, lane=leaf.lane, lane_floor=leaf.lane_floor, hash=leaf_hash, siblings=siblings,
        path_bits=answer.path_bits, seen_s=seen_s,
        attestations=tuple(_parse_attestation(entry, digest) for entry in answer.attestations),
        entries=tuple(map(_parse_entry, entries, decisions)),
    )


def _parse_decision(message: pb.Decision, place: GateTarget) -> Decision:
    _require(len(message.transfer_id) == 32, "a transferId is no hash")
    _require(len(message.routers) <= PATH_LENGTHS[-1], f"a path of {len(message.routers)} routers")
    _require(all(len(router) == 20 for router in message.routers), "a router is no address")
    _require(message.valid_until_s < TIME_MAX_S, f"decision {message.sequence}: valid until {message.valid_until_s}")
    kind = DecisionKind.FAST if message.routers else DecisionKind.SLOW
    return Decision(
        message.sequence, message.height, DomainId(message.origin), place.domain, message.lane_sequence,
        TransferId(message.transfer_id), message.attempt, kind, tuple(map(Address, message.routers)),
        message.valid_until_s, message.gas_limit,
    )


def _parse_entry(message: pb.ExecutionEntry, decision: Decision) -> LeafEntry:
    try:
        info = decode_transfer_info(message.transfer_info)
    except Rejected as error:
        raise PayloadInvalid(f"TransferInfo of decision {decision.sequence}: {error}") from error
    _require(compute_transfer_id(info) == decision.transfer_id, f"decision {decision.sequence}: other terms")
    routers, signatures = decision.routers, tuple(message.router_signatures)
    _require(len(signatures) == len(routers), f"decision {decision.sequence}: {len(signatures)} router signatures")
    bid = compute_bid_digest(decision.transfer_id, len(routers))
    for router, signature in zip(routers, signatures, strict=True):
        _require_signed(bid, signature, router, f"decision {decision.sequence}: router")
    sequencer = EMPTY_ADDRESS
    if message.sequencer_signature:  # without one the node holds the decision for expired
        sequencer = Address(message.sequencer)
        released = compute_sequencer_digest(decision.transfer_id, routers)
        _require_signed(released, message.sequencer_signature, sequencer, f"decision {decision.sequence}: sequencer")
    args = ExecuteArgs(info, routers, signatures, sequencer, message.sequencer_signature)
    return LeafEntry(
        decision.transfer_id, GateEntry(decision.sequence, decision.valid_until_s, decision.gas_limit, args)
    )


def _parse_attestation(message: pb.Attestation, digest: Hash) -> VerifiedAttestation:
    _require_signed(digest, message.signature, message.attestation, "attestation")
    return VerifiedAttestation(Address(message.attestation), Signature(message.signature))


def _require_signed(digest: bytes, signature: bytes, signer: bytes, what: str) -> None:
    try:
        recovered = recover_address(digest, signature)
    except Rejected as error:
        raise PayloadInvalid(f"{what}: signature of 0x{signer.hex()}: {error}") from error
    _require(recovered == signer, f"{what}: signature is not of 0x{signer.hex()}")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise PayloadInvalid(otherwise)
