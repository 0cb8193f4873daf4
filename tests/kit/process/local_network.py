"""The whole local network as tests use it: real chains with Connext, validators, routers, relayer; seen from outside.

    with running_network() as network:
        progress = network.send("USDC", 5)
        network.wait_step(progress, "executed")
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from abci_app.evm.rpc import Rpc
from abci_app.machine.state.codec import DomainId
from abci_app.node.config import ObservedChain, parse_config, render_config
from abci_app.pb import query_pb2, query_pb2_grpc
from testnet.chains.chain_parts import load_deployment
from testnet.connext.deploy import connect
from testnet.demo.tracker import Progress, Tracker
from testnet.demo.traffic import Order, User
from testnet.network.layout import CHAIN_DOMAINS, Layout, Manifest, NodePlace
from testnet.processes.cometbft import CometBFTError, call_rpc, consensus_key
from testnet.processes.logs import error_file
from testnet.processes.ports import find_base_port
from testnet.processes.spawn import identify, is_running, load_identities, save_identity
from testnet.processes.supervise import load_pair, save_pair
from tests.kit.process.cometbft import binary
from tests.kit.process.processes import ROOT, python, wait_until

UP_TIMEOUT_S = 100.0
DOWN_TIMEOUT_S = 40.0
COMMAND_TIMEOUT_S = 150.0
"""More than any command gives itself; seconds on a quiet machine."""
CALL_S = 3.0
STEP_TIMEOUT_S = 60.0
"""For one step of a transfer; a few seconds on a quiet machine."""
BLOCK_TIMEOUT_S = 60.0
POLL_S = 0.1
SENDER, RECIPIENT = 2, 3
"""Funded accounts that no process of the network uses."""
FIRST, SECOND = CHAIN_DOMAINS


class Validator:
    """One of the network's validators, asked as any client would."""

    def __init__(self, layout: Layout, place: NodePlace) -> None:
        self.name, self.place = place.name, place
        self._layout = layout
        self.channel = grpc.insecure_channel(place.grpc)
        self.query = query_pb2_grpc.QueryStub(self.channel)
        self.address = consensus_key(place.engine_home).address.hex()
        """CometBFT's address of the consensus key in hex; logs have it with 0x."""

    def close(self) -> None:
        self.channel.close()

    def rpc(self, method: str, **params: Any) -> Any:
        """A call of CometBFT's JSON-RPC."""
        return call_rpc(self.place.rpc_url, method, **params)

    def status(self) -> query_pb2.StatusResponse:
        """The application's own status; empty while it does not answer."""
        try:
            return self.query.Status(query_pb2.StatusRequest(), timeout=CALL_S)
        except grpc.RpcError:
            return query_pb2.StatusResponse()

    def height(self) -> int:
        """The height that the application has committed; 0 while it does not answer."""
        return self.status().height

    def has_committed(self, height: int) -> bool:
        """Whether the application has committed a height."""
        return self.height() >= height

    def counters(self) -> dict[str, int]:
        """The application's counters since it started."""
        return {counter.name: counter.value for counter in self.status().counters}

    def app_hash(self, height: int) -> str:
        """The app hash after a height, from the node's own block store."""
        return str(self.rpc("block", height=str(height + 1))["block"]["header"]["app_hash"])

    def has_block(self, height: int) -> bool:
        """Whether the node's block store holds this height."""
        try:
            return int(self.rpc("status")["sync_info"]["latest_block_height"]) >= height
        except (OSError, CometBFTError):
            return False

    @property
    def log_path(self) -> Path:
        return self._layout.logs / f"{self.name}-app.jsonl"

    @property
    def engine_log_path(self) -> Path:
        return self._layout.logs / f"{self.name}-cometbft.jsonl"

    def log(self, event: str, start: int = 0) -> list[dict[str, Any]]:
        """The application's log lines of one kind from a byte of its log on."""
        return read_log(self.log_path, event, start)

    def pid(self, part: str) -> int:
        """PID of "app", "cometbft" or "supervisor" as it runs now."""
        name = self.name if part == "supervisor" else f"{self.name}-{part}"
        return load_identities(self._layout.pids)[name].pid


