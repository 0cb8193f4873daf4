"""Dispatch of one accepted Connext event to the rule of its kind (EVT-1 … EVT-5).

The network agreed that an event is in the log, not that it makes sense: what fits no rule is an alarm and no more.
Decoding has bounded every integer by an EVM word; handlers bound what a record's field cannot hold.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from abci_app.machine.block_events import Alarm, EventKind
from abci_app.machine.connext import FEE_DENOMINATOR, keccak
from abci_app.machine.events.acceptance import process_xcalled
from abci_app.machine.events.settlement import (
    process_executed,
    process_fees_increased,
    process_force_receive_local,
    process_reconciled,
    process_slippage_updated,
)
from abci_app.machine.ledger.liquidity import (
    add_balance,
    get_router,
    mark_domain_ineligible,
    mark_ineligible,
    remove_approval,
    remove_liquidity,
)
from abci_app.machine.observation.stream import (
    AssetAdded,
    AssetRemoved,
    DiamondCut,
    Event,
    Executed,
    ForceReceiveLocal,
    LiquidityFeeNumeratorUpdated,
    MaxRoutersPerTransferUpdated,
    OwnershipTransferred,
    Paused,
    PortalApprovalChanged,
    PortalMinted,
    PortalRepaid,
    Reconciled,
    RelayerChanged,
    RelayerFeesIncreased,
    RoleChanged,
    RouterAdded,
    RouterAllowlistRemoved,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    RouterRemoved,
    SequencerChanged,
    SlippageUpdated,
    Unpaused,
    XCalled,
)
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import DomainId
from abci_app.machine.state.records import EMPTY_ADDRESS, Asset, AssetLocal, Domain

U16_MAX = (1 << 16) - 1
Handler = Callable[[Scope, DomainId, Any], None]


def process_event(scope: Scope, domain_id: DomainId, event: Event) -> None:
    """Apply one event of ``domain_id``'s stream; never fails (ORD-5)."""
    HANDLERS[type(event)](scope, domain_id, event)


# --- routers --------------------------------------------------------------------------------------------------------


def process_liquidity_added(scope: Scope, domain_id: DomainId, event: RouterLiquidityAdded) -> None:
    """Credit the router (LIQ-2)."""
    add_balance(scope, domain_id, event.local, event.router, event.amount)


def process_liquidity_removed(scope: Scope, domain_id: DomainId, event: RouterLiquidityRemoved) -> None:
    """Debit the router; a balance below its reservations is a fault (LIQ-2, FLT-1)."""
    remove_liquidity(scope, domain_id, event.local, event.router, event.amount)


def process_router_added(scope: Scope, domain_id: DomainId, event: RouterAdded) -> None:
    """Approve the router (EVT-5)."""
    router = get_router(scope.delta, domain_id, event.router)
    scope.delta.write(keys.router(domain_id, event.router), replace(router, approved=True))


def process_router_removed(scope: Scope, domain_id: DomainId, event: RouterRemoved) -> None:
    """Revoke the router's approval (EVT-5); with liquidity reserved this is a fault (FLT-1)."""
    remove_approval(scope, domain_id, event.router)


def process_portal_minted(scope: Scope, domain_id: DomainId, event: PortalMinted) -> None:
    """Mark the router ineligible: after a portal loan its balance cannot be derived from events (LIQ-3)."""
    mark_ineligible(scope, domain_id, event.router, Alarm.PORTAL_MINT)


def process_portal_repaid(scope: Scope, domain_id: DomainId, event: PortalRepaid) -> None:
    """Mark the router ineligible: it repaid a portal loan from liquidity by an amount no event holds (LIQ-3)."""
    mark_ineligible(scope, domain_id, event.caller, Alarm.PORTAL_REPAYMENT)


# --- the domain -----------------------------------------------------------------------------------------------------


def change_domain(scope: Scope, domain_id: DomainId, **changes: int | bool) -> None:
    """Write the domain with some fields changed."""
    domain = scope.delta.must(keys.domain(domain_id), Domain)
    scope.delta.write(keys.domain(domain_id), replace(domain, **changes))  # type: ignore[arg-type]


def process_allowlist_removed(scope: Scope, domain_id: DomainId, event: RouterAllowlistRemoved) -> None:
    """Switch the check of routers off or on (EVT-5)."""
    change_domain(scope, domain_id, allowlist_removed=event.removed)


def process_ownership(scope: Scope, domain_id: DomainId, event: OwnershipTransferred) -> None:
    """Record the owner: a diamond without owner does not check routers' approval (EVT-5)."""
    if event.owner == EMPTY_ADDRESS:
        change_domain(scope, domain_id, allowlist_removed=True)


def process_max_routers(scope: Scope, domain_id: DomainId, event: MaxRoutersPerTransferUpdated) -> None:
    """Record the new maximum of routers per transfer, at most the record's ceiling: paths end at 4."""
    change_domain(scope, domain_id, max_routers=min(event.value, U16_MAX))


