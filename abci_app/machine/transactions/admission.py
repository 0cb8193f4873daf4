"""CheckTx and ProcessProposal rules for user transactions (BID-6, BID-7, COM-4), stricter than execution.

Submitting is free, so checks stop at the first refusal and are bounded per bid. Anyone may put anyone's bids into
another bundle, so a bundle is admitted only for what it adds.
"""

from collections.abc import Callable, Container

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.ledger.liquidity import get_liquidity, get_router
from abci_app.machine.results import BidSubject, CheckResult
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, TransferId
from abci_app.machine.state.records import Asset, Bid, Domain, Transfer
from abci_app.machine.state.view import StateDelta, StateReader, StateView
from abci_app.machine.transactions.bids import authenticate_bid, process_bid
from abci_app.machine.transactions.dispatch import authenticate, execute
from abci_app.machine.transactions.tx import BidBundle, SubmittedBid, Transaction, Withdraw, decode_tx

Seen = Callable[[TransferId], bool]
"""Tells whether the node's own observer saw a transfer."""


# --- the mempool ----------------------------------------------------------------------------------------------------


def check_tx(view: StateView | StateDelta, raw: bytes, seen: Seen, again: bool = False) -> CheckResult:
    """Answer CheckTx against committed state (BID-6); a delta over it, kept for a height, decodes each record once.

    Early bids are for seen transfers that the state does not know; the caller bounds them. ``again``: admitted before,
    so its signatures hold, and a bundle stays while any of its bids would be taken.
    """
    scope = Scope.open_next(StateDelta(view))
    early: set[bytes] = set()
    try:
        transaction = decode_tx(raw)
        if isinstance(transaction, BidBundle):
            check = _check_bundle_again if again else _check_bundle
            early = check(scope, transaction, seen)
        elif again:
            execute(scope, transaction)
        else:
            _check_alone(scope, transaction)
    except Rejected as rejection:
        return CheckResult(rejection.code, rejection.reason)
    return CheckResult(Code.OK, subjects=_list_subjects(transaction, early))


def _check_alone(scope: Scope, transaction: Transaction) -> None:
    """Refuse a withdraw or a TransferInfo as the next block would, and the withdraw of a stranger who never bid."""
    authenticate(scope.delta, transaction)
    had_bid = isinstance(transaction, Withdraw) and scope.delta.read(
        keys.bid(transaction.transfer_id, transaction.router), Bid
    ) is not None
    execute(scope, transaction)
    if isinstance(transaction, Withdraw) and not had_bid:
        _require_known(scope.delta, transaction.transfer_id, transaction.router)


def _check_bundle(scope: Scope, bundle: BidBundle, seen: Seen) -> set[bytes]:
    """Refuse the bundle with the code of the first bid that would be skipped; return the subjects of its early bids."""
    early = set()
    for bid in bundle.bids:
        authenticate_bid(bid)
        if _is_early(scope.delta, bid, seen):
            _require_known_somewhere(scope.delta, bid.router)
            early.add(_claim_of(bid))
        else:
            process_bid(scope, bid)
            _require_known(scope.delta, bid.transfer_id, bid.router)
    return early


def _check_bundle_again(scope: Scope, bundle: BidBundle, seen: Seen) -> set[bytes]:
    """Refuse the bundle once none of its bids would be taken, or one can be in no block (BID-7).

    A bid that was committed meanwhile, in a copy that anyone can make, takes none of the others with it.
    """
    early, refused = set(), []
    for bid in bundle.bids:
        if _is_early(scope.delta, bid, seen):
            early.add(_claim_of(bid))
            continue
        try:
            process_bid(scope, bid)
        except Rejected as rejection:
            if rejection.code is Code.TRANSFER_UNKNOWN:
                raise
            refused.append(rejection)
    if len(refused) == len(bundle.bids):
        raise refused[0]
    return early


def _is_early(state: StateReader, bid: SubmittedBid, seen: Seen) -> bool:
    return state.read(keys.transfer(bid.transfer_id), Transfer) is None and seen(bid.transfer_id)


def _require_known_somewhere(state: StateReader, router: Address) -> None:
    """Refuse an early bid of a router that no domain knows: keys are free, so bounds per router bound nothing."""
    if not any(_is_known(state, domain, router) for _, domain in state.scan(keys.domains(), Domain)):
        raise Rejected(Code.ROUTER_NOT_APPROVED, f"router {router.hex()} on any domain, nor has it liquidity there")


def _is_known(state: StateReader, domain: Domain, router: Address) -> bool:
    """Tell whether a router is approved on a domain or, where nobody needs to be, has liquidity there."""
    if get_router(state, domain.domain, router).approved:
        return True
    return domain.allowlist_removed and any(
        get_liquidity(state, domain.domain, local.address, router).balance
        for _, asset in state.scan(keys.assets(), Asset) for local in asset.locals if local.domain == domain.domain
    )


def _require_known(state: StateReader, transfer_id: TransferId, router: Address) -> None:
    """Refuse a router without approval and liquidity, though the state takes it where no approval is needed."""
    transfer = state.must(keys.transfer(transfer_id), Transfer)
    approved = get_router(state, transfer.destination, router).approved
    if not approved and not get_liquidity(state, transfer.destination, transfer.local, router).balance:
        raise Rejected(Code.ROUTER_NOT_APPROVED, f"router {router.hex()}, nor has it liquidity in the asset")


def _claim_of(subject: SubmittedBid | Withdraw) -> bytes:
    return subject.transfer_id + subject.router


def _list_subjects(transaction: Transaction, early: set[bytes]) -> tuple[BidSubject, ...]:
    if isinstance(transaction, BidBundle):
        return tuple(BidSubject(_claim_of(bid), bid.router, _claim_of(bid) in early) for bid in transaction.bids)
    if isinstance(transaction, Withdraw):
        return (BidSubject(b"withdraw" + _claim_of(transaction), transaction.router, False),)
    return ()  # a TransferInfo has one encoding, and the engine itself takes no transaction twice


# --- a block --------------------------------------------------------------------------------------------------------


def parse_tx(raw: bytes) -> Transaction | None:
    """Return the decoded transaction, or None where its form is invalid."""
    try:
        return decode_tx(raw)
    except Rejected:
        return None


def list_unknown_bids(
    state: StateReader, transaction: Transaction | None, accepted: Container[TransferId]
) -> tuple[TransferId, ...]:
    """Return the transfers with a bid that are neither in state nor in ``accepted`` (BID-7).

    ``accepted``: ids named by an XCalled of a segment of this very block.
    """
    return tuple(
        bid.transfer_id for bid in (transaction.bids if isinstance(transaction, BidBundle) else ())
        if bid.transfer_id not in accepted and state.read(keys.transfer(bid.transfer_id), Transfer) is None
    )


def check_accepted(state: StateReader, transaction: Transaction | None, accepted: Container[TransferId]) -> None:
    """Reject a block's transaction with a bid for a transfer that is not accepted yet (BID-7)."""
    unknown = list_unknown_bids(state, transaction, accepted)
    if unknown:
        raise Rejected(Code.BID_NOT_ACCEPTED_YET, unknown[0].hex())


def count_signatures(transaction: Transaction | None) -> int:
    """Return the maximum of signatures that the transaction's execution recovers (COM-4)."""
    if isinstance(transaction, BidBundle):
        return sum(len(bid.signatures) for bid in transaction.bids)
    return 1 if isinstance(transaction, Withdraw) else 0
