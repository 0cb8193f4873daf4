"""Start and end of a node: all is checked before anything is opened; ABCI has this thread, services their own.

What the node is made of can be exchanged by whoever starts it (tests do); nothing in here can be switched by its home.
"""

import gc
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from abci_app.abci import ABCIError, ABCIServer, AddressError
from abci_app.abci.sockets import listen
from abci_app.daemon.log import logging_to
from abci_app.machine.state.codec import Signature, TransferId
from abci_app.machine.state.records import Decision
from abci_app.node.app import Observer, RoutingApplication
from abci_app.node.errors import HomeError, NodeError, SignatureRefused
from abci_app.node.home import Home, load_home, locked
from abci_app.node.store import Store
from abci_app.node.view import BlockNotice, CommittedState, Published
from abci_app.observer.snapshot import EMPTY_OBSERVATION, Observation

COLLECTOR_THRESHOLDS = (50_000, 20, 50)
"""Objects made before the young are looked at, and how many such looks before the older ones are."""

log = logging.getLogger(__name__)


class Service(Protocol):
    """Service that runs in threads of its own beside the ABCI loop."""

    def start(self) -> None:
        """Start the threads; OSError where an address cannot be bound."""

    def stop(self) -> None:
        """End them, within seconds."""


class RunningObserver(Observer, Service, Protocol):
    """An observer with threads."""

    def check(self) -> None:
        """Check the endpoints before the start; ValueError for one that is of another chain."""


class PublishedReads:
    """Read access to a node from any thread: committed state, counters, released signatures."""

    def __init__(self, app: RoutingApplication) -> None:
        self._app = app

    @property
    def attestation(self) -> bytes:
        """Address of the attestation key."""
        return self._app.signer.address

    def committed(self) -> CommittedState | None:
        """Return the newest committed state; None before InitChain."""
        return self._app.published.latest()

    def counters(self) -> Mapping[str, int]:
        """Return the node's own counters."""
        return {**self._app.metrics.counters(), **self._app.listeners.counters()}

    def sequencer_signature(self, decision: Decision) -> tuple[bytes, Signature] | None:
        """Return (sequencer, signature) for an attested decision that is not over; None where there is none to give."""
        committed = self._app.published.latest()
        if committed is None:
            return None
        try:
            return self._app.signer.address, self._app.signer.sequencer_signature(committed.view, decision)
        except SignatureRefused as refusal:
            log.info("sequencer signature refused", extra={"code": refusal.code.name, "reason": refusal.reason})
            return None

    def has_seen(self, transfer_id: TransferId) -> bool:
        """Tell whether the node's observer saw a transfer, as CheckTx does for early bids (BID-6)."""
        return transfer_id in self._app.observer.observation().transfers

    def subscribe(self, name: str, listener: Callable[[BlockNotice], None]) -> None:
        """Call ``listener`` for every later commit, in a thread of its own. Before the node's start only."""
        self._app.listeners.subscribe(name, listener)


class NullObserver:
    """Observer of a node without configured chains; reports nothing."""

    def observation(self) -> Observation:
        """Return the empty observation."""
        return EMPTY_OBSERVATION

    def check(self) -> None:
        """Do nothing: there are no endpoints."""

    def start(self) -> None:
        """Do nothing: there are no threads."""

    def stop(self) -> None:
        """Do nothing: there are no threads."""


MakeObserver = Callable[[Home, Published], RunningObserver]
MakeService = Callable[[Home, PublishedReads], Service]


def make_observer(home: Home, published: Published) -> RunningObserver:
    """Return the watcher of the configured chains, following the committed cursors."""
    if not home.config.chains:
        return NullObserver()
    from abci_app.observer.watcher import DomainConfig, Watcher  # web3 comes with it: a second of start-up

    configs = [DomainConfig(chain.domain, chain.rpc_urls, chain.quorum) for chain in home.config.chains]
    return Watcher(configs, published.read_domains, poll_s=home.config.poll_ms / 1000)


def run_node(
    path: Path,
    services: Sequence[MakeService] = (),
    make_observer: MakeObserver = make_observer,
    application: type[RoutingApplication] = RoutingApplication,
) -> None:
    """Run the node of a home until SIGTERM or SIGINT. Raises NodeError, in one line, where it cannot start or go on.

    Refused before anything on disk changes: a wrong home, one in use, a foreign database, an address in use, an
    endpoint of another chain than the committed domain's (its LevelDB has been opened by then, and renewed its files).
    """
    home = load_home(path)
    with locked(path), ExitStack() as stack:
        probe_addresses(home)
        store = Store.open(home.store_path, home.config.chain_id)
        stack.callback(store.close)
        published = Published()
        observer = make_observer(home, published)
        app = load(lambda: application(home.config.chain_id, store, home.signer, observer, published))
        check_endpoints(observer)
        stack.enter_context(logging_to(home.log_path, home.config.log_level, HomeError))
        reads = PublishedReads(app)
        for service in (observer, *(make(home, reads) for make in services)):
            try:
                service.start()
            except OSError as error:
                raise HomeError(str(error)) from error
            stack.callback(service.stop)
        app.listeners.start()
        stack.callback(app.listeners.stop)
        log.info("node started", extra={
            "chain_id": home.config.chain_id, "attestation": home.signer.address,
            "height": store.head.height if store.head is not None else 0,
        })
        serve(app, home.abci_address)
        log.info("node stopped")


def load(make: Callable[[], RoutingApplication]) -> RoutingApplication:
    """Return the result of ``make``, excluded from garbage collection: a tree of millions of nodes.

    A block makes tens of thousands of objects and hardly a cycle: with Python's own thresholds a collection of all
    generations falls into every second large block and doubles its time.
    """
    gc.disable()
    try:
        app = make()
    finally:
        gc.enable()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    return app


def serve(app: RoutingApplication, address: str) -> None:
    """Serve ABCI until a signal; what ended it otherwise becomes one NodeError."""
    try:
        ABCIServer(app=app, address=address).run()
    except ABCIError as error:
        cause = error.__cause__
        raise (cause if isinstance(cause, NodeError) else NodeError(str(error))) from error


def probe_addresses(home: Home) -> None:
    """Raise HomeError for an address that cannot be bound, and leave all of them as they were."""
    for address in (home.abci_address, f"tcp://{home.config.grpc_address}"):
        try:
            listener = listen(address)
        except AddressError as error:
            raise HomeError(str(error)) from error
        listener.close()
        if address.startswith("unix://"):
            Path(address.removeprefix("unix://")).unlink(missing_ok=True)


def check_endpoints(observer: RunningObserver) -> None:
    """Raise HomeError for an endpoint of another chain than configured: only config.toml can correct that."""
    try:
        observer.check()
    except ValueError as error:
        raise HomeError(f"observer.domains: {error}") from error
