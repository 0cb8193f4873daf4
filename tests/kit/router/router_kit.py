"""A router agent between a real gateway over a state machine and two in-memory chains behind HTTP."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from abci_app.daemon.log import JsonLinesFormatter
from abci_app.evm.account import Account
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.state.codec import DomainId, Hash, TransferId
from abci_app.machine.state.records import TransferInfo
from abci_app.machine.transactions.tx import BidBundle, SubmittedBid, decode_tx
from abci_app.router.agent import Agent
from abci_app.router.config import RouterConfig, RouterHome, WatchedChain, load_home, save_home
from tests.kit.gateway.gateway_kit import FakeNode, Served, serve
from tests.kit.machine.driver import KEYS, A, B, xcalled
from tests.kit.router.fake_evm import EvmServer, FakeEvm

WAIT_S = 30.0


class Log(logging.Handler):
    """Collects a router's lines as they would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLinesFormatter())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))

    def of(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Lines of one event with these fields."""
        return [line for line in tuple(self.lines) if line.items() >= {"event": event, **fields}.items()]


@contextmanager
def collecting() -> Iterator[Log]:
    """Collect what the router logs."""
    log, logger = Log(), logging.getLogger("abci_app.router")
    level = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    try:
        yield log
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)


@dataclass
class World:
    """All that a router has around it."""

    served: Served
    chains: dict[DomainId, EvmServer]
    home: Path
    origin_txs: dict[TransferId, Hash] = field(default_factory=dict)
    """Where each order was made."""

    @property
    def node(self) -> FakeNode:
        return self.served.node

    def info(self, **changes: object) -> TransferInfo:
        return self.node.network.info(**changes)  # type: ignore[arg-type]

    def order(self, *infos: TransferInfo, is_seen: bool = True) -> list[TransferId]:
        """One block on the origin chain with these orders; ``is_seen``: this node's observer saw them."""
        ids = [compute_transfer_id(info) for info in infos]
        if is_seen:
            self.node.seen.update(ids)
        chain = self.chains[infos[0].origin_domain].chain
        chain.xcall(*infos)
        self.origin_txs.update(
            (transfer_id, Hash(log.tx_hash)) for transfer_id, log in zip(ids, chain.blocks[-1].logs, strict=True)
        )
        return ids

    def accept(self, *infos: TransferInfo, is_real: bool = True) -> None:
        """A block of the network that accepts these transfers and takes what the mempool holds.

        Orders that are not on their chain yet are made there first, unless they are not ``is_real``: then the network,
        or the node that tells of it, invented them.
        """
        for info in infos:
            if is_real and compute_transfer_id(info) not in self.origin_txs:
                self.order(info, is_seen=False)
        events = [xcalled(info) for info in infos]
        self.node.commit({infos[0].origin_domain: [
            replace(event, tx_hash=self.origin_txs.get(event.transfer_id, event.tx_hash)) for event in events
        ]})

    def bids(self) -> list[SubmittedBid]:
        """Bids in the mempool."""
        bundles = [decode_tx(raw) for raw in self.node.mempool]
        return [bid for bundle in bundles if isinstance(bundle, BidBundle) for bid in bundle.bids]

    def config(self, *nodes: str) -> RouterConfig:
        """A router's configuration for this world."""
        watched = tuple(
            WatchedChain(domain, server.chain.chain_id, server.url, connext=server.chain.connext)
            for domain, server in self.chains.items()
        )
        return RouterConfig(nodes or (self.served.address,), watched, poll_ms=20)

    def save(self, *nodes: str, config: RouterConfig | None = None) -> RouterHome:
        """The home of the first router."""
        save_home(self.home, config or self.config(*nodes), Account(KEYS[0]))
        return load_home(self.home)


@contextmanager
def make_world(tmp_path: Path) -> Iterator[World]:
    """Chains and node, without a router yet."""
    with ExitStack() as stack:
        chains = {domain: EvmServer(FakeEvm(domain)) for domain in (A, B)}
        for server in chains.values():
            stack.callback(server.stop)
        node = FakeNode()
        node.publish()
        yield World(stack.enter_context(serve(node)), chains, tmp_path / "router")


@contextmanager
def running(home: RouterHome) -> Iterator[tuple[Agent, Log]]:
    """An agent that has looked at every chain once: what comes next is new to it."""
    agent = Agent(home)
    with collecting() as log:
        try:
            agent.start()
            yield agent, log
        finally:
            agent.stop()


def wait_until(holds: Callable[[], object], what: object = "", seconds: float = WAIT_S) -> None:
    """Return once ``holds``; fail after ``seconds``, showing ``what``."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain; {what}"
        time.sleep(0.01)
