"""Projection of one Connext's logs to events of stream version 1 (docs/protocol.md section 5; pure functions).

A log that does not decode, or does not fit its projection, raises `ObservationError`; none is guessed or left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from abci_app.evm.codec import parse_interface
from abci_app.evm.connext import ExecuteArgs, Role
from abci_app.evm.connext_events import TOPICS, decode_event
from abci_app.evm.errors import DecodeFailed
from abci_app.evm.types import ZERO_ADDRESS, Log
from abci_app.machine.connext import hash_routers, keccak
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
    PositionedEvent,
    Reconciled,
    RelayerChanged,
    RelayerFeesIncreased,
    RoleChanged,
    RouterAdded,
    RouterAllowlistRemoved,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    RouterList,
    RouterRemoved,
    SequencerChanged,
    SlippageUpdated,
    Unpaused,
    XCalled,
    encode_event,
)
from abci_app.machine.params import (
    CALL_DATA_INLINE_MAX,
    EVENT_BYTES_MAX,
    INDEX_WHOLE_BLOCK,
    RELAYER_FEE_ASSETS_MAX,
    ROUTERS_INLINE_MAX,
)
from abci_app.machine.state.codec import Address, DomainId, Hash, TransferId
from abci_app.machine.state.records import RelayerFee, TransferInfo
from abci_app.observer.observation_errors import ErrorCause, ObservationError

Arguments = Mapping[str, Any]

_OLD_FEES = parse_interface([{
    "type": "event",
    "name": "TransferRelayerFeesIncreased",
    "inputs": [
        {"name": "transferId", "type": "bytes32", "indexed": True},
        {"name": "increase", "type": "uint256"},
        {"name": "caller", "type": "address"},
    ],
}])
"""The event as diamonds before 2.4.0 emit it: fees were native only, so it names no asset."""
OLD_FEES_TOPIC = next(iter(_OLD_FEES.events))

PROJECTIONS: dict[str, Callable[[Arguments, Log], Event]] = {
    "XCalled": lambda a, log: _project_xcalled(a, log),
    "Executed": lambda a, log: _project_executed(a, log),
    "Reconciled": lambda a, log: Reconciled(
        a["transferId"], a["originDomain"], a["local"], list_routers(a["routers"]), a["amount"], Hash(log.tx_hash)
    ),
    "RouterLiquidityAdded": lambda a, _: RouterLiquidityAdded(a["router"], a["local"], a["amount"]),
    "RouterLiquidityRemoved": lambda a, _: RouterLiquidityRemoved(a["router"], a["local"], a["amount"]),
    "RouterAdded": lambda a, _: RouterAdded(a["router"]),
    "RouterRemoved": lambda a, _: RouterRemoved(a["router"]),
    "RouterAllowlistRemoved": lambda a, _: RouterAllowlistRemoved(a["renounced"]),
    "OwnershipTransferred": lambda a, _: OwnershipTransferred(a["newOwner"]),
    "MaxRoutersPerTransferUpdated": lambda a, _: MaxRoutersPerTransferUpdated(a["maxRoutersPerTransfer"]),
    "LiquidityFeeNumeratorUpdated": lambda a, _: LiquidityFeeNumeratorUpdated(a["liquidityFeeNumerator"]),
    "Paused": lambda a, _: Paused(),
    "Unpaused": lambda a, _: Unpaused(),
    "AssetAdded": lambda a, _: AssetAdded(a["domain"], a["canonicalId"], a["localAsset"], a["adoptedAsset"]),
    "AssetRemoved": lambda a, _: AssetRemoved(a["key"]),
    "TransferRelayerFeesIncreased": lambda a, _: RelayerFeesIncreased(a["transferId"], a["asset"], a["increase"]),
    "SlippageUpdated": lambda a, _: SlippageUpdated(a["transferId"], a["slippage"]),
    "ForceReceiveLocal": lambda a, _: ForceReceiveLocal(a["transferId"]),
    "SequencerAdded": lambda a, _: SequencerChanged(a["sequencer"], True),
    "SequencerRemoved": lambda a, _: SequencerChanged(a["sequencer"], False),
    "RelayerAdded": lambda a, _: RelayerChanged(a["relayer"], True),
    "RelayerRemoved": lambda a, _: RelayerChanged(a["relayer"], False),
    "AssignRoleRouter": lambda a, _: RoleChanged(a["router"], Role.ROUTER_ADMIN),
    "AssignRoleWatcher": lambda a, _: RoleChanged(a["watcher"], Role.WATCHER),
    "AssignRoleAdmin": lambda a, _: RoleChanged(a["admin"], Role.ADMIN),
    "RevokeRole": lambda a, _: RoleChanged(a["revokedAddress"], Role.NONE),
    "AavePortalMintUnbacked": lambda a, _: PortalMinted(a["transferId"], a["router"], a["asset"], a["amount"]),
    "AavePortalRepayment": lambda a, _: PortalRepaid(a["transferId"], a["asset"], a["caller"]),
    "RouterApprovedForPortal": lambda a, _: PortalApprovalChanged(a["router"], True),
    "RouterUnapprovedForPortal": lambda a, _: PortalApprovalChanged(a["router"], False),
    "DiamondCut": lambda a, log: DiamondCut(keccak(log.data)),
}
"""Name of every listed event → its projection."""

STREAM_TOPICS: tuple[bytes, ...] = (*(TOPICS[name] for name in PROJECTIONS), OLD_FEES_TOPIC)
"""topic0 of stream version 1: what observers ask their endpoints for."""


def project(logs: Sequence[Log]) -> tuple[PositionedEvent, ...]:
    """Return events of the listed logs of whole blocks, in chain order; fees before their XCalled are merged into it.

    Whole blocks, since a fee may stand before the position from which the caller wants events.
    """
    events = [(log, _project_log(log)) for log in logs]
    xcalls = {
        (log.block_number, log.tx_hash, event.transfer_id): log.log_index
        for log, event in events
        if isinstance(event, XCalled)
    }
    folded: dict[tuple[int, bytes, TransferId], dict[Address, int]] = {}
    positioned: list[PositionedEvent] = []
    for log, event in events:
        if isinstance(event, RelayerFeesIncreased):
            key = (log.block_number, log.tx_hash, event.transfer_id)
            if log.log_index < xcalls.get(key, 0):
                fees = folded.setdefault(key, {})
                fees[event.asset] = fees.get(event.asset, 0) + event.amount
                continue
        elif isinstance(event, XCalled):
            event = _with_fees(event, folded.get((log.block_number, log.tx_hash, event.transfer_id), {}))
        _require_encodable(event, log)
        positioned.append(PositionedEvent(log.block_number, log.log_index, event))
    return tuple(positioned)


def list_routers(routers: Sequence[Address]) -> RouterList:
    """Return an event's routers as its projection stores them: more than 16 as count and hash."""
    if len(routers) <= ROUTERS_INLINE_MAX:
        return RouterList(len(routers), tuple(routers), None)
    return RouterList(len(routers), (), hash_routers(routers))


