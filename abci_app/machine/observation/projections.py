"""Projections: the fields kept of each log of a domain's stream (docs/protocol.md section 5, SEG-2).

Fixed and bounded: no signatures, no return data, long callData and router lists as hash and length. A kind's number
and its fields are bytes that every observer must make alike.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from abci_app.machine.params import CALL_DATA_INLINE_MAX, EVENT_BYTES_MAX, RELAYER_FEE_ASSETS_MAX, ROUTERS_INLINE_MAX
from abci_app.machine.state.codec import U16, U32, U64, Address, DomainId, Hash, Malformed, TransferId, decode, encode
from abci_app.machine.state.records import RelayerFee, TransferInfo

STREAM_VERSION = 1
"""Version of the list of events and of their projections below."""


@dataclass(frozen=True, slots=True)
class RouterList:
    """Routers an event names: all of them up to 16, else none and their hash (BAT-2)."""

    count: U32
    routers: tuple[Address, ...]
    """In the event's order."""
    digest: Hash | None
    """The hash where there are more than 16, else absent."""


@dataclass(frozen=True, slots=True)
class XCalled:
    """A user's transfer. ``info.call_data`` is empty and ``call_data_*`` set where it is longer than 8 KiB."""

    transfer_id: TransferId
    nonce: U64
    """The event's."""
    info: TransferInfo
    """The event's ``params``."""
    call_data_hash: Hash | None
    """keccak of the real callData where it is longer than 8 KiB, else absent."""
    call_data_length: U32
    """Length of the real callData, also when it stands in ``info``."""
    asset: Address
    """What the user paid with."""
    amount: int
    """How much of it."""
    local: Address
    """Local asset on the origin."""
    relayer_fees: tuple[RelayerFee, ...]
    """Fees of the same id that precede it in its transaction, per asset, the first four assets."""
    tx_hash: Hash


@dataclass(frozen=True, slots=True)
class Executed:
    """A transfer was paid out on this domain."""

    transfer_id: TransferId
    origin: DomainId
    canonical_domain: DomainId
    canonical_id: Hash
    bridged_amt: int
    """Amount that the transfer is of."""
    routers: RouterList
    """None on the slow path."""
    sequencer: Address
    """Unchecked by Connext where there are no routers."""
    local: Address
    asset: Address
    """What the recipient got."""
    amount: int
    """How much of it."""
    caller: Address
    """Who called ``execute``."""
    tx_hash: Hash


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The message of a transfer arrived; its routers are credited."""

    transfer_id: TransferId
    origin: DomainId
    local: Address
    routers: RouterList
    """Whom the message repays; none on the slow path."""
    amount: int
    """What the message brought, in the local asset."""
    tx_hash: Hash


@dataclass(frozen=True, slots=True)
class RouterLiquidityAdded:
    """Balance of (router, local) grows."""

    router: Address
    local: Address
    amount: int


@dataclass(frozen=True, slots=True)
class RouterLiquidityRemoved:
    """Balance of (router, local) shrinks."""

    router: Address
    local: Address
    amount: int


@dataclass(frozen=True, slots=True)
class RouterAdded:
    """Router approved."""

    router: Address


@dataclass(frozen=True, slots=True)
class RouterRemoved:
    """Router no longer approved."""

    router: Address


@dataclass(frozen=True, slots=True)
class RouterAllowlistRemoved:
    """The router allowlist was switched off (``removed``) or on again."""

    removed: bool
    """True: off."""


@dataclass(frozen=True, slots=True)
class OwnershipTransferred:
    """New owner of the diamond; the zero address switches the router check off."""

    owner: Address
    """The new owner."""


@dataclass(frozen=True, slots=True)
class MaxRoutersPerTransferUpdated:
    """New limit of a path."""

    value: int
    """Routers."""


@dataclass(frozen=True, slots=True)
class LiquidityFeeNumeratorUpdated:
    """New fee numerator, of 10,000."""

    value: int
    """Of 10,000."""


@dataclass(frozen=True, slots=True)
class Paused:
    """Connext is paused on this domain."""


@dataclass(frozen=True, slots=True)
class Unpaused:
    """Connext goes on."""


@dataclass(frozen=True, slots=True)
class AssetAdded:
    """An asset was listed on this domain."""

    canonical_domain: DomainId
    canonical_id: Hash
    local: Address
    """The asset's token on this domain."""
    adopted: Address
    """What users pay and get there."""


@dataclass(frozen=True, slots=True)
class AssetRemoved:
    """An asset was delisted; ``key`` = keccak(abi.encode(canonicalId, canonicalDomain))."""

    key: Hash
    """keccak(abi.encode(canonicalId, canonicalDomain))."""


@dataclass(frozen=True, slots=True)
class RelayerFeesIncreased:
    """Relayer fees paid on the origin after XCalled."""

    transfer_id: TransferId
    asset: Address
    """Zero address: the native asset."""
    amount: int


@dataclass(frozen=True, slots=True)
class SlippageUpdated:
    """The delegate changed a transfer's slippage."""

    transfer_id: TransferId
    slippage: int
    """Of 10,000."""


