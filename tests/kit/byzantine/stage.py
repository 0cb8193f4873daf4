"""What a faulty proposer has at hand when it makes its block."""

from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from abci_app.abci import messages as pb
from abci_app.machine.block_parts import BlockParts
from abci_app.machine.connext import keccak
from abci_app.machine.observation.extension import (
    INJECTED_SEGMENT,
    CommitEntry,
    InjectedCommit,
    VoteFlag,
    decode_commit,
    encode_commit,
)
from abci_app.machine.observation.segments import chain_segments
from abci_app.machine.observation.stream import Segment, encode_segment
from abci_app.machine.params import INDEX_WHOLE_BLOCK
from abci_app.machine.state.codec import DomainId, Hash
from abci_app.machine.state.records import Cursor, Domain
from abci_app.node.consensus.injected_commit import make_sign_bytes

FORGED = Hash(keccak(b"nobody's block"))


@dataclass
class Memory:
    """What the faulty node saw in earlier blocks of its own."""

    entries: dict[int, CommitEntry] = field(default_factory=dict)
    """A complete entry of an earlier commit, by the validator's place."""
    txs: list[bytes] = field(default_factory=list)
    """Users' well-formed transactions of committed blocks."""


@dataclass(frozen=True)
class Stage:
    """The honest block of this height, taken apart, and what is needed to corrupt it."""

    request: pb.RequestPrepareProposal
    parts: BlockParts
    domains: dict[DomainId, Domain]
    """As committed, before this block's segments."""
    memory: Memory
    chain_id: str
    consensus_key: Ed25519PrivateKey
    own: int
    """The faulty validator's place in the commit."""

    @property
    def commit(self) -> InjectedCommit:
        """The honest injected commit."""
        assert self.parts.commit is not None
        return decode_commit(self.parts.commit)

    def block(
        self,
        segments: list[bytes] | None = None,
        commit: InjectedCommit | None = None,
        entries: tuple[CommitEntry, ...] | None = None,
        rest: list[bytes] | None = None,
    ) -> list[bytes]:
        """The honest block with some of its parts exchanged. ``segments`` are without their leading bytes."""
        if entries is not None:
            commit = replace(self.commit, entries=entries)
        return [
            encode_commit(commit or self.commit),
            *(INJECTED_SEGMENT + raw for raw in (self.parts.segments if segments is None else segments)),
            *(self.parts.rest if rest is None else rest),
        ]

    def replaced(self, index: int, entry: CommitEntry) -> tuple[CommitEntry, ...]:
        """The commit's entries with one exchanged."""
        entries = list(self.commit.entries)
        entries[index] = entry
        return tuple(entries)

    def others(self) -> list[int]:
        """Places of the honest validators that voted for the last block."""
        return [
            index for index, entry in enumerate(self.commit.entries)
            if index != self.own and entry.flag is VoteFlag.COMMIT
        ]

    def sign(self, extension: bytes) -> CommitEntry:
        """The faulty validator's own entry with any extension, really signed by its consensus key."""
        message = make_sign_bytes(self.chain_id, self.request.height - 1, self.commit.round, extension)
        return CommitEntry(VoteFlag.COMMIT, extension, self.consensus_key.sign(message))

    def cursors(self) -> dict[DomainId, Cursor]:
        """Where each domain stands after the honest segments."""
        cursors = {domain_id: domain.cursor for domain_id, domain in self.domains.items()}
        for chained in chain_segments(self.domains, self.parts.segments):
            cursors[chained.segment.domain] = chained.after
        return cursors

    def next_segment(self, domain_id: DomainId) -> Segment:
        """A well-formed empty segment behind the honest ones, that nobody reported."""
        domain, cursor = self.domains[domain_id], self.cursors()[domain_id]
        end = (cursor.block // domain.idle_blocks + 1) * domain.idle_blocks
        return Segment(
            domain_id, domain.chain_id, domain.connext, domain.stream_version, domain.segment_blocks,
            domain.idle_blocks, cursor.number + 1, end, INDEX_WHOLE_BLOCK, FORGED, cursor.timestamp_s + 2, (),
        )

    def next_raw(self, domain_id: DomainId) -> bytes:
        """The same as bytes."""
        return encode_segment(self.next_segment(domain_id))
