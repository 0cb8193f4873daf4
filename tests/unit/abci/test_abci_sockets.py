"""Addresses, stale and live sockets, and what a second server at the same place gets."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from abci_app.abci import ABCIServer, AddressError, AddressInUse, Application
from tests.kit.abci.client import TIMEOUT_S, Client, check_tx, echo, serving

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name leaves room for a socket's."""
    with tempfile.TemporaryDirectory(prefix="abci") as name:
        yield Path(name)


def leave_stale_socket(path: Path) -> None:
    """What a server that was killed leaves behind."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


@pytest.mark.parametrize(
    "address, reason",
    [
        ("", "use unix:///path"),
        ("127.0.0.1:26658", "use unix:///path"),
        ("/tmp/abci.sock", "use unix:///path"),
        ("unix://", "use unix:///path"),
        ("http://127.0.0.1:1", "use unix:///path"),
        ("tcp://127.0.0.1", "use tcp://host:port"),
        ("tcp://:26658", "use tcp://host:port"),
        ("tcp://127.0.0.1:26658/path", "use tcp://host:port"),
        ("tcp://127.0.0.1:99999", "Port out of range"),
        ("tcp://127.0.0.1:abci", "could not be cast"),
        ("unix:///" + "x" * 107, "at most 107 bytes"),
        ("unix:///" + "ü" * 54, "at most 107 bytes"),
    ],
)
def test_a_malformed_address_is_refused_before_anything_is_bound(address: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason):
        ABCIServer(app=Application(), address=address)


@pytest.mark.parametrize("address", ["unix:///no/such/folder/abci.sock", "tcp://192.0.2.1:26658", "tcp://[::2]:26658"])
def test_an_address_that_cannot_be_bound_is_an_address_error(address: str) -> None:
    with pytest.raises(AddressError, match=re.escape(address)):
        ABCIServer(app=Application(), address=address).run()


def test_a_stale_socket_is_replaced_and_ours_is_removed_at_the_end(folder: Path) -> None:
    path = folder / "abci.sock"
    leave_stale_socket(path)
    with serving(Application(), f"unix://{path}") as served:
        assert served.client().call(echo("a")).message == "a"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_a_live_socket_is_refused_and_left_alone(folder: Path) -> None:
    address = f"unix://{folder}/abci.sock"
    with serving(Application(), address) as served:
        with pytest.raises(AddressInUse, match="address in use"):
            ABCIServer(app=Application(), address=address).run()
        assert served.client().call(echo("a")).message == "a"


def test_a_port_in_use_is_refused() -> None:
    with serving(Application(), "tcp://127.0.0.1:0") as served:
        with pytest.raises(AddressInUse, match="address in use"):
            ABCIServer(app=Application(), address=served.server.address).run()
        assert served.client().call(echo("a")).message == "a"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_refused_and_left_alone(folder: Path, kind: str) -> None:
    path = folder / "abci.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    with pytest.raises(AddressError, match="exists and is not a socket"):
        ABCIServer(app=Application(), address=f"unix://{path}").run()
    assert os.path.lexists(path)


def test_a_socket_that_somebody_put_in_our_place_is_left_alone(folder: Path) -> None:
    path = folder / "abci.sock"
    with serving(Application(), f"unix://{path}"):
        path.rename(folder / "moved.sock")
        leave_stale_socket(path)
    assert path.exists()


def test_a_tcp_server_comes_back_at_once_at_the_same_port() -> None:
    with serving(Application(), "tcp://127.0.0.1:0") as served:
        address = served.server.address
        client = served.client()
        assert client.call(echo("a")).message == "a"
        served.server.stop()
        assert client.receive() is None
        served.wait_end()
    with serving(Application(), address) as served:
        assert served.client().call(echo("b")).message == "b"


MAIN = """
import signal, sys
from abci_app.abci import ABCIServer, Application
class Broken(Application):
    def check_tx(self, request):
        raise RuntimeError("broken")
before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
ABCIServer(app=Broken(), address=sys.argv[1]).run()
assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
print("after run")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_run_in_the_main_thread_and_its_handlers_come_back(folder: Path, number: signal.Signals) -> None:
    path = folder / "abci.sock"
    with subprocess.Popen([sys.executable, "-c", MAIN, f"unix://{path}"], cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            client = connect_soon(path)
            assert client.call(echo("a")).message == "a"
            process.send_signal(number)
            assert client.receive() is None
            client.close()
            assert process.communicate(timeout=TIMEOUT_S)[0] == b"after run\n"
        finally:
            process.kill()
    assert process.returncode == 0
    assert not path.exists()


def connect_soon(path: Path) -> Client:
    """A client of a server that is still starting."""
    for _ in range(1000):
        try:
            return Client(f"unix://{path}")
        except OSError:
            time.sleep(0.02)
    raise AssertionError("nobody listens")


def test_a_failing_method_ends_the_process_with_a_traceback_and_a_status(folder: Path) -> None:
    path = folder / "abci.sock"
    command = [sys.executable, "-c", MAIN, f"unix://{path}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            client = connect_soon(path)
            client.send(check_tx(b"x"))
            assert client.receive() is None
            client.close()
            output, errors = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    assert process.returncode == 1 and output == b""
    assert b"check_tx raised RuntimeError: broken" in errors and b"Traceback" in errors
    assert not path.exists()
