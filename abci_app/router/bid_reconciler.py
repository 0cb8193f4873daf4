"""Reconciliation of the bid ledger with the network: states of open bids, and undecided transfers without a bid."""

import logging
import time
from collections.abc import Callable, Mapping

from abci_app.client.nodes import NodeClient
from abci_app.machine.codes import Rejected
from abci_app.machine.connext import compute_share
from abci_app.machine.state.codec import TransferId
from abci_app.machine.transactions.tx import decode_transfer_info
from abci_app.pb import query_pb2
from abci_app.router.bidder import Refusals
from abci_app.router.config import RouterHome
from abci_app.router.errors import NodeContradicts
from abci_app.router.ledger import BidState, Ledger, SignedBid
from abci_app.router.network import Network
from abci_app.router.order_queue import Order, OrderQueue
from abci_app.router.origin import OrderClaim, OrderClaims

log = logging.getLogger(__name__)

UNKNOWN_S = 600
"""A bid whose transfer the network still does not know this long after it was signed is closed: the order was taken
back by its chain, or is forgotten. Should it turn up after all, it is bid on anew."""
RESUBMIT_S = 3.0
"""A bid that a node took is submitted again when the network has had none of it for this long: some blocks."""
REMEMBERED_MAX = 10_000
PAGE = 100
SWEPT_MAX = 1_000
"""Undecided transfers of one status that a sweep looks at, oldest first."""
UNDECIDED = ("ACCEPTED", "WAITING")
_FINISHED = ("EXECUTED", "COMPLETED", "SLOW", "RECONCILED")


