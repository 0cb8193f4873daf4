"""``routerd start`` as a process: refused in one line with nothing changed on disk, or running and ended cleanly."""

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest

from abci_app.machine.state import keys
from abci_app.machine.state.codec import encode
from abci_app.machine.state.records import ChainState
from abci_app.machine.state.tree import Tree
from abci_app.node.config import Config
from abci_app.node.home import init_home
from abci_app.node.store import Head, Store
from abci_app.pb import query_pb2, query_pb2_grpc
from tests.kit.evm.rpc_proxy import RpcProxy
from tests.kit.observer.fake_chain import FakeChain
from tests.kit.process.counter_network import make_network
from tests.kit.process.processes import Process, accepts, free_ports, python, wait_until

START_TIMEOUT_S = 60.0
CHAIN = ChainState("routing-1", 1, 1, 1, 1, (), 1, 1, 1, 1, 1)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a store of one block and a short path."""
    with tempfile.TemporaryDirectory(prefix="routing-") as folder:
        path = Path(folder) / "node"
        init_home(path, Config("routing-1", grpc_address=f"127.0.0.1:{free_ports(1)[0]}"))
        store = Store.open(path / "data", "routing-1")
        store.write(Head(1, Tree.build({keys.CHAIN: encode(CHAIN)}).root), {keys.CHAIN: encode(CHAIN)})
        store.close()
        yield path


def start(home: Path) -> Process:
    return Process("routerd", python("-m", "abci_app.cli.main", "start", "--home", str(home)), home.parent / "out.log")


def run_start(home: Path) -> subprocess.CompletedProcess[str]:
    command = python("-m", "abci_app.cli.main", "start", "--home", str(home))
    return subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S)


@contextmanager
def running(home: Path) -> Iterator[Process]:
    with ExitStack() as stack:
        process = start(home).stopped_by(stack)
        process.start()
        wait_until(lambda: accepts(str(home / "abci.sock")), START_TIMEOUT_S, "routerd does not listen", process)
        yield process


def files(home: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(home)): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes())
        for path in home.rglob("*") if path.is_file()
    }


def replace_in_config(home: Path, old: str, new: str) -> None:
    text = (home / "config.toml").read_text()
    assert old in text
    (home / "config.toml").write_text(text.replace(old, new))


def grpc_address(home: Path) -> tuple[str, int]:
    line = next(line for line in (home / "config.toml").read_text().splitlines() if "127.0.0.1:" in line)
    host, port = line.split('"')[1].split(":")
    return host, int(port)


@contextmanager
def taken_grpc_port(home: Path) -> Iterator[None]:
    with socket.socket() as taken:
        taken.bind(grpc_address(home))
        taken.listen()
        yield


@contextmanager
def taken_unix_socket(home: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(home / "abci.sock"))
        taken.listen()
        yield


@contextmanager
def endpoint_of_another_chain(home: Path) -> Iterator[None]:
    """The committed domain's chain id is not the one that its endpoint answers."""
    domain = FakeChain().domain(chain_id=1)
    shutil.rmtree(home / "data")
    store = Store.open(home / "data", "routing-1")
    values = {keys.CHAIN: encode(CHAIN), keys.domain(domain.domain): encode(domain)}
    store.write(Head(1, Tree.build(values).root), values)
    store.close()
    with RpcProxy("http://127.0.0.1:1") as proxy:
        proxy.faults.constants["eth_chainId"] = hex(31337)
        with (home / "config.toml").open("a") as config:
            config.write(f'\n[[observer.domains]]\ndomain = {domain.domain}\nrpc_urls = ["{proxy.url}"]\nquorum = 1\n')
        yield


@contextmanager
def changed(change: Callable[[Path], object], home: Path) -> Iterator[None]:
    change(home)
    yield


