"""Outages of other kinds: a node or a chain that stands still, a disk that is full, a store from a backup."""

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from abci_app.pb import query_pb2
from testnet.processes.spawn import load_identities
from tests.kit.process.full_disk_node import ENDED
from tests.kit.process.local_network import FIRST, SECOND, LocalNetwork, Mark, wait_all

ALL = range(4)
TIMEOUT_S = 60.0
STILL_HEIGHTS = 12


@contextmanager
def standing_still(network: LocalNetwork, names: Sequence[str]) -> Iterator[None]:
    """These processes do nothing, and answer nobody."""
    pids = [load_identities(network.layout.pids)[name].pid for name in names]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def check_all_agree(network: LocalNetwork) -> None:
    """Every node goes on, with the same state."""
    height = network.height()
    network.wait_height(height + 3, ALL)
    assert len(network.app_hashes(height + 1, ALL)) == 1


def test_a_validator_stands_still_and_wakes(network: LocalNetwork) -> None:
    with standing_still(network, ["node3-app", "node3-cometbft"]):
        network.wait_step(network.send("USDC", 71), "executed")
    check_all_agree(network)


def test_both_chains_stand_still_and_wake(network: LocalNetwork) -> None:
    """Blocks go on without anything to decide; what was called before is decided afterwards."""
    transfers = [network.send("USDC", 72), network.send("DAI", 73, SECOND, FIRST)]
    mark, height = Mark.now(network), network.height()
    with standing_still(network, [f"chain{FIRST}", f"chain{SECOND}"]):
        network.wait_height(height + STILL_HEIGHTS, ALL)
    for transfer in transfers:
        network.wait_step(transfer, "executed")
    check_all_agree(network)
    for node in network.nodes:
        assert {line["cause"] for line in mark.since(node, "waiting")} <= {"rpc-unavailable"}


def test_a_full_disk_ends_a_node_and_corrupts_nothing(network: LocalNetwork) -> None:
    """A block that cannot be written is not committed; with room again the node goes on from the last that was."""
    node = network.nodes[3]
    network.restart(3, "tests.kit.process.full_disk_node")
    ended = node.place.app_home / ENDED
    wait_all({"it ends": ended.exists}, TIMEOUT_S, network.tails)
    assert str(node.place.app_home / "data") in ended.read_text()
    network.wait_step(network.send("USDC", 74), "executed")
    mark = Mark.now(network)
    network.restart(3)
    wait_all({"it starts": partial(has_started, mark, network)}, TIMEOUT_S, network.tails)
    check_all_agree(network)


def test_a_stopped_validator_catches_up_and_an_older_copy_of_its_store_too(network: LocalNetwork) -> None:
    """First from its peers; then, with a store from a backup, by executing its engine's own blocks again."""
    node = network.nodes[3]
    data, copy = node.place.app_home / "data", node.place.home / "backup"
    network.command("stop", node.name)
    shutil.copytree(data, copy)
    transfer = network.send("DAI", 75)
    network.wait_step(transfer, "executed")
    network.command("start", node.name)
    check_all_agree(network)
    network.command("stop", node.name)
    shutil.rmtree(data)
    copy.rename(data)
    mark = Mark.now(network)
    network.command("start", node.name)
    check_all_agree(network)
    assert mark.since(node, "node started")[0]["height"] < transfer.decided_height
    request = query_pb2.TransferRequest(transfer_id=transfer.sent.transfer_id)
    own, others = (each.query.Transfer(request, timeout=5).transfer for each in (node, network.nodes[0]))
    assert own == others and own.attempts[0].decided_height == transfer.decided_height


def has_started(mark: Mark, network: LocalNetwork) -> bool:
    """Whether the last node says that it runs."""
    return bool(mark.since(network.nodes[3], "node started"))


