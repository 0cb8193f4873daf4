"""What a block's events make of balances, approvals and domains: a second account of LIQ-2, LIQ-3 and EVT-5.

Begun anew from the state before each block, so that tests may change that state between blocks.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from abci_app.machine.observation.extension import INJECTED_SEGMENT
from abci_app.machine.observation.projections import RouterList
from abci_app.machine.observation.stream import (
    DiamondCut,
    Event,
    Executed,
    LiquidityFeeNumeratorUpdated,
    MaxRoutersPerTransferUpdated,
    OwnershipTransferred,
    Paused,
    PortalMinted,
    PortalRepaid,
    Reconciled,
    RouterAdded,
    RouterAllowlistRemoved,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    RouterRemoved,
    Segment,
    Unpaused,
    XCalled,
    decode_segment,
)
from abci_app.machine.results import Block, BlockResult
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId
from abci_app.machine.state.records import Domain, Liquidity, Router
from abci_app.machine.state.view import MemoryState, StateDelta

Place = tuple[DomainId, Address, Address]
"""Domain, local asset, router."""


@dataclass
class Book:
    """Balances, (approved, eligible) of routers, and domains."""

    domains: dict[DomainId, Domain]
    balances: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    approved: dict[tuple[DomainId, Address], bool] = field(default_factory=lambda: defaultdict(bool))
    lost: set[tuple[DomainId, Address]] = field(default_factory=set)
    """Routers that are not eligible."""

    def take(self, place: Place, amount: int) -> None:
        """A debit; more than there is leaves nothing and nobody knows how much is there."""
        if amount > self.balances[place]:
            self.lost.add((place[0], place[2]))
        self.balances[place] = max(0, self.balances[place] - amount)

    def share(self, total: int, routers: RouterList) -> list[tuple[Address, int]]:
        """Who gets or gives what of ``total``: equal parts, the last one the rest."""
        each = total // len(routers.routers) if routers.routers else 0
        parts = [(router, each) for router in routers.routers]
        if parts:
            parts[-1] = (parts[-1][0], total - each * (len(parts) - 1))
        return parts

    def follow(self, segment: Segment) -> None:
        """A segment's events, then its cursor."""
        for positioned in segment.events:
            self.note(segment.domain, positioned.event)
        domain = self.domains[segment.domain]
        cursor = replace(
            domain.cursor, number=segment.number, block=segment.end_block, index=segment.end_index,
            block_hash=segment.end_block_hash, timestamp_s=segment.end_timestamp_s,
        )
        self.domains[segment.domain] = replace(domain, cursor=cursor)

    def note(self, at: DomainId, event: Event) -> None:
        """One event."""
        domain = self.domains[at]
        match event:
            case RouterLiquidityAdded():
                self.balances[at, event.local, event.router] += event.amount
            case RouterLiquidityRemoved():
                self.take((at, event.local, event.router), event.amount)
            case Executed():
                total = event.bridged_amt * domain.fee_numerator // 10_000
                for router, part in self.share(total, event.routers):
                    self.take((at, event.local, router), part)
            case Reconciled():
                for router, part in self.share(event.amount, event.routers):
                    self.balances[at, event.local, router] += part
            case RouterAdded() | RouterRemoved():
                self.approved[at, event.router] = isinstance(event, RouterAdded)
            case PortalMinted():
                self.lost.add((at, event.router))
            case PortalRepaid():
                self.lost.add((at, event.caller))
            case _:
                self.domains[at] = change(domain, event)
        if isinstance(event, Executed | Reconciled) and event.routers.digest is not None:
            self.domains[at] = replace(self.domains[at], eligible=False)


def change(domain: Domain, event: Event) -> Domain:
    """What an event makes of its domain."""
    match event:
        case XCalled():
            return replace(domain, next_nonce=min(event.nonce + 1, 2**64 - 1))
        case RouterAllowlistRemoved():
            return replace(domain, allowlist_removed=event.removed)
        case OwnershipTransferred() if not any(event.owner):
            return replace(domain, allowlist_removed=True)
        case MaxRoutersPerTransferUpdated():
            return replace(domain, max_routers=min(event.value, 65_535))
        case LiquidityFeeNumeratorUpdated() if event.value <= 10_000:
            return replace(domain, fee_numerator=event.value)
        case Paused() | Unpaused():
            return replace(domain, connext_paused=isinstance(event, Paused))
        case DiamondCut():
            return replace(domain, eligible=False)
    return domain


def open_book(state: MemoryState) -> Book:
    """The account as a state tells it."""
    delta = StateDelta(state)
    book = Book({domain.domain: domain for _, domain in delta.scan(keys.domains(), Domain)})
    for key, liquidity in delta.scan(b"liquidity/", Liquidity):
        _, domain, local, router = key.split(b"/")
        place = DomainId(int(domain)), Address(bytes.fromhex(local.decode())), Address(bytes.fromhex(router.decode()))
        book.balances[place] = liquidity.balance
    for _, known in delta.scan(b"router/", Router):
        book.approved[known.domain, known.router] = known.approved
        if not known.eligible:
            book.lost.add((known.domain, known.router))
    return book


def check_book(before: MemoryState, after: MemoryState, block: Block, result: BlockResult) -> None:
    """Raise AssertionError where the state after a block is not what its accepted segments make of the one before."""
    expected, found = open_book(before), open_book(after)
    for tx, each in zip(block.txs, result.results, strict=True):
        if tx.startswith(INJECTED_SEGMENT) and not each.code:
            expected.follow(decode_segment(tx[len(INJECTED_SEGMENT):]))
    assert strip(expected.balances) == strip(found.balances)
    assert strip(expected.approved) == strip(found.approved)
    assert expected.lost == found.lost
    for at, domain in found.domains.items():
        digest = domain.cursor.digest
        wanted = expected.domains[at]
        assert replace(wanted, cursor=replace(wanted.cursor, digest=digest)) == domain


def strip(values: dict[Any, Any]) -> dict[Any, Any]:
    """Without zeros."""
    return {key: value for key, value in values.items() if value}
