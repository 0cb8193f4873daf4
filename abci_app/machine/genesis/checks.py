"""Validation of a genesis whose form is right (GEN-1, GEN-2)."""

from collections.abc import Iterable, Sequence

from abci_app.machine.codes import Rejected
from abci_app.machine.connext import FEE_DENOMINATOR, hash_personal, keccak, recover_address
from abci_app.machine.genesis.form import Genesis
from abci_app.machine.genesis.json_form import refuse
from abci_app.machine.observation.stream import STREAM_VERSION
from abci_app.machine.params import GAS_LIMIT_MAX, RECENT_PROPOSERS_MAX, SEGMENT_BYTES_MAX, Params
from abci_app.machine.state.codec import Hash
from abci_app.machine.state.records import EMPTY_ADDRESS, EMPTY_HASH

CHAIN_ID_LENGTH_MAX = 50
"""CometBFT's own limit, in characters."""
TOTAL_POWER_MAX = ((1 << 63) - 1) // 8
"""CometBFT's own limit."""
MEMBERS_MAX = 256
"""What a gate's set and its bitmap of signers hold."""
DOUBLINGS_MAX = 16
"""Gas doubles with each fast attempt, spacing with each slow one: more of them would leave 64 bits."""
SEGMENTS_BYTES_MIN = SEGMENT_BYTES_MAX + 1024
"""The largest segment, its header and its kind must fit into a block, or its domain would stand still."""


def check_genesis(genesis: Genesis, chain_id: str, validators: Sequence[tuple[bytes, int]]) -> None:
    """Reject with GENESIS_INVALID values out of range, duplicates, unknown references and other validators."""
    _require(0 < len(chain_id) <= CHAIN_ID_LENGTH_MAX, "chain_id", f"1 to {CHAIN_ID_LENGTH_MAX} characters")
    _check_params(genesis.params)
    _check_domains(genesis)
    _check_assets(genesis)
    _check_routers(genesis)
    _check_validators(genesis, chain_id, validators)


def compute_possession_digest(chain_id: str, consensus_key: bytes) -> Hash:
    """Return what an attestation key signs to prove that its owner ties it to ``consensus_key`` (GEN-2)."""
    return hash_personal(keccak(b"consensus-routing/attestation-key" + keccak(chain_id.encode()) + consensus_key))


def _require(condition: bool, where: str, what: str) -> None:
    if not condition:
        raise refuse(where, what)


def _require_unique(values: Iterable[object], where: str, what: str) -> None:
    listed = list(values)
    _require(len(set(listed)) == len(listed), where, f"{what} stands there twice")


def _check_params(params: Params) -> None:
    """Refuse parameters under which the rules would stand still or overflow, each and as a whole."""
    at = "app_state.params"
    for name in (
        "auction_window_blocks", "stale_after_s", "lease_s", "decision_deadline_blocks", "waiting_blocks",
        "attempts_max", "slow_attempts", "slow_spacing_s", "early_bid_blocks", "early_bids_per_router",
        "bids_per_transfer", "stub_ttl_s", "slow_ttl_s", "gas_base", "gas_with_call_data", "retention_blocks",
    ):
        _require(getattr(params, name) > 0, f"{at}.{name}", "must be at least 1")
    for name in ("gas_base", "gas_per_router", "gas_with_call_data"):
        _require(getattr(params, name) <= GAS_LIMIT_MAX, f"{at}.{name}", f"must be at most {GAS_LIMIT_MAX}")
    for name in ("attempts_max", "slow_attempts"):
        _require(getattr(params, name) <= DOUBLINGS_MAX, f"{at}.{name}", f"must be at most {DOUBLINGS_MAX}")
    blocks = params.auction_window_blocks + params.auction_extra_blocks
    _require(
        params.auction_extra_blocks == 0 or blocks <= RECENT_PROPOSERS_MAX, f"{at}.auction_extra_blocks",
        f"an auction may wait for a second proposer up to block {RECENT_PROPOSERS_MAX}, not {blocks}",
    )
    _require(
        params.segments_bytes >= SEGMENTS_BYTES_MIN, f"{at}.segments_bytes", f"must be at least {SEGMENTS_BYTES_MIN}"
    )
    _require_unique(((row.origin, row.destination, row.asset) for row in params.fee_table), f"{at}.fee_table", "a row")


