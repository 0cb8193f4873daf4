"""Router agent: a thread for each watched chain and each destination, and two that reconcile the ledger.

Nothing in here decides; every step is bounded, and one loop runs them all.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from abci_app.client.nodes import NodeClient
from abci_app.daemon.notices import Notices
from abci_app.daemon.runner import Loop, Next, Task, Threads, describe
from abci_app.evm.errors import EvmError
from abci_app.machine.state.codec import TransferId
from abci_app.router.bid_reconciler import BidReconciler
from abci_app.router.bidder import Bidder, Refusals
from abci_app.router.config import RouterHome, WatchedChain
from abci_app.router.errors import ConfigInvalid, RouterError
from abci_app.router.ledger import BidState, Ledger
from abci_app.router.network import Chains, Network, explain
from abci_app.router.order_queue import Order
from abci_app.router.origin import OrderClaim, OrderClaims
from abci_app.router.watch import ChainWatch, SeenOrder

log = logging.getLogger(__name__)

SWEEP_S = 2.0
REFRESH_S = 0.5
ROOM_S = 0.1
STOP_S = 2.0
"""Threads that are inside a call by then end with the process."""


class Agent:
    """One router. ``start``, then ``wait`` until ``ask_stop`` or a failure, then ``stop``, which takes ≤ STOP_S."""

    def __init__(self, home: RouterHome) -> None:
        self._home = home
        self._client, self._read_client = NodeClient(home.config.nodes), NodeClient(home.config.nodes)
        self._chains = Chains(home.config.chains)
        self._network = Network(self._client, self._chains, home.config.chains)
        self._threads = Threads(log, STOP_S)
        self._stopping = self._threads.stopping
        self._bidders: dict[int, Bidder] = {}
        self._ledger: Ledger | None = None

    def start(self) -> None:
        """Check chains and network, open the ledger, begin. Waits for a node; chains that are away may come later.

        Raises ConfigInvalid, LedgerFailed; nothing on disk has changed then.
        """
        self._check_chains()
        if not self._load_network():
            return
        self._ledger = ledger = Ledger(self._home.ledger)
        for domain, connext in self._network.pin(ledger).items():
            log.info("pinned", extra={"domain": domain, "connext": connext})
        for chain in self._home.config.chains:
            self._bidders[chain.domain] = Bidder(
                chain.domain, self._home, self._chains, self._network, self._client, ledger
            )
        self._resume(ledger)
        pending = {domain: bidder.pending for domain, bidder in self._bidders.items()}
        claims = {chain.domain: OrderClaims() for chain in self._home.config.chains}
        reconciler = BidReconciler(
            self._home, self._network, self._client, self._read_client, ledger, pending, claims
        )
        for chain in self._home.config.chains:
            get_rpc = partial(self._chains.rpc, chain.domain)
            watch = ChainWatch(chain, get_rpc, self._connext, ledger, claims[chain.domain], Refusals())
            self._begin(f"watch-{chain.domain}", partial(self._watch, watch), self._home.config.poll_ms / 1000)
            self._begin(f"bid-{chain.domain}", self._bidders[chain.domain].step, 0.0)
        self._begin("refresh", partial(reconciler.refresh, self._stopping.is_set), REFRESH_S)
        self._begin("sweep", partial(reconciler.sweep, self._stopping.is_set), SWEEP_S)
        log.info("started", extra={"router": self._home.account.address, "nodes": self._home.config.nodes})

    def ask_stop(self) -> None:
        """End ``start`` and ``wait`` soon. Safe in a signal handler."""
        self._stopping.set()

    def wait(self) -> None:
        """Return once asked to stop. Raises what a thread failed of."""
        self._threads.wait()

    def stop(self) -> None:
        """End all threads and close what is open."""
        self._threads.stop()
        self._client.close()
        self._read_client.close()
        self._chains.close()
        if self._ledger is not None:
            self._ledger.close()
        log.info("stopped")

    # -- before the threads -------------------------------------------------------------------------------------------

    def _check_chains(self) -> None:
        """Raise ConfigInvalid where an endpoint serves another chain; one that does not answer is looked at later."""
        wrong: list[ConfigInvalid] = []

        def check(chain: WatchedChain) -> None:
            try:
                self._chains.rpc(chain.domain)
            except ConfigInvalid as error:
                wrong.append(error)
            except EvmError as error:
                Notices(log, part=f"chain-{chain.domain}").say("chain-unavailable", describe(error))

        threads = [threading.Thread(target=check, args=(chain,), daemon=True) for chain in self._home.config.chains]
        for thread in threads:
            thread.start()
        deadline_s = time.monotonic() + STOP_S
        for thread in threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        if wrong:
            raise wrong[0]

    def _load_network(self) -> bool:
        """Ask nodes until one answers; False where the router is stopped before. Raises ConfigInvalid."""
        loop = self._make_loop("node", self._network.load, 0.0)
        while not self._stopping.is_set():
            if loop.step() is not None:
                return True
        return False

    def _resume(self, ledger: Ledger) -> None:
        """Queue what was signed and not known to be submitted: the same signatures leave once more."""
        for bid in ledger.list_unfinished():
            if bid.state is BidState.SIGNED and bid.destination in self._bidders:
                self._bidders[bid.destination].pending.add(Order(TransferId(bid.transfer_id), bid.destination, None))

    # -- threads ------------------------------------------------------------------------------------------------------

    def _begin(self, name: str, step: Callable[[], None], pause_s: float) -> None:
        self._threads.start(name, self._make_loop(name, step, pause_s).run)

    def _make_loop(self, name: str, step: Callable[[], None], pause_s: float) -> Loop:
        """Return the loop of one step: a chain or node that is away is waited for, anything else ends the router."""
        notices = Notices(log, part=name)

        def do_step() -> Next:
            step()
            notices.clear_all()
            return Next.PAUSE

        return Loop([Task(do_step, pause_s)], explain, notices, self._stopping)

    def _watch(self, watch: ChainWatch) -> None:
        watch.look_up(self._take_claimed)
        while watch.step(self._take_seen) and not self._stopping.is_set():
            pass

    def _take_claimed(self, claim: OrderClaim) -> None:
        if claim.standing is None:
            self._take(claim.order)
        elif self._ledger is not None and self._ledger.find(claim.order.transfer_id) is None:
            self._ledger.record(claim.standing)
            fields = {"transfer_id": claim.order.transfer_id, "path_lengths": claim.standing.path_lengths}
            log.info("bid_adopted", extra=fields)

    def _take_seen(self, seen: SeenOrder) -> None:
        self._take(Order(seen.transfer_id, seen.info.destination_domain, seen.info))

    def _take(self, order: Order) -> None:
        """Queue an order whose destination is ours; wait while there is no room. Raises RouterError when stopped."""
        bidder = self._bidders.get(order.destination)
        while bidder is not None and not bidder.pending.add(order):
            if self._stopping.wait(ROOM_S):
                raise RouterError("stopped before the order found room")

    def _connext(self, domain: int) -> bytes:
        return self._network.destinations[domain].connext.address
