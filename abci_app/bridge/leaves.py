"""Records of attested leaves, with all that a gate requires. Times of chains are Unix seconds."""

from dataclasses import dataclass

from abci_app.evm.gate import GateEntry
from abci_app.machine.state.codec import Address, DomainId, Hash, Signature, TransferId


@dataclass(frozen=True, slots=True)
class GateTarget:
    """Destination of leaves: domain, chain id and gate address."""

    domain: DomainId
    chain_id: int
    gate: Address


@dataclass(frozen=True, slots=True, order=True)
class LeafKey:
    """Key of a leaf: consensus height of its batch and index in it; sorts oldest first."""

    height: int
    index: int

    def __str__(self) -> str:
        return f"{self.height}/{self.index}"


@dataclass(frozen=True, slots=True)
class VerifiedAttestation:
    """A validator's signature over the batch, checked against its address."""

    signer: Address
    signature: Signature


@dataclass(frozen=True, slots=True)
class LeafEntry:
    """One decision. ``entry.args.routers`` is empty on the slow path."""

    transfer_id: TransferId
    entry: GateEntry


@dataclass(frozen=True, slots=True)
class AttestedLeaf:
    """A whole leaf whose hashes and signatures fit together; whether its signers are a quorum, the gate's set says."""

    key: LeafKey
    epoch: int
    lane: int
    lane_floor: int
    hash: Hash
    siblings: tuple[Hash, ...]
    path_bits: int
    attestations: tuple[VerifiedAttestation, ...]
    entries: tuple[LeafEntry, ...]
    seen_s: float
    """When this process first saw it attested, on its own monotonic clock."""

    @property
    def transfer_ids(self) -> tuple[TransferId, ...]:
        """Return the transfers in the leaf's order."""
        return tuple(entry.transfer_id for entry in self.entries)

    @property
    def valid_until_s(self) -> int:
        """Return the last second in which anything in it may be executed."""
        return max(entry.entry.valid_until_s for entry in self.entries)
