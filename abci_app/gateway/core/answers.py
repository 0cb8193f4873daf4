"""Answers of the query service as plain values: amounts are integers, addresses and hashes raw bytes.

Fields are named as those of the messages in proto/routing/v1/query.proto, which say what each means.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Validator:
    """A validator of the next epoch."""

    consensus_key: bytes
    power: int
    attestation: bytes


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter of the answering node."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """Chain, height, validators and the node's own counters."""

    chain_id: str
    height: int
    time_s: int
    app_hash: bytes
    epoch: int
    validators: tuple[Validator, ...]
    attestation: bytes
    next_sequence: int
    next_acceptance: int
    unattested_batches: int
    counters: tuple[Counter, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A digest reported for a segment, with the validators that report it, by attestation address."""

    digest: bytes
    validators: tuple[bytes, ...]
    power: int


@dataclass(frozen=True, slots=True)
class SegmentReports:
    """Reports of validators on one segment, by digest."""

    segment: int
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain with the reports on record past its cursor."""

    domain: int
    chain_id: int
    connext: bytes
    gate: bytes
    finality_depth: int
    segment_blocks: int
    idle_blocks: int
    segment: int
    cursor_block: int
    cursor_index: int
    cursor_hash: bytes
    cursor_timestamp_s: int
    next_nonce: int
    max_routers: int
    fee_numerator: int
    connext_paused: bool
    status: str
    eligible: bool
    reports: tuple[SegmentReports, ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane: an ordered pair of domains with its own sequence."""

    origin: int
    destination: int
    status: str
    ordered: bool
    next_sequence: int
    held: bool


@dataclass(frozen=True, slots=True)
class AssetLocal:
    """A local token of an asset."""

    domain: int
    address: bytes
    decimals: int
    listed: bool


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset with its local tokens."""

    canonical_domain: int
    canonical_id: bytes
    locals: tuple[AssetLocal, ...]


@dataclass(frozen=True, slots=True)
class DomainsAnswer:
    """All domains, lanes and assets."""

    height: int
    domains: tuple[Domain, ...]
    lanes: tuple[Lane, ...]
    assets: tuple[Asset, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt with how far its batch is attested (height 0: not yet)."""

    number: int
    kind: str
    sequence: int
    lane_sequence: int
    routers: tuple[bytes, ...]
    share: int
    valid_until_s: int
    decided_height: int
    end: str
    ended_height: int
    attested_height: int
    signatures: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer with its attempts."""

    transfer_id: bytes
    status: str
    acceptance: int
    origin: int
    destination: int
    nonce: int
    amount: int
    local: bytes
    has_call_data: bool
    origin_tx: bytes
    accepted_height: int
    accepted_time_s: int
    attempts: tuple[Attempt, ...]
    executed_by: tuple[bytes, ...]
    executed_tx: bytes
    reconciled_tx: bytes
    finished_height: int


@dataclass(frozen=True, slots=True)
class StandingBid:
    """A bid without its signatures: those leave only in an execution payload."""

    router: bytes
    path_lengths: tuple[int, ...]
    withdrawn: bool
    height: int


@dataclass(frozen=True, slots=True)
class TransferAnswer:
    """One transfer, its terms (empty while known by hash only) and its bids."""

    height: int
    transfer: Transfer
    transfer_info: bytes
    bids: tuple[StandingBid, ...]


@dataclass(frozen=True, slots=True)
class TransfersAnswer:
    """Transfers by acceptance number; where ``truncated``, there may be more from ``next_acceptance`` on."""

    height: int
    transfers: tuple[Transfer, ...]
    truncated: bool
    next_acceptance: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bidder with every input of the auction about it."""

    router: bytes
    path_lengths: tuple[int, ...]
    approved: bool
    eligible: bool
    cool_down_until: int
    withdrawn: bool
    balance: int
    reserved: int
    finish: int
    weight: int
    code: int
    code_name: str


@dataclass(frozen=True, slots=True)
class Winner:
    """A winner with its charge."""

    router: bytes
    charge: int


@dataclass(frozen=True, slots=True)
class AuctionAnswer:
    """An auction with every input of the rule; path length 0: nobody was feasible."""

    height: int
    transfer_id: bytes
    attempt: int
    recorded: bool
    amount: int
    max_routers: int
    path_length: int
    share: int
    virtual_before: int
    virtual_after: int
    candidates: tuple[Candidate, ...]
    winners: tuple[Winner, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RouterLiquidity:
    """A router's liquidity in one local token."""

    local: bytes
    balance: int
    reserved: int


@dataclass(frozen=True, slots=True)
class RouterDomain:
    """A router on one domain."""

    domain: int
    approved: bool
    eligible: bool
    faults: int
    cool_down_until: int
    liquidity: tuple[RouterLiquidity, ...]


@dataclass(frozen=True, slots=True)
class RouterAnswer:
    """A router on every domain that knows it."""

    height: int
    router: bytes
    domains: tuple[RouterDomain, ...]
