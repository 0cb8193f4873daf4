from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("chain_id", "height", "time_s", "app_hash", "epoch", "validators", "attestation", "next_sequence", "next_acceptance", "unattested_batches", "counters")
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_S_FIELD_NUMBER: _ClassVar[int]
    APP_HASH_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    ATTESTATION_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NEXT_ACCEPTANCE_FIELD_NUMBER: _ClassVar[int]
    UNATTESTED_BATCHES_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    chain_id: str
    height: int
    time_s: int
    app_hash: bytes
    epoch: int
    validators: _containers.RepeatedCompositeFieldContainer[Validator]
    attestation: bytes
    next_sequence: int
    next_acceptance: int
    unattested_batches: int
    counters: _containers.RepeatedCompositeFieldContainer[Counter]
    def __init__(self, chain_id: _Optional[str] = ..., height: _Optional[int] = ..., time_s: _Optional[int] = ..., app_hash: _Optional[bytes] = ..., epoch: _Optional[int] = ..., validators: _Optional[_Iterable[_Union[Validator, _Mapping]]] = ..., attestation: _Optional[bytes] = ..., next_sequence: _Optional[int] = ..., next_acceptance: _Optional[int] = ..., unattested_batches: _Optional[int] = ..., counters: _Optional[_Iterable[_Union[Counter, _Mapping]]] = ...) -> None: ...

