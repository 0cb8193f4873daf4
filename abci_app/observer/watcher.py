"""The observer: a thread an endpoint, and the observation that the node reads.

A hanging endpoint stalls its own thread only. What the endpoints of a domain agree on is published by swapping one
reference; readers take no lock. Nothing is kept on disk: a start reads again from the committed cursors.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from abci_app.evm.rpc import Rpc, name_endpoint
from abci_app.machine.state.codec import DomainId, TransferId
from abci_app.observer.doubts import DoubtLog, NotSure
from abci_app.observer.follower import Follower, Next, ReadDomains, View
from abci_app.observer.quorum import agree_segments, agree_transfers
from abci_app.observer.snapshot import EMPTY_OBSERVATION, Observation, ObservedDomain

log = logging.getLogger(__name__)

POLL_S = 0.2
"""Pause between two looks at the final head: a fifth of the fastest block time that matters."""

TIMEOUT_S = 2.0
"""Limit of one RPC call; more only for a block that is too large for it (`follower.PATIENCE_MAX`)."""

RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses after doubts in a row; the last one repeats, so a corrected endpoint is noticed within 5 s and a call."""

QUORUM_SOURCE = "quorum"
"""Source of doubts about the endpoints of a domain together."""

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
    """An RPC client for the observer: short limit, no retries of its own."""
    return Rpc(url, timeout_s=TIMEOUT_S, retry_delays_s=())


class Watcher:
    """Follows the configured domains; ``observation()`` is what it is sure about."""

    def __init__(
        self,
        domains: Sequence[DomainConfig],
        read_domains: ReadDomains,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        connect: Callable[[str], Rpc] = connect,
        poll_s: float = POLL_S,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
    ) -> None:
        if len({config.domain for config in domains}) != len(domains):
            raise ValueError("a domain is configured twice")
        self._configs = {config.domain: config for config in domains}
        self._doubts = DoubtLog(clock)
        self._wall_clock = wall_clock
        self._poll_s = poll_s
        self._retry_delays_s = tuple(retry_delays_s)
        self._followers = {
            config.domain: tuple(
                Follower(config.domain, f"rpc{at}", connect(url), read_domains, self._doubts, clock)
                for at, url in enumerate(config.rpc_urls)
            )
            for config in domains
        }
        self._observation = EMPTY_OBSERVATION
        self._publishing = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def check(self) -> None:
        """Ask each endpoint of a committed domain for its chain. Raises ValueError, in one line, for one of another."""
        for domain, followers in self._followers.items():
            for at, follower in enumerate(followers):
                try:
                    follower.check_chain()
                except NotSure as doubt:
                    name = name_endpoint(self._configs[domain].rpc_urls[at])
                    raise ValueError(f"domain {domain}: {name}: {doubt.detail}") from doubt

    def start(self) -> None:
        """Start the threads. Once only."""
        if self._threads:
            raise RuntimeError("the watcher was started before")
        self._threads = [
            threading.Thread(
                target=self._run, args=(follower,), name=f"observer-{follower.domain}-{follower.name}", daemon=True
            )
            for followers in self._followers.values()
            for follower in followers
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads and withdraw the observation; twice does no harm."""
        self._stopping.set()
        deadline = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for followers in self._followers.values():
            for follower in followers:
                follower.close()
        with self._publishing:
            self._observation = EMPTY_OBSERVATION

    def observation(self) -> Observation:
        """What was published last; immutable, never waits."""
        return self._observation

    def step(self, domain: DomainId) -> Next:
        """One step of each endpoint of a domain, in the caller's thread; for use without ``start``."""
        outcomes = []
        for follower in self._followers[domain]:
            outcomes.append(follower.step())
            self._publish(domain)
        return next((outcome for outcome in Next if outcome in outcomes), Next.POLL)

    def _run(self, follower: Follower) -> None:
        """The one loop: step, publish, pause."""
        doubts_in_row = 0
        while not self._stopping.is_set():
            before = follower.view
            try:
                outcome = follower.step()
            except Exception:
                # A bug must not end this thread in silence: say it, forget everything, go on slowly.
                log.exception("step failed", extra={"domain": follower.domain, "endpoint": follower.name})
                follower.reset()
                outcome = Next.BACK_OFF
            if follower.view is not before:
                self._publish(follower.domain)
            doubts_in_row = doubts_in_row + 1 if outcome is Next.BACK_OFF else 0
            self._stopping.wait(self.pause_s(outcome, doubts_in_row))

    def pause_s(self, outcome: Next, doubts_in_row: int) -> float:
        """Seconds until the next step of an endpoint."""
        if outcome is Next.BACK_OFF:
            return self._retry_delays_s[min(doubts_in_row, len(self._retry_delays_s)) - 1]
        return 0.0 if outcome is Next.AGAIN else self._poll_s

    def _publish(self, domain: DomainId) -> None:
        """Swap in what the endpoints of a domain agree on now."""
        quorum = self._configs[domain].quorum
        with self._publishing:
            if self._stopping.is_set():
                return
            views = [follower.view for follower in self._followers[domain]]
            segments, doubt = agree_segments([view.segments for view in views], quorum)
            transfers = agree_transfers([view.transfers for view in views], quorum)
            previous = self._observation
            others = {
                transfer_id: seen for transfer_id, seen in previous.transfers.items() if seen.origin != domain
            }
            self._observation = Observation(
                MappingProxyType({**previous.domains, domain: ObservedDomain(domain, segments)}),
                MappingProxyType({**others, **transfers}),
            )
        if doubt is None:
            self._doubts.clear(domain, QUORUM_SOURCE)
        else:
            self._doubts.say(domain, QUORUM_SOURCE, doubt)
        self._say_observed(domain, [found for found in transfers if found not in previous.transfers], views)

    def _say_observed(self, domain: DomainId, fresh: Sequence[TransferId], views: Sequence[View]) -> None:
        """One line a block with transfers that became final: latency is measured from it."""
        by_block: dict[int, list[str]] = {}
        for transfer_id in fresh:
            block = next(view.blocks[transfer_id] for view in views if transfer_id in view.blocks)
            by_block.setdefault(block, []).append(transfer_id.hex())
        for block, names in sorted(by_block.items()):
            now_s = round(self._wall_clock(), 3)
            log.info("observed", extra={"domain": domain, "block": block, "transfers": names, "ts": now_s})
