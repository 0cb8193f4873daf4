"""One origin chain, watched for XCalled at its finality: a bounded step, transfers out."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from abci_app.evm.connext_events import TOPICS, decode_event
from abci_app.evm.errors import DecodeFailed
from abci_app.evm.rpc import Rpc
from abci_app.machine.state.codec import TransferId
from abci_app.machine.state.records import TransferInfo
from abci_app.router.bidder import Refusals
from abci_app.router.config import WatchedChain
from abci_app.router.errors import Refused
from abci_app.router.ledger import Ledger
from abci_app.router.origin import OrderClaim, OrderClaims, require_order

RANGE_BLOCKS = 500
"""Blocks of one step; fewer where the endpoint gives logs of fewer at once."""
BEHIND_S = 60.0
"""A final head below what was looked at, for this long, is no endpoint that lags: the chain went back, or an endpoint
invented blocks. Looking begins there again; what lies between is the sweep's."""


@dataclass(frozen=True, slots=True)
class SeenOrder:
    """An order on an origin chain, final there."""

    transfer_id: TransferId
    info: TransferInfo


class ChainWatch:
    """Reads one chain from the block after the ledger's cursor; on a first start from the final head.

    What lies before is the sweep's: whatever is still undecided there, the network knows. What nodes claim of this
    chain is looked up here too, so that a chain that hangs holds up its own orders only.
    """

    def __init__(
        self,
        chain: WatchedChain,
        get_rpc: Callable[[], Rpc],
        get_connext: Callable[[int], bytes],
        ledger: Ledger,
        claims: OrderClaims,
        refusals: Refusals,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chain, self._ledger, self._clock = chain, ledger, clock
        self._claims, self._refusals = claims, refusals
        self._get_rpc, self._get_connext = get_rpc, get_connext
        self._behind_since_s: float | None = None

    def step(self, take: Callable[[SeenOrder], None]) -> bool:
        """Look at up to RANGE_BLOCKS new final blocks; tell whether there are more. Raises EvmError, LedgerFailed.

        A block counts as looked at once ``take`` has returned for all its transfers.
        """
        rpc = self._get_rpc()
        final = self._final_block(rpc)
        cursor = self._ledger.load_cursor(self._chain.domain)
        if cursor is None or self._is_far_behind(final, cursor):
            self._ledger.save_cursor(self._chain.domain, final)
            return False
        last = min(final, cursor + min(RANGE_BLOCKS, rpc.log_blocks))
        if last <= cursor:
            return False
        for log in rpc.logs(self._get_connext(self._chain.domain), cursor + 1, last, [TOPICS["XCalled"]]):
            try:
                info = decode_event(log).arguments["params"]
            except DecodeFailed:
                continue  # not an order this router understands; the network will say what it makes of it
            if info.origin_domain != self._chain.domain:
                continue  # no Connext of this chain makes such an order
            take(SeenOrder(TransferId(log.topics[1]), info))
        self._ledger.save_cursor(self._chain.domain, last)
        return last < final

    def look_up(self, take: Callable[[OrderClaim], None]) -> None:
        """Look at every claim of this chain once; ``take`` those that are true. Raises EvmError: the rest waits."""
        claims = [claim for claim in self._claims.list_all() if not self._is_settled(claim)]
        if not claims:
            return
        rpc = self._get_rpc()
        final = self._final_block(rpc)
        for claim in claims:
            try:
                require_order(rpc, self._get_connext(self._chain.domain), final, claim)
            except Refused as refused:
                self._refusals.note(claim.order.transfer_id, "not_bidding", refused.cause, str(refused))
            else:
                take(claim)
            self._claims.done(claim)

    def _is_settled(self, claim: OrderClaim) -> bool:
        """Whether a claim was refused a moment ago: it may come again later."""
        is_backing_off = self._refusals.is_backing_off(claim.order.transfer_id)
        if is_backing_off:
            self._claims.done(claim)
        return is_backing_off

    def _is_far_behind(self, final: int, cursor: int) -> bool:
        if final >= cursor:
            self._behind_since_s = None
            return False
        if self._behind_since_s is None:
            self._behind_since_s = self._clock()
        return self._clock() - self._behind_since_s >= BEHIND_S

    def _final_block(self, rpc: Rpc) -> int:
        if self._chain.confirmations:
            return max(0, rpc.block_number() - self._chain.confirmations)
        return rpc.finalized().number
