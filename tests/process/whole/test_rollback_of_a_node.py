"""A validator is rolled back by one height, application and engine, and joins its running network again."""

import pytest

from tests.kit.process.local_network import LocalNetwork, run_engine, run_routerd

ALL = range(4)
ROLLED_BACK = 1
RETURN_TIMEOUT_S = 90.0


@pytest.mark.parametrize("flags", [(), ("--hard",)], ids=["plain", "hard"])
def test_a_rolled_back_validator_joins_again(network: LocalNetwork, flags: tuple[str, ...]) -> None:
    """Plain: the engine executes its last block anew. Hard: that block is gone too and comes from the others."""
    node = network.nodes[ROLLED_BACK]
    network.wait_step(network.send("USDC", 81), "executed")
    before = network.height()
    network.wait_height(before, ALL)
    network.command("stop", node.name)
    run_engine("rollback", *flags, "--home", str(node.place.engine_home))
    assert "rolled back from height" in run_routerd("rollback", "--home", str(node.place.app_home))
    network.command("start", node.name)
    after = network.height()
    network.wait_height(after + 3, ALL, RETURN_TIMEOUT_S)
    assert len(network.app_hashes(before - 1, ALL)) == 1
    assert len(network.app_hashes(after + 1, ALL)) == 1
    network.wait_step(network.send("USDC", 82), "executed")
