"""Bundling of concurrent bids: sorted bundles, each broadcast once, one answer for each bid."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core.engine import Engine
from abci_app.gateway.core.reads import QueryError
from abci_app.machine.codes import Code
from abci_app.machine.params import BUNDLE_BIDS_MAX
from abci_app.machine.transactions.tx import SubmittedBid, encode_bundle

GATHER_S = 0.01
"""How long the first bid of a bundle waits for others: far below a block, long enough for a router's burst."""
WORKERS = 4
"""Bundles on their way at once; CometBFT checks them one by one anyway."""
PENDING_BIDS_MAX = 8192
"""Bids not yet answered; more would only be more to forget when the engine hangs."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Answer to one bid of a bundle."""

    raw: bytes
    """The bundle that carried it."""
    position: int
    """Of the bid in that bundle."""
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Entry:
    bid: SubmittedBid
    future: "Future[Sent]"

    @property
    def key(self) -> tuple[bytes, bytes]:
        return self.bid.transfer_id, self.bid.router


Judge = Callable[[SubmittedBid], Sent | None]
"""Returns the answer to a bid that this node would not take as things stand now, None for any other."""


class Bundler:
    """Bundler of bids: any thread adds, a few workers broadcast."""

    def __init__(self, engine: Engine, judge: Judge) -> None:
        self._engine, self._judge = engine, judge
        self._lock = threading.Lock()
        self._waiting: list[_Entry] = []
        self._unanswered = 0
        self._closed = False
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="bundle")

    def add(self, bids: Sequence[SubmittedBid]) -> "list[Future[Sent]]":
        """Queue bids; each future holds its answer once CheckTx gave one. Each must have been judged."""
        entries = [_Entry(bid, Future()) for bid in bids]
        with self._lock:
            room = 0 if self._closed else max(0, PENDING_BIDS_MAX - self._unanswered)
            taken, refused = entries[:room], entries[room:]
            self._unanswered += len(taken)
            if taken and not self._waiting:
                self._pool.submit(self._flush)
            self._waiting += taken
            code = AnswerCode.ENGINE_UNAVAILABLE if self._closed else AnswerCode.MEMPOOL_FULL
            reason = "the node stops" if self._closed else f"{self._unanswered} bids wait for an answer already"
        for entry in refused:
            entry.future.set_result(Sent(b"", 0, code, reason))
        return [entry.future for entry in entries]

    def close(self) -> None:
        """Answer all waiting bids with ENGINE_UNAVAILABLE and refuse later ones."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, []
        self._pool.shutdown(wait=False, cancel_futures=True)
        for entry in waiting:
            self._answer(entry, Sent(b"", 0, AnswerCode.ENGINE_UNAVAILABLE, "the node stops"))

    def _flush(self) -> None:
        time.sleep(GATHER_S)
        with self._lock:
            taken, self._waiting = self._waiting, []
        try:
            self._send_all(taken)
        finally:
            for entry in taken:
                if not entry.future.done():
                    self._answer(entry, Sent(b"", 0, AnswerCode.ENGINE_UNAVAILABLE, "the node failed to send it"))

    def _send_all(self, waiting: Sequence[_Entry]) -> None:
        while waiting:
            # A second bid of one router for one transfer goes into the next round of bundles.
            first: dict[tuple[bytes, bytes], _Entry] = {}
            later = [entry for entry in waiting if first.setdefault(entry.key, entry) is not entry]
            ordered = [first[key] for key in sorted(first)]
            for start in range(0, len(ordered), BUNDLE_BIDS_MAX):
                self._send(ordered[start:start + BUNDLE_BIDS_MAX])
            waiting = later

    def _send(self, entries: Sequence[_Entry]) -> None:
        """Broadcast one bundle; where CheckTx refuses it, leave out the bids it is refused for and send the others."""
        raw = encode_bundle(entry.bid for entry in entries)
        try:
            checked = self._engine.broadcast(raw)
        except QueryError as error:
            for entry in entries:
                self._answer(entry, Sent(raw, 0, error.code, error.reason))
            return
        if checked.code == Code.OK or len(entries) == 1:
            for position, entry in enumerate(entries):
                self._answer(entry, Sent(raw, position, checked.code, checked.log))
            return
        remaining = self._leave_out(entries)
        if len(remaining) < len(entries):
            if remaining:
                self._send(remaining)
            return
        # The engine refuses what this node would take, such as too many early bids of one router: which of them it
        # is shows by halves, so that the others stay together as far as they can.
        half = len(entries) // 2
        self._send(entries[:half])
        self._send(entries[half:])

    def _leave_out(self, entries: Sequence[_Entry]) -> list[_Entry]:
        """Answer the bids that are refused as things stand now; return the others."""
        remaining = []
        for entry in entries:
            refusal = self._judge(entry.bid)
            if refusal is None:
                remaining.append(entry)
            else:
                self._answer(entry, refusal)
        return remaining

    def _answer(self, entry: _Entry, sent: Sent) -> None:
        with self._lock:
            self._unanswered -= 1
        entry.future.set_result(sent)
