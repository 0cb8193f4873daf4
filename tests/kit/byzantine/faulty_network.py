"""A local network whose last validator is faulty, and what the honest ones say about it."""

from collections.abc import Sequence

from tests.kit.byzantine.faulty_node import Orders, give_orders, read_done
from tests.kit.process.local_network import LocalNetwork, Mark, Validator

FAULTY = 3
MODULE = "tests.kit.byzantine.faulty_node"
HONEST = (0, 1, 2)
HEIGHTS = 10
"""By how much the chain must grow under every fault."""


class FaultyNetwork:
    """The network, with its faulty validator started."""

    def __init__(self, network: LocalNetwork) -> None:
        self.network = network
        self.recover()

    @property
    def faulty(self) -> Validator:
        return self.network.nodes[FAULTY]

    @property
    def honest(self) -> Sequence[Validator]:
        return [self.network.nodes[index] for index in HONEST]

    def recover(self) -> None:
        """Let the faulty validator, restarted without orders, catch up with the others."""
        give_orders(self.faulty.place.app_home, Orders())
        self.network.restart(FAULTY, MODULE)
        height = self.network.height()
        self.network.wait_height(height + 1, [FAULTY])
        assert len(self.network.app_hashes(height, range(4))) == 1

    def order(self, orders: Orders) -> "Watch":
        """Tell the faulty validator what to do from now on."""
        watch = Watch(self)
        give_orders(self.faulty.place.app_home, orders)
        return watch


class Watch:
    """What happened since some orders were given."""

    def __init__(self, network: FaultyNetwork) -> None:
        self._network = network
        self.mark = Mark.now(network.network)
        self.height = network.network.height()
        self._done_before = len(read_done(network.faulty.place.app_home))

    def done(self) -> list[tuple[int, str]]:
        """(height, fault) of every fault done since."""
        found = read_done(self._network.faulty.place.app_home)[self._done_before:]
        return [(int(str(entry["height"])), str(entry["fault"])) for entry in found]

    def heights(self, fault: str) -> list[int]:
        """Where a fault was done."""
        return [height for height, name in self.done() if name == fault]

    def was_done(self, fault: str) -> bool:
        """Whether a fault was done."""
        return bool(self.heights(fault))

    @property
    def _logged_address(self) -> str:
        """The faulty validator in the logs of others."""
        return f"0x{self._network.faulty.address}"

    def refusals(self, node: Validator) -> dict[int, str]:
        """Height → code of every proposal of the faulty validator that a node refused."""
        lines = self.mark.since(node, "proposal refused")
        return {line["height"]: line["code"] for line in lines if line["proposer"] == self._logged_address}

    def wrongly_refused(self) -> list[str]:
        """Lines of honest nodes that refuse an honest proposer's block: there must be none."""
        return [
            f"{node.name}: {line}"
            for node in self._network.honest
            for line in self.mark.since(node, "proposal refused")
            if line["proposer"] != self._logged_address
        ]

    def check_agreement(self) -> None:
        """The chain grew by HEIGHTS at least, and the honest three have one app hash at each of its last heights."""
        network = self._network.network
        network.wait_height(self.height + HEIGHTS, HONEST)
        last = min(node.height() for node in self._network.honest)
        for height in range(max(self.height, last - HEIGHTS), last):
            assert len(network.app_hashes(height, HONEST)) == 1, f"app hashes differ after {height}"
