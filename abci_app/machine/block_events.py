"""Names of the events that a block emits, their attributes, and the reasons of alarms (docs/protocol.md section 12).

No rule reads an event and no hash covers one. A name that was published keeps its meaning: indexers subscribe to it.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class EventKind(StrEnum):
    """Kind of an event of a block or of a transaction, as CometBFT's index and the log show it."""

    ACCEPTED = "accepted"  # an XCalled became a transfer (EVT-2)
    ASSIGNED = "assigned"  # an auction chose routers, or a slow decision none (ASN-4, SLW-1)
    RENEWED = "renewed"  # an attempt that was over is decided again with the same routers (LSE-3)
    WAITING = "waiting"  # an attempt ended and no router is feasible (LSE-4)
    SLOW = "slow"  # the transfer moved to the slow path (LSE-5)
    EXECUTED = "executed"  # Connext paid the recipient (EVT-3)
    RECONCILED = "reconciled"  # the message layer brought the transfer (EVT-4)
    COMPLETED = "completed"  # executed and reconciled (EVT-3, EVT-4)
    DROPPED = "dropped"  # a transfer left the state unfinished (SLW-4)
    STUB = "stub"  # an event of a transfer that is not accepted yet (LIM-4)
    STUB_EXPIRED = "stub_expired"  # its XCalled never came (LIM-4)
    INFO = "info"  # a TransferInfo was submitted (TX-2)
    BID = "bid"  # a bid was taken (BID-3)
    WITHDRAWN = "withdrawn"  # a router took its bid back (BID-5)
    FAULT = "fault"  # a router failed an attempt and cools down (FLT-1)
    SEGMENT = "segment"  # an agreed segment was applied (REP-4)
    BATCH = "batch"  # the block's decisions were closed in a batch (BAT-1)
    ATTESTED = "attested"  # more than two thirds of the power signed a batch (BAT-5)
    SEQUENCER = "sequencer"  # Connext's owner approved or removed a sequencer (EVT-5)
    RELAYER = "relayer"  # Connext's owner approved or removed a relayer (EVT-5)
    ROLE = "role"  # Connext's owner gave an account a role (EVT-5)
    PORTAL_APPROVAL = "portal_approval"  # Connext's owner approved or removed a router for portals (EVT-5)
    ALARM = "alarm"  # something that a person should look at; it stops nothing (ORD-5)


class Alarm(StrEnum):
    """Reason of an alarm. Its name is what counters carry, its value what the event's ``reason`` says."""

    QUORUM_UNREACHABLE = "no digest can be agreed"  # no digest of a segment can reach two thirds any more (REP-3)
    NONCE_GAP = "nonce gap"  # an XCalled with another nonce than the domain's next (EVT-1)
    XCALLED_TWICE = "XCalled twice"  # nothing in it was missing (EVT-1)
    XCALLED_ORIGIN_MISMATCH = "XCalled of another origin or nonce"  # skipped (EVT-1)
    XCALLED_ID_MISMATCH = "XCalled whose TransferInfo does not hash to its id"  # skipped (EVT-1)
    XCALLED_TO_ORIGIN = "XCalled to its own origin"  # skipped (EVT-1)
    XCALLED_UNKNOWN_DOMAIN = "XCalled to an unknown domain"  # skipped (EVT-1)
    EXECUTED_ELSEWHERE = "Executed beside the destination"  # skipped, but for its debits (EVT-3)
    EXECUTED_OUT_OF_TURN = "Executed out of turn"  # does not follow from the transfer's status (EVT-3)
    EXECUTED_ROUTERS_TOO_MANY = "Executed with more than 16 routers"  # the domain becomes ineligible (LIQ-3)
    RECONCILED_ELSEWHERE = "Reconciled beside the destination"  # skipped, but for its credits (EVT-4)
    RECONCILED_OUT_OF_TURN = "Reconciled out of turn"  # does not follow from the transfer's status (EVT-4)
    RECONCILED_ROUTERS_TOO_MANY = "Reconciled with more than 16 routers"  # the domain becomes ineligible (LIQ-3)
    FEES_ELSEWHERE = "relayer fees of no transfer from here"  # skipped (SLW-3)
    OPTION_ELSEWHERE = "option of no transfer to here"  # slippage or receive-local, skipped (SLW-3)
    STUB_CONTRADICTED = "stub of other domains"  # the XCalled says otherwise; the stub is forgotten (LIM-4)
    STUB_EVENT_ELSEWHERE = "event of other domains than its stub's"  # skipped (LIM-4)
    FEE_NUMERATOR_INVALID = "fee numerator above 10,000"  # skipped (EVT-5)
    ASSET_UNKNOWN = "AssetRemoved of an unknown asset"  # skipped (EVT-5)
    DEBIT_ABOVE_BALANCE = "debit above the balance"  # leaves 0; the router becomes ineligible (LIQ-3)
    PORTAL_MINT = "portal mint"  # the router becomes ineligible (LIQ-3)
    PORTAL_REPAYMENT = "portal repayment"  # the router becomes ineligible (LIQ-3)
    DIAMOND_CUT = "diamond cut"  # Connext's code changed; the domain becomes ineligible (LIQ-3)
    SLOW_DECISIONS_STOPPED = "slow decisions stopped"  # slow attempts are spent (SLW-2)


