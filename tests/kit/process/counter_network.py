"""N validators as processes: real CometBFT, real nodes that see what a test tells them.

    with ExitStack() as stack:
        network = make_network(stack)
        network.start()
        network.see([chain.observed()], nodes=[0, 1, 2])
"""

import base64
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from abci_app.machine.connext import sign_digest
from abci_app.machine.genesis.build import compute_possession_digest
from abci_app.machine.params import Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, Hash, Signature, TransferId, decode
from abci_app.machine.state.records import ChainState, Transfer
from abci_app.node.config import Config
from abci_app.node.home import init_home, load_home
from abci_app.observer.snapshot import ObservedDomain
from testnet.processes.cometbft import CometBFTError, Genesis, consensus_key
from testnet.processes.cometbft import init_home as init_engine_home
from tests.kit.machine.small_world import valid_app_state
from tests.kit.process.cometbft import Engine, binary, create_engines
from tests.kit.process.processes import Process, accepts, free_ports, python, wait_until
from tests.kit.process.stand_in_node import write_observation

CHAIN_ID = "routing-process-1"
LISTEN_TIMEOUT_S = 60.0
BLOCK_TIMEOUT_S = 60.0
SUBMIT_TIMEOUT_S = 30.0
R = TypeVar("R")


class Node:
    """One validator: its application and its engine."""

    def __init__(self, index: int, folder: Path, module: str) -> None:
        self.name = f"app{index}"
        self.home = folder / self.name
        self.engine_home = folder / f"node{index}"
        self.observed = folder / f"{self.name}.observed.json"
        self.socket = str(self.home / "abci.sock")
        self.log = folder / f"{self.name}.log"
        self.app = Process(self.name, python("-m", module, str(self.home), str(self.observed)), self.log)
        self.engine: Engine

    def start_app(self) -> None:
        self.app.start()

    def wait_listening(self) -> None:
        wait_until(lambda: accepts(self.socket), LISTEN_TIMEOUT_S, f"{self.name} does not listen", self.app)

    def start_engine(self) -> None:
        self.engine.process.start()

    def start(self) -> None:
        self.start_app()
        self.wait_listening()
        self.start_engine()

    def kill(self) -> None:
        """kill -9 of both."""
        self.app.kill()
        self.engine.process.kill()

    def read(self, key: bytes, record: type[R]) -> R | None:
        """A record of the node's committed state, asked through its engine."""
        answer = self.engine.rpc("abci_query", path="key", data=key.hex())["response"]
        raw = base64.b64decode(answer.get("value") or "")
        return decode(record, raw) if raw else None

    def chain(self) -> ChainState | None:
        """The chain's record; None while the node does not answer."""
        try:
            return self.read(keys.CHAIN, ChainState)
        except (OSError, CometBFTError):
            return None

    def wait_height(self, height: int) -> None:
        """Until the application has committed height."""
        wait_until(
            lambda: (chain := self.chain()) is not None and chain.height >= height,
            BLOCK_TIMEOUT_S, f"{self.name} does not reach height {height}", self.app, self.engine.process,
        )