class LocalNetwork:
    """What tests do to a network, and see of it."""

    def __init__(self, layout: Layout, stack: ExitStack) -> None:
        self.layout = layout
        self.nodes = [Validator(layout, place) for place in layout.nodes()]
        for node in self.nodes:
            stack.callback(node.close)
        self.deployment = load_deployment(layout)
        self.rpcs: Mapping[int, Rpc] = connect(self.deployment)
        for rpc in self.rpcs.values():
            stack.callback(rpc.close)
        self.tracker = Tracker([node.place.grpc for node in self.nodes], self.deployment, self.rpcs)
        stack.callback(self.tracker.close)
        self.user = User(self.deployment, self.rpcs, SENDER)
        self.recipient = User(self.deployment, self.rpcs, RECIPIENT).address
        self._supervisors: list[subprocess.Popen[bytes]] = []
        stack.callback(self._end_supervisors)

    # -- transfers ----------------------------------------------------------------------------------------------------

    def send(self, symbol: str, units: int, origin: int = FIRST, destination: int = SECOND) -> Progress:
        """A user's xcall, mined on its origin and followed from here on."""
        unit = self.deployment.domain(origin).tokens[symbol].unit
        order = Order(f"{units} {symbol}", symbol, origin, destination, units * unit, self.recipient)
        return self.tracker.add(self.user.send(order))

    def wait_step(self, progress: Progress, step: str, timeout_s: float = STEP_TIMEOUT_S) -> None:
        """Until a transfer got as far as "accepted", "decided", "attested", "executed" or "completed"."""
        deadline = time.monotonic() + timeout_s
        while step not in progress.seen_s:
            self.tracker.poll()
            assert time.monotonic() < deadline, f"not {step} after {timeout_s} s: {progress}\n{self.tails()}"
            time.sleep(POLL_S)

    def attestations(self, height: int) -> set[bytes]:
        """Who signed the batch of a height, by attestation address."""
        batch = self.nodes[0].query.Batch(query_pb2.BatchRequest(height=height), timeout=CALL_S).batch
        return {each.attestation for each in batch.attestations}

    # -- blocks -------------------------------------------------------------------------------------------------------

    def height(self) -> int:
        """The highest height that any application has committed."""
        return max(node.height() for node in self.nodes)

    def wait_height(self, height: int, nodes: Iterable[int], timeout_s: float = BLOCK_TIMEOUT_S) -> None:
        """Until these applications have committed a height."""
        chosen = [self.nodes[index] for index in nodes]
        missing = {f"{node.name} at {height}": partial(node.has_committed, height) for node in chosen}
        wait_all(missing, timeout_s, self.tails)

    def app_hashes(self, height: int, nodes: Iterable[int]) -> set[str]:
        """The app hash after a height as each of these nodes has it: one element where they agree."""
        chosen = [self.nodes[index] for index in nodes]
        missing = {f"block {height + 1} at {node.name}": partial(node.has_block, height + 1) for node in chosen}
        wait_all(missing, BLOCK_TIMEOUT_S, self.tails)
        return {node.app_hash(height) for node in chosen}

    # -- processes ----------------------------------------------------------------------------------------------------

    def command(self, *arguments: str) -> None:
        """``routerd testnet …`` on this network; fails where it does."""
        run_routerd("testnet", *arguments, "--home", str(self.layout.home))

    def restart(
        self, index: int, module: str | None = None, rpc_urls: Mapping[int, Sequence[str]] | None = None
    ) -> None:
        """Stop a validator and start it anew.

        ``module``: a test's own program in the place of ``routerd start``. ``rpc_urls``: what it reads chains from, by
        domain; those not named stay as they are.
        """
        node = self.nodes[index]
        if self.runs(node.name):
            self.command("stop", node.name)
        if rpc_urls is not None:
            change_rpc_urls(node.place.app_home / "config.toml", rpc_urls)
        if module is None:
            self.command("start", node.name)
        else:
            self._start_supervisor(node.place, module)

    def wipe(self, index: int) -> None:
        """Stop a validator and delete all its data; its keys stay."""
        node = self.nodes[index]
        self.command("stop", node.name)
        shutil.rmtree(node.place.app_home / "data")
        run_engine("unsafe-reset-all", "--keep-addr-book", "--home", str(node.place.engine_home))

    def kill(self, name: str) -> None:
        """kill -9 of one process by its name ("node0", "node0-app", "node0-cometbft", "router0", "relayer")."""
        identity = load_identities(self.layout.pids)[name]
        assert is_running(identity), f"{name} does not run"
        os.kill(identity.pid, signal.SIGKILL)
        wait_until(lambda: not is_running(identity), COMMAND_TIMEOUT_S, f"{name} survives kill -9")

    def runs(self, name: str) -> bool:
        """Whether a process of the network runs, by its name."""
        identity = load_identities(self.layout.pids).get(name)
        return identity is not None and is_running(identity)

    def _start_supervisor(self, place: NodePlace, module: str) -> None:
        pair = load_pair(place.pair_file)
        home = str(place.app_home.absolute())
        save_pair(place.pair_file, type(pair)(**{**vars(pair), "application": python("-m", module, home)}))
        log = self.layout.logs / f"{place.name}-supervisor.jsonl"
        with log.open("ab") as output, error_file(log).open("ab") as errors:
            process = subprocess.Popen(
                python("-m", "testnet.processes.supervise", str(place.pair_file.absolute())), cwd=ROOT,
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True,
            )
        self._supervisors.append(process)
        save_identity(self.layout.pids, identify(place.name, process.pid))

    def _end_supervisors(self) -> None:
        for process in self._supervisors:
            process.terminate()
            process.wait(DOWN_TIMEOUT_S)

    def tails(self, lines: int = 6) -> str:
        """The end of every log and of what was said beside it, for a failure message."""
        parts = []
        for path in sorted([*self.layout.logs.glob("*.jsonl"), *self.layout.logs.glob("*.err")]):
            text = path.read_text(errors="replace").splitlines()[-lines:]
            parts.append(f"--- {path.name}\n" + "\n".join(line[:300] for line in text))
        return "\n".join(parts)


