"""Frozen records of the state; field order and types define their canonical bytes (``codec.py``).

Every stored value is one of these records. ``keys.py`` says under which key each lives; docs/protocol.md section 11 is
made from this file.
"""

from dataclasses import dataclass
from enum import IntEnum

from abci_app.machine.state.codec import U8, U16, U32, U64, Address, DomainId, Hash, Signature, TransferId


class DomainStatus(IntEnum):
    """OPEN: observed and decided for. PAUSED: observed only. HALTED: not even observed."""

    OPEN = 1
    PAUSED = 2
    HALTED = 3


class TransferStatus(IntEnum):
    """Status of a transfer; section 4 of docs/protocol.md has the life cycle."""

    ACCEPTED = 1
    ASSIGNED = 2
    WAITING = 3
    SLOW = 4
    EXECUTED = 5
    RECONCILED = 6
    COMPLETED = 7


class DecisionKind(IntEnum):
    """FAST: routers front the funds. SLOW: a reconciled transfer is executed without routers."""

    FAST = 1
    SLOW = 2


class AttemptEnd(IntEnum):
    """Why an attempt ended; OPEN while it has not.

    EXECUTED, RECONCILED: by such an event of its transfer. RENEWED: the next attempt took its place, a renewal or the
    next slow decision. OVER: its time was up and none did.
    """

    OPEN = 0
    EXECUTED = 1
    RECONCILED = 2
    OVER = 3
    RENEWED = 4


@dataclass(frozen=True, slots=True)
class Member:
    """One validator of an epoch."""

    consensus_key: Hash
    """ed25519 public key, 32 bytes."""
    power: U64
    attestation: Address
    """Address of the secp256k1 key that signs batches and, once attested, as Connext's sequencer."""


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """The validators of one epoch, in CometBFT's order: power descending, then consensus address ascending."""

    epoch: U64
    """1 at genesis."""
    members: tuple[Member, ...]
    """A member's index here is its place in bitmaps and signatures."""


@dataclass(frozen=True, slots=True)
class ChainState:
    """Counters and sets of the whole chain; one record."""

    chain_id: str
    """CometBFT's chain id."""
    height: U64
    """The last block executed; 0 at genesis."""
    time_s: U64
    """Block time of ``height``, rounded down to seconds."""
    next_acceptance: U64
    """Next acceptance number (ORD-3)."""
    next_sequence: U64
    """Next global sequence of a decision (ORD-2)."""
    recent_proposers: tuple[Address, ...]
    """Consensus addresses of the last blocks' proposers, newest last, at most 8 (ASN-1)."""
    epoch_last: U64
    """Epoch of the set that signed the previous block's commit, V(H-1) for the next block H."""
    epoch_executing: U64
    """Epoch of V(H), the set that executes the next block."""
    epoch_next: U64
    """Epoch of V(H+1), the set after it; batches are signed by it (BAT-1)."""
    extensions_from: U64
    """First height whose precommits carry vote extensions; the next block begins with an injected commit (COM-1)."""
    app_version: U64
    """Version of the rules of the next block (ORD-6)."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Position up to which a domain's stream is accepted."""

    number: U64
    """Segments accepted so far; 0 at genesis."""
    block: U64
    """Block up to which, with ``index``, the stream is accepted."""
    index: U32
    """Block-wide log index up to which everything is in; 2³²-1 means the whole block."""
    block_hash: Hash
    """Hash of ``block``."""
    timestamp_s: U64
    """Timestamp of ``block`` on the domain's own clock."""
    digest: Hash
    """Running digest after segment ``number`` (SEG-4)."""