class Network:
    """All validators."""

    def __init__(self, folder: Path, nodes: Sequence[Node]) -> None:
        self.folder = folder
        self.nodes = list(nodes)
        self.transfers: list[TransferId] = []

    def start(self) -> None:
        """Applications first; then engines; until every application has committed two blocks."""
        for node in self.nodes:
            node.start_app()
        for node in self.nodes:
            node.wait_listening()
        for node in self.nodes:
            node.start_engine()
        for node in self.nodes:
            node.wait_height(2)

    def see(self, domains: list[ObservedDomain], nodes: Iterable[int] | None = None) -> None:
        """These nodes (None: all) see these streams and the transfers of ``self.transfers``."""
        for index in range(len(self.nodes)) if nodes is None else nodes:
            write_observation(self.nodes[index].observed, domains, self.transfers)

    def submit(self, tx: bytes, node: int = 0) -> dict[str, Any]:
        """broadcast_tx_sync's answer."""
        encoded = base64.b64encode(tx).decode()
        engine = self.nodes[node].engine
        answer: dict[str, Any] = engine.rpc("broadcast_tx_sync", tx=encoded, timeout_s=SUBMIT_TIMEOUT_S)
        return answer

    def transfer(self, transfer_id: TransferId, node: int = 0) -> Transfer | None:
        return self.nodes[node].read(keys.transfer(transfer_id), Transfer)

    def wait_transfer(self, transfer_id: TransferId, holds: Any, node: int = 0, timeout_s: float = 60.0) -> Transfer:
        """The transfer's record once holds(record) is true."""
        found: list[Transfer] = []

        def look() -> bool:
            record = self.transfer(transfer_id, node)
            if record is not None and holds(record):
                found.append(record)
            return bool(found)

        wait_until(look, timeout_s, f"transfer {transfer_id.hex()} does not get there", self.nodes[node].app)
        return found[0]

    def height(self) -> int:
        """The highest height any application has committed."""
        return max((chain.height for node in self.nodes if (chain := node.chain()) is not None), default=0)

    def wait_above(self, height: int, nodes: Iterable[int] | None = None) -> None:
        """Until these nodes (None: all) have committed more than height."""
        for index in range(len(self.nodes)) if nodes is None else nodes:
            self.nodes[index].wait_height(height + 1)

    def app_hashes(self, height: int) -> set[str]:
        """What the nodes' own block stores say the app hash after ``height`` is: one element when all agree."""
        for node in self.nodes:
            node.engine.wait_height(height + 1)
        return {node.engine.app_hash(height + 1) for node in self.nodes}


def make_network(
    stack: ExitStack,
    powers: Sequence[int] = (1, 1, 1, 1),
    params: Params | None = None,
    modules: dict[int, str] | None = None,
) -> Network:
    """Homes, keys and genesis of a new network, nothing started; ``stack`` ends its processes and removes its files.

    ``modules``: which entry point an application runs with, where it is not the honest one.
    """
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="routing-")))
    modules = modules or {}
    nodes = [Node(index, folder, modules.get(index, "tests.kit.process.stand_in_node")) for index in range(len(powers))]
    grpc_ports = free_ports(len(nodes))
    validators = []
    for node, power, port in zip(nodes, powers, grpc_ports, strict=True):
        init_home(node.home, Config(CHAIN_ID, grpc_address=f"127.0.0.1:{port}"))
        init_engine_home(binary(), node.engine_home)
        validators.append(describe_validator(node, power))
    app_state = make_app_state(params or Params(lease_s=30, slow_spacing_s=30), validators)
    genesis = Genesis(CHAIN_ID, app_state, powers)
    engines = create_engines(folder, [f"unix://{node.socket}" for node in nodes], genesis)
    for node, engine in zip(nodes, engines, strict=True):
        node.engine = engine
        stack.callback(node.app.stop)
        stack.callback(engine.process.stop)
    return Network(folder, nodes)


def make_app_state(params: Params, validators: list[dict[str, Any]]) -> dict[str, Any]:
    """The small world's genesis with these validators, and chains whose clocks show the present: a late one is held."""
    app_state = {**valid_app_state(params), "validators": validators}
    for domain in app_state["domains"]:
        domain["cursor"]["timestamp_s"] = int(time.time())
    return app_state


def describe_validator(node: Node, power: int) -> dict[str, Any]:
    """A validator's entry in the genesis."""
    signer = load_home(node.home).signer
    consensus = Hash(consensus_key(node.engine_home).public_key)
    proof = Signature(sign_digest(signer.export_private_key(), compute_possession_digest(CHAIN_ID, consensus)))
    return {
        "consensus_key": f"0x{consensus.hex()}", "power": power,
        "attestation": f"0x{Address(signer.address).hex()}", "proof": f"0x{proof.hex()}",
    }


