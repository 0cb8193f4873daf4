"""What the ABCI socket costs: our server beside a plain asyncio stream loop, in one run.

python -m bench.abci [--rounds N] [--json FILE]

Server and client are two processes. Every round measures every row once, so a busy neighbour hits all of them; the
table has medians over the rounds. The machine should be idle otherwise.
"""

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from abci_app.abci import ABCIServer, Application
from abci_app.abci import messages as pb
from abci_app.abci.dispatch import Dispatcher
from abci_app.abci.framing import FrameDecoder, encode_frame
from bench.report import Row, add_json_option, make_row, percentile, publish, show_figure

CHECK_TX_COUNT = 50_000
ROUND_TRIPS = 2_000
WORK_S = 40e-6
"""Of a CheckTx with one signature."""
WORK_COUNT = 6_000
BLOCK = pb.RequestFinalizeBlock(txs=[bytes(2_000)] * 10_000)
"""20 MB."""
TIMEOUT_S = 60.0
SEND_BYTES = 4_096
"""The size of the engine's writes."""


class Bench(Application):
    """CheckTx of type RECHECK works for WORK_S, any other does nothing."""

    def check_tx(self, request: pb.RequestCheckTx) -> pb.ResponseCheckTx:
        if request.type:
            until = time.perf_counter() + WORK_S
            while time.perf_counter() < until:
                pass
        return pb.ResponseCheckTx()

    def finalize_block(self, request: pb.RequestFinalizeBlock) -> pb.ResponseFinalizeBlock:
        return pb.ResponseFinalizeBlock()


def serve_ours(address: str) -> None:
    """Serve the library under test."""
    ABCIServer(app=Bench(), address=address).run()


def serve_plain(address: str) -> None:
    """Serve as the anchor does: answer all that it has read, then read again. Same frames, same dispatcher."""
    dispatcher = Dispatcher(Bench())

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameDecoder()
        while data := await reader.read(65_536):
            frames.feed(data)
            while (frame := frames.next_frame()) is not None:
                writer.write(dispatcher.answer(frame))
            await writer.drain()

    async def serve() -> None:
        server = await asyncio.start_unix_server(connected, address.removeprefix("unix://"))
        await server.serve_forever()

    asyncio.run(serve())


@contextmanager
def running(serve: Callable[[str], None], address: str) -> Iterator[str]:
    """Run a server in its own process."""
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(address,), daemon=True)
    process.start()
    try:
        connect(address).close()
        yield address
    finally:
        process.terminate()
        process.join(TIMEOUT_S)


