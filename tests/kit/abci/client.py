"""A server in a thread, and a client that writes and reads raw frames as CometBFT does."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from google.protobuf.message import Message

from abci_app.abci import ABCIServer, Application
from abci_app.abci import messages as pb
from abci_app.abci.framing import FrameDecoder, encode_frame

TIMEOUT_S = 20.0


def request(**call: Message) -> bytes:
    """One framed request, e.g. request(echo=RequestEcho(message="hi"))."""
    return encode_frame(pb.Request(**call).SerializeToString())  # type: ignore[arg-type]


def echo(message: str) -> bytes:
    """A framed Echo."""
    return request(echo=pb.RequestEcho(message=message))


def check_tx(tx: bytes) -> bytes:
    """A framed CheckTx."""
    return request(check_tx=pb.RequestCheckTx(tx=tx))


FLUSH = request(flush=pb.RequestFlush())


class Client:
    """One connection. Every wait has a deadline."""

    def __init__(self, address: str) -> None:
        if address.startswith("unix://"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(TIMEOUT_S)
            try:
                self.socket.connect(address.removeprefix("unix://"))
            except OSError:
                self.socket.close()
                raise
        else:
            host, _, port = address.removeprefix("tcp://").rpartition(":")
            self.socket = socket.create_connection((host, int(port)), TIMEOUT_S)
        self._frames = FrameDecoder()

    def send(self, data: bytes) -> None:
        """Writes raw bytes."""
        self.socket.sendall(data)

    def receive(self) -> pb.Response | None:
        """The next response; None if the server has closed the connection."""
        while (frame := self._frames.next_frame()) is None:
            try:
                data = self.socket.recv(65_536)
            except ConnectionResetError:
                return None
            if not data:
                assert self._frames.buffered_bytes == 0, "the connection ended within an answer"
                return None
            self._frames.feed(data)
        return pb.Response.FromString(frame)

    def call(self, data: bytes) -> Any:
        """The answer to one request followed by a Flush, as the engine's synchronous calls."""
        self.send(data + FLUSH)
        response, flush = self.receive(), self.receive()
        assert response is not None and flush is not None and flush.WhichOneof("value") == "flush"
        return getattr(response, response.WhichOneof("value"))

    def close(self) -> None:
        self.socket.close()


class Served:
    """A server that runs in its own thread; what run raised is in error once it has ended."""

    def __init__(self, app: Application, address: str) -> None:
        self.server = ABCIServer(app=app, address=address)
        self.error: BaseException | None = None
        self._clients: list[Client] = []
        self._thread = threading.Thread(target=self._run, name="abci", daemon=True)

    def _run(self) -> None:
        try:
            self.server.run()
        except BaseException as error:
            self.error = error

    def start(self) -> None:
        self._thread.start()
        assert self.server.wait_listening(TIMEOUT_S), self.error

    def client(self) -> Client:
        """A new connection, closed at the end."""
        self._clients.append(Client(self.server.address))
        return self._clients[-1]

    def wait_end(self) -> BaseException | None:
        """What run raised, once it has ended by itself."""
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive(), "the server goes on"
        return self.error

    def stop(self) -> BaseException | None:
        """Stops it from this thread, and closes all clients."""
        self.server.stop()
        for client in self._clients:
            client.close()
        return self.wait_end()


@contextmanager
def serving(app: Application, address: str | None = None) -> Iterator[Served]:
    """A started server, by default on a unix socket in a folder with a short name."""
    with tempfile.TemporaryDirectory(prefix="abci") as folder:
        served = Served(app, address or f"unix://{folder}/abci.sock")
        served.start()
        try:
            yield served
        finally:
            served.stop()