@dataclass(frozen=True, slots=True)
class Domain:
    """One chain of the bridge."""

    domain: DomainId
    chain_id: U64
    connext: Address
    """Connext's diamond there."""
    gate: Address
    """ConsensusGate there."""
    finality_depth: U32
    """Blocks below the head that count as final; 0 means the chain's own ``finalized`` tag."""
    stream_version: U16
    """Which logs are listed, and as which projections."""
    segment_blocks: U32
    """Grid of the ends of segments with events (SEG-1)."""
    idle_blocks: U32
    """Grid of the ends of empty segments, a multiple of the other (SEG-1)."""
    cursor: Cursor
    """How far its stream is accepted."""
    next_nonce: U64
    """Connext's next ``XCalled.nonce`` on this domain."""
    max_routers: U16
    """Longest path that Connext takes there."""
    fee_numerator: U16
    """Of 10,000: what routers front of an amount (LIQ-2)."""
    connext_paused: bool
    """True from Paused to Unpaused (EVT-5)."""
    allowlist_removed: bool
    """Routers need no approval: allowlist removed or diamond without owner."""
    status: DomainStatus
    """OPEN at genesis; no rule changes it."""
    eligible: bool
    """False after a diamond cut until governance re-anchors the domain."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One direction between two domains, with the clock that stands still while the lane is held (LSE-6)."""

    origin: DomainId
    destination: DomainId
    status: DomainStatus
    """OPEN at genesis; no rule changes it."""
    ordered: bool
    """False: no lane is ordered in this version."""
    next_sequence: U64
    """Next sequence of a decision on this lane (ORD-2)."""
    held: bool
    """Whether nothing may be decided on it (LSE-6)."""
    held_since: U64
    """Height at which it became so; 0 while it is not."""
    held_blocks: U64
    """Blocks held in all earlier holds: clock(h) = h - held_blocks - (h - held_since while held)."""


@dataclass(frozen=True, slots=True)
class AssetLocal:
    """An asset's token on one domain (Connext's *local* asset)."""

    domain: DomainId
    address: Address
    """The token."""
    decimals: U8
    """The token's decimals."""
    listed: bool
    """False once AssetRemoved has taken it off (EVT-5)."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One canonical asset."""

    canonical_domain: DomainId
    canonical_id: Hash
    min_fast: int
    """Amounts below go SLOW (LIM-2)."""
    locals: tuple[AssetLocal, ...]
    """As the genesis lists them; by domain from the first AssetAdded on (EVT-5)."""


@dataclass(frozen=True, slots=True)
class Router:
    """A router on one domain."""

    router: Address
    domain: DomainId
    approved: bool
    """Whether Connext on this domain approves it (EVT-5)."""
    eligible: bool
    """False after a portal mint or repayment until governance re-anchors the router there."""
    faults: U8
    """k of FLT-1."""
    cool_down_until: U64
    """First height at which it may be assigned on this destination again."""


@dataclass(frozen=True, slots=True)
class Liquidity:
    """A router's liquidity in one local asset, in that asset's units."""

    balance: int
    """What Connext there owes the router, as its events say (LIQ-2)."""
    reserved: int
    """Σ of its shares in attempts that have not ended (LIQ-1)."""
    at_fault: bool
    """A fault was counted and balance < reserved still holds (FLT-1)."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Virtual time of one (destination, local asset) queue."""

    virtual: int
    """V of ASN-4."""


@dataclass(frozen=True, slots=True)
class QueueTag:
    """A router's finish tag F_r and weight in one queue."""

    finish: int
    """F_r of ASN-4."""
    weight: U64
    """weight_r of ASN-4."""


@dataclass(frozen=True, slots=True)
class TransferInfo:
    """Connext's TransferInfo, field for field; its ABI encoding hashes to the transferId."""

    origin_domain: DomainId
    destination_domain: DomainId
    canonical_domain: DomainId
    to: Address
    """Who is paid, or called with ``call_data``."""
    delegate: Address
    """Who may change options on the destination."""
    receive_local: bool
    """Whether the recipient takes the local asset as it is."""
    call_data: bytes
    """Call of the recipient; empty for none."""
    slippage: int
    """Of 10,000: what may be lost in a swap."""
    origin_sender: Address
    """Who called ``xcall``."""
    bridged_amt: int
    normalized_in: int
    """Amount sent, at 18 decimals."""
    nonce: int
    canonical_id: Hash


@dataclass(frozen=True, slots=True)
class RelayerFee:
    """Fees paid on the origin for one transfer, summed per asset."""

    asset: Address
    amount: int


