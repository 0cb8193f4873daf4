"""Answers about decisions, their batches and executions, as plain values; see answers.py."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision: the routers chosen for a transfer, and its sequences."""

    sequence: int
    height: int
    origin: int
    destination: int
    lane_sequence: int
    transfer_id: bytes
    attempt: int
    kind: str
    routers: tuple[bytes, ...]
    valid_until_s: int
    gas_limit: int


@dataclass(frozen=True, slots=True)
class DecisionsAnswer:
    """Decisions from a sequence on, gap-free."""

    height: int
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf with its hash, which is empty once a decision of it is pruned."""

    destination: int
    chain_id: int
    gate: bytes
    lane: int
    lane_floor: int
    sequences: tuple[int, ...]
    hash: bytes


@dataclass(frozen=True, slots=True)
class Attestation:
    """A validator's signature over a batch, named by its address."""

    attestation: bytes
    power: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch with its leaves and the signatures on record."""

    height: int
    epoch: int
    root: bytes
    digest: bytes
    leaves: tuple[Leaf, ...]
    attested_height: int
    attestations: tuple[Attestation, ...]


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """One decision batch as of a committed height."""

    height: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class BatchesAnswer:
    """Batches from a height on."""

    height: int
    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class ExecutionEntry:
    """A decision with its terms and signatures; a slow one has no sequencer."""

    decision: Decision
    transfer_info: bytes
    router_signatures: tuple[bytes, ...] = ()
    sequencer: bytes = b""
    sequencer_signature: bytes = b""


@dataclass(frozen=True, slots=True)
class ExecutionAnswer:
    """Payload with which a relayer executes one leaf of an attested batch."""

    height: int
    batch_height: int
    epoch: int
    root: bytes
    leaf: Leaf
    proof: tuple[bytes, ...]
    path_bits: int
    attestations: tuple[Attestation, ...]
    entries: tuple[ExecutionEntry, ...]
    total_power: int
