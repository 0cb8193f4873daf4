"""Fields of ``app_state`` in the genesis file: names, types and defaults of docs/protocol.md section 10.

``records.py`` explains the fields that become records as they are.
"""

from dataclasses import dataclass

from abci_app.machine.observation.stream import STREAM_VERSION
from abci_app.machine.params import Params
from abci_app.machine.state.codec import U8, U16, U32, U64, Address, DomainId, Hash, Signature


@dataclass(frozen=True, slots=True)
class GenesisCursor:
    """Block G of a domain: everything up to its end is in the genesis, segment 1 begins after it."""

    block: U64
    block_hash: Hash
    timestamp_s: U64


@dataclass(frozen=True, slots=True)
class GenesisDomain:
    """One chain as it stood at the end of block G; see ``records.Domain`` for the fields."""

    domain: DomainId
    chain_id: U64
    connext: Address
    gate: Address
    finality_depth: U32
    segment_blocks: U32
    idle_blocks: U32
    cursor: GenesisCursor
    next_nonce: U64
    max_routers: U16
    fee_numerator: U16
    connext_paused: bool = False
    allowlist_removed: bool = False
    stream_version: U16 = STREAM_VERSION


@dataclass(frozen=True, slots=True)
class GenesisLocal:
    """An asset's listed local token on one domain."""

    domain: DomainId
    address: Address
    decimals: U8


@dataclass(frozen=True, slots=True)
class GenesisAsset:
    """One canonical asset."""

    canonical_domain: DomainId
    canonical_id: Hash
    locals: tuple[GenesisLocal, ...]
    min_fast: int = 0


@dataclass(frozen=True, slots=True)
class GenesisBalance:
    """A router's liquidity in one local asset, in its units."""

    local: Address
    amount: int


@dataclass(frozen=True, slots=True)
class GenesisRouter:
    """A router on one domain at the end of its block G."""

    router: Address
    domain: DomainId
    approved: bool
    balances: tuple[GenesisBalance, ...] = ()


@dataclass(frozen=True, slots=True)
class GenesisValidator:
    """A validator with both keys; ``proof`` is the attestation key's signature over the consensus key (GEN-2)."""

    consensus_key: Hash
    power: U64
    attestation: Address
    proof: Signature


@dataclass(frozen=True, slots=True)
class Genesis:
    """All of ``app_state``."""

    domains: tuple[GenesisDomain, ...]
    assets: tuple[GenesisAsset, ...]
    routers: tuple[GenesisRouter, ...]
    validators: tuple[GenesisValidator, ...]
    params: Params = Params()