@dataclass(frozen=True, slots=True)
class Charge:
    """Amount by which a router's finish tag was advanced."""

    router: Address
    amount: int
    """In units of 2⁻³² of the local asset's, by weight (ASN-4)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to serve a transfer."""

    number: U8
    """From 1, fast and slow ones counted together."""
    kind: DecisionKind
    sequence: U64
    """Global sequence of its decision."""
    routers: tuple[Address, ...]
    """In the order of ASN-4; none for a slow decision."""
    share: int
    """Reserved for each router; 0 for a slow decision."""
    valid_until_s: U64
    charges: tuple[Charge, ...]
    """Charges this attempt carries now: moved on by a renewal, emptied when returned."""
    decided_height: U64
    """Block that made it."""
    end: AttemptEnd
    ended_height: U64
    """Block that ended it; 0 while OPEN."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer and its full history; its TransferInfo, which never changes, has a key of its own."""

    transfer_id: TransferId
    status: TransferStatus
    """Position in its life cycle (the diagram in section 4)."""
    acceptance: U64
    """Acceptance number: one counter over all domains."""
    origin: DomainId
    destination: DomainId
    nonce: int
    """``info.nonce``."""
    amount: int
    """bridgedAmt, in units of the destination's local asset."""
    local: Address
    """Local asset on the destination; zero address where the asset is not listed there."""
    has_call_data: bool
    """Whether its real callData is not empty."""
    info_known: bool
    """False while the callData is known by hash only (LIM-1)."""
    origin_tx: Hash
    """Zero while only a TransferInfo told of it (LIM-4)."""
    accepted_height: U64
    """Block that took it into the state."""
    accepted_time_s: U64
    """Time of that block."""
    deadline_clock: U64
    """Lane clock at which ACCEPTED or WAITING ends in SLOW; 0 in every other status."""
    fees: tuple[RelayerFee, ...]
    """By asset, ascending."""
    attempts: tuple[Attempt, ...]
    """All of them, by number."""
    returned: tuple[Charge, ...]
    """Last charge returned per router, by router, ascending; put back by an Executed that names it (ASN-6)."""
    slow_decisions: U8
    """Slow decisions since they began, or began again (SLW-2, SLW-3)."""
    slow_next_s: U64
    """Block time from which the next slow decision is due; 0 when none is."""
    drop_after_s: U64
    """Block time after which a SLOW or RECONCILED transfer is dropped; 0 while it cannot be."""
    executed_by: tuple[Address, ...]
    """Routers that the believed Executed named, in its order; none for a slow one."""
    executed_tx: Hash
    """Transaction of the believed Executed; zero before."""
    reconciled_tx: Hash
    """Transaction of the believed Reconciled; zero before."""
    finished_height: U64
    """Height at which it became COMPLETED; 0 before."""
    bidders: U16 = 0
    """Bid records it has, withdrawn ones included (BID-3)."""


@dataclass(frozen=True, slots=True)
class PathSignature:
    """A router's signature for one path length: Connext's own bid."""

    path_length: U8
    """1, 2 or 4."""
    signature: Signature
    """Of BID-2."""


@dataclass(frozen=True, slots=True)
class Bid:
    """A router's bid for one transfer: at most one signature per path length, ascending."""

    router: Address
    signatures: tuple[PathSignature, ...]
    """One per path length, ascending."""
    withdrawn: bool
    """True for ever after a withdraw (BID-5)."""
    height: U64
    """Height at which it first came in."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One bidder of an auction: every input of the rule, and the result."""

    router: Address
    path_lengths: tuple[U8, ...]
    """Of its signatures, ascending."""
    approved: bool
    """Approved there, or the allowlist was off."""
    eligible: bool
    """Router and domain both."""
    cool_down_until: U64
    withdrawn: bool
    """Of its bid."""
    balance: int
    reserved: int
    finish: int
    """F_r before the auction."""
    weight: U64
    code: U8
    """0 for a winner, else why not, for the path length that won (codes 50-56)."""


