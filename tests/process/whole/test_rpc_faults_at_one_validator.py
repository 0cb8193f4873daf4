"""One validator's chain endpoint lags, lies, hangs or is away: it falls silent with a reason, and decisions go on."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from abci_app.evm.connext_events import TOPICS
from abci_app.machine.observation.extension import decode_commit, parse_extension
from testnet.chains.anvil import rpc_url
from tests.kit.evm.rpc_proxy import Faults, RpcProxy
from tests.kit.process.local_network import FIRST, SECOND, LocalNetwork, Mark, Validator, wait_all

VICTIM = 2
SECOND_VICTIM = 3
RECOVERY_TIMEOUT_S = 60.0
LAG_BLOCKS = 60
BLOCKS_MAX = 10_000


@dataclass
class Setting:
    """A network of which one validator sees the first chain through a proxy."""

    network: LocalNetwork
    proxy: RpcProxy


@pytest.fixture(scope="module")
def setting(network: LocalNetwork) -> Iterator[Setting]:
    """Last of this folder: the proxy goes with this module, and the eyes of two validators with it."""
    with RpcProxy(rpc_url(network.layout.chain_port(FIRST))) as proxy:
        network.restart(VICTIM, rpc_urls={FIRST: [proxy.url]})
        network.wait_height(network.height() + 1, [VICTIM])
        yield Setting(network, proxy)


def lag(faults: Faults) -> None:
    faults.lag_blocks = LAG_BLOCKS


def lie_in_logs(faults: Faults) -> None:
    faults.lie_logs = True


def drop_logs(faults: Faults) -> None:
    faults.drop_topic0 = TOPICS["XCalled"]


def change_hashes(faults: Faults) -> None:
    """Every block from here on has another hash, wherever it is named."""
    faults.changed_hashes = {number: f"0x{number:064x}" for number in range(BLOCKS_MAX)}


def go_away(faults: Faults) -> None:
    faults.is_absent = True


FAULTS: dict[str, tuple[Callable[[Faults], None], set[str]]] = {
    "lags": (lag, {"rpc-behind-cursor"}),
    "lies in logs": (lie_in_logs, {"log-not-in-receipts"}),
    "drops a log": (drop_logs, {"log-missing"}),
    "changes final hashes": (change_hashes, {"final-hash-changed", "cursor-not-canonical"}),
    "hangs": (Faults.hang, {"rpc-unavailable"}),
    "is away": (go_away, {"rpc-unavailable"}),
}
"""What goes wrong, and one of the reasons that the victim's log must then give."""


@pytest.mark.parametrize("fault", FAULTS)
def test_decisions_go_on_while_one_endpoint(setting: Setting, fault: str) -> None:
    network, (corrupt, causes) = setting.network, FAULTS[fault]
    mark, height = Mark.now(network), network.height()
    victim = network.nodes[VICTIM]
    try:
        corrupt(setting.proxy.faults)
        transfer = network.send("USDC", 21)
        network.wait_step(transfer, "executed")

        wait_all({"a reason": lambda: bool(read_causes(mark, victim) & causes)}, RECOVERY_TIMEOUT_S, lambda: str(
            mark.since(victim, "waiting")))
    finally:
        setting.proxy.faults.behave()
    for node in network.nodes:
        if node is not victim:
            assert mark.since(node, "waiting") == []
    wait_all({"reports again": partial(speaks, setting, network.height())}, RECOVERY_TIMEOUT_S, network.tails)
    last = network.height()
    assert last >= height + 5
    assert len(network.app_hashes(last - 1, range(4))) == 1


def test_two_that_are_lied_to_alike_hold_up_one_chain_until_they_are_told_the_truth(setting: Setting) -> None:
    """Two of four never see an xcall, and nothing gives the lie away: no digest can be agreed, and nobody guesses."""
    network, faults = setting.network, setting.proxy.faults
    network.restart(SECOND_VICTIM, rpc_urls={FIRST: [setting.proxy.url]})
    network.wait_height(network.height() + 1, [SECOND_VICTIM])
    mark, height = Mark.now(network), network.height()
    try:
        faults.drop_topic0, faults.drop_everywhere = TOPICS["XCalled"], True
        held_up = network.send("USDC", 22)
        wait_all(
            {f"alarm at {node.name}": partial(is_alarmed, mark, node) for node in network.nodes},
            RECOVERY_TIMEOUT_S, network.tails,
        )
        other = network.send("DAI", 23, SECOND, FIRST)
        network.wait_step(other, "attested")  # its execution happens on the chain that nobody is sure about
        assert held_up.seen_s == {}
    finally:
        faults.behave()
    for transfer in (held_up, other):  # which needs at least one of those that were lied to
        network.wait_step(transfer, "executed")
    last = network.height()
    assert last >= height + 10
    assert len(network.app_hashes(last - 1, range(4))) == 1


def is_alarmed(mark: Mark, node: Validator) -> bool:
    """Whether a node said that a segment of the first chain cannot be agreed."""
    wanted = {"reason": "no digest can be agreed", "domain": str(FIRST)}
    return any(wanted.items() <= line["attributes"].items() for line in mark.since(node, "alarm"))


def read_causes(mark: Mark, victim: Validator) -> set[str]:
    """Why the victim said nothing about the first chain since a moment."""
    return {line["cause"] for line in mark.since(victim, "waiting") if line["domain"] == FIRST}


def speaks(setting: Setting, height: int) -> bool:
    """Whether a block above height carries the victim's report for the first chain, and another's of the same."""
    reader, victim = setting.network.nodes[0], setting.network.nodes[VICTIM]
    for at in range(height + 1, reader.height() + 1):  # no higher: its engine would have no such block yet
        given = read_reports(reader, at)
        own = given.pop(victim.address, set())
        if any(own & other for other in given.values()):
            return True
    return False


def read_reports(node: Validator, height: int) -> dict[str, set[tuple[int, bytes]]]:
    """(segment, digest) that each validator reports for the first chain in a block's injected commit."""
    block = node.rpc("block", height=str(height))["block"]
    entries = decode_commit(base64.b64decode(block["data"]["txs"][0])).entries
    voters = [vote["address"].lower() for vote in node.rpc("validators", height=str(height - 1))["validators"]]
    given: dict[str, set[tuple[int, bytes]]] = {}
    for voter, entry in zip(voters, entries, strict=True):
        extension = parse_extension(entry.extension)
        for report in extension.reports if extension is not None else ():
            if report.domain == FIRST:
                given[voter] = {(report.first + place, digest) for place, digest in enumerate(report.digests)}
    return given
