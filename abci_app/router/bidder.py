"""Bids for one destination: check, sign, record, submit, in this order. One thread a destination, so that an endpoint
that hangs stops nobody else, and so that of two transfers the second sees what the first may cost.
"""

import logging
import time
from collections.abc import Callable

from abci_app.client.errors import NodeRefused, NodeUnavailable
from abci_app.client.nodes import NodeClient
from abci_app.client.submissions import sign_bid
from abci_app.daemon.notices import Notices
from abci_app.evm.errors import EvmError
from abci_app.gateway.codes import AnswerCode
from abci_app.machine.codes import Code
from abci_app.router.checks import Checker
from abci_app.router.config import RouterHome
from abci_app.router.errors import Refused
from abci_app.router.ledger import BidState, Ledger, SignedBid
from abci_app.router.network import Chains, Network, explain
from abci_app.router.order_queue import Order, OrderQueue

log = logging.getLogger(__name__)

TAKE_S = 0.2
REMEMBERED_MAX = 10_000
BACKOFF_FIRST_S, BACKOFF_MAX_S = 2.0, 30.0
"""A transfer that was refused is looked at again after this time, which doubles: liquidity comes back, codes do not."""
_LATER = (Code.TRANSFER_UNKNOWN, Code.EARLY_BIDS_FULL, AnswerCode.TIMED_OUT)
"""Answers that time changes: the node has not seen the transfer yet, or has too many early bids."""
_TAKEN = (Code.OK, Code.BID_DUPLICATE)


class Refusals:
    """Transfers that this router did not bid on: logged once a cause, retried at growing intervals. One thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[bytes, tuple[str, float, float]] = {}
        """Cause, time of the next look, interval after that."""

    def note(self, transfer_id: bytes, event: str, cause: str, reason: str) -> None:
        """Log a refusal unless the same was logged; back off from the transfer."""
        known = self._known.pop(transfer_id, None)
        if known is None or known[0] != cause:
            log.info(event, extra={"transfer_id": transfer_id, "cause": cause, "reason": reason})
            known = (cause, 0.0, BACKOFF_FIRST_S)
        backoff_s = known[2]
        self._known[transfer_id] = (cause, self._clock() + backoff_s, min(2 * backoff_s, BACKOFF_MAX_S))
        if len(self._known) > REMEMBERED_MAX:
            del self._known[next(iter(self._known))]

    def is_backing_off(self, transfer_id: bytes) -> bool:
        """Tell whether it is too early for another try."""
        known = self._known.get(transfer_id)
        return known is not None and self._clock() < known[1]


class Bidder:
    """Bids of one router on one destination; ``step`` in one thread, ``pending`` filled by any."""

    def __init__(
        self, domain: int, home: RouterHome, chains: Chains, network: Network, client: NodeClient, ledger: Ledger
    ) -> None:
        self.pending = OrderQueue()
        self._domain, self._account = domain, home.account
        self._chains, self._network, self._client, self._ledger = chains, network, client, ledger
        self._checker = Checker(home.account, home.config.path_lengths)
        self._refusals = Refusals()
        self._notices = Notices(log, part=f"bid-{domain}")

    def step(self) -> None:
        """Try the next order that is due; what only time can help is queued again. Raises LedgerFailed."""
        order = self.pending.take(TAKE_S)
        if order is None:
            return
        try:
            settled = self._refusals.is_backing_off(order.transfer_id) or self._bid(order)
        except Refused as refused:
            self._refusals.note(order.transfer_id, "not_bidding", refused.cause, str(refused))
            settled = True
        except (EvmError, NodeUnavailable, NodeRefused) as error:
            found = explain(error)
            if found is not None:
                self._notices.say(found.cause, found.reason)
            settled = False
        else:
            self._notices.clear_all()
        if settled:
            self.pending.done(order)
        elif not self.pending.retry(order):
            self._refusals.note(order.transfer_id, "given_up", "retries", "tried again when the network accepts it")

    def _bid(self, order: Order) -> bool:
        """Check, sign, record, submit; tell whether the matter is settled for now."""
        bid = self._ledger.find(order.transfer_id)
        if bid is not None and bid.state is not BidState.SIGNED and not order.is_missing:
            return True
        if bid is None or not bid.signatures or bid.state in (BidState.ELSEWHERE, BidState.CLOSED):
            if order.info is None:
                return True
            bid = self._sign(order, bid.share if bid is not None and bid.signatures else 0)
            self._ledger.record(bid)
        answer = self._client.submit_bid(
            bid.transfer_id, self._account.address, list(zip(bid.path_lengths, bid.signatures, strict=True))
        )
        if answer.code in _LATER:
            return False
        if answer.code in _TAKEN:
            self._ledger.set_state(bid.transfer_id, BidState.SUBMITTED)
            log.info("bid", extra={
                "transfer_id": bid.transfer_id, "domain": self._domain, "path_lengths": bid.path_lengths,
                "share": str(bid.share), "code": answer.code_name,
            })
        else:
            self._ledger.set_state(bid.transfer_id, BidState.CLOSED)
            self._refusals.note(bid.transfer_id, "bid_refused", answer.code_name, answer.reason)
        return True

    def _sign(self, order: Order, earlier_share: int) -> SignedBid:
        """Return the signed bid for what the checks allow. Raises Refused, EvmError.

        ``earlier_share``: the most that an earlier bid for it may cost, which somebody may still hold.
        """
        self._chains.rpc(self._domain)
        destination = self._network.destinations[self._domain]
        info = order.info
        if info is None:
            raise Refused("terms_unknown")
        offer = self._checker.compute_offer(
            info, order.transfer_id, destination,
            lambda local: self._ledger.sum_open(self._domain, local, order.transfer_id),
        )
        signatures = sign_bid(self._account.private_key, order.transfer_id, offer.path_lengths)
        return SignedBid(
            order.transfer_id, self._domain, offer.local, max(offer.share, earlier_share), offer.path_lengths,
            signatures, BidState.SIGNED,
        )
