"""CometBFT's files: homes, keys, config.toml, the shared genesis; how to start a node and how to ask it.

Standard library only; knows nothing of what the application does.
"""

import base64
import hashlib
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Setting = str | int | bool

LOCAL_SETTINGS: Mapping[str, Setting] = {
    "log_format": "json",
    "rpc.pprof_laddr": "",
    "p2p.addr_book_strict": False,  # loopback addresses are not routable
    "p2p.allow_duplicate_ip": True,  # all nodes share one
    "p2p.pex": False,  # peers are given
    "p2p.flush_throttle_timeout": "10ms",  # with the gossip sleep below: 50 ms of overhead a block, not 350 ms
    "consensus.peer_gossip_sleep_duration": "10ms",
    "consensus.timeout_propose": "1s",  # a dead proposer costs 1.7 s, not 4.4 s
    "consensus.timeout_prevote": "300ms",
    "consensus.timeout_precommit": "300ms",
    "consensus.timeout_commit": "300ms",  # block time is this and the overhead
    "mempool.size": 20_000,  # the default 5,000 is full within a second of load
    "mempool.cache_size": 40_000,
    "tx_index.indexer": "null",  # the application answers queries
    "instrumentation.prometheus": True,
}
"""For several nodes on one machine, with blocks of about 0.36 s."""
BLOCK_BYTES_MAX = 2 * 2**20
EVIDENCE_BYTES_MAX = 2**20
"""CometBFT refuses a genesis whose blocks are smaller than this."""
COMMAND_TIMEOUT_S = 30.0
NODE_ID_BYTES = 20


class CometBFTError(Exception):
    """CometBFT's files or answers are not what we need."""


@dataclass(frozen=True)
class Node:
    """One node's place: its files, its application's address, and its ports on 127.0.0.1."""

    name: str
    home: Path
    proxy_app: str
    rpc_port: int
    p2p_port: int
    metrics_port: int

    @property
    def rpc_url(self) -> str:
        return f"http://127.0.0.1:{self.rpc_port}"


@dataclass(frozen=True)
class ConsensusKey:
    """A validator's ed25519 public key (32 bytes) and CometBFT's address of it (20 bytes)."""

    public_key: bytes
    address: bytes


@dataclass(frozen=True)
class Genesis:
    """What the nodes of a new network agree on before its first block, their keys aside."""

    chain_id: str
    app_state: Any = None
    """Anything JSON; the application receives its bytes in InitChain."""
    powers: Sequence[int] | None = None
    """Voting power of each node in order; None: 1 each."""
    initial_height: int = 1
    vote_extensions_enable_height: int = 1
    """First height whose precommits carry extensions; 0: never."""
    app_version: int = 0
    """Of the application's rules at the first block; 0: as the application says."""
    block_bytes_max: int = BLOCK_BYTES_MAX
    genesis_time: str | None = None
    """RFC 3339, UTC; None: now."""


def create_network(binary: Path, nodes: Sequence[Node], genesis: Genesis, settings: Mapping[str, Setting]) -> None:
    """Make the homes of a network of validators that all know each other. settings come on top of LOCAL_SETTINGS."""
    for node in nodes:
        init_home(binary, node.home)
    for node in nodes:
        configure(node, nodes, {**LOCAL_SETTINGS, **settings})
    write_genesis([node.home for node in nodes], genesis)