def process_fee_numerator(scope: Scope, domain_id: DomainId, event: LiquidityFeeNumeratorUpdated) -> None:
    """Record the fee numerator from this event on; above 10,000 shares would bound no debit (ASN-3)."""
    if event.value > FEE_DENOMINATOR:
        scope.alarm(Alarm.FEE_NUMERATOR_INVALID, domain=domain_id, value=event.value)
    else:
        change_domain(scope, domain_id, fee_numerator=event.value)


def process_paused(scope: Scope, domain_id: DomainId, _: Paused) -> None:
    """Record the pause: Connext executes nothing there, so lanes to it are held (LSE-6)."""
    change_domain(scope, domain_id, connext_paused=True)


def process_unpaused(scope: Scope, domain_id: DomainId, _: Unpaused) -> None:
    """Record the end of the pause (LSE-6)."""
    change_domain(scope, domain_id, connext_paused=False)


def process_diamond_cut(scope: Scope, domain_id: DomainId, _: DiamondCut) -> None:
    """Mark the domain ineligible: the contract's code changed, perhaps without further events (LIQ-3)."""
    mark_domain_ineligible(scope, domain_id, Alarm.DIAMOND_CUT)


def process_asset_added(scope: Scope, domain_id: DomainId, event: AssetAdded) -> None:
    """List an asset's token on this domain; its decimals are those of the token first listed (EVT-5)."""
    key = keys.asset(event.canonical_domain, event.canonical_id)
    asset = scope.delta.read(key, Asset) or Asset(event.canonical_domain, event.canonical_id, 0, ())
    decimals = asset.locals[0].decimals if asset.locals else 18
    others = [local for local in asset.locals if local.domain != domain_id]
    listed = [*others, AssetLocal(domain_id, event.local, decimals, True)]
    scope.delta.write(key, replace(asset, locals=tuple(sorted(listed, key=lambda local: local.domain))))


def process_asset_removed(scope: Scope, domain_id: DomainId, event: AssetRemoved) -> None:
    """Delist an asset on this domain (EVT-5)."""
    for key, asset in list(scope.delta.scan(keys.assets(), Asset)):
        if keccak(asset.canonical_id + asset.canonical_domain.to_bytes(32, "big")) == event.key:
            delisted = (
                replace(local, listed=local.listed and local.domain != domain_id) for local in asset.locals
            )
            scope.delta.write(key, replace(asset, locals=tuple(delisted)))
            return
    scope.alarm(Alarm.ASSET_UNKNOWN, domain=domain_id, key=event.key)


# --- recorded only --------------------------------------------------------------------------------------------------


def record_sequencer(scope: Scope, domain_id: DomainId, event: SequencerChanged) -> None:
    """Emit who may sign as sequencer (EVT-5)."""
    scope.emit(EventKind.SEQUENCER, domain=domain_id, address=event.sequencer, approved=int(event.approved))


def record_relayer(scope: Scope, domain_id: DomainId, event: RelayerChanged) -> None:
    """Emit who may call execute (EVT-5)."""
    scope.emit(EventKind.RELAYER, domain=domain_id, address=event.relayer, approved=int(event.approved))


def record_role(scope: Scope, domain_id: DomainId, event: RoleChanged) -> None:
    """Emit who got or lost a role (EVT-5)."""
    scope.emit(EventKind.ROLE, domain=domain_id, address=event.account, role=event.role)


def record_portal_approval(scope: Scope, domain_id: DomainId, event: PortalApprovalChanged) -> None:
    """Emit who may use portals (EVT-5)."""
    scope.emit(EventKind.PORTAL_APPROVAL, domain=domain_id, address=event.router, approved=int(event.approved))


HANDLERS: dict[type, Handler] = {
    XCalled: process_xcalled,
    Executed: process_executed,
    Reconciled: process_reconciled,
    RouterLiquidityAdded: process_liquidity_added,
    RouterLiquidityRemoved: process_liquidity_removed,
    RouterAdded: process_router_added,
    RouterRemoved: process_router_removed,
    RouterAllowlistRemoved: process_allowlist_removed,
    OwnershipTransferred: process_ownership,
    MaxRoutersPerTransferUpdated: process_max_routers,
    LiquidityFeeNumeratorUpdated: process_fee_numerator,
    Paused: process_paused,
    Unpaused: process_unpaused,
    AssetAdded: process_asset_added,
    AssetRemoved: process_asset_removed,
    RelayerFeesIncreased: process_fees_increased,
    SlippageUpdated: process_slippage_updated,
    ForceReceiveLocal: process_force_receive_local,
    SequencerChanged: record_sequencer,
    RelayerChanged: record_relayer,
    RoleChanged: record_role,
    PortalMinted: process_portal_minted,
    PortalRepaid: process_portal_repaid,
    PortalApprovalChanged: record_portal_approval,
    DiamondCut: process_diamond_cut,
}
