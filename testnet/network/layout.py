"""Where everything of a local network lies and listens: one home, one base port, 127.0.0.1 only."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from abci_app.daemon.files import replace_file
from testnet.connext.connext_contracts import CHAIN_IDS
from testnet.hints import routerd

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
ENGINE = ROOT / "build" / "bin" / "cometbft"
CHAIN_DOMAINS = tuple(CHAIN_IDS)
CHAIN_ID = "routing-local-1"
DEFAULT_BASE_PORT = 27600
DEFAULT_VALIDATORS = 4
ROUTERS = 3
VALIDATORS_MAX = 16
PORT_MIN, PORT_MAX = 1024, 65_000
NODE_PORTS = 10
FIRST_NODE_PORT = 20
"""Offset of the first validator's ports; chains and what may come lie below."""
UNIX_PATH_BYTES_MAX = 100


class NetworkError(Exception):
    """Why a network cannot be brought up, found or used. One line, for people."""


@dataclass(frozen=True)
class Manifest:
    """What a network was made with; it stays for the life of its home."""

    base_port: int
    validators: int
    routers: int = ROUTERS
    chain_id: str = CHAIN_ID
    complete: bool = True
    """False while it is being made: nothing of it is of use then but the names of its processes."""


@dataclass(frozen=True)
class NodePlace:
    """One validator: its folders and ports."""

    name: str
    home: Path
    rpc_port: int
    p2p_port: int
    metrics_port: int
    grpc_port: int
    abci: str

    @property
    def app_home(self) -> Path:
        """Return the home of the application (config.toml, keys, database)."""
        return self.home / "app"

    @property
    def engine_home(self) -> Path:
        """Return the home of CometBFT."""
        return self.home / "cometbft"

    @property
    def pair_file(self) -> Path:
        """Return the file that the supervisor reads."""
        return self.home / "pair.json"

    @property
    def grpc(self) -> str:
        """Return the address of the gRPC server."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def rpc_url(self) -> str:
        """Return the URL of CometBFT's RPC."""
        return f"http://127.0.0.1:{self.rpc_port}"


@dataclass(frozen=True)
class Layout:
    """A network's home, laid out by its manifest."""

    home: Path
    manifest: Manifest

    @property
    def pids(self) -> Path:
        """Return the folder of the processes' identities, one file each."""
        return self.home / "pids"

    @property
    def logs(self) -> Path:
        """Return the folder of the logs, one of JSON lines a process."""
        return self.home / "logs"

    @property
    def endpoints(self) -> Path:
        """Return the file that programs outside read."""
        return self.home / "endpoints.json"

    @property
    def deployment(self) -> Path:
        """Return the file of the Connext deployment."""
        return self.home / "deployment.json"

    def chains(self) -> dict[str, int]:
        """Name and domain of each chain."""
        return {f"chain{domain}": domain for domain in CHAIN_DOMAINS}

    def chain_port(self, domain: int) -> int:
        """Return the RPC port of a chain."""
        return self.manifest.base_port + CHAIN_DOMAINS.index(domain)

    def chain_state(self, domain: int) -> Path:
        """Return the file of a chain's state as of its last orderly stop."""
        return self.home / "chains" / f"{domain}.json"

    def chain_head(self, domain: int) -> Path:
        """Return the file of a chain's head as of its last orderly stop; absent while it runs."""
        return self.home / "chains" / f"{domain}.head"

    def nodes(self) -> Iterator[NodePlace]:
        """Return the validators in order."""
        for index in range(self.manifest.validators):
            name = f"node{index}"
            home = self.home / "nodes" / name
            port = self.manifest.base_port + FIRST_NODE_PORT + NODE_PORTS * index
            socket = home / "app" / "abci.sock"
            fits = len(str(socket.absolute()).encode()) <= UNIX_PATH_BYTES_MAX
            abci = f"unix://{socket.absolute()}" if fits else f"tcp://127.0.0.1:{port + 4}"
            yield NodePlace(name, home, port, port + 1, port + 2, port + 3, abci)

    def routers(self) -> Iterator[tuple[str, Path]]:
        """Name and home of each router."""
        for index in range(self.manifest.routers):
            yield f"router{index}", self.home / "routers" / f"router{index}"

    @property
    def relayer(self) -> Path:
        """Return the home of the relayer."""
        return self.home / "relayer"

    def ports(self) -> list[int]:
        """Return every port the network will listen on."""
        return [port for name in self.names() for port in self.ports_of(name)]

    def ports_of(self, name: str) -> list[int]:
        """Return the ports that one part listens on."""
        if name in self.chains():
            return [self.chain_port(self.chains()[name])]
        for node in self.nodes():
            if node.name == name:
                tcp = [int(node.abci.rpartition(":")[2])] if node.abci.startswith("tcp://") else []
                return [node.rpc_port, node.p2p_port, node.metrics_port, node.grpc_port, *tcp]
        return []

    def names(self) -> list[str]:
        """Return the names of all parts, in the order in which they start."""
        return [
            *self.chains(), *(node.name for node in self.nodes()), "relayer", *(name for name, _ in self.routers()),
        ]


SAMPLE = Manifest(DEFAULT_BASE_PORT, DEFAULT_VALIDATORS)
"""What the types of a manifest's fields are read from."""


def make_manifest(base_port: int | None, validators: int | None) -> Manifest:
    """Return the manifest of a new network. Raises NetworkError for numbers that cannot be."""
    count = DEFAULT_VALIDATORS if validators is None else validators
    port = DEFAULT_BASE_PORT if base_port is None else base_port
    if not 1 <= count <= VALIDATORS_MAX:
        raise NetworkError(f"--validators must be 1 to {VALIDATORS_MAX}, not {count}")
    last = PORT_MAX - FIRST_NODE_PORT - NODE_PORTS * count
    if not PORT_MIN <= port <= last:
        raise NetworkError(f"--base-port must be {PORT_MIN} to {last}")
    return Manifest(port, count)


def save_manifest(home: Path, manifest: Manifest) -> None:
    """Write the manifest, atomically."""
    home.mkdir(parents=True, exist_ok=True)
    replace_file(home / "manifest.json", json.dumps(asdict(manifest), indent=1))


def load_layout(home: Path) -> Layout:
    """Return the layout of an existing network, finished or not. Raises NetworkError."""
    try:
        fields = json.loads((home / "manifest.json").read_text())
        manifest = Manifest(**fields)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NetworkError(f"{home} holds no network; {routerd('testnet', 'up', '--home', home)} makes one") from error
    except (ValueError, TypeError) as error:
        raise NetworkError(f"{home / 'manifest.json'} is damaged, or of another program: {error}") from error
    if any(type(value) is not type(getattr(SAMPLE, name)) for name, value in fields.items()):
        raise NetworkError(f"{home / 'manifest.json'} is damaged, or of another program: {fields}")
    return Layout(home, manifest)


def load_finished(home: Path) -> Layout:
    """Return the layout of a network that was made to its end. Raises NetworkError."""
    layout = load_layout(home)
    if not layout.manifest.complete:
        raise NetworkError(
            f"the network in {home} was never finished; {routerd('testnet', 'up', '--home', home)} makes it anew"
        )
    return layout


def refuse_other(layout: Layout, base_port: int | None, validators: int | None) -> None:
    """Raise NetworkError where numbers are given that are not the network's."""
    for name, asked, has in (
        ("--base-port", base_port, layout.manifest.base_port), ("--validators", validators, layout.manifest.validators)
    ):
        if asked is not None and asked != has:
            raise NetworkError(f"the network in {layout.home} has {name} {has}, not {asked}")
