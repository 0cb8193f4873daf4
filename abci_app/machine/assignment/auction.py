"""Assignment: which routers serve a transfer, from its bids and the state alone (ASN-1 … ASN-5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from abci_app.machine.assignment.attempts import make_attempt
from abci_app.machine.assignment.holds import list_undecided
from abci_app.machine.block_events import EventKind
from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_share
from abci_app.machine.ledger.fair_queue import Winner, compute_winners, get_tag, get_virtual, put_winners
from abci_app.machine.ledger.liquidity import get_liquidity, get_router, is_approved, is_eligible, reserve
from abci_app.machine.ledger.transfers import is_fee_there, put_transfer
from abci_app.machine.params import PATH_LENGTHS, Params
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address
from abci_app.machine.state.records import (
    Auction,
    Bid,
    Candidate,
    ChainState,
    Charge,
    DecisionKind,
    Domain,
    QueueTag,
    Transfer,
    TransferStatus,
    ValidatorSet,
)


@dataclass(frozen=True, slots=True)
class Assignment:
    """Outcome of an auction: path length 0 and no winners where no candidate is feasible."""

    path_length: int
    share: int
    winners: tuple[Winner, ...]
    codes: tuple[Code, ...]
    """Per candidate, for the path length that won; where none won, for the shortest one it bids for."""


# --- the rule, without state ----------------------------------------------------------------------------------------


def compute_assignment(
    height: int, transfer: Transfer, max_routers: int, virtual: int, candidates: Sequence[Candidate]
) -> Assignment:
    """Return the assignment: the first path length with enough feasible routers, the least start tags win (ASN-2)."""
    for count in PATH_LENGTHS:
        share = compute_share(transfer.amount, count)
        feasible = [
            candidate for candidate in candidates
            if compute_feasibility(height, candidate, count, share) is Code.OK
        ]
        if count <= max_routers and len(feasible) >= count:
            tags = [(candidate.router, QueueTag(candidate.finish, candidate.weight)) for candidate in feasible]
            winners = compute_winners(virtual, tags, transfer.transfer_id, count, share)
            chosen = [winner.router for winner in winners]
            codes = tuple(_judge(height, candidate, count, share, chosen) for candidate in candidates)
            return Assignment(count, share, winners, codes)
    codes = tuple(_judge_unassigned(height, transfer, max_routers, candidate) for candidate in candidates)
    return Assignment(0, 0, (), codes)


def compute_feasibility(height: int, candidate: Candidate, count: int, share: int) -> Code:
    """Return OK, or the first reason why a router cannot stand in a path of ``count`` (ASN-2)."""
    if count not in candidate.path_lengths:
        return Code.INFEASIBLE_NO_BID_FOR_PATH
    if candidate.withdrawn:
        return Code.INFEASIBLE_WITHDRAWN
    if not candidate.approved:
        return Code.INFEASIBLE_NOT_APPROVED
    if not candidate.eligible:
        return Code.INFEASIBLE_NOT_ELIGIBLE
    if height < candidate.cool_down_until:
        return Code.INFEASIBLE_COOLING_DOWN
    if candidate.balance - candidate.reserved < share:
        return Code.INFEASIBLE_LIQUIDITY_SHORT
    return Code.OK


def _judge(height: int, candidate: Candidate, count: int, share: int, chosen: Sequence[Address]) -> Code:
    code = compute_feasibility(height, candidate, count, share)
    return Code.INFEASIBLE_LOST if code is Code.OK and candidate.router not in chosen else code


def _judge_unassigned(height: int, transfer: Transfer, max_routers: int, candidate: Candidate) -> Code:
    lengths = [length for length in candidate.path_lengths if length <= max_routers]
    if not lengths:
        return Code.INFEASIBLE_WITHDRAWN if candidate.withdrawn else Code.INFEASIBLE_NO_BID_FOR_PATH
    return _judge(height, candidate, lengths[0], compute_share(transfer.amount, lengths[0]), ())


def is_auction_due(params: Params, height: int, transfer: Transfer, proposers: Sequence[Address], alone: bool) -> bool:
    """Tell whether an undecided transfer's auction closes at the end of block ``height`` (ASN-1).

    ``proposers``: of the last blocks, this one's last; ``alone``: the executing set has one member.
    """
    if transfer.status is TransferStatus.WAITING:
        return True
    age = height - transfer.accepted_height
    if age < params.auction_window_blocks:
        return False
    chances = len(set(proposers[-(age + 1):])) >= 2
    return alone or chances or age >= params.auction_window_blocks + params.auction_extra_blocks


# --- the auctions step of a block -----------------------------------------------------------------------------------


def run_auctions(scope: Scope, proposer: Address) -> None:
    """Run the auction of every undecided transfer that is due, by acceptance number; earlier reservations count.

    Those of held lanes are not among them (LSE-6).
    """
    chain = scope.delta.must(keys.CHAIN, ChainState)
    members = scope.delta.must(keys.epoch(chain.epoch_executing), ValidatorSet).members
    proposers = (*chain.recent_proposers, proposer)
    for transfer_id in list_undecided(scope.delta):
        transfer = scope.delta.must(keys.transfer(transfer_id), Transfer)
        if (
            transfer.bidders
            and is_auction_due(scope.params, scope.height, transfer, proposers, len(members) == 1)
            and is_fee_there(scope.params, transfer, len(transfer.attempts) + 1)
        ):
            try_assign(scope, transfer)


def try_assign(scope: Scope, transfer: Transfer) -> None:
    """Assign routers to an undecided transfer from all its valid bids, or record why none is feasible."""
    assignment, record = judge_bids(scope, transfer)
    if record.winners:
        _put_assignment(scope, transfer, assignment, record)
    elif record.candidates:
        _put_failure(scope, record)


def judge_bids(scope: Scope, transfer: Transfer) -> tuple[Assignment, Auction]:
    """Return a transfer's auction as it would be now, with every input; write nothing."""
    delta = scope.delta
    domain = delta.must(keys.domain(transfer.destination), Domain)
    candidates = list_candidates(scope, domain, transfer)
    virtual = get_virtual(delta, transfer.destination, transfer.local)
    assignment = compute_assignment(scope.height, transfer, domain.max_routers, virtual, candidates)
    judged = tuple(
        replace(candidate, code=code) for candidate, code in zip(candidates, assignment.codes, strict=True)
    )
    return assignment, Auction(
        transfer_id=transfer.transfer_id, attempt=len(transfer.attempts) + 1, height=scope.height,
        amount=transfer.amount, max_routers=domain.max_routers, path_length=assignment.path_length,
        share=assignment.share, virtual_before=virtual,
        virtual_after=min((winner.start for winner in assignment.winners), default=virtual), candidates=judged,
        winners=tuple(Charge(winner.router, winner.charge) for winner in assignment.winners),
    )


