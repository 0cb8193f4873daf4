"""Verification of orders against their origin chain, before anything is signed.

A node may invent a transfer, with its caller as the delegate, who may then call Connext past the gate; and a node that
validates has a key that Connext takes for a sequencer's. The router's signature is all that is missing there: on a
transfer that nobody paid for, it gives the money away.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from abci_app.evm.connext_events import TOPICS
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Receipt
from abci_app.router.errors import Refused
from abci_app.router.ledger import SignedBid
from abci_app.router.order_queue import Order

CLAIMS_MAX = 1_000
"""Of one origin, waiting to be looked at. What finds no room is claimed again by the next sweep."""


@dataclass(frozen=True, slots=True)
class OrderClaim:
    """Unverified order reported by a node, with its transaction on the origin chain."""

    order: Order
    origin_tx: bytes
    """32 bytes, or none where the node does not know."""
    standing: SignedBid | None = None
    """What the node says that this router has bid, where the ledger knows of nothing."""


class OrderClaims:
    """What nodes say of one origin chain, each transfer once, until its watch has looked. Any thread."""

    def __init__(self, claims_max: int = CLAIMS_MAX) -> None:
        self._lock = threading.Lock()
        self._claims: dict[bytes, OrderClaim] = {}
        self._claims_max = claims_max

    def __contains__(self, transfer_id: bytes) -> bool:
        with self._lock:
            return transfer_id in self._claims

    def add(self, claim: OrderClaim) -> None:
        """Keep a claim where there is room; the first one of a transfer stays."""
        with self._lock:
            if len(self._claims) < self._claims_max:
                self._claims.setdefault(claim.order.transfer_id, claim)

    def list_all(self) -> Sequence[OrderClaim]:
        """Return what waits, oldest first."""
        with self._lock:
            return tuple(self._claims.values())

    def done(self, claim: OrderClaim) -> None:
        """Forget a claim that was looked at."""
        with self._lock:
            self._claims.pop(claim.order.transfer_id, None)


def require_order(rpc: Rpc, connext: bytes, final_block: int, claim: OrderClaim) -> None:
    """Refuse a claim unless Connext's XCalled of it stands in a final block. Raises Refused, EvmError."""
    receipt = rpc.receipt(claim.origin_tx) if claim.origin_tx else None
    if receipt is None or receipt.status != 1 or not _holds_order(receipt, connext, claim.order.transfer_id):
        raise Refused("not_on_origin", f"transaction 0x{claim.origin_tx.hex()} made no such transfer")
    if receipt.block_number > final_block:
        raise Refused("not_final", f"block {receipt.block_number} of its origin, final is {final_block}")
    if rpc.block(receipt.block_number).hash != receipt.block_hash:
        raise Refused("not_on_origin", f"block 0x{receipt.block_hash.hex()} is no longer canonical")


def _holds_order(receipt: Receipt, connext: bytes, transfer_id: bytes) -> bool:
    return any(
        log.address == connext and log.topics[:2] == (TOPICS["XCalled"], transfer_id) for log in receipt.logs
    )