@dataclass(frozen=True, slots=True)
class Auction:
    """The record of one assignment: anyone can recompute it (ASN-5)."""

    transfer_id: TransferId
    attempt: U8
    height: U64
    """Block that wrote this record."""
    amount: int
    max_routers: U16
    """The destination's."""
    path_length: U8
    """0 where nobody was feasible."""
    share: int
    """share(path length) of ASN-3; 0 where nobody was feasible."""
    virtual_before: int
    """V of the queue before the auction."""
    virtual_after: int
    """V after it."""
    candidates: tuple[Candidate, ...]
    """By router address."""
    winners: tuple[Charge, ...]
    """In order of (start tag, keccak(transferId ‖ router))."""


@dataclass(frozen=True, slots=True)
class Decision:
    """An assignment with its place in the order; final at commit, never changed."""

    sequence: U64
    """Global sequence (ORD-2)."""
    height: U64
    """Block that made it."""
    origin: DomainId
    destination: DomainId
    lane_sequence: U64
    """Sequence of its lane (ORD-2)."""
    transfer_id: TransferId
    attempt: U8
    kind: DecisionKind
    routers: tuple[Address, ...]
    """None for a slow one."""
    valid_until_s: U64
    gas_limit: U64
    """Gas that the gate forwards (LSE-7)."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """Decisions of one height for one destination, executed by its gate as a whole."""

    destination: DomainId
    chain_id: U64
    gate: Address
    lane: U64
    """0: unordered; else origin · 2³² + destination."""
    lane_floor: U64
    """0 on lane 0."""
    sequences: tuple[U64, ...]
    """Global sequences of its decisions, ascending."""


@dataclass(frozen=True, slots=True)
class BatchSignature:
    """A validator's signature over a batch's digest; ``member`` is its index in the epoch's set."""

    member: U16
    """Index in the epoch's set."""
    signature: Signature
    """Over the digest of BAT-4."""


@dataclass(frozen=True, slots=True)
class DecisionBatch:
    """All decisions of one height under one root."""

    height: U64
    """Block whose decisions these are."""
    epoch: U64
    """Epoch of the set that signs it: V(H+1) (BAT-1)."""
    root: Hash
    """Root of BAT-3."""
    leaves: tuple[Leaf, ...]
    """In the order of BAT-1."""
    attested_height: U64
    """Height whose injected commit brought the quorum; 0 before."""
    signatures: tuple[BatchSignature, ...]
    """By member, ascending."""


@dataclass(frozen=True, slots=True)
class Report:
    """One digest and who reports it: bit i of ``members`` is the executing set's member i."""

    digest: Hash
    """Running digest after the segment (SEG-4)."""
    members: int
    """Bitmap."""


@dataclass(frozen=True, slots=True)
class Reports:
    """Reports for one segment of one domain, by digest, ascending."""

    reports: tuple[Report, ...]
    """By digest, ascending."""


@dataclass(frozen=True, slots=True)
class Stub:
    """An Executed or Reconciled whose XCalled is not accepted yet (LIM-4)."""

    origin: DomainId
    """As the events named it."""
    destination: DomainId
    """Domain of the events."""
    executed: bool
    """Whether an Executed came."""
    reconciled: bool
    """Whether a Reconciled came, or an Executed without routers."""
    executed_by: tuple[Address, ...]
    """Routers that the last Executed named."""
    executed_tx: Hash
    """Its transaction; zero where there was none."""
    reconciled_tx: Hash
    """Transaction of the last Reconciled; zero where there was none."""
    expires_s: U64
    """Block time after which it is forgotten (LIM-4)."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Permanent record of a removed transfer that had a decision: hashes of its decided router lists, ascending."""

    router_lists: tuple[Hash, ...]
    """keccak of each list as in BAT-2, ascending, each once."""


@dataclass(frozen=True, slots=True)
class HeightEntry:
    """Value of an index entry whose key says everything but a height."""

    height: U64
    """Height associated with the key; its meaning is given where the key is defined."""


EMPTY_HASH = Hash(bytes(32))
EMPTY_ADDRESS = Address(bytes(20))


@dataclass(frozen=True, slots=True)
class Reference:
    """Value of an index entry that refers to a transfer."""

    transfer_id: TransferId
