"""endpoints.json names living processes only, and is renewed only where it is there."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from abci_app.machine.state.codec import Address
from testnet.connext.deployment import Deployment, DomainDeployment, to_json
from testnet.network import endpoints
from testnet.network.layout import CHAIN_DOMAINS, Layout, Manifest
from testnet.processes.spawn import Identity, end, save_identity, spawn_known
from testnet.processes.supervise import PARTS

SOMEBODY = Address(b"\x01" * 20)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    domains = tuple(
        DomainDeployment(domain, 31337 + at, 15000 + at, SOMEBODY, SOMEBODY, SOMEBODY, SOMEBODY, {}, 1)
        for at, domain in enumerate(CHAIN_DOMAINS)
    )
    deployment = Deployment(domains, CHAIN_DOMAINS[0], SOMEBODY, SOMEBODY, SOMEBODY, SOMEBODY, (), 20_000, 4)
    made = Layout(tmp_path, Manifest(15000, 2))
    made.deployment.write_text(to_json(deployment))
    endpoints.save_gates(made, dict.fromkeys(CHAIN_DOMAINS, SOMEBODY))
    return made


@pytest.fixture
def sleeper(layout: Layout) -> Iterator[Identity]:
    identity = spawn_known(layout.pids, "node0-app", ["sleep", "60"], layout.logs / "node0-app.jsonl")
    yield identity
    end([identity])


def read(layout: Layout) -> dict[str, list[dict[str, object]]]:
    described: dict[str, list[dict[str, object]]] = json.loads(layout.endpoints.read_text())
    return described


def test_a_process_that_ended_has_no_pid(layout: Layout, sleeper: Identity) -> None:
    save_identity(layout.pids, Identity("node1", os.getpid(), 1))  # somebody else's PID by now
    save_identity(layout.pids, Identity("router0", 2**22 + 1, 5))
    endpoints.refresh(layout)
    described = read(layout)
    assert [entry["pids"] for entry in described["validators"]] == [
        {"supervisor": None, "app": sleeper.pid, "cometbft": None}, dict.fromkeys(("supervisor", *PARTS)),
    ]
    assert described["routers"][0]["pid"] is None

    end([sleeper])
    endpoints.renew(layout)
    assert read(layout)["validators"][0]["pids"] == dict.fromkeys(("supervisor", *PARTS))


def test_a_network_that_is_not_ready_does_not_become_so_by_a_part(layout: Layout, sleeper: Identity) -> None:
    endpoints.renew(layout)
    assert not layout.endpoints.exists()