class BidReconciler:
    """Reconciler of ledger and network by two steps. Both raise NodeUnavailable, NodeRefused, LedgerFailed."""

    def __init__(
        self, home: RouterHome, network: Network, client: NodeClient, read_client: NodeClient, ledger: Ledger,
        pending: Mapping[int, OrderQueue], claims: Mapping[int, OrderClaims],
    ) -> None:
        """``client`` submits; ``read_client`` reads from another node each sweep, so that no node can hide what others
        know."""
        self._account, self._network, self._client, self._read_client = home.account, network, client, read_client
        self._ledger, self._pending, self._claims = ledger, pending, claims
        self._refusals = Refusals()
        self._contradiction = ""
        self._missing_since: dict[bytes, float] = {}
        """When a bid that a node took was first missed, or submitted again."""

    def refresh(self, is_stopping: Callable[[], bool]) -> None:
        """Bring every bid that is not closed up to date with what the network decided."""
        for bid in self._ledger.list_unfinished():
            if is_stopping():
                return
            answer = self._client.transfer(bid.transfer_id)
            if answer is None:
                if time.time() - bid.signed_at_s > UNKNOWN_S:
                    self._set_state(bid, BidState.CLOSED, "UNKNOWN")
                continue
            state = compute_state(answer, bid.state, self._account.address)
            if state is not bid.state:
                self._set_state(bid, state, answer.transfer.status)

    def sweep(self, is_stopping: Callable[[], bool]) -> None:
        """Have every undecided transfer looked up on its origin that the network has no bid of ours for: missed,
        refused a while ago, or lost on its way; and take note of bids that stand without the ledger's knowing."""
        self._read_client.pass_over()
        self._reload()
        for status in UNDECIDED:
            after = 0
            for _ in range(SWEPT_MAX // PAGE):
                page = self._read_client.transfers(status, after, PAGE).transfers
                for transfer in page:
                    if is_stopping():
                        return
                    self._look_at(transfer)
                if len(page) < PAGE:
                    break
                after = page[-1].acceptance + 1

    def _reload(self) -> None:
        try:
            self._network.reload(self._read_client)
        except NodeContradicts as error:
            if str(error) != self._contradiction:
                log.warning("node_contradicts", extra={"reason": str(error)})
            self._contradiction = str(error)

    def _look_at(self, transfer: query_pb2.Transfer) -> None:
        pending = self._pending.get(transfer.destination)
        if pending is None or transfer.transfer_id in pending or self._is_claimed(transfer.transfer_id):
            return
        answer = self._read_client.transfer(transfer.transfer_id)
        if answer is None or not answer.transfer_info:
            return
        transfer_id = TransferId(transfer.transfer_id)
        standing = find_standing(answer, self._account.address)
        bid = self._ledger.find(transfer_id)
        if standing is not None:
            self._missing_since.pop(transfer_id, None)
            if standing.withdrawn or not standing.path_lengths or (bid and bid.state is not BidState.CLOSED):
                return
            if bid is not None:
                self._set_state(bid, BidState.SUBMITTED, answer.transfer.status)
                return
        elif bid is not None and bid.state is BidState.SUBMITTED:
            if not self._is_lost(transfer_id):
                return
            self._client.pass_over()  # switch to another node: this one dropped an accepted bid
        self._claim(transfer_id, answer, standing)

    def _claim(
        self, transfer_id: TransferId, answer: query_pb2.TransferResponse, standing: query_pb2.StandingBid | None
    ) -> None:
        """Have the order looked up on its origin: to be bid on, or, where this router's bid stands without the ledger's
        knowing, to be counted. It is a node's word, so nothing is signed or written for it before."""
        try:
            info = decode_transfer_info(answer.transfer_info)
        except Rejected:
            return  # terms this router does not understand: nothing to bid on
        claims = self._claims.get(info.origin_domain)
        if claims is None:
            if not self._refusals.is_backing_off(transfer_id):
                reason = f"domain {info.origin_domain} is not in config.toml: nobody can tell whether it was made there"
                self._refusals.note(transfer_id, "not_bidding", "origin_not_watched", reason)
            return
        transfer = answer.transfer
        order = Order(transfer_id, transfer.destination, info, is_missing=True)
        held = None
        if standing is not None:
            lengths = tuple(standing.path_lengths)
            share = max(compute_share(int(transfer.amount), length) for length in lengths)
            held = SignedBid(
                transfer_id, transfer.destination, transfer.local, share, lengths, (), BidState.SUBMITTED
            )
        claims.add(OrderClaim(order, transfer.origin_tx, held))

    def _is_claimed(self, transfer_id: bytes) -> bool:
        return any(transfer_id in claims for claims in self._claims.values())

    def _is_lost(self, transfer_id: TransferId) -> bool:
        """Tell whether a bid that a node took has been missing for long enough to submit it again."""
        now = time.monotonic()
        if now - self._missing_since.setdefault(transfer_id, now) < RESUBMIT_S:
            return False
        self._missing_since[transfer_id] = now
        while len(self._missing_since) > REMEMBERED_MAX:
            del self._missing_since[next(iter(self._missing_since))]
        return True

    def _set_state(self, bid: SignedBid, state: BidState, status: str) -> None:
        self._ledger.set_state(bid.transfer_id, state)
        log.info("bid_" + state.name.lower(), extra={"transfer_id": bid.transfer_id, "status": status})


def find_standing(answer: query_pb2.TransferResponse, router: bytes) -> query_pb2.StandingBid | None:
    """Return the router's bid that the network has on record for a transfer."""
    return next((bid for bid in answer.bids if bid.router == router), None)


def compute_state(answer: query_pb2.TransferResponse, state: BidState, router: bytes) -> BidState:
    """Return the state of a bid, from the transfer it is for."""
    status, attempts = answer.transfer.status, answer.transfer.attempts
    if status in _FINISHED:
        return BidState.CLOSED
    if status == "ASSIGNED":
        return BidState.SUBMITTED if router in attempts[-1].routers else BidState.ELSEWHERE
    standing = find_standing(answer, router)
    if standing is None:
        return state
    return BidState.CLOSED if standing.withdrawn else BidState.SUBMITTED
