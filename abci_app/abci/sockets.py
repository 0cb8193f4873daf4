"""Addresses of the form unix:///path and tcp://host:port, and listening sockets for them."""

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from abci_app.abci.errors import AddressError, AddressInUse

UNIX_PATH_BYTES_MAX = 107
"""Of Linux's sockaddr_un: 108 with the closing zero."""
UNIX_MODE = 0o600
"""Whoever can connect can decide blocks, so only the own user may."""
PROBE_TIMEOUT_S = 1.0
"""A live server's kernel answers a connect at once, however busy the process is."""
BACKLOG = 128


def listen(address: str) -> socket.socket:
    """Return a listening, non-blocking socket. Raises AddressError, or AddressInUse where another process listens."""
    path = parse_unix_path(address)
    return listen_unix(path) if path is not None else listen_tcp(*tcp_endpoint(address))


def parse_unix_path(address: str) -> Path | None:
    """Return the path of a unix:// address, None for a tcp:// one. Raises AddressError for anything else."""
    if address.startswith("tcp://"):
        return None
    path = address.removeprefix("unix://")
    if path == address or not path:
        raise AddressError(f"{address!r}: use unix:///path/to/socket or tcp://host:port")
    if len(os.fsencode(path)) > UNIX_PATH_BYTES_MAX:
        raise AddressError(f"{address!r}: a socket's path has at most {UNIX_PATH_BYTES_MAX} bytes")
    return Path(path)


def tcp_endpoint(address: str) -> tuple[str, int]:
    """Return (host, port) of a tcp:// address. Raises AddressError."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(f"{address!r}: {error}") from error
    if host is None or port is None or parts.path or parts.query or parts.username:
        raise AddressError(f"{address!r}: use tcp://host:port")
    return host, port


def listen_tcp(host: str, port: int) -> socket.socket:
    """Listen on host:port; port 0 selects a free one."""
    try:
        family, kind, protocol, _, endpoint = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return _listen(socket.socket(family, kind, protocol), endpoint)
    except OSError as error:
        raise _address_error(_tcp_address(host, port), error) from error


def listen_unix(path: Path) -> socket.socket:
    """Listen on path; replace the socket of an ended server, never that of a running one or a file."""
    try:
        if os.path.lexists(path):
            remove_stale(path)
        return _listen(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), str(path))
    except OSError as error:
        raise _address_error(f"unix://{path}", error) from error


def remove_stale(path: Path) -> None:
    """Unlink the socket at path if nobody listens. Raises AddressInUse or AddressError otherwise, and leaves it."""
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise AddressError(f"unix://{path}: exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:  # e.g. a full backlog: somebody is there
            raise AddressInUse(f"unix://{path}: address in use ({error})") from error
    raise AddressInUse(f"unix://{path}: address in use")


def bound_address(listener: socket.socket) -> str:
    """Return the address that a client connects to; of tcp, the port that was really taken."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix://{name}"
    return _tcp_address(*name[:2])


def _tcp_address(host: str, port: int) -> str:
    """Return tcp://host:port, an IPv6 host in brackets."""
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def _listen(listener: socket.socket, endpoint: str | tuple[Any, ...]) -> socket.socket:
    """Bind to a path or to getaddrinfo's endpoint, and listen; close the socket if that fails."""
    try:
        listener.setblocking(False)
        if isinstance(endpoint, str):
            listener.bind(endpoint)
            os.chmod(endpoint, UNIX_MODE)  # before listen: nobody can have connected yet
        else:
            # A server that comes back must not wait for its predecessor's closed connections.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(endpoint)
        listener.listen(BACKLOG)
        return listener
    except BaseException:
        listener.close()
        raise


def _address_error(address: str, error: OSError) -> AddressError:
    """Return the operating system's refusal in one line that names the address."""
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(f"{address}: address in use")
    return AddressError(f"{address}: {error.strerror or error}")
