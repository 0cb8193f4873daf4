"""What waits in the mempool: no claim in more than a few transactions, early bids bounded and gone after some blocks.

Anyone may copy a router's bids out of the gossip into bundles of other company. Each such bundle is valid, so without
a bound a stranger could fill mempools and blocks with them; and what they are counted as must be the bids, which only
the router can make, never the bundles (BID-6).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from abci_app.machine.codec import Address
from abci_app.machine.codes import Code
from abci_app.machine.params import Params
from abci_app.machine.results import Claim

K = TypeVar("K", bytes, Address)

COPIES_MAX = 4
"""Transactions that may carry one claim: a router's own three path lengths, one by one, and a copy. With one only,
whoever is first to copy a bid into a bundle that must wait would keep the original out."""


@dataclass(frozen=True, slots=True)
class _Admitted:
    height: int
    """At which it was admitted first."""
    seen: int
    """Height of the last check."""
    claims: tuple[Claim, ...]


class Pending:
    """The books of this node's mempool. Forgotten with the process, as the engine's mempool is."""

    def __init__(self) -> None:
        self._admitted: dict[bytes, _Admitted] = {}
        self._copies: Counter[bytes] = Counter()
        """Transactions by the claims they carry."""
        self._early: Counter[bytes] = Counter()
        """The same, of early bids only."""
        self._early_of: Counter[Address] = Counter()
        """Different early bids of each router."""

    def __len__(self) -> int:
        return len(self._admitted)

    def check(self, tx_hash: bytes, claims: Sequence[Claim], height: int, params: Params) -> Code:
        """Answer CheckTx, the first and each later one, for a transaction with these claims at ``height``.

        OK, or BID_DUPLICATE where it adds nothing to what waits, or EARLY_BIDS_FULL where a router has too many early
        bids, or TRANSFER_UNKNOWN where they waited long enough. What is not OK is on the books no more.
        """
        known = self._admitted.get(tx_hash)
        early = [claim for claim in claims if claim.is_early]
        if known is not None:
            self.forget(tx_hash)
            if early and height - known.height >= params.early_bid_blocks:
                return Code.TRANSFER_UNKNOWN
        elif claims and all(self._copies[claim.key] >= COPIES_MAX for claim in claims):
            return Code.BID_DUPLICATE
        wanted = Counter(claim.router for claim in early if not self._early[claim.key])
        if any(self._early_of[router] + count > params.early_bids_per_router for router, count in wanted.items()):
            return Code.EARLY_BIDS_FULL
        if claims:
            self._admit(tx_hash, _Admitted(known.height if known is not None else height, height, tuple(claims)))
        return Code.OK

    def _admit(self, tx_hash: bytes, admitted: _Admitted) -> None:
        self._admitted[tx_hash] = admitted
        for claim in admitted.claims:
            self._copies[claim.key] += 1
            if claim.is_early:
                self._early[claim.key] += 1
                if self._early[claim.key] == 1:
                    self._early_of[claim.router] += 1

    def forget(self, tx_hash: bytes) -> None:
        """Take a transaction off the books: it is committed, or waits no more."""
        known = self._admitted.pop(tx_hash, None)
        for claim in known.claims if known is not None else ():
            _subtract(self._copies, claim.key)
            if claim.is_early:
                _subtract(self._early, claim.key)
                if not self._early[claim.key]:
                    _subtract(self._early_of, claim.router)

    def sweep(self, height: int, params: Params) -> None:
        """Forget what the engine did not keep: it checks what waits after each block, so that was dropped long ago."""
        late = [
            tx_hash for tx_hash, admitted in self._admitted.items() if height - admitted.seen > params.early_bid_blocks
        ]
        for tx_hash in late:
            self.forget(tx_hash)


def _subtract(counter: Counter[K], key: K) -> None:
    """Count one less, and keep no zeros: there is no end of keys."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
