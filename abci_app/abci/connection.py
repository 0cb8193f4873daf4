"""Connections of CometBFT, and their round-robin scheduling.

A connection whose requests need more than a turn waits for its next one behind the others, so a mempool that sends
without pause costs the consensus connection one turn of delay, not its whole backlog. The socket is read all the time.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import cast

from abci_app.abci.dispatch import Dispatcher
from abci_app.abci.framing import FRAME_BYTES_MAX, UVARINT_BYTES_MAX, FrameDecoder

TURN_S = 0.001
"""Work a turn may begin within; a single call (FinalizeBlock, Commit) takes what it takes, alone."""
INPUT_BYTES_MAX = FRAME_BYTES_MAX + UVARINT_BYTES_MAX
"""Unread requests of one connection beyond which its socket waits. At that size at least one frame is complete, so the
next turn always makes room."""
OUTPUT_BYTES_MAX = 2**20
"""Replies the peer has not taken beyond which its requests wait."""

log = logging.getLogger(__name__)


class Turns:
    """Round-robin scheduler: runs a connection when bytes arrive, then one turn at a time between socket reads."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fail: Callable[[BaseException], None]) -> None:
        """fail is called with the first exception; from then on nothing is run."""
        self._loop = loop
        self._fail = fail
        self._waiting: deque[Connection] = deque()
        self._scheduled = False
        self._ended = False

    def end(self) -> None:
        """Begin no request after this."""
        self._ended = True
        self._waiting.clear()

    def run(self, connection: "Connection") -> None:
        """Give the connection a turn now; if it has more to do, a place in the queue."""
        if self._ended:
            return
        try:
            if connection.take_turn():
                connection.queued = True
                self._waiting.append(connection)
                self._schedule()
        except BaseException as error:  # the event loop would swallow it: end the server instead
            log.critical("connection %d: %s: the server ends", connection.number, error, exc_info=True)
            self.end()
            self._fail(error)

    def _schedule(self) -> None:
        """Ask for the next turn, two steps of the event loop ahead.

        The loop reads all sockets before each step, so whatever arrived during the last turn is served in between.
        """
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._loop.call_soon, self._next_turn)

    def _next_turn(self) -> None:
        self._scheduled = False
        if self._waiting:
            connection = self._waiting.popleft()
            connection.queued = False
            self.run(connection)
            self._schedule()


class Connection(asyncio.Protocol):
    """One connection: answers requests in order, whichever of CometBFT's four connections it is."""

    def __init__(self, number: int, dispatcher: Dispatcher, turns: Turns, open_connections: "set[Connection]") -> None:
        self.number = number
        self.queued = False
        self._dispatcher = dispatcher
        self._turns = turns
        self._open = open_connections
        self._frames = FrameDecoder()
        self._transport: asyncio.Transport | None = None
        self._input_full = False
        self._output_full = False

    def take_turn(self) -> bool:
        """Answer requests for at most TURN_S, then write all replies at once; return whether more may be waiting."""
        if self._transport is None or self._output_full:
            return False
        replies: list[bytes] = []
        deadline = perf_counter() + TURN_S
        next_frame, answer = self._frames.next_frame, self._dispatcher.answer
        while (frame := next_frame()) is not None:
            replies.append(answer(frame))
            if perf_counter() >= deadline:
                break
        if replies:
            self._transport.write(b"".join(replies))
        if self._input_full and self._frames.buffered_bytes <= INPUT_BYTES_MAX:
            self._input_full = False
            self._transport.resume_reading()
        return frame is not None

    def close(self) -> None:
        """Close after the replies already given have been sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # ---- asyncio's calls ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=OUTPUT_BYTES_MAX)
        self._open.add(self)
        log.info("connection %d opened, %d open", self.number, len(self._open))

    def data_received(self, data: bytes) -> None:
        self._frames.feed(data)
        if self._frames.buffered_bytes > INPUT_BYTES_MAX and self._transport is not None:
            self._input_full = True
            self._transport.pause_reading()
        if not self.queued:
            self._turns.run(self)

    def pause_writing(self) -> None:
        self._output_full = True

    def resume_writing(self) -> None:
        self._output_full = False
        if not self.queued:
            self._turns.run(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._open.discard(self)
        unanswered = self._frames.buffered_bytes
        log.info("connection %d closed (%s, %d bytes unanswered)", self.number, exc or "EOF", unanswered)
