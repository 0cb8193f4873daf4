"""Ports for tests and benchmarks: free, different, and not those that outgoing connections take."""

import socket
from pathlib import Path

from testnet.processes.ports import END, FIRST, find_free_ports, is_port_free


def test_ports_are_free_different_and_handed_out_once():
    first, second = find_free_ports(20), find_free_ports(20)
    assert len({*first, *second}) == 40
    assert all(FIRST <= port < END and is_port_free(port) for port in first + second)


def test_a_port_that_is_listened_on_is_not_free():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", find_free_ports(1)[0]))
        taken.listen()
        assert not is_port_free(taken.getsockname()[1])


def test_the_kernel_takes_none_of_them_for_outgoing_connections():
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert low >= END
