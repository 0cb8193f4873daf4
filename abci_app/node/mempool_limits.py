"""Limits of the mempool: transactions for each bid or withdraw, and number and age of early bids.

Anyone may copy a router's bids out of the gossip into bundles of other company. Each such bundle is valid, so without
a bound anyone could fill mempools and blocks with them; and what they are counted as must be the bids, which only
the router can make, never the bundles (BID-6).
"""

from collections import Counter
from typing import NamedTuple

from abci_app.machine.codes import Code
from abci_app.machine.params import Params
from abci_app.machine.results import BidSubject

COPIES_MAX = 4
"""Transactions that may carry one subject: a router's own three path lengths, one by one, and a copy. With one only,
whoever is first to copy a bid into a bundle that must wait would keep the original out."""


class _Admitted(NamedTuple):
    height: int
    """At which it was admitted first."""
    seen: int
    """Height of the last check."""
    subjects: tuple[BidSubject, ...]


class MempoolLimits:
    """Transactions admitted to this node's mempool, in memory like CometBFT's own mempool."""

    def __init__(self) -> None:
        self._admitted: dict[bytes, _Admitted] = {}
        self._copies: dict[bytes, int] = {}
        """Transactions by the subjects they carry."""
        self._early: dict[bytes, int] = {}
        """The same, of early bids only."""
        self._early_of: dict[bytes, int] = {}
        """Different early bids of each router."""

    def __len__(self) -> int:
        return len(self._admitted)

    def check(self, tx_hash: bytes, subjects: tuple[BidSubject, ...], height: int, params: Params) -> Code:
        """Answer CheckTx, the first and each later one, for a transaction with these subjects at ``height``.

        OK, or BID_DUPLICATE where it adds nothing to what waits, or EARLY_BIDS_FULL where a router has too many early
        bids, or TRANSFER_UNKNOWN where they waited long enough. What is not OK is on the books no more.
        """
        known = self._admitted.get(tx_hash)
        early = [subject for subject in subjects if subject.is_early]
        if known is not None:
            if not early and known.subjects == subjects:  # most of a recheck
                self._admitted[tx_hash] = known._replace(seen=height)
                return Code.OK
            self.forget(tx_hash)
            if early and height - known.height >= params.early_bid_blocks:
                return Code.TRANSFER_UNKNOWN
        elif subjects and self._adds_nothing(subjects):
            return Code.BID_DUPLICATE
        if early and not self._has_room(early, params):
            return Code.EARLY_BIDS_FULL
        if subjects:
            self._admit(tx_hash, _Admitted(known.height if known is not None else height, height, subjects))
        return Code.OK

    def forget(self, tx_hash: bytes) -> None:
        """Remove a transaction that was committed or has left the mempool."""
        known = self._admitted.pop(tx_hash, None)
        for key, router, is_early in known.subjects if known is not None else ():
            _subtract(self._copies, key)
            if is_early and _subtract(self._early, key) == 0:
                _subtract(self._early_of, router)

    def sweep(self, height: int, params: Params) -> None:
        """Remove transactions that the engine has dropped: it rechecks those it holds after every block."""
        late = [
            tx_hash for tx_hash, admitted in self._admitted.items() if height - admitted.seen > params.early_bid_blocks
        ]
        for tx_hash in late:
            self.forget(tx_hash)

    def _adds_nothing(self, subjects: tuple[BidSubject, ...]) -> bool:
        copies = self._copies
        return all(copies.get(subject.key, 0) >= COPIES_MAX for subject in subjects)

    def _has_room(self, early: list[BidSubject], params: Params) -> bool:
        wanted = Counter(subject.router for subject in early if subject.key not in self._early)
        room = params.early_bids_per_router
        return all(self._early_of.get(router, 0) + count <= room for router, count in wanted.items())

    def _admit(self, tx_hash: bytes, admitted: _Admitted) -> None:
        self._admitted[tx_hash] = admitted
        for key, router, is_early in admitted.subjects:
            _add(self._copies, key)
            if is_early and _add(self._early, key) == 1:
                _add(self._early_of, router)


def _add(counts: dict[bytes, int], key: bytes) -> int:
    """Count one more, and return how many there are now."""
    count = counts[key] = counts.get(key, 0) + 1
    return count


def _subtract(counts: dict[bytes, int], key: bytes) -> int:
    """Count one less, and return how many are left; no zeros are kept, for there is no end of keys."""
    count = counts.pop(key) - 1
    if count:
        counts[key] = count
    return count
