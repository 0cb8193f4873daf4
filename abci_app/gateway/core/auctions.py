"""Explanation of auctions: the recorded one of an attempt or, for an undecided transfer, its state now."""

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core import answers, builders
from abci_app.gateway.core.reads import QueryError
from abci_app.machine.assignment.auction import judge_bids
from abci_app.machine.assignment.holds import is_held
from abci_app.machine.ledger.transfers import UNDECIDED, is_fee_there
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys, records
from abci_app.machine.state.view import StateDelta

NOBODY_FEASIBLE = "no path length has enough feasible routers"


def build_answer(state: StateDelta, transfer: records.Transfer, attempt: int) -> answers.AuctionAnswer:
    """Return the auction of one attempt, as recorded or, while undecided, as it stands now.

    ``attempt`` 0 asks for the undecided one or, where there is none, the newest that somebody won, or else the one that
    says why nobody could (path length 0).

    Raises QueryError(NOT_FOUND) where none was held: a renewed attempt keeps the routers of the one before, and
    without a bid there is nothing to record.
    """
    undecided = transfer.status in UNDECIDED
    number = attempt or len(transfer.attempts) + undecided
    if undecided and number == len(transfer.attempts) + 1:
        return _judge_now(state, transfer)
    found = [record for _, record in state.scan(keys.auctions(transfer.transfer_id), records.Auction)]
    asked = [record for record in found if not attempt or record.attempt == attempt]
    held = [record for record in asked if record.path_length] or asked
    if not held:
        reason = f"no auction was held for attempt {number}: it renewed another, was slow, or nobody bid in time"
        raise QueryError(AnswerCode.NOT_FOUND, reason)
    return builders.build_auction(held[-1], recorded=True, reason="" if held[-1].path_length else NOBODY_FEASIBLE)


def _judge_now(state: StateDelta, transfer: records.Transfer) -> answers.AuctionAnswer:
    """Return the outcome of an auction at the next height if no bid or event came in before."""
    scope = Scope.open_next(state)
    _, record = judge_bids(scope, transfer)
    reason = explain_delay(scope, transfer, record)
    return builders.build_auction(record, recorded=False, reason=reason)


def explain_delay(scope: Scope, transfer: records.Transfer, record: records.Auction) -> str:
    """Return why an undecided transfer has no routers yet."""
    if is_held(scope.delta, transfer.origin, transfer.destination):
        return "the lane is held: nothing is decided on it now"
    if not is_fee_there(scope.params, transfer, record.attempt):
        return f"the relayer fees paid are too low for attempt {record.attempt}"
    if not record.candidates:
        return "nobody bids"
    if not record.winners:
        return NOBODY_FEASIBLE
    return "the auction is still open; as things stand these would win"
