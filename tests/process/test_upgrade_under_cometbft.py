"""ORD-6 with real CometBFT: three validators install the next release before its height, the fourth after it."""

from contextlib import ExitStack

from abci_app.machine.upgrades import APP_VERSION
from tests.kit.process.counter_network import Node, make_network
from tests.kit.process.local_network import run_engine, run_routerd
from tests.kit.process.processes import Process, python, wait_until
from tests.kit.process.upgraded_node import HEIGHT, NEXT_VERSION

MODULE = "tests.kit.process.upgraded_node"
STOP_TIMEOUT_S = 60.0


def header_version(node: Node, height: int) -> int:
    return int(node.engine.rpc("block", height=str(height))["block"]["header"]["version"]["app"])


def test_a_network_goes_over_at_a_height_and_who_is_late_follows() -> None:
    with ExitStack() as stack:
        network = make_network(stack, modules={0: MODULE, 1: MODULE, 2: MODULE})
        late = network.nodes[3]
        network.start()
        network.wait_above(HEIGHT + 1, nodes=[0, 1, 2])
        first = network.nodes[0]
        assert [header_version(first, height) for height in (1, HEIGHT - 1, HEIGHT, HEIGHT + 1)] == [
            APP_VERSION, APP_VERSION, NEXT_VERSION, NEXT_VERSION,
        ]

        # The late one executed the block before by the old rules and takes no header after it.
        wait_until(
            lambda: "wrong Block.Header.Version" in late.engine.process.tail(400), STOP_TIMEOUT_S,
            "the late engine refuses nothing", late.app,
        )
        chain = late.chain()
        assert chain is not None and (chain.height, chain.app_version) == (HEIGHT - 1, APP_VERSION)

        # Both stores one block back, then the release.
        late.kill()
        run_engine("rollback", "--home", str(late.engine_home))
        assert "rolled back from height" in run_routerd("rollback", "--home", str(late.home))
        command = python("-m", MODULE, str(late.home), str(late.observed))
        late.app = Process(late.name, command, late.log).stopped_by(stack)
        late.start()
        network.wait_above(network.height())
        chain = late.chain()
        assert chain is not None and chain.app_version == NEXT_VERSION

        # A node that is killed after the height goes on with the version that its state holds.
        first.kill()
        first.start()
        network.wait_above(network.height())
        assert len(network.app_hashes(network.height() - 1)) == 1
        assert len(network.app_hashes(HEIGHT)) == 1