def _check_domains(genesis: Genesis) -> None:
    at = "app_state.domains"
    _require_unique((domain.domain for domain in genesis.domains), at, "a domain id")
    _require_unique((domain.chain_id for domain in genesis.domains), at, "a chain id")
    for index, domain in enumerate(genesis.domains):
        here = f"{at}[{index}]"
        _require(domain.domain > 0, f"{here}.domain", "must not be 0")
        _require(domain.chain_id > 0, f"{here}.chain_id", "must not be 0")
        _require(domain.connext != EMPTY_ADDRESS, f"{here}.connext", "must not be zero")
        _require(domain.gate not in (EMPTY_ADDRESS, domain.connext), f"{here}.gate", "must not be zero or Connext's")
        _require(domain.stream_version == STREAM_VERSION, f"{here}.stream_version", f"must be {STREAM_VERSION}")
        _require(domain.segment_blocks > 0, f"{here}.segment_blocks", "must be at least 1")
        is_multiple = domain.idle_blocks > 0 and domain.idle_blocks % domain.segment_blocks == 0
        _require(is_multiple, f"{here}.idle_blocks", "must be a multiple of segment_blocks")
        _require(domain.cursor.block_hash != EMPTY_HASH, f"{here}.cursor.block_hash", "must not be zero")
        _require(domain.cursor.timestamp_s > 0, f"{here}.cursor.timestamp_s", "must not be 0")
        _require(domain.max_routers > 0, f"{here}.max_routers", "must be at least 1")
        _require(domain.fee_numerator <= FEE_DENOMINATOR, f"{here}.fee_numerator", f"at most {FEE_DENOMINATOR}")
    ids = {domain.domain for domain in genesis.domains}
    for index, row in enumerate(genesis.params.fee_table):
        known = row.origin in ids and row.destination in ids and row.origin != row.destination
        _require(known, f"app_state.params.fee_table[{index}]", "not a lane between two domains of this genesis")


def _check_assets(genesis: Genesis) -> None:
    at = "app_state.assets"
    ids = {domain.domain for domain in genesis.domains}
    _require_unique(((asset.canonical_domain, asset.canonical_id) for asset in genesis.assets), at, "an asset")
    _require_unique(
        ((each.domain, each.address) for asset in genesis.assets for each in asset.locals), at, "a local asset"
    )
    for index, asset in enumerate(genesis.assets):
        here = f"{at}[{index}]"
        _require(asset.canonical_id != EMPTY_HASH, f"{here}.canonical_id", "must not be zero")
        _require_unique((each.domain for each in asset.locals), f"{here}.locals", "a domain")
        for place, each in enumerate(asset.locals):
            _require(each.domain in ids, f"{here}.locals[{place}].domain", "unknown domain")
            _require(each.address != EMPTY_ADDRESS, f"{here}.locals[{place}].address", "must not be zero")


def _check_routers(genesis: Genesis) -> None:
    at = "app_state.routers"
    ids = {domain.domain for domain in genesis.domains}
    listed = {(each.domain, each.address) for asset in genesis.assets for each in asset.locals}
    _require_unique(((router.router, router.domain) for router in genesis.routers), at, "a router on one domain")
    for index, router in enumerate(genesis.routers):
        here = f"{at}[{index}]"
        _require(router.router != EMPTY_ADDRESS, f"{here}.router", "must not be zero")
        _require(router.domain in ids, f"{here}.domain", "unknown domain")
        _require_unique((balance.local for balance in router.balances), f"{here}.balances", "a local asset")
        for place, balance in enumerate(router.balances):
            known = (router.domain, balance.local) in listed
            _require(known, f"{here}.balances[{place}].local", "no listed asset of this domain")


def _check_validators(genesis: Genesis, chain_id: str, validators: Sequence[tuple[bytes, int]]) -> None:
    """Refuse other validators than CometBFT's, and an attestation key that its owner does not prove to hold (GEN-2)."""
    at = "app_state.validators"
    _require(0 < len(genesis.validators) <= MEMBERS_MAX, at, f"there must be 1 to {MEMBERS_MAX}")
    _require_unique((each.consensus_key for each in genesis.validators), at, "a consensus key")
    _require_unique((each.attestation for each in genesis.validators), at, "an attestation address")
    own = sorted((bytes(each.consensus_key), each.power) for each in genesis.validators)
    _require(own == sorted((bytes(key), power) for key, power in validators), at, "not those of CometBFT's genesis")
    _require(sum(power for _, power in own) <= TOTAL_POWER_MAX, at, "total power above CometBFT's limit")
    for index, each in enumerate(genesis.validators):
        _require(each.power > 0, f"{at}[{index}].power", "must be at least 1")
        try:
            signer = recover_address(compute_possession_digest(chain_id, each.consensus_key), each.proof)
        except Rejected as rejection:
            raise refuse(f"{at}[{index}].proof", str(rejection)) from rejection
        _require(signer == each.attestation, f"{at}[{index}].proof", f"made by {signer.hex()}, not by attestation")
