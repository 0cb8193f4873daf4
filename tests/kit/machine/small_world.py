"""A small network for the machine's tests: two domains, one asset, three routers, four validators, and valid inputs.

Functions give what the rules accept; a test changes one thing and says what comes of it.
"""

from dataclasses import replace
from typing import Any

import coincurve

from abci_app.machine.connext import (
    compute_address,
    compute_bid_digest,
    compute_transfer_id,
    keccak,
    sign_digest,
)
from abci_app.machine.genesis.build import (
    GenesisAsset,
    GenesisBalance,
    GenesisCursor,
    GenesisDomain,
    GenesisLocal,
    GenesisRouter,
    GenesisValidator,
    build_state,
    compute_possession_digest,
    make_app_state,
)
from abci_app.machine.params import Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId, Hash, Signature, TransferId, decode, encode
from abci_app.machine.state.records import (
    EMPTY_HASH,
    Domain,
    PathSignature,
    Router,
    Transfer,
    TransferInfo,
    TransferStatus,
)
from abci_app.machine.state.view import MemoryState
from abci_app.machine.transactions.tx import SubmittedBid

CHAIN_ID = "routing-test-1"
ORIGIN, DESTINATION = DomainId(1111), DomainId(2222)
CANONICAL_ID = Hash(bytes(12) + b"\xc0" * 20)
LOCALS = {ORIGIN: Address(b"\xa1" * 20), DESTINATION: Address(b"\xa2" * 20)}
POWERS = (1, 2, 3, 4)
LIQUIDITY = 1_000_000


def key_address(private_key: bytes) -> Address:
    """Return the address of a private key."""
    return compute_address(coincurve.PrivateKey(private_key).public_key.format(compressed=False))


ROUTER_KEYS = tuple(bytes([number]) * 32 for number in (1, 2, 3))
ROUTERS = tuple(map(key_address, ROUTER_KEYS))
STRANGER_KEY = b"\x77" * 32
STRANGER = key_address(STRANGER_KEY)
ATTESTATION_KEYS = tuple(bytes([16 + number]) * 32 for number in range(len(POWERS)))
CONSENSUS_KEYS = tuple(Hash(bytes([32 + number]) * 32) for number in range(len(POWERS)))


def valid_domain(domain: DomainId, **changes: Any) -> GenesisDomain:
    """Return a domain of the genesis."""
    return replace(GenesisDomain(
        domain=domain, chain_id=domain + 30_000, connext=Address(domain.to_bytes(2, "big") * 10),
        gate=Address(b"\x9a" * 18 + domain.to_bytes(2, "big")), finality_depth=0, segment_blocks=1, idle_blocks=2,
        cursor=GenesisCursor(100, Hash(keccak(b"block 100")), 1_700_000_000), next_nonce=0, max_routers=5,
        fee_numerator=9995,
    ), **changes)


def valid_validator(number: int, chain_id: str = CHAIN_ID) -> GenesisValidator:
    """Return validator ``number`` with a right proof."""
    proof = sign_digest(ATTESTATION_KEYS[number], compute_possession_digest(chain_id, CONSENSUS_KEYS[number]))
    return GenesisValidator(
        CONSENSUS_KEYS[number], POWERS[number], key_address(ATTESTATION_KEYS[number]), proof
    )


def valid_app_state(params: Params | None = None) -> dict[str, Any]:
    """Return the genesis as JSON values: fresh ones, for a test to corrupt."""
    locals_ = tuple(GenesisLocal(domain, LOCALS[domain], 6) for domain in (ORIGIN, DESTINATION))
    return make_app_state(
        params or Params(), [valid_domain(ORIGIN), valid_domain(DESTINATION)],
        [GenesisAsset(ORIGIN, CANONICAL_ID, locals_, min_fast=10)],
        [
            GenesisRouter(router, domain, True, (GenesisBalance(LOCALS[domain], LIQUIDITY),))
            for router in ROUTERS for domain in (ORIGIN, DESTINATION)
        ],
        [valid_validator(number) for number in range(len(POWERS))],
    )


def init_chain_validators() -> list[tuple[bytes, int]]:
    """Return what InitChain brings: keys and powers."""
    return [(bytes(key), power) for key, power in zip(CONSENSUS_KEYS, POWERS, strict=True)]


def first_state(params: Params | None = None) -> MemoryState:
    """Return the state after genesis."""
    return MemoryState(build_state(valid_app_state(params), CHAIN_ID, init_chain_validators()))


def valid_info(**changes: Any) -> TransferInfo:
    """Return the TransferInfo of a transfer from ORIGIN to DESTINATION."""
    return replace(TransferInfo(
        origin_domain=ORIGIN, destination_domain=DESTINATION, canonical_domain=ORIGIN, to=Address(b"\x70" * 20),
        delegate=Address(b"\xde" * 20), receive_local=False, call_data=b"", slippage=300,
        origin_sender=Address(b"\x5e" * 20), bridged_amt=1000, normalized_in=1000 * 10**12, nonce=0,
        canonical_id=CANONICAL_ID,
    ), **changes)


def valid_transfer(info: TransferInfo | None = None, **changes: Any) -> Transfer:
    """Return the record of an accepted transfer, number 1."""
    info = info or valid_info()
    return replace(Transfer(
        transfer_id=compute_transfer_id(info), status=TransferStatus.ACCEPTED, acceptance=1,
        origin=info.origin_domain, destination=info.destination_domain, nonce=info.nonce, amount=info.bridged_amt,
        local=LOCALS[DESTINATION], has_call_data=bool(info.call_data), info_known=True, origin_tx=Hash(b"\x01" * 32),
        accepted_height=5, accepted_time_s=1_700_000_100, deadline_clock=35, fees=(), attempts=(), returned=(),
        slow_decisions=0, slow_next_s=0, drop_after_s=0, executed_by=(), executed_tx=EMPTY_HASH,
        reconciled_tx=EMPTY_HASH, finished_height=0,
    ), **changes)


def put_record(state: MemoryState, key: bytes, record: object) -> None:
    """Write a record into a state."""
    state.values[key] = encode(record)


def put_transfer_record(state: MemoryState, **changes: Any) -> Transfer:
    """Write an accepted transfer, changed, into a state; its indexes are not kept."""
    transfer = valid_transfer(**changes)
    put_record(state, keys.transfer(transfer.transfer_id), transfer)
    return transfer


def change_domain(state: MemoryState, domain: DomainId, **changes: Any) -> None:
    """Change fields of a domain in a state."""
    record = decode(Domain, state.values[keys.domain(domain)])
    put_record(state, keys.domain(domain), replace(record, **changes))


def change_router(state: MemoryState, router: Address, domain: DomainId, **changes: Any) -> None:
    """Change fields of a router in a state."""
    record = decode(Router, state.values[keys.router(domain, router)])
    put_record(state, keys.router(domain, router), replace(record, **changes))


def sign_path(private_key: bytes, transfer_id: TransferId, path_length: int) -> PathSignature:
    """Return a router's signature for one path length."""
    return PathSignature(path_length, Signature(sign_digest(private_key, compute_bid_digest(transfer_id, path_length))))


def valid_bid(
    transfer_id: TransferId, private_key: bytes = ROUTER_KEYS[0], lengths: tuple[int, ...] = (1,)
) -> SubmittedBid:
    """Return a bid with a right signature for each path length."""
    signatures = tuple(sign_path(private_key, transfer_id, length) for length in lengths)
    return SubmittedBid(transfer_id, key_address(private_key), signatures)