@dataclass(frozen=True, slots=True)
class ForceReceiveLocal:
    """The delegate chose to receive the local asset."""

    transfer_id: TransferId


@dataclass(frozen=True, slots=True)
class SequencerChanged:
    """A sequencer was approved or removed."""

    sequencer: Address
    """Its address."""
    approved: bool
    """False: removed."""


@dataclass(frozen=True, slots=True)
class RelayerChanged:
    """A relayer was approved or removed."""

    relayer: Address
    """Its address."""
    approved: bool
    """False: removed."""


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """A role was given (role ≠ 0) or taken (role = 0)."""

    account: Address
    """Whose role."""
    role: U16
    """0 none, 1 router admin, 2 watcher, 3 admin."""


@dataclass(frozen=True, slots=True)
class PortalMinted:
    """Aave portal fronted for a router: its balance can no longer be derived from events."""

    transfer_id: TransferId
    router: Address
    asset: Address
    """What was minted."""
    amount: int
    """How much."""


@dataclass(frozen=True, slots=True)
class PortalRepaid:
    """Portal debt repaid out of a router's liquidity by an amount no event holds."""

    transfer_id: TransferId
    asset: Address
    """What was repaid."""
    caller: Address
    """The router whose liquidity paid."""


@dataclass(frozen=True, slots=True)
class PortalApprovalChanged:
    """A router may or may no longer use portals."""

    router: Address
    approved: bool
    """False: removed."""


@dataclass(frozen=True, slots=True)
class DiamondCut:
    """Code of the diamond changed, perhaps its state too, without further events."""

    data_hash: Hash
    """keccak of the log's data."""


EVENT_KINDS: dict[int, type] = {
    1: XCalled, 2: Executed, 3: Reconciled, 4: RouterLiquidityAdded, 5: RouterLiquidityRemoved, 6: RouterAdded,
    7: RouterRemoved, 8: RouterAllowlistRemoved, 9: OwnershipTransferred, 10: MaxRoutersPerTransferUpdated,
    11: LiquidityFeeNumeratorUpdated, 12: Paused, 13: Unpaused, 14: AssetAdded, 15: AssetRemoved,
    16: RelayerFeesIncreased, 17: SlippageUpdated, 18: ForceReceiveLocal, 19: SequencerChanged, 20: RelayerChanged,
    21: RoleChanged, 22: PortalMinted, 23: PortalRepaid, 24: PortalApprovalChanged, 25: DiamondCut,
}
"""Kind byte of each projection; append only within a stream version."""
KIND_OF = {cls: kind for kind, cls in EVENT_KINDS.items()}
"""EVENT_KINDS the other way round."""

Event = (
    XCalled | Executed | Reconciled | RouterLiquidityAdded | RouterLiquidityRemoved | RouterAdded | RouterRemoved
    | RouterAllowlistRemoved | OwnershipTransferred | MaxRoutersPerTransferUpdated | LiquidityFeeNumeratorUpdated
    | Paused | Unpaused | AssetAdded | AssetRemoved | RelayerFeesIncreased | SlippageUpdated | ForceReceiveLocal
    | SequencerChanged | RelayerChanged | RoleChanged | PortalMinted | PortalRepaid | PortalApprovalChanged | DiamondCut
)


def encode_event(event: Event) -> bytes:
    """Return the canonical bytes of a projection, without kind and position; at most 9 KiB."""
    return encode(event)


def decode_event(kind: int, raw: bytes) -> Event:
    """Return the projection of ``kind``; ``Malformed`` where kind, bytes or a bound is wrong."""
    cls = EVENT_KINDS.get(kind)
    if cls is None:
        raise Malformed(f"no event of kind {kind}")
    if len(raw) > EVENT_BYTES_MAX:
        raise Malformed(f"event of {len(raw)} bytes, at most {EVENT_BYTES_MAX}")
    event: Event = decode(cls, raw)
    nested = (event.info, *event.relayer_fees) if isinstance(event, XCalled) else ()
    if not all(map(_is_within_words, (event, *nested))):
        raise Malformed("a number that no EVM word holds")
    if isinstance(event, XCalled):
        inline = event.call_data_hash is None
        if inline != (event.call_data_length <= CALL_DATA_INLINE_MAX):
            raise Malformed("callData both or neither inline and hashed")
        if len(event.info.call_data) != (event.call_data_length if inline else 0):
            raise Malformed("callData length differs")
        if len(event.relayer_fees) > RELAYER_FEE_ASSETS_MAX:
            raise Malformed("too many fee assets")
    if isinstance(event, Executed | Reconciled):
        routers = event.routers
        inline = routers.digest is None
        if inline != (routers.count <= ROUTERS_INLINE_MAX) or len(routers.routers) != (routers.count if inline else 0):
            raise Malformed("router list both or neither inline and hashed")
    return event


@cache
def _list_words(cls: type) -> tuple[str, ...]:
    """Return the names of a record's unbounded integers: those that an EVM word must hold."""
    return tuple(name for name, kind in get_type_hints(cls, include_extras=True).items() if kind is int)


def _is_within_words(record: Any) -> bool:
    return not any(getattr(record, name) >> 256 for name in _list_words(record.__class__))