def _project_log(log: Log) -> Event:
    try:
        if log.topics[:1] == (OLD_FEES_TOPIC,):
            _, arguments = _OLD_FEES.decode_log(log)
            return RelayerFeesIncreased(arguments["transferId"], Address(ZERO_ADDRESS), arguments["increase"])
        decoded = decode_event(log)
    except DecodeFailed as error:
        raise ObservationError(ErrorCause.UNDECODABLE, f"log {log.block_number}/{log.log_index}: {error}") from error
    if decoded.name not in PROJECTIONS:
        detail = f"log {log.block_number}/{log.log_index}: {decoded.name} is not listed"
        raise ObservationError(ErrorCause.UNDECODABLE, detail)
    return PROJECTIONS[decoded.name](decoded.arguments, log)


def _project_xcalled(arguments: Arguments, log: Log) -> XCalled:
    info: TransferInfo = arguments["params"]
    length, digest = len(info.call_data), None
    if length > CALL_DATA_INLINE_MAX:
        digest = keccak(info.call_data)
        info = replace(info, call_data=b"")
    return XCalled(
        transfer_id=arguments["transferId"],
        nonce=arguments["nonce"],
        info=info,
        call_data_hash=digest,
        call_data_length=length,
        asset=arguments["asset"],
        amount=arguments["amount"],
        local=arguments["local"],
        relayer_fees=(),
        tx_hash=Hash(log.tx_hash),
    )


def _project_executed(arguments: Arguments, log: Log) -> Executed:
    args: ExecuteArgs = arguments["args"]
    return Executed(
        transfer_id=arguments["transferId"],
        origin=DomainId(args.params.origin_domain),
        canonical_domain=DomainId(args.params.canonical_domain),
        canonical_id=args.params.canonical_id,
        bridged_amt=args.params.bridged_amt,
        routers=list_routers([Address(router) for router in args.routers]),
        sequencer=Address(args.sequencer),
        local=arguments["local"],
        asset=arguments["asset"],
        amount=arguments["amount"],
        caller=arguments["caller"],
        tx_hash=Hash(log.tx_hash),
    )


def _with_fees(event: XCalled, fees: Mapping[Address, int]) -> XCalled:
    first = list(fees.items())[:RELAYER_FEE_ASSETS_MAX]
    return replace(event, relayer_fees=tuple(RelayerFee(asset, amount) for asset, amount in first))


def _require_encodable(event: Event, log: Log) -> None:
    """Refuse a value that its projection or position cannot hold (a nonce of 2^64), so that it is no bug later."""
    if log.log_index >= INDEX_WHOLE_BLOCK:
        detail = f"log {log.block_number}/{log.log_index}: no block holds so many"
        raise ObservationError(ErrorCause.UNDECODABLE, detail)
    try:
        size = len(encode_event(event))
    except (OverflowError, ValueError) as error:
        raise ObservationError(ErrorCause.UNDECODABLE, f"log {log.block_number}/{log.log_index}: {error}") from error
    if size > EVENT_BYTES_MAX:
        detail = f"log {log.block_number}/{log.log_index}: projection of {size} bytes"
        raise ObservationError(ErrorCause.UNDECODABLE, detail)
