"""Limits and parameters of the protocol, each with its reason (docs/protocol.md section 9)."""

from dataclasses import dataclass

from abci_app.machine.state.codec import U8, U16, U32, U64, Address, DomainId

TX_BYTES_MAX = 96 * 1024
"""A user transaction: a TransferInfo with 64 KiB of callData, ABI-encoded, fits with room to spare."""
BLOCK_TXS_MAX = 8192
"""Transactions of one block, injected ones too: twice what a second of full load brings. Without it a proposer may fill
a block with 700,000 transactions of one byte, which keep every node busy for seconds."""
BLOCK_SIGNATURES_MAX = 16_384
"""Signatures in the bids and withdraws of one block. A byte of a bundle costs as much to execute as a hundred of a
segment: without it a proposer may fill a block of 21 MB with signatures of keys of its own, and each node recovers
them for a minute."""
BUNDLE_BIDS_MAX = 64
"""Bids in one bundle: 64 × 3 signatures take ≈ 8 ms to recover, a tenth of a block's budget."""
PATH_LENGTHS = (1, 2, 4)
"""Routers per transfer a bid may be for: Connext's rounds 1, 2, 3."""
EXTENSION_BYTES_MAX = 2048
"""A vote extension: gossiped and injected once per validator and block; 50 to 400 bytes are usual."""
EXTENSION_SIGNATURES_MAX = 3
"""Batches that one extension signs: what was missed is caught up in a few blocks."""
EXTENSION_SEGMENTS_MAX = 4
"""Digests past the cursor per domain in one extension."""
SEGMENT_EVENTS_MAX = 256
"""Events of one segment: a burst of events is spread over blocks."""
SEGMENT_BYTES_MAX = 128 * 1024
"""Canonical events of one segment, the header not counted."""
EVENT_BYTES_MAX = 9 * 1024
"""One projection: 8 KiB of callData and what stands around it."""
CALL_DATA_INLINE_MAX = 8 * 1024
"""Longer callData travels as hash and length and the transfer goes SLOW (LIM-1)."""
CALL_DATA_SUBMIT_MAX = 64 * 1024
"""callData of a submitted TransferInfo (TX-2); in its leaf each byte costs gas again."""
ROUTERS_INLINE_MAX = 16
"""Routers of an event that its projection lists; paths end at 4."""
RELAYER_FEE_ASSETS_MAX = 4
"""Assets of relayer fees that are folded into one XCalled; further ones are left out."""
LIVE_UNATTESTED_MAX = 8
"""Live batches without a quorum: beyond, deciding more would only let leases run out (LSE-6)."""
LEAF_ENTRIES_MAX = 32
"""Decisions of one leaf: a gate executes it in one transaction."""
LEAF_GAS_MAX = 14_000_000
"""Gas of one leaf: with the gate's own it stays below the 2^24 that EIP-7825 allows a transaction."""
CALL_DATA_BYTE_GAS = 20
"""What a byte of callData adds to a leaf: 16 for the transaction, the rest for hashing and copying. Without it a leaf
of long calls would need more than the 2^24 gas that EIP-7825 allows a transaction."""
GAS_LIMIT_MAX = 13_000_000
"""Gas of one decision: less than a leaf's, which counts its callData too."""
SLOW_CALL_DATA_GAS_MIN = 6_000_000
"""Connext swallows a failing call on the slow path, so a starved call would be lost for ever."""
CHARGE_SCALE = 1 << 32
"""A charge is a share times this, so that dividing by a weight rounds next to nothing away."""
RECENT_PROPOSERS_MAX = 8
"""Proposers that the state remembers: as long as an auction may wait for a second one (ASN-1)."""
FAULTS_MAX = 10
"""Faults that double a cool-down: 2^9 times the first is long enough."""
INDEX_WHOLE_BLOCK = (1 << 32) - 1
"""Log index of a position that holds the whole block."""


@dataclass(frozen=True, slots=True)
class FeeRow:
    """Relayer fee that attempt k of a transfer on this lane needs k times, in one origin asset (LIM-6)."""

    origin: DomainId
    destination: DomainId
    asset: Address
    amount: int


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters that governance may change; defaults are mainnet's, testnet/genesis has the local testnet's."""

    auction_window_blocks: U16 = 1
    """Auction window after acceptance; one block suffices for bids that wait in mempools."""
    auction_extra_blocks: U16 = 2
    """Extension of the auction window until two different proposers could include bids."""
    stale_after_s: U32 = 30 * 60
    """Maximum age of a destination's cursor; beyond it the lanes to that destination are held."""
    lease_s: U32 = 120
    """Lease of a decision: time to be signed, relayed and mined, short enough to retry soon."""
    decision_deadline_blocks: U32 = 30
    """After this long without a feasible bid a transfer moves to the slow path."""
    waiting_blocks: U32 = 600
    """Deadline of a transfer that had an attempt: liquidity may return before it moves to the slow path."""
    attempts_max: U8 = 4
    """Maximum of fast attempts; after them the transfer moves to the slow path."""
    slow_attempts: U8 = 6
    """Slow decisions: with doubling spacing they reach over an hour."""
    slow_spacing_s: U32 = 120
    """Seconds to the second slow decision; doubles with each (SLW-2)."""
    cool_down_blocks: U32 = 100
    """Blocks for which a router at fault is not assigned; doubles with each fault."""
    early_bid_blocks: U32 = 30
    """Blocks for which a bid may wait in mempools for its transfer to be accepted."""
    early_bids_per_router: U16 = 256
    """Maximum of early bids of one router in a mempool, so that bids for unknown transfers cannot fill it."""
    bids_per_transfer: U16 = 256
    """Bidders on record; the second half of them only routers that could serve (BID-3)."""
    stub_ttl_s: U32 = 30 * 24 * 3600
    """After this long without its XCalled a stub is dropped."""
    slow_ttl_s: U32 = 30 * 24 * 3600
    """After this long without an event a SLOW or RECONCILED transfer is dropped."""
    gas_base: U64 = 350_000
    """Gas of a decision with one router: some twice what a plain transfer was measured to take."""
    gas_per_router: U64 = 45_000
    """Gas of each router after the first: its signature and its balance."""
    gas_with_call_data: U64 = 750_000
    """In the place of ``gas_base`` where there is callData."""
    segments_bytes: U32 = 512 * 1024
    """Segments of one block: four of the largest."""
    retention_blocks: U32 = 100_000
    """Retention of completed transfers for queries."""
    fee_table: tuple[FeeRow, ...] = ()
    """Minimum relayer fees; a lane with rows needs one of them met, an empty table requires no fee."""
