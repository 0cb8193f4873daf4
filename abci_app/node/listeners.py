"""Hand-over of committed blocks to listeners, each in a thread of its own: none can delay consensus or another.

A listener gets blocks by height ascending, each once, beginning with the first block committed after the node's start.
What it has not taken yet waits in a queue of at most QUEUED_BLOCKS_MAX blocks and QUEUED_ENTRIES_MAX results and
events. Beyond that the oldest are left out, and the listener gets one BlocksLost in their place. One that raises has
had its block, and gets the next.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from time import monotonic

from abci_app.node.view import BlockNotice, BlocksLost, CommittedBlock

QUEUED_BLOCKS_MAX = 256
"""About four minutes of blocks of a second each."""
QUEUED_ENTRIES_MAX = 100_000
"""Results and events in them: some 100 MB. A single block is queued whatever it holds."""
STOP_GRACE_S = 2.0
"""Time that listeners have at the end of the node to take what is queued."""

log = logging.getLogger(__name__)

Listener = Callable[[BlockNotice], None]


class BlockDispatcher:
    """Queues and threads of all listeners. One thread publishes."""

    def __init__(self) -> None:
        self._subscriptions: list[_Subscription] = []
        self._is_started = False

    def subscribe(self, name: str, listener: Listener) -> None:
        """Have ``listener`` called with every later notice, in a thread of its own. Before ``start`` only."""
        if self._is_started:
            raise RuntimeError(f"{name} subscribes after the start: it would never hear of a block")
        self._subscriptions.append(_Subscription(name, listener))

    def start(self) -> None:
        """Start one thread a listener; blocks published before are for nobody."""
        self._is_started = True
        for each in self._subscriptions:
            each.start()

    def publish(self, block: CommittedBlock) -> None:
        """Queue ``block`` for every listener; wait for none of them."""
        for each in self._subscriptions:
            each.put(block)

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """End all threads: what is queued is handed over within ``grace_s``, the rest is dropped.

        A listener that does not return even then is left behind in its thread, which ends with the process.
        """
        deadline = monotonic() + grace_s
        for each in self._subscriptions:
            each.finish()
        for each in self._subscriptions:
            each.join(deadline)

    def counters(self) -> Mapping[str, int]:
        """Return lost blocks and failed calls by listener, where there were any."""
        counted = Counter[str]()
        for each in self._subscriptions:
            counted[f"listener_blocks_lost_{each.name}"] = each.lost
            counted[f"listener_failures_{each.name}"] = each.failures
        return +counted


class _Subscription:
    """Queue and thread of one listener."""

    def __init__(self, name: str, listener: Listener) -> None:
        self.name, self._listener = name, listener
        self.lost = self.failures = 0
        self._condition = threading.Condition()
        """Never held while the listener runs, so that nobody who needs it waits for the listener."""
        self._queued: deque[CommittedBlock] = deque()
        self._entries = 0
        self._gap: BlocksLost | None = None
        """Blocks left out before the oldest that is queued."""
        self._is_open = False
        self._failure = ""
        """What the last call raised; empty where it returned."""
        self._thread = threading.Thread(target=self._run, name=f"listener-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._is_open = True
        self._thread.start()

    def put(self, block: CommittedBlock) -> None:
        """Queue a block, and leave out the oldest beyond the bounds."""
        with self._condition:
            if not self._is_open:
                return
            is_new_gap = self._gap is None
            self._queued.append(block)
            self._entries += block.count_entries()
            while len(self._queued) > QUEUED_BLOCKS_MAX or (
                self._entries > QUEUED_ENTRIES_MAX and len(self._queued) > 1
            ):
                self._leave_out_oldest()
            is_new_gap = is_new_gap and self._gap is not None
            self._condition.notify()
        if is_new_gap:
            log.warning("listener is behind", extra={"listener": self.name, "height": block.height})

    def finish(self) -> None:
        """Take no more blocks; end once those that are queued are handed over."""
        with self._condition:
            self._is_open = False
            self._condition.notify()

    def join(self, deadline: float) -> None:
        """Wait for the end until ``deadline``; then drop what is queued and wait no longer."""
        if not self._thread.is_alive():
            return
        self._thread.join(max(0.0, deadline - monotonic()))
        with self._condition:
            dropped = len(self._queued)
            self._queued.clear()
            self._gap = None
        if self._thread.is_alive():
            log.warning("listener did not end", extra={"listener": self.name, "blocks_dropped": dropped})

    def _run(self) -> None:
        while (notice := self._next()) is not None:
            if isinstance(notice, BlocksLost):
                log.warning("listener lost blocks", extra={
                    "listener": self.name, "first_height": notice.first_height, "last_height": notice.last_height,
                })
            self._call(notice)

    def _next(self) -> BlockNotice | None:
        """Return the next notice as soon as there is one; None at the end."""
        with self._condition:
            self._condition.wait_for(lambda: self._queued or not self._is_open)
            if self._gap is not None:
                gap, self._gap = self._gap, None
                return gap
            if not self._queued:
                return None
            block = self._queued.popleft()
            self._entries -= block.count_entries()
            return block

    def _call(self, notice: BlockNotice) -> None:
        try:
            self._listener(notice)
        except Exception as error:  # whatever it is, it must not take the next blocks with it
            self.failures += 1
            if repr(error) != self._failure:
                log.exception("listener failed", extra={"listener": self.name})
            self._failure = repr(error)
        else:
            self._failure = ""

    def _leave_out_oldest(self) -> None:
        oldest = self._queued.popleft()
        self._entries -= oldest.count_entries()
        self.lost += 1
        first = oldest.height if self._gap is None else self._gap.first_height
        self._gap = BlocksLost(first, oldest.height)
