"""Bids and withdraws: signature checks and execution (BID-2 … BID-5)."""

from dataclasses import replace
from functools import lru_cache

from abci_app.machine.block_events import EventKind
from abci_app.machine.codes import Code, Rejected, require
from abci_app.machine.connext import compute_bid_digest, compute_share, hash_personal, keccak, recover_address
from abci_app.machine.ledger.liquidity import get_liquidity, get_router, is_approved
from abci_app.machine.ledger.transfers import FINISHED, ON_SLOW_PATH, put_bidder
from abci_app.machine.results import BlockEvent, TxResult
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId, Hash, Signature, TransferId
from abci_app.machine.state.records import (
    Bid,
    Domain,
    PathSignature,
    Transfer,
)
from abci_app.machine.state.view import StateReader
from abci_app.machine.transactions.tx import BidBundle, SubmittedBid, Withdraw

RECOVERED_MAX = 1 << 16
"""Remembered recoveries, ≈ 25 MB: the bids of many blocks, so that a block's execution finds CheckTx's work done."""


# --- who signed -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=RECOVERED_MAX)
def _recover_bidder(transfer_id: TransferId, path_length: int, signature: Signature) -> Address:
    """Return who signed a bid for a path length; remembered, as it depends on the arguments alone (ORD-4)."""
    return recover_address(compute_bid_digest(transfer_id, path_length), signature)


def compute_withdraw_digest(chain_id: str, transfer_id: TransferId) -> Hash:
    """Return the digest that a router signs to withdraw its bid (BID-5)."""
    return hash_personal(keccak(b"consensus-routing/withdraw" + keccak(chain_id.encode()) + transfer_id))


def authenticate_bundle(bundle: BidBundle) -> None:
    """Reject the whole bundle unless every signature is its bid's router's (BID-2)."""
    for bid in bundle.bids:
        authenticate_bid(bid)


def authenticate_bid(bid: SubmittedBid) -> None:
    """Reject a bid with a signature that is not its router's (BID-2)."""
    for each in bid.signatures:
        _require_signer(_recover_bidder(bid.transfer_id, each.path_length, each.signature), bid.router)


def authenticate_withdraw(chain_id: str, withdraw: Withdraw) -> None:
    """Reject a withdraw that its router did not sign for this chain (BID-5)."""
    digest = compute_withdraw_digest(chain_id, withdraw.transfer_id)
    _require_signer(recover_address(digest, withdraw.signature), withdraw.router)


def _require_signer(signer: Address, router: Address) -> None:
    if signer != router:
        raise Rejected(Code.SIGNATURE_WRONG_SIGNER, f"signed by {signer.hex()}, not by router {router.hex()}")


# --- what the state takes -------------------------------------------------------------------------------------------


def process_bundle(scope: Scope, bundle: BidBundle) -> TxResult:
    """Apply the valid bids of a bundle and skip the others, each with a code (BID-3). Signatures are checked before."""
    codes: list[Code] = []
    reasons: list[str] = []
    events: list[BlockEvent] = []
    for bid in bundle.bids:
        try:
            events.append(process_bid(scope, bid))
            codes.append(Code.OK)
        except Rejected as rejection:
            codes.append(rejection.code)
            reasons.append(str(rejection))
    code = Code.OK if Code.OK in codes else codes[0]
    return TxResult(code, bytes(codes), "; ".join(reasons[:1]), tuple(events))