@dataclass(frozen=True)
class Mark:
    """A moment in the nodes' logs and counters."""

    logs: dict[str, int]

    @classmethod
    def now(cls, network: LocalNetwork) -> "Mark":
        return cls({node.name: node.log_path.stat().st_size for node in network.nodes})

    def since(self, node: Validator, event: str) -> list[dict[str, Any]]:
        """A node's log lines of one kind since this moment."""
        return node.log(event, self.logs[node.name])


def read_log(path: Path, event: str, start: int = 0) -> list[dict[str, Any]]:
    """The JSON lines of one kind in a log, from a byte on; a line still being written counts as none."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(start)
        raw = file.read()
    found = []
    for line in raw[: raw.rfind(b"\n") + 1].splitlines():
        if line.startswith(b"{"):
            fields = json.loads(line)
            if fields.get("event") == event:
                found.append(fields)
    return found


def change_rpc_urls(path: Path, rpc_urls: Mapping[int, Sequence[str]]) -> None:
    """Let a stopped node read other endpoints, of which all must agree."""
    config = parse_config(path.read_text())
    chains = tuple(
        ObservedChain(DomainId(chain.domain), urls, len(urls))
        for chain in config.chains
        for urls in (tuple(rpc_urls.get(chain.domain, chain.rpc_urls)),)
    )
    path.write_text(render_config(type(config)(**{**slots(config), "chains": chains})))


def slots(record: Any) -> dict[str, Any]:
    """The fields of a dataclass with slots."""
    return {name: getattr(record, name) for name in record.__slots__}


def run_routerd(*arguments: str) -> str:
    """Run one command to its end; return what it printed."""
    done = subprocess.run(
        python("-m", "abci_app.cli.main", *arguments), cwd=ROOT, capture_output=True, text=True,
        timeout=COMMAND_TIMEOUT_S,
    )
    assert done.returncode == 0, f"routerd {' '.join(arguments)}: {done.returncode}: {done.stderr}{done.stdout}"
    return done.stdout


def run_engine(*arguments: str) -> None:
    """Run one command of CometBFT to its end."""
    done = subprocess.run([str(binary()), *arguments], capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)
    assert done.returncode == 0, f"cometbft {' '.join(arguments)}: {done.stderr}{done.stdout}"


@contextmanager
def running_network() -> Iterator[LocalNetwork]:
    """A network of four validators, two chains, three routers and a relayer; nothing of it is left afterwards."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rt-", ignore_cleanup_errors=True))) / "n"
        keeper = subprocess.Popen(
            python("-m", "tests.kit.process.keeper", str(home), str(find_base_port())), cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )
        stack.callback(end_keeper, keeper)
        assert keeper.stdout is not None
        answer = json.loads(keeper.stdout.readline() or b'{"failure": "the keeper ended"}')
        assert answer["failure"] == "", answer["failure"]
        yield LocalNetwork(Layout(home, Manifest(**json.loads((home / "manifest.json").read_text()))), stack)


def end_keeper(keeper: subprocess.Popen[bytes]) -> None:
    """Let the keeper take its network down, and wait for it."""
    assert keeper.stdin is not None and keeper.stdout is not None
    keeper.stdin.close()
    keeper.stdout.close()
    try:
        keeper.wait(DOWN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()


def wait_all(conditions: Mapping[str, Callable[[], bool]], timeout_s: float, tails: Callable[[], str]) -> None:
    """Until every named condition held once; names the missing ones otherwise."""
    missing = dict(conditions)
    deadline = time.monotonic() + timeout_s
    while missing:
        missing = {name: holds for name, holds in missing.items() if not holds()}
        if missing:
            assert time.monotonic() < deadline, f"not after {timeout_s} s: {', '.join(missing)}\n{tails()}"
            time.sleep(POLL_S)
