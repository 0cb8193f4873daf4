"""`routerd supervise` with a real node and the real CometBFT: blocks go on whoever is killed; at the end both end."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from testnet.processes.spawn import start_ticks
from tests.kit.process.cometbft import binary
from tests.kit.process.counter_network import Network, make_network
from tests.kit.process.processes import Process, python, wait_until

RESTART_TIMEOUT_S = 60.0
END_TIMEOUT_S = 20.0


@pytest.fixture
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        yield make_network(stack, powers=(1,))


@pytest.fixture
def supervisor(network: Network) -> Iterator[Process]:
    [node] = network.nodes
    process = Process("supervisor", python(
        "-m", "abci_app.cli.main", "supervise", "--home", str(node.home), "--engine-home", str(node.engine_home),
        "--cometbft", str(binary()),
    ), network.folder / "supervisor.log")
    try:
        process.start()
        yield process
    finally:
        process.stop()


def pids(supervisor: Process) -> dict[str, int]:
    """The PID of each of the two, by the last line that names it."""
    lines = supervisor.log.read_text().splitlines() if supervisor.log.exists() else []
    printed = [json.loads(line.removeprefix("supervisor | ")) for line in lines if line.startswith("supervisor | {")]
    return {one["part"]: one["pid"] for one in printed if one["event"] == "started"}


def wait_restarted(supervisor: Process, before: dict[str, int], parts: set[str]) -> None:
    """Until exactly these have another PID, and run."""
    wait_until(
        lambda: {part for part, pid in pids(supervisor).items() if pid != before[part]} == parts,
        RESTART_TIMEOUT_S, f"{parts} do not start anew", supervisor,
    )
    assert all(map(start_ticks, pids(supervisor).values()))


def test_blocks_go_on_whoever_of_the_two_is_killed(network: Network, supervisor: Process) -> None:
    [node] = network.nodes
    node.wait_height(2)
    both, engine_alone = {"node", "cometbft"}, {"cometbft"}
    for victim, restarted in (("node", both), ("cometbft", engine_alone), ("node", both)):
        before, height = pids(supervisor), network.height()
        os.kill(before[victim], signal.SIGKILL)
        wait_restarted(supervisor, before, restarted)
        node.wait_height(height + 2)

    last = pids(supervisor)
    begun = time.monotonic()
    assert supervisor.stop() == 0
    assert time.monotonic() - begun < END_TIMEOUT_S
    assert not any(map(start_ticks, last.values()))
    lines = supervisor.log.read_text().splitlines()
    assert {line.partition(" | ")[0] for line in lines} == {"node", "cometbft", "supervisor"}
    assert json.loads(lines[-1].removeprefix("node | "))["event"] == "node stopped", "the engine ends first"
