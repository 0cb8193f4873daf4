"""Bids that came before their transfer: bounded per router, and gone after some blocks (BID-6)."""

from collections import Counter
from dataclasses import dataclass

from abci_app.machine.codec import Address, TransferId
from abci_app.machine.codes import Code
from abci_app.machine.params import Params

Early = tuple[tuple[TransferId, Address], ...]
"""(transfer, router) of each early bid of one transaction."""


@dataclass(frozen=True, slots=True)
class _Admitted:
    height: int
    routers: tuple[Address, ...]
    """One entry a bid."""


class EarlyBids:
    """What of the mempool waits for its transfers. Forgotten with the process, as the engine's mempool is."""

    def __init__(self) -> None:
        self._admitted: dict[bytes, _Admitted] = {}
        self._count: Counter[Address] = Counter()

    def __len__(self) -> int:
        return len(self._admitted)

    def check(self, tx_hash: bytes, early: Early, height: int, params: Params) -> Code:
        """Answer CheckTx, the first and each later one, for a transaction with these early bids at ``height``.

        OK, or EARLY_BIDS_FULL where a router has too many, or TRANSFER_UNKNOWN where they waited long enough.
        """
        known = self._admitted.get(tx_hash)
        if known is not None:
            self.forget(tx_hash)
            if early and height - known.height >= params.early_bid_blocks:
                return Code.TRANSFER_UNKNOWN
        if not early:
            return Code.OK
        routers = tuple(router for _, router in early)
        wanted = Counter(routers)
        if any(self._count[router] + count > params.early_bids_per_router for router, count in wanted.items()):
            return Code.EARLY_BIDS_FULL
        self._admitted[tx_hash] = _Admitted(known.height if known is not None else height, routers)
        self._count += wanted
        return Code.OK

    def forget(self, tx_hash: bytes) -> None:
        """Take a transaction off the books: it is committed, or waits no more."""
        known = self._admitted.pop(tx_hash, None)
        if known is not None:
            self._count -= Counter(known.routers)

    def sweep(self, height: int, params: Params) -> None:
        """Forget what is past its time: a transaction that the engine itself dropped is never checked again."""
        late = [
            tx_hash for tx_hash, admitted in self._admitted.items()
            if height - admitted.height > params.early_bid_blocks
        ]
        for tx_hash in late:
            self.forget(tx_hash)
