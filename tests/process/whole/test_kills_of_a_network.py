"""kill -9 of any process of a whole network, one, some or all at once: nothing committed is lost, and it goes on."""

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from abci_app.pb import query_pb2
from testnet.processes.spawn import load_identities
from tests.kit.process.local_network import LocalNetwork, Mark, Validator, read_log, wait_all

ALL = range(4)
RETURN_TIMEOUT_S = 60.0
SEED = 20_240_607
RANDOM_KILLS = 8
PAUSE_S_MAX = 1.5


def read_decisions(node: Validator) -> list[bytes]:
    """Every decision a node has committed, serialized, by sequence."""
    request = query_pb2.DecisionsRequest(from_sequence=1, limit=500)
    return [decision.SerializeToString() for decision in node.query.Decisions(request, timeout=5).decisions]


class Before:
    """What was committed at a moment: app hashes and decisions."""

    def __init__(self, network: LocalNetwork) -> None:
        self._network = network
        self.decisions = max((read_decisions(node) for node in network.nodes), key=len)
        self.height = min(node.height() for node in network.nodes)
        (self.app_hash,) = network.app_hashes(self.height - 1, ALL)

    def check_kept(self) -> None:
        """All nodes have all of it, agree on everything since, and go on."""
        network = self._network
        network.wait_height(self.height, ALL, RETURN_TIMEOUT_S)
        height = network.height()
        network.wait_height(height + 3, ALL, RETURN_TIMEOUT_S)
        assert network.app_hashes(self.height - 1, ALL) == {self.app_hash}
        assert len(network.app_hashes(height + 1, ALL)) == 1
        for node in network.nodes:
            assert read_decisions(node)[:len(self.decisions)] == self.decisions


def test_an_application_is_killed(network: LocalNetwork) -> None:
    """Its engine ends too, the supervisor starts both anew, and the store is where it was."""
    before, mark, node = Before(network), Mark.now(network), network.nodes[1]
    transfer = network.send("USDC", 31)
    pids = {part: node.pid(part) for part in ("supervisor", "app", "cometbft")}
    network.kill("node1-app")
    before.check_kept()
    assert node.pid("supervisor") == pids["supervisor"]
    assert node.pid("app") != pids["app"] and node.pid("cometbft") != pids["cometbft"]
    assert mark.since(node, "node started")[0]["height"] >= before.height
    network.wait_step(transfer, "executed")


def test_an_engine_is_killed(network: LocalNetwork) -> None:
    """The application stays and serves the next engine."""
    before, node = Before(network), network.nodes[2]
    transfer = network.send("USDC", 32)
    pids = {part: node.pid(part) for part in ("app", "cometbft")}
    network.kill("node2-cometbft")
    before.check_kept()
    assert node.pid("app") == pids["app"] and node.pid("cometbft") != pids["cometbft"]
    network.wait_step(transfer, "executed")


def test_a_supervisor_is_killed(network: LocalNetwork) -> None:
    """Both children go with it, so that no second pair can start beside them; ``start`` brings all three back."""
    before = Before(network)
    network.kill("node3")
    children = ("node3-app", "node3-cometbft")
    wait_all({name: partial(is_gone, network, name) for name in children}, RETURN_TIMEOUT_S, network.tails)
    network.wait_step(network.send("USDC", 33), "decided")
    network.command("start", "node3")
    before.check_kept()


@pytest.mark.parametrize("moment", ["bid", "decided"])
def test_all_eight_are_killed_at_once(network: LocalNetwork, moment: str) -> None:
    """Mempools are gone with them; what was signed or decided before is carried on, none of it twice."""
    before = Before(network)
    transfer = network.send("DAI", 36)
    if moment == "bid":
        wanted = f"0x{transfer.sent.transfer_id.hex()}"
        log = network.layout.logs / "router0.jsonl"
        wait_all(
            {"a bid": lambda: any(line["transfer_id"] == wanted for line in read_log(log, "bid"))},
            RETURN_TIMEOUT_S, network.tails,
        )
    else:
        network.wait_step(transfer, moment)
    mark, heights = Mark.now(network), {node.name: node.height() for node in network.nodes}
    kill_validators(network)
    with ThreadPoolExecutor(len(ALL)) as pool:
        list(pool.map(lambda node: network.command("start", node.name), network.nodes))
    before.check_kept()
    for node in network.nodes:  # what was on disk, before any peer could help
        assert mark.since(node, "node started")[0]["height"] >= heights[node.name] > 0
    network.wait_step(transfer, "executed")


def kill_validators(network: LocalNetwork) -> None:
    """kill -9 of every supervisor, application and engine, within a millisecond."""
    found = load_identities(network.layout.pids)
    names = [name for name in found if name.startswith("node")]
    assert len(names) == 12
    # Supervisors first: none may bring back what is killed next. Their children die with them, or here.
    for name in sorted(names, key=lambda name: "-" in name):
        try:
            os.kill(found[name].pid, signal.SIGKILL)
        except ProcessLookupError:
            assert "-" in name
    wait_all(
        {name: partial(is_gone, network, name) for name in names}, RETURN_TIMEOUT_S, network.tails,
    )


def is_gone(network: LocalNetwork, name: str) -> bool:
    """Whether a process has ended."""
    return not network.runs(name)


def test_random_kills_of_any_pair(network: LocalNetwork) -> None:
    """Applications and engines at random moments, the same one again or another before the last is back."""
    chance, before = random.Random(SEED), Before(network)
    transfers = []
    for count in range(RANDOM_KILLS):
        name = f"node{chance.randrange(4)}-{chance.choice(['app', 'cometbft'])}"
        if network.runs(name):
            network.kill(name)
        if count % 3 == 0:
            transfers.append(network.send("USDC", 41 + count))
        time.sleep(chance.uniform(0.0, PAUSE_S_MAX))
    for transfer in transfers:
        network.wait_step(transfer, "executed", 90.0)
    before.check_kept()


def test_a_router_is_killed_right_after_it_signed(network: LocalNetwork) -> None:
    """Its bid stands without it; back again it knows what it signed, and bids on."""
    log = network.layout.logs / "router1.jsonl"
    transfer = network.send("USDC", 51)
    wanted = f"0x{transfer.sent.transfer_id.hex()}"
    wait_all(
        {"a bid": lambda: any(line["transfer_id"] == wanted for line in read_log(log, "bid"))},
        RETURN_TIMEOUT_S, network.tails,
    )
    network.kill("router1")
    network.wait_step(transfer, "executed")
    size = log.stat().st_size
    network.command("start", "router1")
    second = network.send("USDC", 52)
    network.wait_step(second, "executed")
    bids = [line["transfer_id"] for line in read_log(log, "bid", size)]
    assert bids.count(f"0x{second.sent.transfer_id.hex()}") == 1
    assert wanted not in bids
