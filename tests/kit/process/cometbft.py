"""Real CometBFT nodes for tests: one, or a network of validators."""

import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from testnet.processes.cometbft import CometBFTError, Genesis, Node, Setting, call_rpc, create_network, start_command
from tests.kit.process.processes import ROOT, Process, free_ports, wait_until

BINARY = ROOT / "build" / "bin" / "cometbft"
HEIGHT_TIMEOUT_S = 60.0
END_TIMEOUT_S = 60.0
PORTS_PER_NODE = 3


def binary() -> Path:
    """The pinned engine. A test without it fails; it does not skip."""
    assert BINARY.is_file(), f"{BINARY} is missing: ./scripts/setup builds it"
    return BINARY


class Engine:
    """One CometBFT node as a process."""

    def __init__(self, node: Node, log: Path) -> None:
        self.node = node
        self.process = Process(node.name, start_command(binary(), node.home), log)

    def rpc(self, method: str, **params: Any) -> Any:
        """Result of a JSON-RPC call."""
        return call_rpc(self.node.rpc_url, method, **params)

    def height(self) -> int:
        """Latest block's height; 0 while the node does not answer."""
        try:
            return int(self.rpc("status")["sync_info"]["latest_block_height"])
        except (OSError, CometBFTError):
            return 0

    def wait_height(self, height: int, timeout_s: float = HEIGHT_TIMEOUT_S) -> None:
        """Returns once the node has a block of that height."""
        wait_until(lambda: self.height() >= height, timeout_s, f"{self.node.name}: no height {height}", self.process)

    def wait_end(self) -> None:
        """Returns once the node, which lost its application, is gone.

        It always decides to end by itself. Now and then its shutdown then hangs, so that a supervisor has to end it.
        """
        wait_until(
            lambda: self.process.returncode is not None or "captured terminated, exiting" in self.process.tail(80),
            END_TIMEOUT_S, f"{self.node.name} goes on without its application", self.process,
        )
        assert self.process.stop() in (0, -signal.SIGKILL)

    def app_hash(self, height: int) -> str:
        """The app hash after the block before height, hex, as the header of height says."""
        return str(self.rpc("block", height=str(height))["block"]["header"]["app_hash"])


def create_engines(
    folder: Path,
    proxy_apps: Sequence[str],
    genesis: Genesis,
    settings: Mapping[str, Setting] | None = None,
) -> list[Engine]:
    """Validators node0, node1, … below folder, one for each application's address, not started yet.

    Start every application before its engine: an engine that finds none tries again only every three seconds.
    """
    ports = iter(free_ports(PORTS_PER_NODE * len(proxy_apps)))
    nodes = [
        Node(f"node{index}", folder / f"node{index}", proxy_app, next(ports), next(ports), next(ports))
        for index, proxy_app in enumerate(proxy_apps)
    ]
    create_network(binary(), nodes, genesis, settings or {})
    return [Engine(node, folder / f"{node.name}.log") for node in nodes]


def start_engines(stack: ExitStack, engines: Sequence[Engine]) -> None:
    """Starts all of them; the end of stack stops them."""
    for engine in engines:
        stack.callback(engine.process.stop)
        engine.process.start()
