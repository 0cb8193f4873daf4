"""Server of an Application for CometBFT over a unix or TCP socket."""

import asyncio
import itertools
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from abci_app.abci.application import Application
from abci_app.abci.connection import Connection, Turns
from abci_app.abci.dispatch import Dispatcher
from abci_app.abci.sockets import bound_address, listen, parse_unix_path, tcp_endpoint

CLOSE_TIMEOUT_S = 1.0
"""How long a clean end waits for peers to take the replies already given."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


class ABCIServer:
    """Server that listens at an address and answers every connection until it is stopped; runs once.

        server = ABCIServer(app=Ledger(), address="unix:///tmp/ledger.sock")
        server.run()

    The application's methods run in the thread that called run, one at a time.
    """

    def __init__(self, app: Application, address: str = "tcp://127.0.0.1:26658") -> None:
        """Bind nothing yet. Raises AddressError for a malformed address, TypeError for an app that lacks a method."""
        self._unix_path = parse_unix_path(address)
        if self._unix_path is None:
            tcp_endpoint(address)
        self.address = address
        """Where the server listens; with TCP port 0 the port taken, once wait_listening has returned True."""
        self._dispatcher = Dispatcher(app)
        self._connections: set[Connection] = set()
        self._failure: BaseException | None = None
        self._listening = threading.Event()
        self._lock = threading.Lock()  # guards what follows: stop() may come from any thread
        self._started = False
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        """Serve until stop(), SIGTERM or SIGINT (signals only in the main thread); then return, all sockets closed.

        Raises AddressInUse or AddressError if it cannot listen, ApplicationError if a method raised, FrameError if
        a peer sent nonsense: the last two after a log line with the traceback, without an answer to that request,
        and with all sockets closed. The process should then end with a non-zero status, so that its supervisor
        restarts application and engine as a pair.
        """
        with self._lock:
            if self._started:
                raise RuntimeError("this server has run before: make another one")
            self._started = True
            self._loop = loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._serve(loop))
        finally:
            with self._lock:
                self._loop = None
            loop.close()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Make run return, after the call in progress. From any thread, at any time, any number of times."""
        with self._lock:
            self._stopping = True
            if self._loop is not None and self._listening.is_set():
                self._loop.call_soon_threadsafe(self._end)

    def wait_listening(self, timeout_s: float) -> bool:
        """Return True once connections are accepted, False if timeout_s seconds pass before."""
        return self._listening.wait(timeout_s)

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen, wait for the end, close everything."""
        self._ended: asyncio.Future[None] = loop.create_future()
        self._turns = Turns(loop, self._fail)
        with listen(self.address) as listener, self._unlinking(), self._stop_signals(loop):
            numbers = itertools.count(1)

            def connect() -> Connection:
                return Connection(next(numbers), self._dispatcher, self._turns, self._connections)

            if self._unix_path is not None:
                server = await loop.create_unix_server(connect, sock=listener)
            else:
                server = await loop.create_server(connect, sock=listener)
            self.address = bound_address(listener)
            log.info("listening at %s", self.address)
            with self._lock:
                self._listening.set()
                stopped_early = self._stopping
            if not stopped_early:
                await self._ended
            self._turns.end()
            await self._finish_accepting(loop, listener)
            await self._close_connections()
            server.close()
        log.info("no longer listening at %s", self.address)

    def _end(self) -> None:
        """Let _serve go on to close everything."""
        self._turns.end()
        if not self._ended.done():
            self._ended.set_result(None)

    def _fail(self, error: BaseException) -> None:
        """End the server; run will raise error."""
        self._failure = error
        self._end()

    async def _finish_accepting(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        """Take no more connections; those being taken become whole first, since nobody could close them otherwise."""
        loop.remove_reader(listener)
        accepting = asyncio.all_tasks() - {asyncio.current_task()}
        if accepting:
            await asyncio.wait(accepting, timeout=CLOSE_TIMEOUT_S)

    async def _close_connections(self) -> None:
        """Close all: after sending complete replies if the end is clean, at once otherwise."""
        if self._failure is None:
            for connection in tuple(self._connections):
                connection.close()
            deadline = time.monotonic() + CLOSE_TIMEOUT_S
            while self._connections and time.monotonic() < deadline:
                await asyncio.sleep(0.001)
        for connection in tuple(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # transports close their sockets one step after abort

    @contextmanager
    def _unlinking(self) -> Iterator[None]:
        """Remove our unix socket at the end, unless somebody has put another one in its place."""
        inode = inode_of(self._unix_path)
        try:
            yield
        finally:
            if self._unix_path is not None and inode_of(self._unix_path) == inode:
                self._unix_path.unlink(missing_ok=True)

    @contextmanager
    def _stop_signals(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """End the server at SIGTERM and SIGINT. Only the main thread takes signals; elsewhere its owner calls stop."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._end)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)


def inode_of(path: Path | None) -> int | None:
    """Return the identity of the file at path, None if there is none."""
    try:
        return path.lstat().st_ino if path is not None else None
    except FileNotFoundError:
        return None
