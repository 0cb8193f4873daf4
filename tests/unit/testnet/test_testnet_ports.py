"""Ports for tests and benchmarks: free, different, and not those that outgoing connections take."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from testnet.processes import ports
from testnet.processes.ports import BLOCK_PORTS, END, FIRST, claim_block, find_base_port, find_free_ports, is_port_free

OTHER = "import json; from testnet.processes.ports import find_free_ports; print(json.dumps(find_free_ports(50)))"


def test_ports_are_free_different_and_handed_out_once():
    first, second = find_free_ports(20), find_free_ports(20)
    assert len({*first, *second}) == 40
    assert all(FIRST <= port < END and is_port_free(port) for port in first + second)


def test_a_port_that_is_listened_on_is_not_free():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", find_free_ports(1)[0]))
        taken.listen()
        assert not is_port_free(taken.getsockname()[1])


def test_more_ports_than_a_block_has_are_different_too():
    found = find_free_ports(2 * BLOCK_PORTS + 1)
    assert len(set(found)) == 2 * BLOCK_PORTS + 1


def test_another_process_takes_none_of_ours_while_we_live(monkeypatch):
    """A process that may take our block only gets nothing; one that may take any gets another."""
    monkeypatch.setattr(ports, "_left", [])
    [ours] = find_free_ports(1)
    mine = (ours - FIRST) // BLOCK_PORTS
    limits = f"import testnet.processes.ports as p; p.FIRST = {FIRST + mine * BLOCK_PORTS}; p.END = p.FIRST + 100; "
    refused = subprocess.run([sys.executable, "-c", limits + OTHER], capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0 and "no 100 ports are left" in refused.stderr
    other = subprocess.run([sys.executable, "-c", OTHER], capture_output=True, text=True, timeout=60, check=True)
    assert all((port - FIRST) // BLOCK_PORTS != mine for port in json.loads(other.stdout))


def test_a_process_that_ended_leaves_its_block(monkeypatch):
    taken = subprocess.run([sys.executable, "-c", OTHER], capture_output=True, text=True, timeout=60, check=True)
    first = json.loads(taken.stdout)[0] // BLOCK_PORTS * BLOCK_PORTS
    monkeypatch.setattr(ports, "FIRST", first)
    monkeypatch.setattr(ports, "END", first + BLOCK_PORTS)
    assert claim_block() == range(first, first + BLOCK_PORTS)
    with pytest.raises(OSError, match="no 100 ports are left"):
        claim_block()


def test_a_base_port_has_a_hundred_free_ports():
    base = find_base_port()
    assert all(map(is_port_free, range(base, base + BLOCK_PORTS)))
    assert not set(find_free_ports(20)) & set(range(base, base + BLOCK_PORTS))


def test_the_kernel_takes_none_of_them_for_outgoing_connections():
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert low >= END