def init_home(binary: Path, home: Path) -> None:
    """Write keys and default files into a home; what exists stays. Raises CometBFTError."""
    command = [str(binary), "init", "validator", "--home", str(home)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CometBFTError(f"{binary}: {error}") from error
    if done.returncode != 0:
        raise CometBFTError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def configure(node: Node, nodes: Sequence[Node], settings: Mapping[str, Setting]) -> None:
    """Write a node's config.toml: settings, its addresses, and every other node as a persistent peer."""
    path = node.home / "config" / "config.toml"
    peers = [f"{node_id(peer.home)}@127.0.0.1:{peer.p2p_port}" for peer in nodes if peer != node]
    own: dict[str, Setting] = {
        "moniker": node.name,
        "proxy_app": node.proxy_app,
        "rpc.laddr": f"tcp://127.0.0.1:{node.rpc_port}",
        "p2p.laddr": f"tcp://127.0.0.1:{node.p2p_port}",
        "p2p.persistent_peers": ",".join(peers),
        "instrumentation.prometheus_listen_addr": f"127.0.0.1:{node.metrics_port}",
    }
    path.write_text(edit_toml(path.read_text(), {**settings, **own}))


def edit_toml(text: str, settings: Mapping[str, Setting]) -> str:
    """Return text with the values of existing keys replaced; "section.key", or "key" above the first section.

    Everything else, comments too, stays byte for byte. Raises CometBFTError for a key that is not there, so that a
    renamed one is noticed. Only for files with one key a line, as CometBFT writes them.
    """
    missing = dict(settings)
    lines = text.split("\n")
    section = ""
    for index, line in enumerate(lines):
        bare = line.strip()
        if bare.startswith("[") and bare.endswith("]"):
            section = bare[1:-1] + "."
        elif "=" in bare and not bare.startswith("#"):
            key = bare.partition("=")[0].strip()
            if section + key in missing:
                lines[index] = f"{key} = {json.dumps(missing.pop(section + key))}"
    if missing:
        raise CometBFTError(f"config.toml has no {', '.join(sorted(missing))}")
    return "\n".join(lines)


def node_id(home: Path) -> str:
    """Return the id by which peers know a node: 20 bytes of the hash of its p2p key, hex."""
    private_key = base64.b64decode(json.loads((home / "config" / "node_key.json").read_text())["priv_key"]["value"])
    return hashlib.sha256(private_key[32:]).digest()[:NODE_ID_BYTES].hex()


def consensus_key(home: Path) -> ConsensusKey:
    """Return the public half of a validator's consensus key. Raises CometBFTError if it is not ed25519."""
    key = json.loads((home / "config" / "priv_validator_key.json").read_text())
    if key["pub_key"]["type"] != "tendermint/PubKeyEd25519":
        raise CometBFTError(f"{home}: the consensus key is a {key['pub_key']['type']}")
    return ConsensusKey(base64.b64decode(key["pub_key"]["value"]), bytes.fromhex(key["address"]))


def write_genesis(homes: Sequence[Path], genesis: Genesis) -> None:
    """Give all homes one genesis file whose validators are the homes' own keys."""
    if genesis.block_bytes_max < EVIDENCE_BYTES_MAX:
        raise CometBFTError(f"block_bytes_max is {genesis.block_bytes_max}, at least {EVIDENCE_BYTES_MAX} is allowed")
    powers = genesis.powers if genesis.powers is not None else [1] * len(homes)
    document: dict[str, Any] = {
        "genesis_time": genesis.genesis_time or datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "chain_id": genesis.chain_id,
        "initial_height": str(genesis.initial_height),
        "consensus_params": consensus_params(genesis),
        "validators": [validator(home, power) for home, power in zip(homes, powers, strict=True)],
        "app_hash": "",
    }
    if genesis.app_state is not None:
        document["app_state"] = genesis.app_state
    text = json.dumps(document, indent=2) + "\n"
    for home in homes:
        (home / "config" / "genesis.json").write_text(text)


def consensus_params(genesis: Genesis) -> dict[str, Any]:
    """Return the genesis file's section of that name; 64-bit numbers are strings there."""
    return {
        "block": {"max_bytes": str(genesis.block_bytes_max), "max_gas": "-1"},
        "evidence": {
            "max_age_num_blocks": "100000",
            "max_age_duration": str(48 * 3600 * 10**9),
            "max_bytes": str(EVIDENCE_BYTES_MAX),
        },
        "validator": {"pub_key_types": ["ed25519"]},
        "version": {"app": str(genesis.app_version)},
        "abci": {"vote_extensions_enable_height": str(genesis.vote_extensions_enable_height)},
    }


def validator(home: Path, power: int) -> dict[str, Any]:
    """Return a home's entry among the genesis file's validators."""
    key = consensus_key(home)
    public_key = {"type": "tendermint/PubKeyEd25519", "value": base64.b64encode(key.public_key).decode()}
    return {"address": key.address.hex().upper(), "pub_key": public_key, "power": str(power), "name": home.name}


def start_command(binary: Path, home: Path) -> list[str]:
    """Return the command that runs a node in the foreground. It ends with status 0 when its application goes away."""
    return [str(binary), "start", "--home", str(home)]


def call_rpc(url: str, method: str, timeout_s: float = 10.0, **params: Any) -> Any:
    """Return the result of one JSON-RPC call. Raises CometBFTError for an error answer, OSError for none in time."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:  # some errors come with status 500 and a JSON-RPC body
        raise CometBFTError(f"{method}: {error.read().decode(errors='replace')}") from error
    if "error" in answer:
        raise CometBFTError(f"{method}: {answer['error']}")
    return answer["result"]