def connect(address: str) -> socket.socket:
    """Connect to a server that may still be starting."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        client = socket.socket(socket.AF_UNIX if address.startswith("unix") else socket.AF_INET)
        client.settimeout(TIMEOUT_S)
        try:
            if client.family == socket.AF_UNIX:
                client.connect(address.removeprefix("unix://"))
            else:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.connect(("127.0.0.1", int(address.rpartition(":")[2])))
            return client
        except OSError:
            client.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def frame(request: pb.Request) -> bytes:
    """Return a framed request."""
    return encode_frame(request.SerializeToString())


CHECK = frame(pb.Request(check_tx=pb.RequestCheckTx(tx=bytes(250))))
CHECK_WITH_WORK = frame(pb.Request(check_tx=pb.RequestCheckTx(tx=bytes(250), type=pb.CheckTxType.RECHECK)))
CHECK_REPLY_BYTES = len(encode_frame(pb.Response(check_tx=pb.ResponseCheckTx()).SerializeToString()))
ECHO = frame(pb.Request(echo=pb.RequestEcho(message="e")))
ECHO_REPLY_BYTES = len(encode_frame(pb.Response(echo=pb.ResponseEcho(message="e")).SerializeToString()))
FLUSH = frame(pb.Request(flush=pb.RequestFlush()))
FLUSH_REPLY_BYTES = 3


def receive(client: socket.socket, count: int) -> None:
    """Read exactly count bytes."""
    while count > 0:
        data = client.recv(min(count, 262_144))
        if not data:
            raise ConnectionError("the server has closed the connection")
        count -= len(data)


def round_trip_s(client: socket.socket, request: bytes, reply_bytes: int) -> float:
    """Return the seconds of one synchronous call: request and Flush out, both answers in."""
    start = time.perf_counter()
    client.sendall(request + FLUSH)
    receive(client, reply_bytes + FLUSH_REPLY_BYTES)
    return time.perf_counter() - start


def saturate(client: socket.socket, request: bytes, count: int) -> float:
    """Return the seconds from the first of count pipelined CheckTx to the last answer."""

    def send() -> None:
        data = memoryview(request * count)
        for start in range(0, len(data), SEND_BYTES):
            client.sendall(data[start : start + SEND_BYTES])

    start = time.perf_counter()
    sender = threading.Thread(target=send)
    sender.start()
    receive(client, count * CHECK_REPLY_BYTES)
    sender.join(TIMEOUT_S)
    return time.perf_counter() - start


def measure(address: str) -> dict[str, float]:
    """Measure one round against one server."""
    with connect(address) as mempool, connect(address) as consensus:
        rate = CHECK_TX_COUNT / saturate(mempool, CHECK, CHECK_TX_COUNT)
        trips = [round_trip_s(mempool, CHECK, CHECK_REPLY_BYTES) for _ in range(ROUND_TRIPS)]
        block = frame(pb.Request(finalize_block=BLOCK))
        empty_reply = len(encode_frame(pb.Response(finalize_block=pb.ResponseFinalizeBlock()).SerializeToString()))
        block_s = round_trip_s(consensus, block, empty_reply)
        load = threading.Thread(target=saturate, args=(mempool, CHECK_WITH_WORK, WORK_COUNT))
        load.start()
        echoes = []
        while load.is_alive():
            echoes.append(round_trip_s(consensus, ECHO, ECHO_REPLY_BYTES))
            time.sleep(0.001)
    return {
        "rate": rate,
        "p50": percentile(trips, 50) * 1e6,
        "p99": percentile(trips, 99) * 1e6,
        "block": block_s * 1e3,
        "echo50": percentile(echoes[:-1], 50) * 1e3,
        "echo99": percentile(echoes[:-1], 99) * 1e3,
    }


FIGURES = (
    ("rate", "CheckTx without work, pipelined", "1/s", 150_000.0, True),
    ("p50", "CheckTx round trip, p50", "µs", 100.0, False),
    ("p99", "CheckTx round trip, p99", "µs", None, False),
    ("block", "20 MB FinalizeBlock, answered", "ms", 250.0, False),
    ("echo50", "Echo beside a saturating CheckTx of 40 µs, p50", "ms", None, False),
    ("echo99", "Echo beside a saturating CheckTx of 40 µs, p99", "ms", 3.0, False),
)
"""(key, name, unit, target or None, whether more is better)."""


def table(rounds: int) -> list[Row]:
    """Return the medians over interleaved rounds, for both transports, beside the plain loop."""
    with tempfile.TemporaryDirectory(prefix="abci") as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            tcp = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        servers = (("unix", serve_ours, f"unix://{folder}/o"), ("tcp", serve_ours, tcp))
        results: dict[str, list[dict[str, float]]] = {"unix": [], "tcp": [], "plain": []}
        for _ in range(rounds):
            for name, serve, address in (*servers, ("plain", serve_plain, f"unix://{folder}/p")):
                with running(serve, address):
                    results[name].append(measure(address))
                Path(f"{folder}/p").unlink(missing_ok=True)
    rows = []
    for transport in ("unix", "tcp"):
        for key, name, unit, target, more_is_better in FIGURES:
            value = statistics.median(result[key] for result in results[transport])
            plain = statistics.median(result[key] for result in results["plain"])
            anchor = f"plain stream loop, unix: {show_figure(plain)}"
            rows.append(make_row(f"{name} ({transport})", value, unit, anchor, target, more_is_better))
    return rows


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.abci", description="What the ABCI socket costs.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take medians over (default 5)")
    add_json_option(parser)
    arguments = parser.parse_args()
    return publish(table(max(1, arguments.rounds)), arguments.json)


if __name__ == "__main__":
    sys.exit(main())
