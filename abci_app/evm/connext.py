"""Bindings of the Connext diamond (2.4.0): calldata, reads, custom errors, storage overrides.

Amounts are integers in the smallest unit of the asset named; routers stand in the order Connext gets them.
"""

from dataclasses import astuple, dataclass
from enum import IntEnum
from typing import Any, TypeVar

from eth_utils.crypto import keccak

from abci_app.evm.codec import load_interface
from abci_app.evm.errors import DecodeFailed
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Address, BlockTag, to_hex
from abci_app.machine.state.records import TransferInfo

CONNEXT = load_interface("connext")

XCALL = "xcall(uint32,address,address,address,uint256,uint256,bytes)"
"""The overload whose relayer fee is the transaction's native value."""

SLOT_ROUTER_BALANCES = 10
SLOT_ROUTER_CONFIGS = 21
SLOT_APPROVED_SEQUENCERS = 31
"""Positions of mappings in the diamond's storage, for state overrides only."""


class DestinationStatus(IntEnum):
    """Status of a transfer on its destination (`transferStatus`)."""

    NONE = 0
    RECONCILED = 1
    EXECUTED = 2
    COMPLETED = 3


class Role(IntEnum):
    """Role of an account in the diamond (`queryRole`)."""

    NONE = 0
    ROUTER_ADMIN = 1
    WATCHER = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class ExecuteArgs:
    """Argument of `execute`. Slow path: no routers, no signatures, sequencer zero."""

    params: TransferInfo
    routers: tuple[Address, ...]
    router_signatures: tuple[bytes, ...]
    sequencer: Address
    sequencer_signature: bytes


# -- calldata ---------------------------------------------------------------------------------------------------------


def encode_xcall(
    *,
    destination_domain: int,
    to: Address,
    asset: Address,
    delegate: Address,
    amount: int,
    slippage_bps: int,
    call_data: bytes = b"",
) -> bytes:
    """Return the calldata of `xcall`. The asset must have been approved for the diamond by the sender."""
    return CONNEXT.encode(XCALL, destination_domain, to, asset, delegate, amount, slippage_bps, call_data)


def encode_execute(args: ExecuteArgs) -> bytes:
    """Return the calldata of `execute`."""
    return CONNEXT.encode("execute", execute_args_tuple(args))


def execute_args_tuple(args: ExecuteArgs) -> tuple[Any, ...]:
    """Return ExecuteArgs as eth_abi takes it, for calldata of other contracts that carry it."""
    return (
        transfer_info_tuple(args.params),
        args.routers,
        args.router_signatures,
        args.sequencer,
        args.sequencer_signature,
    )


def transfer_info_tuple(info: TransferInfo) -> tuple[Any, ...]:
    """Return TransferInfo as eth_abi takes it: its fields in order."""
    return astuple(info)


def encode_add_router_liquidity_for(amount: int, local: Address, router: Address) -> bytes:
    """Return the calldata of `addRouterLiquidityFor`; the sender pays, and must have approved the diamond."""
    return CONNEXT.encode("addRouterLiquidityFor", amount, local, router)


def encode_admin(name: str, *arguments: Any) -> bytes:
    """Return the calldata of any other function of the diamond: approveRouter, addSequencer, addRelayer, pause …"""
    return CONNEXT.encode(name, *arguments)


def transfer_info_from_args(fields: dict[str, Any]) -> TransferInfo:
    """Build TransferInfo from a decoded tuple."""
    return TransferInfo(
        origin_domain=fields["originDomain"],
        destination_domain=fields["destinationDomain"],
        canonical_domain=fields["canonicalDomain"],
        to=fields["to"],
        delegate=fields["delegate"],
        receive_local=fields["receiveLocal"],
        call_data=fields["callData"],
        slippage=fields["slippage"],
        origin_sender=fields["originSender"],
        bridged_amt=fields["bridgedAmt"],
        normalized_in=fields["normalizedIn"],
        nonce=fields["nonce"],
        canonical_id=fields["canonicalId"],
    )


def execute_args_from_args(fields: dict[str, Any]) -> ExecuteArgs:
    """Build ExecuteArgs from a decoded tuple."""
    return ExecuteArgs(
        params=transfer_info_from_args(fields["params"]),
        routers=fields["routers"],
        router_signatures=fields["routerSignatures"],
        sequencer=fields["sequencer"],
        sequencer_signature=fields["sequencerSignature"],
    )


# -- simulation -------------------------------------------------------------------------------------------------------


