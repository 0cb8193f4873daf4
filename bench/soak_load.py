"""What a soak does to a network: users who send, parts that stop and start, the message layer played now and then."""

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from abci_app.evm.errors import EvmError
from abci_app.evm.rpc import Rpc
from testnet.connext import settling
from testnet.connext.deploy import connect
from testnet.connext.deployment import Deployment
from testnet.demo.traffic import Order, User
from testnet.network import lifecycle
from testnet.network.layout import Layout

SENDERS, RECIPIENT = 3, 4
BURST, BURST_S = 3, 4.0
"""Each sender's: together a little over two transfers a second."""
CYCLE_S = 120.0
PAUSES = ((30.0, "router"), (70.0, "node"))
"""Seconds into a cycle at which a part is stopped; it starts again PAUSE_S later."""
PAUSE_S = 12.0


class Traffic:
    """Users who send until told to stop, each in a thread and with an account of its own."""

    def __init__(self, deployment: Deployment, refuser: Mapping[int, bytes], seed: int) -> None:
        self._deployment, self._refuser, self._seed = deployment, refuser, seed
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.sent: Counter[str] = Counter()
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._send_all, args=(index,)) for index in range(SENDERS)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the load; whatever was stopped runs again."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _send_all(self, index: int) -> None:
        dice = random.Random(self._seed + index)
        with connected(self._deployment) as rpcs:
            user, recipient = User(self._deployment, rpcs, index), User(self._deployment, rpcs, RECIPIENT).address
            while not self._over.wait(BURST_S * dice.uniform(0.5, 1.5)):
                orders = [self._make_order(dice, recipient) for _ in range(BURST)]
                try:
                    for posted in [(order, user.post(order)) for order in orders]:
                        user.confirm(*posted)
                except (EvmError, OSError) as error:
                    with self._lock:
                        self.failures.append(f"user {index}: {error}")
                with self._lock:
                    self.sent.update(order.label for order in orders)

    def _make_order(self, dice: random.Random, recipient: bytes) -> Order:
        domains = [deployed.domain for deployed in self._deployment.domains]
        dice.shuffle(domains)
        origin, destination = domains
        symbol = dice.choice(("USDC", "DAI"))
        unit = self._deployment.domain(origin).tokens[symbol].unit
        liquidity, roll = self._deployment.router_liquidity_units, dice.random()
        if roll < 0.01:
            return Order("too large", symbol, origin, destination, 3 * liquidity * unit, recipient)
        if roll < 0.03:
            return Order("for two", symbol, origin, destination, liquidity * 11 // 10 * unit, recipient)
        amount = dice.randint(unit, 200 * unit)
        if roll < 0.06:
            return Order("refused call", symbol, origin, destination, amount, self._refuser[destination], b"hello")
        return Order("plain", symbol, origin, destination, amount, recipient)


class Pauses:
    """Stops and starts parts, and plays the message layer, in a thread."""

    def __init__(self, layout: Layout, seed: int) -> None:
        self._layout, self._dice = layout, random.Random(seed)
        self._over = threading.Event()
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the load; whatever was stopped runs again."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                began = time.monotonic()
                for at_s, kind in PAUSES:
                    if self._over.wait(max(0.0, began + at_s - time.monotonic())):
                        return
                    self._pause(kind)
                if self._over.wait(max(0.0, began + CYCLE_S - time.monotonic())):
                    return
                say(settling.describe(settling.play(self._layout.home)))
                self.done["settle"] += 1
        except Exception as error:  # the report says it; the run goes on to its checks
            self.failures.append(f"pauses: {type(error).__name__}: {error}")

    def _pause(self, kind: str) -> None:
        parts = [name for name in self._layout.names() if name.startswith(kind)]
        name = self._dice.choice(parts)
        say(f"{name} pauses")
        lifecycle.stop(self._layout.home, name)
        self._over.wait(PAUSE_S)
        lifecycle.start(self._layout.home, name)
        self.done[kind] += 1


@contextmanager
def connected(deployment: Deployment) -> Iterator[dict[int, Rpc]]:
    """Give clients of both chains of one's own."""
    with ExitStack() as stack:
        rpcs = connect(deployment)
        for rpc in rpcs.values():
            stack.callback(rpc.close)
        yield rpcs


def say(line: str) -> None:
    """Print progress, beside the result."""
    print(line, file=sys.stderr, flush=True)
