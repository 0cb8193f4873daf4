"""A faulty proposer among four real validators: refused with the right code, or taken without effect; all goes on."""

import base64
from collections.abc import Mapping
from functools import partial

import pytest

from abci_app.machine.codes import Code
from testnet.connext.deployment import dev_account
from tests.kit.byzantine.accepted_faults import ACCEPTED_FAULTS
from tests.kit.byzantine.commit_faults import COMMIT_FAULTS, TX_FAULTS
from tests.kit.byzantine.faulty_network import FaultyNetwork, Watch
from tests.kit.byzantine.faulty_node import OVERSIZED, Orders
from tests.kit.byzantine.segment_faults import SEGMENT_FAULTS, Fault
from tests.kit.process.junk import list_kinds, make_id
from tests.kit.process.local_network import Validator, wait_all

REFUSALS_TIMEOUT_S = 100.0
GOSSIPED = 200
GROUPS = {"segments": SEGMENT_FAULTS, "commits": COMMIT_FAULTS, "transactions": TX_FAULTS}


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_a_wrong_proposal_is_refused_with_its_code(network: FaultyNetwork, group: str) -> None:
    faults: Mapping[str, tuple[Code, Fault]] = GROUPS[group]
    before = {node.name: node.counters() for node in network.honest}
    watch = network.order(Orders(proposals=list(faults)))
    transfer = network.network.send("USDC", 5)

    expected = {f"{fault} at {node.name}": partial(is_refused, watch, fault, node)
                for fault in faults for node in network.honest}
    wait_all(expected, REFUSALS_TIMEOUT_S, network.network.tails)
    for node in network.honest:
        refusals = watch.refusals(node)
        found = {(fault, refusals[height]) for height, fault in watch.done() if height in refusals}
        assert found == {(fault, code.name) for fault, (code, _) in faults.items()}
        counters = node.counters()
        for code in {code for code, _ in faults.values()}:
            name = f"proposals_refused_{code.name}"
            assert counters[name] > before[node.name].get(name, 0)
    assert watch.wrongly_refused() == []
    network.network.wait_step(transfer, "executed")
    watch.check_agreement()


def test_what_is_no_reason_to_refuse_a_block_has_no_effect(network: FaultyNetwork) -> None:
    watch = network.order(Orders(proposals=list(ACCEPTED_FAULTS)))
    transfer = network.network.send("USDC", 6)
    expected = {fault: partial(watch.was_done, fault) for fault in ACCEPTED_FAULTS}
    wait_all(expected, REFUSALS_TIMEOUT_S, network.network.tails)
    network.network.wait_step(transfer, "executed")
    watch.check_agreement()
    assert watch.wrongly_refused() == []
    for node in network.honest:
        assert watch.refusals(node) == {}
    (height,) = watch.heights("junk transactions")[:1]
    assert [code for code in codes_of(network, height) if code] == [13, 11, 10, 13, 11]


@pytest.mark.slow
def test_a_proposer_that_overfills_its_block_stops_only_itself(network: FaultyNetwork) -> None:
    watch = network.order(Orders(proposals=[OVERSIZED]))
    transfer = network.network.send("DAI", 7)
    wait_all({OVERSIZED: partial(watch.was_done, OVERSIZED)}, REFUSALS_TIMEOUT_S, network.network.tails)
    network.network.wait_step(transfer, "executed")
    watch.check_agreement()
    assert "transaction data size exceeds maximum" in network.faulty.engine_log_path.read_text()
    network.recover()


def is_refused(watch: Watch, fault: str, node: Validator) -> bool:
    """Whether a node refused a block in which this was done."""
    refusals = watch.refusals(node)
    return any(height in refusals for height in watch.heights(fault))


def codes_of(network: FaultyNetwork, height: int) -> list[int]:
    """The result codes of a block's transactions, the same at every honest node."""
    results = [node.rpc("block_results", height=str(height))["txs_results"] or [] for node in network.honest]
    codes = [[each["code"] for each in result] for result in results]
    assert codes[0] == codes[1] == codes[2]
    return codes[0]


def test_junk_that_a_faulty_node_hands_on_is_refused_at_every_other_door(network: FaultyNetwork) -> None:
    """Its own door is open, so its engine gossips everything; its own blocks hold it, without effect."""
    watch = network.order(Orders(admits_all=True))
    before = {node.name: count_refused(node) for node in network.honest}
    router = dev_account("router-0")
    kinds = list_kinds(router, make_id(0), make_id(1))
    makers = [make for name, (_, make) in kinds.items() if name not in ("too large", "an empty bundle")]
    for number in range(GOSSIPED):
        tx = base64.b64encode(makers[number % len(makers)](number)).decode()
        network.faulty.rpc("broadcast_tx_async", tx=tx)
    transfer = network.network.send("USDC", 8)
    expected = {
        f"refused at {node.name}": partial(has_refused, node, before[node.name] + GOSSIPED // 2)
        for node in network.honest
    }
    wait_all(expected, REFUSALS_TIMEOUT_S, network.network.tails)
    network.network.wait_step(transfer, "executed")
    watch.check_agreement()
    assert watch.wrongly_refused() == []
    for node in network.honest:
        assert watch.refusals(node) == {}
        assert node.rpc("num_unconfirmed_txs")["total"] == "0"


def count_refused(node: Validator) -> int:
    """How many transactions a node's CheckTx has refused."""
    checked = {name: count for name, count in node.counters().items() if name.startswith("txs_checked_")}
    return sum(checked.values()) - checked.get("txs_checked_OK", 0)


def has_refused(node: Validator, count: int) -> bool:
    """Whether it has refused that many."""
    return count_refused(node) >= count
