"""Ports that nobody takes meanwhile: free, handed out once, outside the kernel's range for outgoing connections.

A port that is merely free may be some connection's own by the time its server binds it.
"""

import secrets
import socket

FIRST, END = 10_000, 27_000
"""Below the ephemeral ports (32768 on) and below the testnet's default base port."""

_given: set[int] = set()


def find_free_port() -> int:
    """One port of `find_free_ports`."""
    return find_free_ports(1)[0]


def find_free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all different, none handed out by this process before."""
    start = secrets.randbelow(END - FIRST)
    found: list[int] = []
    for step in range(END - FIRST):
        port = FIRST + (start + step) % (END - FIRST)
        if len(found) == count:
            break
        if port not in _given and is_port_free(port):
            found.append(port)
    if len(found) < count:
        raise OSError(f"no {count} free ports from {FIRST} to {END}")
    _given.update(found)
    return found


def is_port_free(port: int) -> bool:
    """Tell whether nobody listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
