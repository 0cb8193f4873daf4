"""Every listed event with arguments and the projection that they become."""

from typing import Any

from eth_abi.abi import encode as abi_encode

from abci_app.machine.connext import compute_transfer_id, keccak
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
    RouterList,
    RouterRemoved,
    SequencerChanged,
    SlippageUpdated,
    Unpaused,
    XCalled,
)
from abci_app.machine.state.codec import Address, DomainId
from tests.kit.observer.fake_chain import DOMAIN, address, make_info, word, xcalled

INFO = make_info(7, b"\x01\x02")
TRANSFER = compute_transfer_id(INFO)
TX = keccak(b"tx1/0")
A, B, C = address(10), address(11), address(12)
CUT = [((bytes(A), 0, [b"\x01\x02\x03\x04"]),), bytes(B), b"\x99"]


def executed(routers: tuple[Address, ...], **changes: Any) -> dict[str, Any]:
    """Give the arguments of one Executed by these routers."""
    fields = tuple(getattr(INFO, name) for name in INFO.__slots__)
    args = (fields, routers, tuple(b"\x05" * 65 for _ in routers), C, b"\x06" * 65)
    return {"transferId": TRANSFER, "to": A, "asset": B, "args": args, "local": C, "amount": 77, "caller": A, **changes}


def fees(transfer_id: bytes, amount: int, asset: bytes) -> tuple[str, dict[str, Any]]:
    """Give one TransferRelayerFeesIncreased with its arguments."""
    arguments = {"transferId": transfer_id, "increase": amount, "asset": asset, "caller": A}
    return "TransferRelayerFeesIncreased", arguments


def one_list(*routers: Address) -> RouterList:
    """Give a list that is short enough to be written out."""
    return RouterList(len(routers), routers, None)


EVENTS: list[tuple[str, dict[str, Any], Event]] = [
    ("XCalled", {**xcalled(7)[1], "transferId": TRANSFER, "params": INFO},
     XCalled(TRANSFER, 7, INFO, None, 2, address(4), 10**6 + 7, address(5), (), TX)),
    ("Executed", executed((A, B)),
     Executed(TRANSFER, DOMAIN, DOMAIN, word(9), 10**6 + 7, one_list(A, B), C, C, B, 77, A, TX)),
    ("Executed", executed(()),
     Executed(TRANSFER, DOMAIN, DOMAIN, word(9), 10**6 + 7, one_list(), C, C, B, 77, A, TX)),
    ("Reconciled",
     {"transferId": TRANSFER, "originDomain": 5, "local": A, "routers": (B, C), "amount": 8, "caller": A},
     Reconciled(TRANSFER, DomainId(5), A, one_list(B, C), 8, TX)),
    ("RouterLiquidityAdded", {"router": A, "local": B, "key": word(1), "amount": 2**255, "caller": C},
     RouterLiquidityAdded(A, B, 2**255)),
    ("RouterLiquidityRemoved", {"router": A, "to": C, "local": B, "key": word(1), "amount": 0, "caller": C},
     RouterLiquidityRemoved(A, B, 0)),
    ("RouterAdded", {"router": A, "caller": B}, RouterAdded(A)),
    ("RouterRemoved", {"router": A, "caller": B}, RouterRemoved(A)),
    ("RouterAllowlistRemoved", {"renounced": True}, RouterAllowlistRemoved(True)),
    ("RouterAllowlistRemoved", {"renounced": False}, RouterAllowlistRemoved(False)),
    ("OwnershipTransferred", {"previousOwner": A, "newOwner": bytes(20)}, OwnershipTransferred(Address(bytes(20)))),
    ("MaxRoutersPerTransferUpdated", {"maxRoutersPerTransfer": 9, "caller": A}, MaxRoutersPerTransferUpdated(9)),
    ("LiquidityFeeNumeratorUpdated", {"liquidityFeeNumerator": 9990, "caller": A}, LiquidityFeeNumeratorUpdated(9990)),
    ("Paused", {}, Paused()),
    ("Unpaused", {}, Unpaused()),
    ("AssetAdded",
     {"key": word(1), "canonicalId": word(2), "domain": 3, "adoptedAsset": A, "localAsset": B, "caller": C},
     AssetAdded(DomainId(3), word(2), B, A)),
    ("AssetRemoved", {"key": word(1), "caller": C}, AssetRemoved(word(1))),
    (*fees(TRANSFER, 5, bytes(20)), RelayerFeesIncreased(TRANSFER, Address(bytes(20)), 5)),
    ("SlippageUpdated", {"transferId": TRANSFER, "slippage": 10_000}, SlippageUpdated(TRANSFER, 10_000)),
    ("ForceReceiveLocal", {"transferId": TRANSFER}, ForceReceiveLocal(TRANSFER)),
    ("SequencerAdded", {"sequencer": A, "caller": B}, SequencerChanged(A, True)),
    ("SequencerRemoved", {"sequencer": A, "caller": B}, SequencerChanged(A, False)),
    ("RelayerAdded", {"relayer": A, "caller": B}, RelayerChanged(A, True)),
    ("RelayerRemoved", {"relayer": A, "caller": B}, RelayerChanged(A, False)),
    ("AssignRoleRouter", {"router": A}, RoleChanged(A, 1)),
    ("AssignRoleWatcher", {"watcher": A}, RoleChanged(A, 2)),
    ("AssignRoleAdmin", {"admin": A}, RoleChanged(A, 3)),
    ("RevokeRole", {"revokedAddress": A, "revokedRole": 3}, RoleChanged(A, 0)),
    ("AavePortalMintUnbacked", {"transferId": TRANSFER, "router": A, "asset": B, "amount": 4},
     PortalMinted(TRANSFER, A, B, 4)),
    ("AavePortalRepayment", {"transferId": TRANSFER, "asset": A, "amount": 4, "fee": 1, "caller": B},
     PortalRepaid(TRANSFER, A, B)),
    ("RouterApprovedForPortal", {"router": A, "caller": B}, PortalApprovalChanged(A, True)),
    ("RouterUnapprovedForPortal", {"router": A, "caller": B}, PortalApprovalChanged(A, False)),
    ("DiamondCut", {"diamondCut": CUT[0], "init": CUT[1], "calldata": CUT[2]},
     DiamondCut(keccak(abi_encode(["(address,uint8,bytes4[])[]", "address", "bytes"], CUT)))),
]