@pytest.mark.parametrize(("situation", "message"), [
    (lambda home: changed(lambda home: shutil.rmtree(home), home), "config.toml is missing"),
    (lambda home: changed(lambda home: replace_in_config(home, "[grpc]", "[grp]"), home), "unknown name grp"),
    (lambda home: changed(lambda home: replace_in_config(home, '"routing-1"', '"routing-2"'), home),
     "holds chain 'routing-1', not 'routing-2'"),
    (lambda home: changed(lambda home: (home / "keys/attestation.json").chmod(0o644), home), "readable by others"),
    (lambda home: changed(lambda home: (home / "keys/attestation.json").unlink(), home), "no attestation key"),
    (taken_grpc_port, "address in use"),
    (taken_unix_socket, "address in use"),
    (lambda home: changed(lambda home: (home / "abci.sock").write_text("a file"), home), "is not a socket"),
    (running, "in use by another routerd"),
    (lambda home: changed(lambda home: (home / "data").rename(home / "kept") and (home / "data").write_text(""), home),
     "is no folder"),
])
def test_a_refusal_is_one_line_and_changes_nothing(home: Path, situation, message: str) -> None:
    with situation(home):
        before = files(home)
        done = run_start(home)
        assert done.returncode == 1
        assert done.stdout == ""
        assert message in done.stderr and done.stderr.startswith("routerd: ") and done.stderr.count("\n") == 1
        assert files(home) == before


def test_an_endpoint_of_another_chain_is_refused_and_the_state_stays(home: Path) -> None:
    """LevelDB renews files of its own whenever it is opened; what they hold is the same."""
    def kept() -> list[object]:
        store = Store.open(home / "data", "routing-1")
        state = [store.head, *store.view().scan(b"")]
        store.close()
        return [state, {name: file for name, file in files(home).items() if "leveldb" not in name}]

    with endpoint_of_another_chain(home):
        before = kept()
        done = run_start(home)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert done.stderr.startswith("routerd: observer.domains: domain 1111: http://127.0.0.1:")
        assert done.stderr.endswith("chain id 31337, the domain's is 1\n")
        assert kept() == before


def test_it_runs_logs_lines_of_json_and_ends_cleanly(home: Path) -> None:
    with running(home) as process:
        assert process.stop() == 0
    lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert "node started" in events and events[-1] == "node stopped"
    assert all({"time", "level", "source", "event"} <= set(line) for line in lines)
    key = json.loads((home / "keys/attestation.json").read_text())["private_key"]
    assert key[2:] not in process.log.read_text()
    assert not (home / "abci.sock").exists()
    with running(home) as process:  # and again
        assert process.stop() == 0


def test_the_log_file_of_the_config_is_used(home: Path) -> None:
    replace_in_config(home, 'file = ""', 'file = "log/node.jsonl"')
    with running(home) as process:
        assert process.stop() == 0
    assert process.log.read_text() == ""
    assert json.loads((home / "log/node.jsonl").read_text().splitlines()[0])["level"] == "info"


def test_a_chain_of_another_name_ends_it_before_anything_is_written() -> None:
    """The engine's genesis says another chain id than config.toml."""
    with ExitStack() as stack:
        node = make_network(stack, powers=(1,)).nodes[0]
        replace_in_config(node.home, '"routing-process-1"', '"routing-process-2"')
        before = files(node.home)
        node.start_app()
        node.wait_listening()
        node.start_engine()
        assert node.app.wait(START_TIMEOUT_S) == 1
        assert "config.toml says 'routing-process-2'" in node.app.tail(1)
        assert files(node.home) == before


def test_one_validator_answers_over_grpc() -> None:
    with ExitStack() as stack:
        network = make_network(stack, powers=(5,))
        network.start()
        host, port = grpc_address(network.nodes[0].home)
        with grpc.insecure_channel(f"{host}:{port}") as channel:
            status = query_pb2_grpc.QueryStub(channel).Status(query_pb2.StatusRequest(), timeout=20)
        assert status.chain_id == "routing-process-1" and status.height >= 2
        assert status.attestation == status.validators[0].attestation
        assert {counter.name for counter in status.counters} >= {"blocks", "extensions_made"}

        command = python("-m", "abci_app.cli.main", "status", "--home", str(network.nodes[0].home), "--json")
        shown = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
        assert shown["chain_id"] == status.chain_id and shown["height"] >= status.height
        assert shown["validators"] == [{
            "consensus_key": status.validators[0].consensus_key.hex(), "power": 5,
            "attestation": f"0x{status.attestation.hex()}",
        }]