def list_candidates(scope: Scope, domain: Domain, transfer: Transfer) -> list[Candidate]:
    """Return every bidder with the auction's inputs, by router address; their codes are not set yet."""
    candidates = []
    for _, bid in scope.delta.scan(keys.bids(transfer.transfer_id), Bid):
        router = get_router(scope.delta, domain.domain, bid.router)
        liquidity = get_liquidity(scope.delta, domain.domain, transfer.local, bid.router)
        tag = get_tag(scope.delta, domain.domain, transfer.local, bid.router)
        candidates.append(Candidate(
            router=bid.router, path_lengths=tuple(each.path_length for each in bid.signatures),
            approved=is_approved(domain, router), eligible=is_eligible(domain, router),
            cool_down_until=router.cool_down_until, withdrawn=bid.withdrawn, balance=liquidity.balance,
            reserved=liquidity.reserved, finish=tag.finish, weight=tag.weight, code=Code.OK,
        ))
    return candidates


def _put_assignment(scope: Scope, transfer: Transfer, assignment: Assignment, record: Auction) -> None:
    delta = scope.delta
    routers = tuple(winner.router for winner in assignment.winners)
    put_winners(delta, transfer.destination, transfer.local, assignment.winners)
    reserve(scope, transfer, routers, assignment.share)
    delta.write(keys.auction(transfer.transfer_id, record.attempt), record)
    # A router charged again has no returned charge to be put back any more (ASN-6).
    still = tuple(charge for charge in transfer.returned if charge.router not in routers)
    assigned = make_attempt(
        scope, replace(transfer, returned=still), DecisionKind.FAST, routers, assignment.share, record.winners
    )
    put_transfer(delta, transfer, replace(assigned, status=TransferStatus.ASSIGNED, deadline_clock=0))
    scope.emit(
        EventKind.ASSIGNED, transfer_id=transfer.transfer_id, attempt=record.attempt, routers=routers,
        sequence=assigned.attempts[-1].sequence,
    )


def _put_failure(scope: Scope, record: Auction) -> None:
    """Keep why nobody was feasible; rewritten only when a reason changes, not at every block that tries again."""
    key = keys.auction(record.transfer_id, record.attempt)
    known = scope.delta.read(key, Auction)
    reasons = [(candidate.router, candidate.code) for candidate in record.candidates]
    if known is None or [(candidate.router, candidate.code) for candidate in known.candidates] != reasons:
        scope.delta.write(key, record)
