"""The agent: orders in, bids out. One thread a chain watches, one thread bids, one keeps the ledger true.

Every decision is a line in the log, a refusal once per transfer and cause.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import grpc

from abci_app.evm.connext import Connext
from abci_app.evm.errors import ChainMismatch, EvmError
from abci_app.evm.rpc import Rpc
from abci_app.machine.codec import DomainId, TransferId
from abci_app.machine.codes import Code, Rejected
from abci_app.machine.tx import decode_transfer_info
from abci_app.router.checks import Checker, Destination
from abci_app.router.client import NodeClient, sign_bid
from abci_app.router.config import RouterHome
from abci_app.router.errors import ConfigInvalid, NodeUnavailable, Refused
from abci_app.router.ledger import BidState, Ledger, SignedBid
from abci_app.router.watch import ChainWatch, SeenTransfer

RETRY_DELAYS_S = (0.1, 0.1, 0.2, 0.2, 0.4, 0.8, 1.6, 3.0)
"""For a bid the node does not know the transfer of yet, or a chain or node that is away; the sweep comes after."""
SWEEP_S = 2.0
"""Between looks at all undecided transfers: what was missed, refused for a while, or not submitted."""
REFRESH_S = 0.5
REMEMBERED_MAX = 10_000
_FINISHED = ("EXECUTED", "COMPLETED", "SLOW", "RECONCILED")
_LATER = (Code.TRANSFER_UNKNOWN, Code.ENGINE_UNAVAILABLE, Code.MEMPOOL_FULL, Code.NOT_READY, Code.EARLY_BIDS_FULL)
_TAKEN = (Code.OK, Code.BID_DUPLICATE)

Log = Callable[..., None]
"""``log(event, **fields)``: one line."""


@dataclass(frozen=True, slots=True)
class _Try:
    """One transfer waiting for its (next) try."""

    due_s: float
    number: int
    seen: SeenTransfer


class Agent:
    """One router. ``start`` checks everything it was told and begins; ``stop`` ends within a few seconds."""

    def __init__(self, home: RouterHome, log: Log) -> None:
        self._home, self._log = home, log
        self._router = home.account.address
        self._client = NodeClient(home.config.nodes)
        self._rpcs = {chain.domain: Rpc(chain.rpc_url) for chain in home.config.chains}
        self._checker = Checker(home.account, home.config.path_lengths)
        self._destinations: Mapping[int, Destination] = {}
        self._queue: queue.Queue[_Try] = queue.Queue()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._said: dict[tuple[bytes, str], None] = {}
        self._queued: set[bytes] = set()
        self._ledger: Ledger

    def start(self) -> None:
        """Check chains against the network, open the ledger, begin. Raises ConfigInvalid, NodeUnavailable, EvmError."""
        for chain in self._home.config.chains:
            try:
                self._rpcs[chain.domain].require_chain(chain.chain_id)
            except ChainMismatch as error:
                raise ConfigInvalid(f"config.toml: domain {chain.domain}: {error}") from error
        self._destinations = self._read_destinations()
        self._ledger = Ledger(self._home.ledger)
        watches = [
            (chain.domain, ChainWatch(chain, self._rpcs[chain.domain], self._destinations[chain.domain].connext.address,
                                      self._ledger))
            for chain in self._home.config.chains
        ]
        poll_s = self._home.config.poll_ms / 1000
        for domain, watch in watches:
            self._begin(f"watch-{domain}", partial(self._watch, watch), poll_s)
        self._begin("bid", self._bid_next, 0.0)
        self._begin("refresh", self._refresh, REFRESH_S)
        self._begin("sweep", self._sweep, SWEEP_S)
        self._log("started", router="0x" + self._router.hex(), nodes=list(self._home.config.nodes))

    def stop(self) -> None:
        """End all threads and close what is open."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(10.0)
        self._client.close()
        for rpc in self._rpcs.values():
            rpc.close()
        self._ledger.close()

    def _begin(self, name: str, step: Callable[[], None], pause_s: float) -> None:
        thread = threading.Thread(target=self._loop, args=(name, step, pause_s), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _loop(self, name: str, step: Callable[[], None], pause_s: float) -> None:
        """Run bounded steps; what a chain or node fails at is said once a cause and tried again."""
        failing = ""
        while not self._stopping.is_set():
            try:
                step()
                if failing:
                    self._log("recovered", part=name)
                failing = ""
            except (EvmError, NodeUnavailable, grpc.RpcError) as error:
                cause = f"{type(error).__name__}: {error}"[:300]
                if cause != failing:
                    self._log("waiting", part=name, reason=cause)
                failing = cause
                self._stopping.wait(1.0)
            self._stopping.wait(pause_s)

    # -- what there is to bid on --------------------------------------------------------------------------------------

    def _watch(self, watch: ChainWatch) -> None:
        while watch.step(self._take) and not self._stopping.is_set():
            pass

    def _take(self, seen: SeenTransfer) -> None:
        """Queue a transfer whose destination is ours and that is not queued already."""
        if seen.info.destination_domain in self._destinations and seen.transfer_id not in self._queued:
            self._queued.add(seen.transfer_id)
            self._queue.put(_Try(0.0, 0, seen))

    def _sweep(self) -> None:
        """Take every undecided transfer of the network that has no bid of ours on record."""
        for status in ("ACCEPTED", "WAITING"):
            for transfer in self._client.transfers(status).transfers:
                bid = self._ledger.find(transfer.transfer_id)
                if transfer.transfer_id in self._queued or (bid is not None and bid.state is not BidState.SIGNED):
                    continue
                answer = self._client.transfer(transfer.transfer_id)
                if answer is None or not answer.transfer_info:
                    continue
                try:
                    info = decode_transfer_info(answer.transfer_info)
                except Rejected:
                    continue
                self._take(SeenTransfer(TransferId(transfer.transfer_id), info))

    # -- bidding ------------------------------------------------------------------------------------------------------

    def _bid_next(self) -> None:
        """Try the next transfer; put it back where only time can help."""
        try:
            attempt = self._queue.get(timeout=0.2)
        except queue.Empty:
            return
        wait_s = attempt.due_s - time.monotonic()
        if wait_s > 0:
            self._queue.put(attempt)
            self._stopping.wait(min(wait_s, 0.02))
            return
        transfer_id = attempt.seen.transfer_id
        try:
            settled = self._bid(attempt.seen)
        except Refused as refused:
            self._say_refused(transfer_id, refused)
            settled = True
        except (EvmError, NodeUnavailable, grpc.RpcError) as error:
            self._log("retry", transfer_id="0x" + transfer_id.hex(), reason=f"{type(error).__name__}: {error}"[:300])
            settled = False
        if not settled and attempt.number < len(RETRY_DELAYS_S):
            due_s = time.monotonic() + RETRY_DELAYS_S[attempt.number]
            self._queue.put(_Try(due_s, attempt.number + 1, attempt.seen))
        else:
            self._queued.discard(transfer_id)

    def _bid(self, seen: SeenTransfer) -> bool:
        """Check, sign, record, submit; tell whether the matter is settled for now."""
        bid = self._ledger.find(seen.transfer_id)
        if bid is None:
            destination = self._destinations[seen.info.destination_domain]
            bid = self._sign(seen, destination)
            self._ledger.record(bid)
        answer = self._client.submit_bid(
            seen.transfer_id, self._router, list(zip(bid.path_lengths, bid.signatures, strict=True))
        )
        if answer.code in _LATER:
            return False
        state = BidState.SUBMITTED if answer.code in _TAKEN else BidState.CLOSED
        self._ledger.set_state(seen.transfer_id, state)
        self._log(
            "bid" if state is BidState.SUBMITTED else "bid_refused", transfer_id="0x" + seen.transfer_id.hex(),
            path_lengths=list(bid.path_lengths), share=str(bid.share), code=answer.code_name, reason=answer.reason,
        )
        return True

    def _sign(self, seen: SeenTransfer, destination: Destination) -> SignedBid:
        offer = self._checker.compute_offer(
            seen.info, seen.transfer_id, destination, lambda local: self._ledger.sum_open(destination.domain, local)
        )
        signatures = sign_bid(self._home.account.private_key, seen.transfer_id, offer.path_lengths)
        return SignedBid(
            seen.transfer_id, destination.domain, offer.local, offer.share, offer.path_lengths, signatures,
            BidState.SIGNED,
        )

    def _say_refused(self, transfer_id: bytes, refused: Refused) -> None:
        if (transfer_id, refused.cause) not in self._said:
            self._said[transfer_id, refused.cause] = None
            self._log("not_bidding", transfer_id="0x" + transfer_id.hex(), cause=refused.cause, reason=str(refused))
        while len(self._said) > REMEMBERED_MAX:
            del self._said[next(iter(self._said))]

    # -- the ledger and the network -----------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Bring open bids up to date with what the network decided."""
        for bid in self._ledger.list_unfinished():
            if self._stopping.is_set():
                return
            answer = self._client.transfer(bid.transfer_id)
            if answer is None or bid.state is BidState.SIGNED:
                continue
            attempts = answer.transfer.attempts
            routers = list(attempts[-1].routers) if attempts else []
            state = _state_of(answer.transfer.status, routers, self._router)
            if state is not bid.state:
                self._ledger.set_state(bid.transfer_id, state)
                self._log("bid_" + state.name.lower(), transfer_id="0x" + bid.transfer_id.hex(),
                          status=answer.transfer.status)

    def _read_destinations(self) -> dict[int, Destination]:
        """Ask the network what stands where. Raises ConfigInvalid for a chain that is not the network's."""
        answer = self._client.domains()
        known = {domain.domain: domain for domain in answer.domains}
        found = {}
        for chain in self._home.config.chains:
            domain = known.get(chain.domain)
            if domain is None:
                raise ConfigInvalid(f"config.toml: the network has no domain {chain.domain}")
            if domain.chain_id != chain.chain_id:
                raise ConfigInvalid(f"config.toml: domain {chain.domain} has chain id {domain.chain_id}")
            locals_ = {
                (asset.canonical_domain, asset.canonical_id): local.address
                for asset in answer.assets for local in asset.locals if local.domain == chain.domain and local.listed
            }
            found[chain.domain] = Destination(
                DomainId(chain.domain), Connext(self._rpcs[chain.domain], domain.connext), domain.gate, locals_,
                domain.max_routers,
            )
        return found


def _state_of(status: str, routers: list[bytes], router: bytes) -> BidState:
    """Return the state of an accepted bid, from the transfer it is for."""
    if status in _FINISHED:
        return BidState.CLOSED
    if status == "ASSIGNED" and router not in routers:
        return BidState.ELSEWHERE
    return BidState.SUBMITTED