class Counter(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: int
    def __init__(self, name: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...

class Validator(_message.Message):
    __slots__ = ("consensus_key", "power", "attestation")
    CONSENSUS_KEY_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    ATTESTATION_FIELD_NUMBER: _ClassVar[int]
    consensus_key: bytes
    power: int
    attestation: bytes
    def __init__(self, consensus_key: _Optional[bytes] = ..., power: _Optional[int] = ..., attestation: _Optional[bytes] = ...) -> None: ...

class DomainsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DomainsResponse(_message.Message):
    __slots__ = ("height", "domains", "lanes", "assets")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    LANES_FIELD_NUMBER: _ClassVar[int]
    ASSETS_FIELD_NUMBER: _ClassVar[int]
    height: int
    domains: _containers.RepeatedCompositeFieldContainer[Domain]
    lanes: _containers.RepeatedCompositeFieldContainer[Lane]
    assets: _containers.RepeatedCompositeFieldContainer[Asset]
    def __init__(self, height: _Optional[int] = ..., domains: _Optional[_Iterable[_Union[Domain, _Mapping]]] = ..., lanes: _Optional[_Iterable[_Union[Lane, _Mapping]]] = ..., assets: _Optional[_Iterable[_Union[Asset, _Mapping]]] = ...) -> None: ...

class Domain(_message.Message):
    __slots__ = ("domain", "chain_id", "connext", "gate", "finality_depth", "segment_blocks", "idle_blocks", "segment", "cursor_block", "cursor_index", "cursor_hash", "cursor_timestamp_s", "next_nonce", "max_routers", "fee_numerator", "connext_paused", "status", "eligible", "reports")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    CONNEXT_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    FINALITY_DEPTH_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    IDLE_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_BLOCK_FIELD_NUMBER: _ClassVar[int]
    CURSOR_INDEX_FIELD_NUMBER: _ClassVar[int]
    CURSOR_HASH_FIELD_NUMBER: _ClassVar[int]
    CURSOR_TIMESTAMP_S_FIELD_NUMBER: _ClassVar[int]
    NEXT_NONCE_FIELD_NUMBER: _ClassVar[int]
    MAX_ROUTERS_FIELD_NUMBER: _ClassVar[int]
    FEE_NUMERATOR_FIELD_NUMBER: _ClassVar[int]
    CONNEXT_PAUSED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
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
    reports: _containers.RepeatedCompositeFieldContainer[SegmentReports]
    def __init__(self, domain: _Optional[int] = ..., chain_id: _Optional[int] = ..., connext: _Optional[bytes] = ..., gate: _Optional[bytes] = ..., finality_depth: _Optional[int] = ..., segment_blocks: _Optional[int] = ..., idle_blocks: _Optional[int] = ..., segment: _Optional[int] = ..., cursor_block: _Optional[int] = ..., cursor_index: _Optional[int] = ..., cursor_hash: _Optional[bytes] = ..., cursor_timestamp_s: _Optional[int] = ..., next_nonce: _Optional[int] = ..., max_routers: _Optional[int] = ..., fee_numerator: _Optional[int] = ..., connext_paused: _Optional[bool] = ..., status: _Optional[str] = ..., eligible: _Optional[bool] = ..., reports: _Optional[_Iterable[_Union[SegmentReports, _Mapping]]] = ...) -> None: ...

class SegmentReports(_message.Message):
    __slots__ = ("segment", "reports")
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    segment: int
    reports: _containers.RepeatedCompositeFieldContainer[Report]
    def __init__(self, segment: _Optional[int] = ..., reports: _Optional[_Iterable[_Union[Report, _Mapping]]] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("digest", "validators", "power")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    validators: _containers.RepeatedScalarFieldContainer[bytes]
    power: int
    def __init__(self, digest: _Optional[bytes] = ..., validators: _Optional[_Iterable[bytes]] = ..., power: _Optional[int] = ...) -> None: ...

class Lane(_message.Message):
    __slots__ = ("origin", "destination", "status", "ordered", "next_sequence", "held")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ORDERED_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    origin: int
    destination: int
    status: str
    ordered: bool
    next_sequence: int
    held: bool
    def __init__(self, origin: _Optional[int] = ..., destination: _Optional[int] = ..., status: _Optional[str] = ..., ordered: _Optional[bool] = ..., next_sequence: _Optional[int] = ..., held: _Optional[bool] = ...) -> None: ...

class Asset(_message.Message):
    __slots__ = ("canonical_domain", "canonical_id", "locals")
    CANONICAL_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    CANONICAL_ID_FIELD_NUMBER: _ClassVar[int]
    LOCALS_FIELD_NUMBER: _ClassVar[int]
    canonical_domain: int
    canonical_id: bytes
    locals: _containers.RepeatedCompositeFieldContainer[AssetLocal]
    def __init__(self, canonical_domain: _Optional[int] = ..., canonical_id: _Optional[bytes] = ..., locals: _Optional[_Iterable[_Union[AssetLocal, _Mapping]]] = ...) -> None: ...

class AssetLocal(_message.Message):
    __slots__ = ("domain", "address", "decimals", "listed")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DECIMALS_FIELD_NUMBER: _ClassVar[int]
    LISTED_FIELD_NUMBER: _ClassVar[int]
    domain: int
    address: bytes
    decimals: int
    listed: bool
    def __init__(self, domain: _Optional[int] = ..., address: _Optional[bytes] = ..., decimals: _Optional[int] = ..., listed: _Optional[bool] = ...) -> None: ...

class TransferRequest(_message.Message):
    __slots__ = ("transfer_id",)
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    transfer_id: bytes
    def __init__(self, transfer_id: _Optional[bytes] = ...) -> None: ...

class TransferResponse(_message.Message):
    __slots__ = ("height", "transfer", "transfer_info", "bids")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_INFO_FIELD_NUMBER: _ClassVar[int]
    BIDS_FIELD_NUMBER: _ClassVar[int]
    height: int
    transfer: Transfer
    transfer_info: bytes
    bids: _containers.RepeatedCompositeFieldContainer[StandingBid]
    def __init__(self, height: _Optional[int] = ..., transfer: _Optional[_Union[Transfer, _Mapping]] = ..., transfer_info: _Optional[bytes] = ..., bids: _Optional[_Iterable[_Union[StandingBid, _Mapping]]] = ...) -> None: ...

class TransfersRequest(_message.Message):
    __slots__ = ("from_acceptance", "limit", "status")
    FROM_ACCEPTANCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    from_acceptance: int
    limit: int
    status: str
    def __init__(self, from_acceptance: _Optional[int] = ..., limit: _Optional[int] = ..., status: _Optional[str] = ...) -> None: ...

class TransfersResponse(_message.Message):
    __slots__ = ("height", "transfers", "truncated", "next_acceptance")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TRANSFERS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    NEXT_ACCEPTANCE_FIELD_NUMBER: _ClassVar[int]
    height: int
    transfers: _containers.RepeatedCompositeFieldContainer[Transfer]
    truncated: bool
    next_acceptance: int
    def __init__(self, height: _Optional[int] = ..., transfers: _Optional[_Iterable[_Union[Transfer, _Mapping]]] = ..., truncated: _Optional[bool] = ..., next_acceptance: _Optional[int] = ...) -> None: ...

class Transfer(_message.Message):
    __slots__ = ("transfer_id", "status", "acceptance", "origin", "destination", "nonce", "amount", "local", "has_call_data", "origin_tx", "accepted_height", "accepted_time_s", "attempts", "executed_by", "executed_tx", "reconciled_tx", "finished_height")
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ACCEPTANCE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    HAS_CALL_DATA_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_TX_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_TIME_S_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    EXECUTED_BY_FIELD_NUMBER: _ClassVar[int]
    EXECUTED_TX_FIELD_NUMBER: _ClassVar[int]
    RECONCILED_TX_FIELD_NUMBER: _ClassVar[int]
    FINISHED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    transfer_id: bytes
    status: str
    acceptance: int
    origin: int
    destination: int
    nonce: str
    amount: str
    local: bytes
    has_call_data: bool
    origin_tx: bytes
    accepted_height: int
    accepted_time_s: int
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    executed_by: _containers.RepeatedScalarFieldContainer[bytes]
    executed_tx: bytes
    reconciled_tx: bytes
    finished_height: int
    def __init__(self, transfer_id: _Optional[bytes] = ..., status: _Optional[str] = ..., acceptance: _Optional[int] = ..., origin: _Optional[int] = ..., destination: _Optional[int] = ..., nonce: _Optional[str] = ..., amount: _Optional[str] = ..., local: _Optional[bytes] = ..., has_call_data: _Optional[bool] = ..., origin_tx: _Optional[bytes] = ..., accepted_height: _Optional[int] = ..., accepted_time_s: _Optional[int] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., executed_by: _Optional[_Iterable[bytes]] = ..., executed_tx: _Optional[bytes] = ..., reconciled_tx: _Optional[bytes] = ..., finished_height: _Optional[int] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("number", "kind", "sequence", "lane_sequence", "routers", "share", "valid_until_s", "decided_height", "end", "ended_height", "attested_height", "signatures")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LANE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ROUTERS_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_S_FIELD_NUMBER: _ClassVar[int]
    DECIDED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    ENDED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ATTESTED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    number: int
    kind: str
    sequence: int
    lane_sequence: int
    routers: _containers.RepeatedScalarFieldContainer[bytes]
    share: str
    valid_until_s: int
    decided_height: int
    end: str
    ended_height: int
    attested_height: int
    signatures: int
    def __init__(self, number: _Optional[int] = ..., kind: _Optional[str] = ..., sequence: _Optional[int] = ..., lane_sequence: _Optional[int] = ..., routers: _Optional[_Iterable[bytes]] = ..., share: _Optional[str] = ..., valid_until_s: _Optional[int] = ..., decided_height: _Optional[int] = ..., end: _Optional[str] = ..., ended_height: _Optional[int] = ..., attested_height: _Optional[int] = ..., signatures: _Optional[int] = ...) -> None: ...

class StandingBid(_message.Message):
    __slots__ = ("router", "path_lengths", "withdrawn", "height")
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    PATH_LENGTHS_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    router: bytes
    path_lengths: _containers.RepeatedScalarFieldContainer[int]
    withdrawn: bool
    height: int
    def __init__(self, router: _Optional[bytes] = ..., path_lengths: _Optional[_Iterable[int]] = ..., withdrawn: _Optional[bool] = ..., height: _Optional[int] = ...) -> None: ...

class AuctionRequest(_message.Message):
    __slots__ = ("transfer_id", "attempt")
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    transfer_id: bytes
    attempt: int
    def __init__(self, transfer_id: _Optional[bytes] = ..., attempt: _Optional[int] = ...) -> None: ...

class AuctionResponse(_message.Message):
    __slots__ = ("height", "transfer_id", "attempt", "recorded", "amount", "max_routers", "path_length", "share", "virtual_before", "virtual_after", "candidates", "winners", "reason")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_ROUTERS_FIELD_NUMBER: _ClassVar[int]
    PATH_LENGTH_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_BEFORE_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_AFTER_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    WINNERS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    height: int
    transfer_id: bytes
    attempt: int
    recorded: bool
    amount: str
    max_routers: int
    path_length: int
    share: str
    virtual_before: str
    virtual_after: str
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    winners: _containers.RepeatedCompositeFieldContainer[Winner]
    reason: str
    def __init__(self, height: _Optional[int] = ..., transfer_id: _Optional[bytes] = ..., attempt: _Optional[int] = ..., recorded: _Optional[bool] = ..., amount: _Optional[str] = ..., max_routers: _Optional[int] = ..., path_length: _Optional[int] = ..., share: _Optional[str] = ..., virtual_before: _Optional[str] = ..., virtual_after: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., winners: _Optional[_Iterable[_Union[Winner, _Mapping]]] = ..., reason: _Optional[str] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("router", "path_lengths", "approved", "eligible", "cool_down_until", "withdrawn", "balance", "reserved", "finish", "weight", "code", "code_name")
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    PATH_LENGTHS_FIELD_NUMBER: _ClassVar[int]
    APPROVED_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_FIELD_NUMBER: _ClassVar[int]
    COOL_DOWN_UNTIL_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    CODE_NAME_FIELD_NUMBER: _ClassVar[int]
    router: bytes
    path_lengths: _containers.RepeatedScalarFieldContainer[int]
    approved: bool
    eligible: bool
    cool_down_until: int
    withdrawn: bool
    balance: str
    reserved: str
    finish: str
    weight: int
    code: int
    code_name: str
    def __init__(self, router: _Optional[bytes] = ..., path_lengths: _Optional[_Iterable[int]] = ..., approved: _Optional[bool] = ..., eligible: _Optional[bool] = ..., cool_down_until: _Optional[int] = ..., withdrawn: _Optional[bool] = ..., balance: _Optional[str] = ..., reserved: _Optional[str] = ..., finish: _Optional[str] = ..., weight: _Optional[int] = ..., code: _Optional[int] = ..., code_name: _Optional[str] = ...) -> None: ...

class Winner(_message.Message):
    __slots__ = ("router", "charge")
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    CHARGE_FIELD_NUMBER: _ClassVar[int]
    router: bytes
    charge: str
    def __init__(self, router: _Optional[bytes] = ..., charge: _Optional[str] = ...) -> None: ...

class RouterRequest(_message.Message):
    __slots__ = ("router",)
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    router: bytes
    def __init__(self, router: _Optional[bytes] = ...) -> None: ...

class RouterResponse(_message.Message):
    __slots__ = ("height", "router", "domains")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    height: int
    router: bytes
    domains: _containers.RepeatedCompositeFieldContainer[RouterDomain]
    def __init__(self, height: _Optional[int] = ..., router: _Optional[bytes] = ..., domains: _Optional[_Iterable[_Union[RouterDomain, _Mapping]]] = ...) -> None: ...

class RouterDomain(_message.Message):
    __slots__ = ("domain", "approved", "eligible", "faults", "cool_down_until", "liquidity")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    APPROVED_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    COOL_DOWN_UNTIL_FIELD_NUMBER: _ClassVar[int]
    LIQUIDITY_FIELD_NUMBER: _ClassVar[int]
    domain: int
    approved: bool
    eligible: bool
    faults: int
    cool_down_until: int
    liquidity: _containers.RepeatedCompositeFieldContainer[RouterLiquidity]
    def __init__(self, domain: _Optional[int] = ..., approved: _Optional[bool] = ..., eligible: _Optional[bool] = ..., faults: _Optional[int] = ..., cool_down_until: _Optional[int] = ..., liquidity: _Optional[_Iterable[_Union[RouterLiquidity, _Mapping]]] = ...) -> None: ...

class RouterLiquidity(_message.Message):
    __slots__ = ("local", "balance", "reserved")
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    local: bytes
    balance: str
    reserved: str
    def __init__(self, local: _Optional[bytes] = ..., balance: _Optional[str] = ..., reserved: _Optional[str] = ...) -> None: ...

class DecisionsRequest(_message.Message):
    __slots__ = ("from_sequence", "limit")
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    limit: int
    def __init__(self, from_sequence: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class DecisionsResponse(_message.Message):
    __slots__ = ("height", "decisions")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    height: int
    decisions: _containers.RepeatedCompositeFieldContainer[Decision]
    def __init__(self, height: _Optional[int] = ..., decisions: _Optional[_Iterable[_Union[Decision, _Mapping]]] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("sequence", "height", "origin", "destination", "lane_sequence", "transfer_id", "attempt", "kind", "routers", "valid_until_s", "gas_limit")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    LANE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ROUTERS_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_S_FIELD_NUMBER: _ClassVar[int]
    GAS_LIMIT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    height: int
    origin: int
    destination: int
    lane_sequence: int
    transfer_id: bytes
    attempt: int
    kind: str
    routers: _containers.RepeatedScalarFieldContainer[bytes]
    valid_until_s: int
    gas_limit: int
    def __init__(self, sequence: _Optional[int] = ..., height: _Optional[int] = ..., origin: _Optional[int] = ..., destination: _Optional[int] = ..., lane_sequence: _Optional[int] = ..., transfer_id: _Optional[bytes] = ..., attempt: _Optional[int] = ..., kind: _Optional[str] = ..., routers: _Optional[_Iterable[bytes]] = ..., valid_until_s: _Optional[int] = ..., gas_limit: _Optional[int] = ...) -> None: ...

class BatchRequest(_message.Message):
    __slots__ = ("height",)
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    height: int
    def __init__(self, height: _Optional[int] = ...) -> None: ...

class BatchResponse(_message.Message):
    __slots__ = ("height", "batch")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    height: int
    batch: Batch
    def __init__(self, height: _Optional[int] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ...) -> None: ...

class BatchesRequest(_message.Message):
    __slots__ = ("from_height", "limit", "attested_only")
    FROM_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ATTESTED_ONLY_FIELD_NUMBER: _ClassVar[int]
    from_height: int
    limit: int
    attested_only: bool
    def __init__(self, from_height: _Optional[int] = ..., limit: _Optional[int] = ..., attested_only: _Optional[bool] = ...) -> None: ...

class BatchesResponse(_message.Message):
    __slots__ = ("height", "batches")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    height: int
    batches: _containers.RepeatedCompositeFieldContainer[Batch]
    def __init__(self, height: _Optional[int] = ..., batches: _Optional[_Iterable[_Union[Batch, _Mapping]]] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("height", "epoch", "root", "digest", "leaves", "attested_height", "attestations")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    ATTESTED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ATTESTATIONS_FIELD_NUMBER: _ClassVar[int]
    height: int
    epoch: int
    root: bytes
    digest: bytes
    leaves: _containers.RepeatedCompositeFieldContainer[Leaf]
    attested_height: int
    attestations: _containers.RepeatedCompositeFieldContainer[Attestation]
    def __init__(self, height: _Optional[int] = ..., epoch: _Optional[int] = ..., root: _Optional[bytes] = ..., digest: _Optional[bytes] = ..., leaves: _Optional[_Iterable[_Union[Leaf, _Mapping]]] = ..., attested_height: _Optional[int] = ..., attestations: _Optional[_Iterable[_Union[Attestation, _Mapping]]] = ...) -> None: ...

class Leaf(_message.Message):
    __slots__ = ("destination", "chain_id", "gate", "lane", "lane_floor", "sequences", "hash")
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    LANE_FLOOR_FIELD_NUMBER: _ClassVar[int]
    SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    destination: int
    chain_id: int
    gate: bytes
    lane: int
    lane_floor: int
    sequences: _containers.RepeatedScalarFieldContainer[int]
    hash: bytes
    def __init__(self, destination: _Optional[int] = ..., chain_id: _Optional[int] = ..., gate: _Optional[bytes] = ..., lane: _Optional[int] = ..., lane_floor: _Optional[int] = ..., sequences: _Optional[_Iterable[int]] = ..., hash: _Optional[bytes] = ...) -> None: ...

class Attestation(_message.Message):
    __slots__ = ("attestation", "power", "signature")
    ATTESTATION_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    attestation: bytes
    power: int
    signature: bytes
    def __init__(self, attestation: _Optional[bytes] = ..., power: _Optional[int] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ExecutionRequest(_message.Message):
    __slots__ = ("height", "leaf")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LEAF_FIELD_NUMBER: _ClassVar[int]
    height: int
    leaf: int
    def __init__(self, height: _Optional[int] = ..., leaf: _Optional[int] = ...) -> None: ...

class ExecutionResponse(_message.Message):
    __slots__ = ("height", "batch_height", "epoch", "root", "leaf", "proof", "path_bits", "attestations", "entries", "total_power")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BATCH_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    LEAF_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    PATH_BITS_FIELD_NUMBER: _ClassVar[int]
    ATTESTATIONS_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_POWER_FIELD_NUMBER: _ClassVar[int]
    height: int
    batch_height: int
    epoch: int
    root: bytes
    leaf: Leaf
    proof: _containers.RepeatedScalarFieldContainer[bytes]
    path_bits: int
    attestations: _containers.RepeatedCompositeFieldContainer[Attestation]
    entries: _containers.RepeatedCompositeFieldContainer[ExecutionEntry]
    total_power: int
    def __init__(self, height: _Optional[int] = ..., batch_height: _Optional[int] = ..., epoch: _Optional[int] = ..., root: _Optional[bytes] = ..., leaf: _Optional[_Union[Leaf, _Mapping]] = ..., proof: _Optional[_Iterable[bytes]] = ..., path_bits: _Optional[int] = ..., attestations: _Optional[_Iterable[_Union[Attestation, _Mapping]]] = ..., entries: _Optional[_Iterable[_Union[ExecutionEntry, _Mapping]]] = ..., total_power: _Optional[int] = ...) -> None: ...

class ExecutionEntry(_message.Message):
    __slots__ = ("decision", "transfer_info", "router_signatures", "sequencer", "sequencer_signature")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_INFO_FIELD_NUMBER: _ClassVar[int]
    ROUTER_SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    SEQUENCER_FIELD_NUMBER: _ClassVar[int]
    SEQUENCER_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    transfer_info: bytes
    router_signatures: _containers.RepeatedScalarFieldContainer[bytes]
    sequencer: bytes
    sequencer_signature: bytes
    def __init__(self, decision: _Optional[_Union[Decision, _Mapping]] = ..., transfer_info: _Optional[bytes] = ..., router_signatures: _Optional[_Iterable[bytes]] = ..., sequencer: _Optional[bytes] = ..., sequencer_signature: _Optional[bytes] = ...) -> None: ...