def sequencer_override(connext: Address, sequencer: Address) -> dict[str, dict[str, Any]]:
    """Return the state override for `Rpc.call` under which `sequencer` is an approved sequencer."""
    return _approval_override(connext, sequencer, SLOT_APPROVED_SEQUENCERS)


def router_override(connext: Address, router: Address) -> dict[str, dict[str, Any]]:
    """Return the state override for `Rpc.call` under which `router` is an approved router."""
    return _approval_override(connext, router, SLOT_ROUTER_CONFIGS)


def router_balance_override(
    connext: Address, router: Address, local: Address, amount: int
) -> dict[str, dict[str, Any]]:
    """Return the state override for `Rpc.call` under which `router` has `amount` of `local` as liquidity."""
    inner = keccak(router.rjust(32, b"\x00") + SLOT_ROUTER_BALANCES.to_bytes(32, "big"))
    key = keccak(local.rjust(32, b"\x00") + inner)
    return {to_hex(connext): {"stateDiff": {to_hex(key): to_hex(amount.to_bytes(32, "big"))}}}


def _approval_override(connext: Address, account: Address, slot: int) -> dict[str, dict[str, Any]]:
    key = keccak(account.rjust(32, b"\x00") + slot.to_bytes(32, "big"))
    return {to_hex(connext): {"stateDiff": {to_hex(key): to_hex((1).to_bytes(32, "big"))}}}


# -- reads ------------------------------------------------------------------------------------------------------------

E = TypeVar("E", bound=IntEnum)


def _member(kind: type[E], value: int) -> E:
    """Return the member of an enumeration. Raises DecodeFailed for a number that Connext does not have."""
    try:
        return kind(value)
    except ValueError as error:
        raise DecodeFailed(f"{kind.__name__} {value}") from error


class Connext:
    """Reads of one Connext diamond at a chosen block. Raises what `Rpc.call` raises, and DecodeFailed."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        self.rpc = rpc
        self.address = address

    def read(self, name: str, *arguments: Any, tag: BlockTag = "latest") -> Any:
        """Call a view function by name; return its value, or the tuple of its values."""
        function = CONNEXT.function(name)
        values = function.decode(self.rpc.call(self.address, function.encode(*arguments), tag=tag))
        return values[0] if len(values) == 1 else values

    def domain(self, tag: BlockTag = "latest") -> int:
        return int(self.read("domain", tag=tag))

    def nonce(self, tag: BlockTag = "latest") -> int:
        """Return the nonce of the next xcall on this chain."""
        return int(self.read("nonce", tag=tag))

    def transfer_status(self, transfer_id: bytes, tag: BlockTag = "latest") -> DestinationStatus:
        return _member(DestinationStatus, self.read("transferStatus", transfer_id, tag=tag))

    def router_balance(self, router: Address, local: Address, tag: BlockTag = "latest") -> int:
        return int(self.read("routerBalances", router, local, tag=tag))

    def is_router_approved(self, router: Address, tag: BlockTag = "latest") -> bool:
        return bool(self.read("getRouterApproval", router, tag=tag))

    def is_sequencer_approved(self, sequencer: Address, tag: BlockTag = "latest") -> bool:
        return bool(self.read("approvedSequencers", sequencer, tag=tag))

    def is_relayer_approved(self, relayer: Address, tag: BlockTag = "latest") -> bool:
        return bool(self.read("approvedRelayers", relayer, tag=tag))

    def max_routers(self, tag: BlockTag = "latest") -> int:
        return int(self.read("maxRoutersPerTransfer", tag=tag))

    def fee_numerator(self, tag: BlockTag = "latest") -> int:
        """Return the parts of 10,000 that the user receives on the fast path."""
        return int(self.read("LIQUIDITY_FEE_NUMERATOR", tag=tag))

    def is_paused(self, tag: BlockTag = "latest") -> bool:
        return bool(self.read("paused", tag=tag))

    def is_router_allowlist_removed(self, tag: BlockTag = "latest") -> bool:
        return bool(self.read("routerAllowlistRemoved", tag=tag))

    def owner(self, tag: BlockTag = "latest") -> Address:
        return Address(self.read("owner", tag=tag))

    def role(self, account: Address, tag: BlockTag = "latest") -> Role:
        return _member(Role, self.read("queryRole", account, tag=tag))

    def local_asset(self, canonical_id: bytes, canonical_domain: int, tag: BlockTag = "latest") -> Address:
        """Return the asset that routers hold for this canonical one on this chain."""
        local, _adopted = self.read("getLocalAndAdoptedToken", canonical_id, canonical_domain, tag=tag)
        return Address(local)