def process_bid(scope: Scope, bid: SubmittedBid) -> BlockEvent:
    """Merge a bid into the router's record for the transfer (BID-4), or reject it (BID-3)."""
    delta = scope.delta
    transfer = _require_unfinished(delta, bid.transfer_id)
    if transfer.status in ON_SLOW_PATH:
        raise Rejected(Code.TRANSFER_SLOW, f"{transfer.status.name}: routers are no longer needed")
    _require_approved(delta, bid.router, transfer.destination)
    known = delta.read(keys.bid(bid.transfer_id, bid.router), Bid)
    if known is not None and known.withdrawn:
        raise Rejected(Code.ROUTER_WITHDRAWN, "a withdraw is final")
    max_routers = delta.must(keys.domain(transfer.destination), Domain).max_routers
    if bid.signatures[-1].path_length > max_routers:
        raise Rejected(Code.PATH_LENGTH_ABOVE_MAX, f"the destination takes at most {max_routers} routers")
    if known is None:
        _require_room(scope, transfer, can_serve(delta, transfer, bid))
    signatures = merge_signatures(known.signatures if known else (), bid.signatures)
    if known is not None and signatures == known.signatures:
        raise Rejected(Code.BID_DUPLICATE, "adds no path length")

    if known is None:
        put_bidder(delta, transfer)
    first_height = known.height if known else scope.height
    delta.write(keys.bid(bid.transfer_id, bid.router), Bid(bid.router, signatures, False, first_height))
    lengths = ",".join(str(each.path_length) for each in signatures)
    return _describe(EventKind.BID, bid.transfer_id, bid.router, ("path_lengths", lengths))


def process_withdraw(scope: Scope, withdraw: Withdraw) -> TxResult:
    """Mark the router's bid withdrawn permanently; its current attempt goes on (BID-5). Signature is checked before."""
    delta = scope.delta
    transfer = _require_unfinished(delta, withdraw.transfer_id)
    key = keys.bid(withdraw.transfer_id, withdraw.router)
    known = delta.read(key, Bid)
    if known is not None and known.withdrawn:
        raise Rejected(Code.WITHDRAW_DUPLICATE, "withdrawn already")
    if known is None:
        # A router that lost its approval may still take back what it signed: approval can come again.
        _require_approved(delta, withdraw.router, transfer.destination)
        _require_room(scope, transfer, False)

    if known is None:
        put_bidder(delta, transfer)
        known = Bid(withdraw.router, (), False, scope.height)
    delta.write(key, replace(known, withdrawn=True))
    return TxResult(Code.OK, events=(_describe(EventKind.WITHDRAWN, withdraw.transfer_id, withdraw.router),))


def merge_signatures(
    known: tuple[PathSignature, ...], added: tuple[PathSignature, ...]
) -> tuple[PathSignature, ...]:
    """Return the union by path length, ascending; the first signature of a length stays (BID-4)."""
    by_length = {each.path_length: each for each in (*added, *known)}
    return tuple(by_length[length] for length in sorted(by_length))


def _require_unfinished(state: StateReader, transfer_id: TransferId) -> Transfer:
    transfer = require(state.read(keys.transfer(transfer_id), Transfer), Code.TRANSFER_UNKNOWN, transfer_id.hex())
    if transfer.status in FINISHED:
        raise Rejected(Code.TRANSFER_FINISHED, f"{transfer.status.name}: paid out")
    return transfer


def _require_approved(state: StateReader, router: Address, domain_id: DomainId) -> None:
    if not is_approved(state.must(keys.domain(domain_id), Domain), get_router(state, domain_id, router)):
        raise Rejected(Code.ROUTER_NOT_APPROVED, f"router {router.hex()} on domain {domain_id}")


def can_serve(state: StateReader, transfer: Transfer, bid: SubmittedBid) -> bool:
    """Tell whether the router's free liquidity covers its share of some path that it bids for."""
    liquidity = get_liquidity(state, transfer.destination, transfer.local, bid.router)
    least = min(compute_share(transfer.amount, each.path_length) for each in bid.signatures)
    return liquidity.balance - liquidity.reserved >= least


def _require_room(scope: Scope, transfer: Transfer, serves: bool) -> None:
    """Refuse one bidder too many. Half of the slots are for routers that could serve: where the allowlist is off,
    otherwise accounts without liquidity could occupy every slot, and no transfer would be decided (BID-3).
    """
    places = scope.params.bids_per_transfer
    room = places if serves else (places + 1) // 2
    if transfer.bidders >= room:
        raise Rejected(Code.BIDS_FULL, f"{transfer.bidders} bidders, {room} places")


def _describe(kind: EventKind, transfer_id: TransferId, router: Address, *more: tuple[str, str]) -> BlockEvent:
    return BlockEvent(kind, (("transfer_id", transfer_id.hex()), ("router", router.hex()), *more))
