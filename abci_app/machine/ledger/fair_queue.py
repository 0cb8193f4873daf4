"""Start-time fair queueing among the routers of one (destination, local asset) (ASN-4).

Tags are unbounded integers in local-asset units times 2³²; a router's charge is what its finish tag moves by. What
two routers that bid in all auctions of a run are charged differs by their two largest shares at most (ASN-7).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from abci_app.machine.codes import invariant
from abci_app.machine.connext import keccak
from abci_app.machine.params import CHARGE_SCALE
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId, Hash, TransferId
from abci_app.machine.state.records import Charge, Queue, QueueTag, Transfer
from abci_app.machine.state.view import StateDelta, StateReader

WEIGHT_DEFAULT = 1


@dataclass(frozen=True, slots=True)
class Winner:
    """A chosen router: its start tag and what it is charged."""

    router: Address
    start: int
    charge: int


def compute_winners(
    virtual: int, tags: Sequence[tuple[Address, QueueTag]], transfer_id: TransferId, count: int, share: int
) -> tuple[Winner, ...]:
    """Return the ``count`` routers with the least (start tag, keccak(transferId ‖ router)), in that order."""
    ordered = sorted(
        (max(virtual, tag.finish), compute_tie_break(transfer_id, router), router, tag.weight) for router, tag in tags
    )
    return tuple(
        Winner(router, start, share * CHARGE_SCALE // weight) for start, _, router, weight in ordered[:count]
    )


def compute_tie_break(transfer_id: TransferId, router: Address) -> Hash:
    """Return the tie-break of equal start tags, fixed by the transfer before the auction."""
    return keccak(transfer_id + router)


def get_virtual(state: StateReader, domain_id: DomainId, local: Address) -> int:
    """Return a queue's virtual time V, 0 before its first auction."""
    queue = state.read(keys.queue(domain_id, local), Queue)
    return queue.virtual if queue else 0


def get_tag(state: StateReader, domain_id: DomainId, local: Address, router: Address) -> QueueTag:
    """Return a router's finish tag and weight; a newcomer has finish 0 and the default weight."""
    return state.read(keys.queue_tag(domain_id, local, router), QueueTag) or QueueTag(0, WEIGHT_DEFAULT)


def put_winners(delta: StateDelta, domain_id: DomainId, local: Address, winners: Sequence[Winner]) -> None:
    """Advance V to the winners' least start tag, and each winner's finish tag by its charge."""
    delta.write(keys.queue(domain_id, local), Queue(min(winner.start for winner in winners)))
    for winner in winners:
        tag = get_tag(delta, domain_id, local, winner.router)
        moved = replace(tag, finish=winner.start + winner.charge)
        delta.write(keys.queue_tag(domain_id, local, winner.router), moved)


def return_charge(scope: Scope, transfer: Transfer, charge: Charge) -> None:
    """Move a finish tag back by a charge whose attempt brought the router nothing (ASN-6)."""
    tag = get_tag(scope.delta, transfer.destination, transfer.local, charge.router)
    invariant(tag.finish >= charge.amount, "a charge returned that was never made")
    key = keys.queue_tag(transfer.destination, transfer.local, charge.router)
    scope.delta.write(key, replace(tag, finish=tag.finish - charge.amount))


def put_back_charge(scope: Scope, transfer: Transfer, charge: Charge) -> None:
    """Move a finish tag forward again: the router was paid for an attempt whose charge was returned (ASN-6)."""
    tag = get_tag(scope.delta, transfer.destination, transfer.local, charge.router)
    key = keys.queue_tag(transfer.destination, transfer.local, charge.router)
    scope.delta.write(key, replace(tag, finish=tag.finish + charge.amount))