ATTRIBUTES: Mapping[EventKind, tuple[str, ...]] = MappingProxyType({
    EventKind.ACCEPTED: ("transfer_id", "acceptance", "origin", "destination", "amount", "status"),
    EventKind.ASSIGNED: ("transfer_id", "attempt", "routers", "sequence"),
    EventKind.RENEWED: ("transfer_id", "attempt", "routers", "sequence"),
    EventKind.WAITING: ("transfer_id", "attempt"),
    EventKind.SLOW: ("transfer_id", "reason"),
    EventKind.EXECUTED: ("transfer_id", "routers", "tx_hash"),
    EventKind.RECONCILED: ("transfer_id", "tx_hash"),
    EventKind.COMPLETED: ("transfer_id", "tx_hash"),
    EventKind.DROPPED: ("transfer_id",),
    EventKind.STUB: ("transfer_id", "executed", "reconciled"),
    EventKind.STUB_EXPIRED: ("transfer_id",),
    EventKind.INFO: ("transfer_id", "status"),
    EventKind.BID: ("transfer_id", "router", "path_lengths"),
    EventKind.WITHDRAWN: ("transfer_id", "router"),
    EventKind.FAULT: ("domain", "router", "reason", "faults", "cool_down_until"),
    EventKind.SEGMENT: ("domain", "number", "events"),
    EventKind.BATCH: ("height", "epoch", "decisions", "digest"),
    EventKind.ATTESTED: ("height", "epoch", "signatures"),
    EventKind.SEQUENCER: ("domain", "address", "approved"),
    EventKind.RELAYER: ("domain", "address", "approved"),
    EventKind.ROLE: ("domain", "address", "role"),
    EventKind.PORTAL_APPROVAL: ("domain", "address", "approved"),
    EventKind.ALARM: ("reason",),
})
"""Names of each kind's attributes, in order; of an alarm, those of its reason follow."""

ALARM_ATTRIBUTES: Mapping[Alarm, tuple[str, ...]] = MappingProxyType({
    Alarm.QUORUM_UNREACHABLE: ("domain", "segment"),
    Alarm.NONCE_GAP: ("domain", "nonce", "expected"),
    Alarm.XCALLED_TWICE: ("domain", "transfer_id"),
    Alarm.XCALLED_ORIGIN_MISMATCH: ("domain", "transfer_id"),
    Alarm.XCALLED_ID_MISMATCH: ("domain", "transfer_id"),
    Alarm.XCALLED_TO_ORIGIN: ("domain", "transfer_id"),
    Alarm.XCALLED_UNKNOWN_DOMAIN: ("domain", "transfer_id"),
    Alarm.EXECUTED_ELSEWHERE: ("domain", "transfer_id"),
    Alarm.EXECUTED_OUT_OF_TURN: ("domain", "transfer_id", "status"),
    Alarm.EXECUTED_ROUTERS_TOO_MANY: ("domain",),
    Alarm.RECONCILED_ELSEWHERE: ("domain", "transfer_id"),
    Alarm.RECONCILED_OUT_OF_TURN: ("domain", "transfer_id", "status"),
    Alarm.RECONCILED_ROUTERS_TOO_MANY: ("domain",),
    Alarm.FEES_ELSEWHERE: ("domain", "transfer_id"),
    Alarm.OPTION_ELSEWHERE: ("domain", "transfer_id"),
    Alarm.STUB_CONTRADICTED: ("domain", "transfer_id"),
    Alarm.STUB_EVENT_ELSEWHERE: ("domain", "transfer_id"),
    Alarm.FEE_NUMERATOR_INVALID: ("domain", "value"),
    Alarm.ASSET_UNKNOWN: ("domain", "key"),
    Alarm.DEBIT_ABOVE_BALANCE: ("domain", "router"),
    Alarm.PORTAL_MINT: ("domain", "router"),
    Alarm.PORTAL_REPAYMENT: ("domain", "router"),
    Alarm.DIAMOND_CUT: ("domain",),
    Alarm.SLOW_DECISIONS_STOPPED: ("transfer_id", "attempts"),
})
"""Names of the attributes that follow an alarm's reason, in order."""
