"""Observer threads, one for each endpoint, and the observation that the node reads.

A hanging endpoint stalls its own thread only. What the endpoints of a domain agree on is published by swapping one
reference; readers take no lock. Nothing is kept on disk: a start reads again from the committed cursors.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from abci_app.daemon.runner import Threads, compute_retry_delay_s
from abci_app.evm.rpc import Rpc, name_endpoint
from abci_app.machine.state.codec import DomainId, TransferId
from abci_app.observer.endpoint_follower import EndpointFollower, EndpointView, ReadDomains, StepOutcome
from abci_app.observer.endpoint_quorum import agree_segments, agree_transfers
from abci_app.observer.observation_errors import ObservationError, ObservationErrorLog
from abci_app.observer.snapshot import EMPTY_OBSERVATION, Observation, ObservedDomain

log = logging.getLogger(__name__)

POLL_S = 0.2
"""Polling interval of the final head: a fifth of the shortest block time in use."""

TIMEOUT_S = 2.0
"""Limit of one RPC call; more only for a block that is too large for it (`endpoint_follower.TIMEOUT_DOUBLINGS_MAX`)."""

QUORUM_SOURCE = "quorum"
"""Source of errors about the endpoints of a domain together."""

STOP_S = 10.0
"""A step in flight ends with its RPC call, most of them long before this; the threads of others are left behind."""


@dataclass(frozen=True, slots=True)
class DomainConfig:
    """Endpoints of one domain, and how many of them must agree."""

    domain: DomainId
    rpc_urls: tuple[str, ...]
    quorum: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.quorum <= len(self.rpc_urls):
            raise ValueError(f"domain {self.domain}: quorum {self.quorum} of {len(self.rpc_urls)} endpoints")
        if len(set(self.rpc_urls)) != len(self.rpc_urls):
            raise ValueError(f"domain {self.domain}: an endpoint is listed twice")


def connect(url: str) -> Rpc:
    """Return an RPC client with the observer's short time limit and without retries."""
    return Rpc(url, timeout_s=TIMEOUT_S, retry_delays_s=())


class Watcher:
    """Observer of the configured domains; ``observation()`` returns the verified result."""

    def __init__(
        self,
        domains: Sequence[DomainConfig],
        read_domains: ReadDomains,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        connect: Callable[[str], Rpc] = connect,
        poll_s: float = POLL_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if len({config.domain for config in domains}) != len(domains):
            raise ValueError("a domain is configured twice")
        self._configs = {config.domain: config for config in domains}
        self._errors = ObservationErrorLog(clock)
        self._wall_clock = wall_clock
        self._poll_s = poll_s
        self._chance = chance
        self._followers = {
            config.domain: tuple(
                EndpointFollower(config.domain, f"rpc{at}", connect(url), read_domains, self._errors, clock)
                for at, url in enumerate(config.rpc_urls)
            )
            for config in domains
        }
        self._observation = EMPTY_OBSERVATION
        self._publishing = threading.Lock()
        self._threads = Threads(log, STOP_S)
        self._stopping = self._threads.stopping
        self._is_started = False

    def check(self) -> None:
        """Ask each endpoint of a committed domain for its chain. Raises ValueError, in one line, for one of another."""
        for domain, followers in self._followers.items():
            for at, follower in enumerate(followers):
                try:
                    follower.check_chain()
                except ObservationError as error:
                    name = name_endpoint(self._configs[domain].rpc_urls[at])
                    raise ValueError(f"domain {domain}: {name}: {error.detail}") from error

    def start(self) -> None:
        """Start the threads; raise RuntimeError the second time."""
        if self._is_started:
            raise RuntimeError("the watcher was started before")
        self._is_started = True
        for followers in self._followers.values():
            for follower in followers:
                self._threads.start(f"observer-{follower.domain}-{follower.name}", partial(self._run, follower))

    def stop(self) -> None:
        """End the threads and withdraw the observation (idempotent)."""
        self._threads.stop()
        for followers in self._followers.values():
            for follower in followers:
                follower.close()
        with self._publishing:
            self._observation = EMPTY_OBSERVATION

    def observation(self) -> Observation:
        """Return the observation published last: immutable, without waiting."""
        return self._observation

    def step(self, domain: DomainId) -> StepOutcome:
        """Run one step of each endpoint of a domain in the caller's thread; for use without ``start``."""
        outcomes = []
        for follower in self._followers[domain]:
            outcomes.append(follower.step())
            self._publish(domain)
        return next((outcome for outcome in StepOutcome if outcome in outcomes), StepOutcome.POLL)

    def _run(self, follower: EndpointFollower) -> None:
        """Repeat step, publish, pause for one endpoint until the watcher stops."""
        errors_in_row = 0
        while not self._stopping.is_set():
            before = follower.view
            try:
                outcome = follower.step()
            except Exception:
                # A bug must not end this thread unnoticed: log it, discard everything, go on slowly.
                log.exception("step failed", extra={"domain": follower.domain, "endpoint": follower.name})
                follower.reset()
                outcome = StepOutcome.BACK_OFF
            if follower.view is not before:
                self._publish(follower.domain)
            errors_in_row = errors_in_row + 1 if outcome is StepOutcome.BACK_OFF else 0
            self._stopping.wait(self.pause_s(outcome, errors_in_row))

    def pause_s(self, outcome: StepOutcome, errors_in_row: int) -> float:
        """Return the seconds until the next step of an endpoint."""
        if outcome is StepOutcome.BACK_OFF:
            return compute_retry_delay_s(errors_in_row, self._chance())
        return 0.0 if outcome is StepOutcome.AGAIN else self._poll_s

    def _publish(self, domain: DomainId) -> None:
        """Publish what the endpoints of a domain agree on now."""
        quorum = self._configs[domain].quorum
        with self._publishing:
            if self._stopping.is_set():
                return
            views = [follower.view for follower in self._followers[domain]]
            segments, error = agree_segments([view.segments for view in views], quorum)
            transfers = agree_transfers([view.transfers for view in views], quorum)
            previous = self._observation
            others = {
                transfer_id: seen for transfer_id, seen in previous.transfers.items() if seen.origin != domain
            }
            self._observation = Observation(
                MappingProxyType({**previous.domains, domain: ObservedDomain(domain, segments)}),
                MappingProxyType({**others, **transfers}),
            )
        if error is None:
            self._errors.clear(domain, QUORUM_SOURCE)
        else:
            self._errors.record(domain, QUORUM_SOURCE, error)
        self._log_observed(domain, [found for found in transfers if found not in previous.transfers], views)

    def _log_observed(self, domain: DomainId, fresh: Sequence[TransferId], views: Sequence[EndpointView]) -> None:
        """Log one line for each block with transfers that became final; latency is measured from it."""
        by_block: dict[int, list[TransferId]] = {}
        for transfer_id in fresh:
            block = next(view.blocks[transfer_id] for view in views if transfer_id in view.blocks)
            by_block.setdefault(block, []).append(transfer_id)
        for block, transfers in sorted(by_block.items()):
            now_s = round(self._wall_clock(), 3)
            log.info("observed", extra={"domain": domain, "block": block, "transfers": transfers, "ts": now_s})
