"""Holds the state against a ``Book``: statuses and the edges between them, attempts, liquidity, tags, decisions."""

from collections.abc import Mapping

from abci_app.machine.state import keys
from abci_app.machine.state.codec import TransferId
from abci_app.machine.state.records import AttemptEnd, DecisionKind, Queue, Transfer
from tests.kit.machine.driver import Network, local_of
from tests.kit.property.transfer_model import TransferModel

EDGES: Mapping[str, str] = {
    "": "ACCEPTED SLOW EXECUTED RECONCILED COMPLETED",
    "ACCEPTED": "ASSIGNED SLOW EXECUTED RECONCILED",
    "ASSIGNED": "WAITING SLOW EXECUTED RECONCILED",
    "WAITING": "ASSIGNED SLOW EXECUTED RECONCILED",
    "SLOW": "EXECUTED RECONCILED",
    "EXECUTED": "COMPLETED",
    "RECONCILED": "COMPLETED",
    "COMPLETED": "",
}
"""The histories of section 4, and what is believed in every state before (EVT-3, EVT-4); "" is not there yet."""


def list_reachable(status: str) -> set[str]:
    """What a status may have become after a block: several events may meet in one."""
    found, left = {status}, [status]
    while left:
        fresh = set(EDGES[left.pop()].split()) - found
        found |= fresh
        left += fresh
    return found


def read_statuses(net: Network) -> dict[TransferId, str]:
    """Status of every transfer."""
    return {transfer.transfer_id: transfer.status.name for _, transfer in net.delta.scan(keys.transfers(), Transfer)}


def compare(book: TransferModel, net: Network, before: Mapping[TransferId, str]) -> None:
    """Raise AssertionError for the first thing that is not as the book has it; ``before``: statuses a block ago."""
    statuses = read_statuses(net)
    assert statuses == {transfer_id: record.status for transfer_id, record in book.records.items()}
    for transfer_id, status in statuses.items():
        assert status in list_reachable(before.get(transfer_id, ""))
    compare_routers(book, net)
    compare_attempts(book, net)
    compare_decisions(book, net)


def compare_routers(book: TransferModel, net: Network) -> None:
    """Rule of reservations (LIQ-1), balances (LIQ-2), faults (FLT-1) and tags (ASN-4, ASN-6) of every router."""
    for place, balance in book.balances.items():
        domain, router = place
        liquidity, record = net.liquidity_of(router, domain), net.router(router, domain)
        assert (liquidity.balance, liquidity.reserved) == (balance, book.reserved(place))
        assert liquidity.at_fault == (place in book.at_fault)
        assert record.approved == (place not in book.unapproved)
        assert record.eligible == (place not in book.ineligible)
        assert (record.faults, record.cool_down_until) == (book.faults[place], book.cool_until[place])
        assert net.tag_of(router, domain) == book.tags[place]
    for domain in book.domains:
        queue = net.read(keys.queue(domain, local_of(domain)), Queue)
        assert (queue.virtual if queue else 0) == book.virtual[domain]
        assert net.domain(domain).fee_numerator == book.fee[domain]


def compare_attempts(book: TransferModel, net: Network) -> None:
    """Attempts of every transfer that ever had one, with the charges they carry and those that were returned."""
    for transfer_id, record in book.records.items():
        transfer = net.transfer(transfer_id)
        made = [(attempt.routers, attempt.share, attempt.valid_until_s) for attempt in transfer.attempts]
        assert made == [(each.routers, each.share, each.valid_until_s) for each in record.tries]
        ends = [attempt.end is AttemptEnd.OPEN for attempt in transfer.attempts]
        assert ends == [each.open for each in record.tries]
        carried = [{charge.router: charge.amount for charge in attempt.charges} for attempt in transfer.attempts]
        assert carried == [each.charges if each.open else {} for each in record.tries]
        assert {charge.router: charge.amount for charge in transfer.returned} == record.returned


def compare_decisions(book: TransferModel, net: Network) -> None:
    """ORD-2: sequences without gaps, globally and by lane, and each decision as it was predicted."""
    decisions = net.decisions()
    assert [decision.sequence for decision in decisions] == list(range(1, len(book.decided) + 1))
    assert net.chain.next_sequence == len(book.decided) + 1
    for decision, expected in zip(decisions, book.decided, strict=True):
        assert (decision.lane_sequence, decision.transfer_id) == (expected.lane_sequence, expected.transfer_id)
        assert (decision.attempt, decision.routers) == (expected.attempt, expected.routers)
        assert (decision.kind is DecisionKind.FAST) == expected.fast
        assert decision.valid_until_s == expected.valid_until_s
