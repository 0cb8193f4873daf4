"""Builder of the genesis state from ``app_state`` of the genesis file (docs/protocol.md section 10, GEN-1 … GEN-3)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from abci_app.machine.genesis.checks import check_genesis, compute_possession_digest
from abci_app.machine.genesis.form import (
    Genesis,
    GenesisAsset,
    GenesisBalance,
    GenesisCursor,
    GenesisDomain,
    GenesisLocal,
    GenesisRouter,
    GenesisValidator,
)
from abci_app.machine.genesis.json_form import from_json, to_json
from abci_app.machine.observation.stream import compute_first_digest
from abci_app.machine.params import INDEX_WHOLE_BLOCK, Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId, encode
from abci_app.machine.state.records import (
    EMPTY_HASH,
    Asset,
    AssetLocal,
    ChainState,
    Cursor,
    Domain,
    DomainStatus,
    Lane,
    Liquidity,
    Member,
    Router,
    ValidatorSet,
)
from abci_app.machine.upgrades import FIRST_VERSION

__all__ = [
    "FIRST_EPOCH", "FIRST_HEIGHT", "Genesis", "GenesisAsset", "GenesisBalance", "GenesisCursor", "GenesisDomain",
    "GenesisLocal", "GenesisRouter", "GenesisValidator", "build_state", "compute_consensus_address",
    "compute_possession_digest", "make_app_state", "order_members",
]

FIRST_EPOCH = 1
FIRST_HEIGHT = 1


def make_app_state(
    params: Params, domains: Sequence[GenesisDomain], assets: Sequence[GenesisAsset],
    routers: Sequence[GenesisRouter], validators: Sequence[GenesisValidator],
) -> dict[str, Any]:
    """Return the JSON of ``app_state``: what ``build_state`` reads, as dicts, lists, strings, integers, booleans."""
    genesis = Genesis(tuple(domains), tuple(assets), tuple(routers), tuple(validators), params)
    described: dict[str, Any] = to_json(genesis)
    return described


def build_state(
    app_state: dict[str, Any], chain_id: str, validators: Sequence[tuple[bytes, int]],
    extensions_from: int = FIRST_HEIGHT, app_version: int = FIRST_VERSION,
) -> dict[bytes, bytes]:
    """Return the genesis state as encoded records by key.

    ``validators``: InitChain's ed25519 keys (32 bytes) and powers. ``extensions_from`` and ``app_version``: its
    consensus parameters' ``vote_extensions_enable_height`` and ``version.app``. ``Rejected(GENESIS_INVALID)`` names
    what is wrong.
    """
    genesis = from_json(Genesis, app_state, "app_state")
    check_genesis(genesis, chain_id, validators)

    records: dict[bytes, object] = {keys.PARAMS: genesis.params}
    records[keys.CHAIN] = ChainState(
        chain_id=chain_id, height=0, time_s=0, next_acceptance=1, next_sequence=1, recent_proposers=(),
        epoch_last=FIRST_EPOCH, epoch_executing=FIRST_EPOCH, epoch_next=FIRST_EPOCH,
        extensions_from=extensions_from, app_version=app_version,
    )
    records[keys.epoch(FIRST_EPOCH)] = _make_validator_set(genesis.validators)
    for domain in genesis.domains:
        records[keys.domain(domain.domain)] = _make_domain(domain)
        for other in genesis.domains:
            if other is not domain:
                records[keys.lane(domain.domain, other.domain)] = _make_lane(domain.domain, other.domain)
    for asset in genesis.assets:
        locals_ = tuple(AssetLocal(each.domain, each.address, each.decimals, True) for each in asset.locals)
        records[keys.asset(asset.canonical_domain, asset.canonical_id)] = Asset(
            asset.canonical_domain, asset.canonical_id, asset.min_fast, locals_
        )
    for router in genesis.routers:
        records[keys.router(router.domain, router.router)] = Router(
            router.router, router.domain, router.approved, eligible=True, faults=0, cool_down_until=0
        )
        for balance in router.balances:
            key = keys.liquidity(router.domain, balance.local, router.router)
            records[key] = Liquidity(balance.amount, reserved=0, at_fault=False)
    return {key: encode(records[key]) for key in sorted(records)}


def compute_consensus_address(consensus_key: bytes) -> Address:
    """Return CometBFT's address of an ed25519 key: the first 20 bytes of its sha256."""
    return Address(sha256(consensus_key).digest()[:20])


def order_members(members: Iterable[Member]) -> tuple[Member, ...]:
    """Return members in CometBFT's order: power descending, then consensus address ascending."""
    return tuple(sorted(members, key=lambda member: (-member.power, compute_consensus_address(member.consensus_key))))


def _make_validator_set(validators: Sequence[GenesisValidator]) -> ValidatorSet:
    members = (Member(each.consensus_key, each.power, each.attestation) for each in validators)
    return ValidatorSet(FIRST_EPOCH, order_members(members))


def _make_domain(domain: GenesisDomain) -> Domain:
    at = domain.cursor
    cursor = Cursor(0, at.block, INDEX_WHOLE_BLOCK, at.block_hash, at.timestamp_s, EMPTY_HASH)
    record = Domain(
        domain=domain.domain, chain_id=domain.chain_id, connext=domain.connext, gate=domain.gate,
        finality_depth=domain.finality_depth, stream_version=domain.stream_version,
        segment_blocks=domain.segment_blocks, idle_blocks=domain.idle_blocks, cursor=cursor,
        next_nonce=domain.next_nonce, max_routers=domain.max_routers, fee_numerator=domain.fee_numerator,
        connext_paused=domain.connext_paused, allowlist_removed=domain.allowlist_removed,
        status=DomainStatus.OPEN, eligible=True,
    )
    return replace(record, cursor=replace(cursor, digest=compute_first_digest(record)))


def _make_lane(origin: DomainId, destination: DomainId) -> Lane:
    return Lane(
        origin, destination, DomainStatus.OPEN, ordered=False, next_sequence=1, held=False, held_since=0, held_blocks=0
    )
