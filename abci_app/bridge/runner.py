"""A relayer's threads: one a chain, each repeating bounded steps until told to stop, or until something is fatal."""

import logging
import sqlite3
import threading
import time
from dataclasses import dataclass
from functools import partial

from abci_app.bridge.chain import EvmChain
from abci_app.bridge.config import GWEI, RelayChain
from abci_app.bridge.errors import Fatal
from abci_app.bridge.follow import LeafFollower
from abci_app.bridge.home import RelayHome
from abci_app.bridge.inclusion import Limits
from abci_app.bridge.journal import Journal
from abci_app.bridge.nodes import Nodes
from abci_app.bridge.plan import Turn
from abci_app.bridge.submitter import Sender
from abci_app.bridge.worker import Settings, Worker
from abci_app.daemon.notices import Notices
from abci_app.daemon.runner import Loop, Next, Retryable, Task, Threads, describe
from abci_app.evm.errors import EvmError

log = logging.getLogger(__name__)

RELAY_POLL_S = 0.05
"""Between two looks for something to do; a look asks nobody while there is nothing."""
STOP_S = 5.0
"""For threads to end after ``stop``: one call to a chain or node, with its deadline, may be under way. Threads that
take longer are left behind: they may be cut off at any point."""
ONCE_S = 120.0
"""Limit of a single pass."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run."""

    is_once: bool = False
    is_dry: bool = False


class Relay:
    """All chains of one home. ``run`` in one thread, ``stop`` from any, also from a signal handler."""

    def __init__(self, home: RelayHome, options: Options = Options()) -> None:
        self._home, self._options = home, options
        self._threads = Threads(log, STOP_S)

    def stop(self) -> None:
        """Ask all threads to end after their current call."""
        self._threads.stopping.set()

    def run(self) -> None:
        """Relay until stopped, or with ``is_once`` until nothing is left to do. Raises Fatal."""
        for chain in self._home.config.chains:
            self._threads.start(f"relay-{chain.place.domain}", partial(self._run_chain, chain))
        try:
            self._threads.wait()
        finally:
            self._threads.stop()

    def _run_chain(self, config: RelayChain) -> None:
        with ChainRelay(self._home, config, self._options) as relay:
            relay.run(self._threads.stopping)


class ChainRelay:
    """One chain's worker with everything it needs, opened in the thread that uses it."""

    def __init__(
        self,
        home: RelayHome,
        config: RelayChain,
        options: Options,
        chain: EvmChain | None = None,
        journal_class: type[Journal] = Journal,
    ) -> None:
        self._home, self._config, self._options = home, config, options
        self._notices = Notices(log, domain=config.place.domain)
        self._chain = chain or EvmChain(config.rpc_url, config.place)
        self._journal_class = journal_class
        self._nodes = Nodes(home.config.nodes, home.config.chain_id)
        self._journal: Journal | None = None
        self._worker: Worker | None = None

    def __enter__(self) -> "ChainRelay":
        return self

    def __exit__(self, *_: object) -> None:
        self._chain.close()
        self._nodes.close()
        if self._journal is not None:
            self._journal.close()

    def run(self, stopping: threading.Event) -> None:
        """Repeat the steps. Raises Fatal."""
        tasks = [Task(self._follow, self._home.config.poll_ms / 1000), Task(self._relay, RELAY_POLL_S)]
        loop = Loop(tasks, self._explain, self._notices, stopping)
        started_s = time.monotonic()
        while not stopping.is_set():
            outcome = loop.step()
            if not self._options.is_once:
                continue
            is_idle = self._worker is not None and self._worker.is_idle
            if outcome is not None and is_idle and not loop.is_failing:
                return
            if time.monotonic() - started_s > ONCE_S:
                raise Fatal(f"domain {self._config.place.domain}: not everything is settled after {ONCE_S:.0f} s")

    def _explain(self, error: Exception) -> Retryable | None:
        if isinstance(error, sqlite3.Error):
            raise Fatal(f"journal of domain {self._config.place.domain}: {error}") from error
        if isinstance(error, EvmError):  # what is wrong for good was found at the start
            return Retryable("chain-unavailable", describe(error))
        return error if isinstance(error, Retryable) else None

    # -- steps --------------------------------------------------------------------------------------------------------

    def _follow(self) -> Next:
        return Next.PAUSE if self._worker is None else self._worker.follow()

    def _relay(self) -> Next:
        if self._worker is None:
            self._worker = self._open()
            return Next.AGAIN
        outcome = self._worker.relay()
        self._notices.clear("chain-unavailable")
        return outcome

    def _open(self) -> Worker:
        """Check the chain, then open the journal: nothing is written for a chain that is not the right one."""
        home, config = self._home, self._config
        self._chain.check(home.config.chain_id)
        identity = {
            "signer": f"0x{home.account.address.hex()}",
            "chain id": str(config.place.chain_id),
            "gate": f"0x{config.place.gate.hex()}",
        }
        open_journal = self._journal_class.open_copy if self._options.is_dry else self._journal_class.open
        self._journal = journal = open_journal(home.journal_path(config.place.domain), identity)
        follower = LeafFollower(
            self._nodes, config.place, home.config.chain_id, is_settled=journal.is_settled, cursor=journal.cursor()
        )
        sender = Sender(home.account, config.place)
        fields = {"domain": config.place.domain, "signer": sender.address, "cursor": journal.cursor()}
        log.info("relaying", extra={**fields, "open_nonces": [one.nonce for one in journal.open_nonces()]})
        return Worker(follower, self._chain, journal, sender, make_settings(home, config, self._options), self._notices)


def make_settings(home: RelayHome, config: RelayChain, options: Options) -> Settings:
    """Return what one chain's worker needs of the configuration."""
    stagger = home.config.stagger
    return Settings(
        limits=Limits(config.confirm_blocks, config.replace_blocks, config.max_fee_gwei * GWEI),
        poll_s=config.poll_ms / 1000,
        turn=Turn(home.account.address, stagger.relayers, stagger.step_ms / 1000),
        is_dry=options.is_dry,
    )
