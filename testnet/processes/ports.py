"""Ports that nobody takes meanwhile: free, handed out once, outside the kernel's range for outgoing connections.

A port that is merely free may be some connection's own, or another test run's, by the time its server binds it. So a
process takes blocks of a hundred ports for as long as it lives, and hands out what is free of them.
"""

import atexit
import secrets
import socket

FIRST, END = 10_000, 27_000
"""Below the ephemeral ports (32768 on) and below the testnet's default base port."""

BLOCK_PORTS = 100
"""As many as a network of the testnet may take from its base port on."""

_left: list[int] = []


def find_free_port() -> int:
    """Return one port of `find_free_ports`."""
    return find_free_ports(1)[0]


def find_free_ports(count: int) -> list[int]:
    """Return free ports of 127.0.0.1, none handed out before by this process or another that lives."""
    found: list[int] = []
    while len(found) < count:
        if not _left:
            _left.extend(reversed(claim_block()))
        port = _left.pop()
        if is_port_free(port):
            found.append(port)
    return found


def find_base_port() -> int:
    """Return the first of a hundred ports for one network, all free and its own while this process lives."""
    while True:
        block = claim_block()
        if all(map(is_port_free, block)):
            return block[0]


def claim_block() -> range:
    """Take a block of ports that no other process takes while this one lives; raises OSError when none is left.

    The claim is a socket with an abstract name: the kernel gives it to one process and frees it however that ends.
    """
    blocks = range(FIRST, END, BLOCK_PORTS)
    start = secrets.randbelow(len(blocks))
    for step in range(len(blocks)):
        first = blocks[(start + step) % len(blocks)]
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0consensus-routing-ports-{first}")
        except OSError:
            claim.close()
            continue
        atexit.register(claim.close)
        return range(first, first + BLOCK_PORTS)
    raise OSError(f"no {BLOCK_PORTS} ports are left from {FIRST} to {END}")


def is_port_free(port: int) -> bool:
    """Tell whether nobody listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
