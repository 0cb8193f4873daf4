"""The router's folder: config.toml and keys/router.json (0600)."""

import json
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abci_app.evm.account import Account
from abci_app.evm.errors import KeyInvalid
from abci_app.machine.params import PATH_LENGTHS
from abci_app.router.errors import ConfigInvalid

CONFIG_FILE = "config.toml"
KEY_FILE = Path("keys") / "router.json"
LEDGER_FILE = "ledger.sqlite"
POLL_MS = 150
POLL_MS_MIN, POLL_MS_MAX = 20, 60_000


@dataclass(frozen=True, slots=True)
class WatchedChain:
    """One chain the router watches for orders and pays out on."""

    domain: int
    chain_id: int
    rpc_url: str
    confirmations: int = 0
    """Blocks below the head that count as final; 0 means the chain's own ``finalized`` tag."""


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """One router's config.toml."""

    nodes: tuple[str, ...]
    """gRPC addresses, tried in order."""
    chains: tuple[WatchedChain, ...]
    poll_ms: int = POLL_MS
    path_lengths: tuple[int, ...] = PATH_LENGTHS
    """Routers per transfer this router offers to be part of."""


@dataclass(frozen=True, slots=True)
class RouterHome:
    """A checked folder."""

    path: Path
    config: RouterConfig
    account: Account

    @property
    def ledger(self) -> Path:
        """Where signed bids are kept."""
        return self.path / LEDGER_FILE


def save_home(path: Path, config: RouterConfig, account: Account) -> None:
    """Make a folder. Raises ConfigInvalid where there is one already, with nothing changed."""
    if (path / CONFIG_FILE).exists():
        raise ConfigInvalid(f"{path / CONFIG_FILE} exists: this home is initialized already")
    try:
        (path / KEY_FILE).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"address": "0x" + account.address.hex(), "private_key": "0x" + account.private_key.hex()}, file)
        (path / CONFIG_FILE).write_text(render_config(config))
    except OSError as error:
        raise ConfigInvalid(f"{error.filename}: {error.strerror}") from error


def render_config(config: RouterConfig) -> str:
    """Return the text of a config.toml that says exactly ``config``."""
    lines = [
        "# A router. Nodes are tried in order; chains are those whose transfers it may serve.",
        f"nodes = {json.dumps(list(config.nodes))}",
        f"poll_ms = {config.poll_ms}",
        f"path_lengths = {json.dumps(list(config.path_lengths))}",
    ]
    for chain in config.chains:
        lines += [
            "", "[[chains]]", f"domain = {chain.domain}", f"chain_id = {chain.chain_id}",
            f"rpc_url = {json.dumps(chain.rpc_url)}", f"confirmations = {chain.confirmations}",
        ]
    return "\n".join(lines) + "\n"


def load_home(path: Path) -> RouterHome:
    """Read and check folder, config and key; nothing is changed. Raises ConfigInvalid."""
    try:
        top = tomllib.loads((path / CONFIG_FILE).read_text())
    except FileNotFoundError as error:
        raise ConfigInvalid(f"{path / CONFIG_FILE} is missing") from error
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"{path / CONFIG_FILE}: {error}") from error
    return RouterHome(path, parse_config(top), load_account(path / KEY_FILE))


def parse_config(top: Mapping[str, Any]) -> RouterConfig:
    """Return the configuration. Raises ConfigInvalid for unknown, missing, ill-typed or senseless values."""
    _names(top, {"nodes", "chains"}, {"poll_ms", "path_lengths"}, "")
    nodes, chains = _typed(top, "nodes", list), _typed(top, "chains", list)
    poll_ms = _typed(top, "poll_ms", int, POLL_MS)
    lengths = _typed(top, "path_lengths", list, list(PATH_LENGTHS))
    _require(nodes and all(isinstance(node, str) and ":" in node for node in nodes), "nodes must be host:port strings")
    _require(POLL_MS_MIN <= poll_ms <= POLL_MS_MAX, f"poll_ms must be {POLL_MS_MIN} to {POLL_MS_MAX}")
    _require(
        lengths and lengths == sorted(set(lengths)) and set(lengths) <= set(PATH_LENGTHS),
        f"path_lengths must be some of {list(PATH_LENGTHS)}, ascending",
    )
    watched = tuple(_parse_chain(chain, f"chains[{index}].") for index, chain in enumerate(chains))
    _require(watched, "chains is empty")
    _require(len({chain.domain for chain in watched}) == len(watched), "a domain stands twice")
    return RouterConfig(tuple(nodes), watched, poll_ms, tuple(lengths))


def _parse_chain(entry: Any, place: str) -> WatchedChain:
    _require(isinstance(entry, dict), f"{place[:-1]} must be a table")
    _names(entry, {"domain", "chain_id", "rpc_url"}, {"confirmations"}, place)
    chain = WatchedChain(
        _typed(entry, "domain", int), _typed(entry, "chain_id", int), _typed(entry, "rpc_url", str),
        _typed(entry, "confirmations", int, 0),
    )
    _require(0 < chain.domain < 2**32, f"{place}domain must be 1 to {2**32 - 1}")
    _require(chain.chain_id > 0 and chain.confirmations >= 0, f"{place}chain_id and confirmations must not be negative")
    _require(chain.rpc_url.startswith(("http://", "https://")), f"{place}rpc_url must be http:// or https://")
    return chain


def load_account(path: Path) -> Account:
    """Read a key file that nobody else can read. Raises ConfigInvalid; the key appears in no message."""
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigInvalid(f"{path} is readable by others: chmod 600 it")
        account = Account(bytes.fromhex(json.loads(path.read_text())["private_key"].removeprefix("0x")))
    except OSError as error:
        raise ConfigInvalid(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, KeyInvalid) as error:
        raise ConfigInvalid(f"{path} holds no key") from error
    return account


def _names(table: Mapping[str, Any], needed: set[str], optional: set[str], place: str) -> None:
    for name in sorted(table.keys() - needed - optional):
        raise ConfigInvalid(f"config.toml: unknown name {place}{name}")
    for name in sorted(needed - table.keys()):
        raise ConfigInvalid(f"config.toml: {place}{name} is missing")


def _typed(table: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    value = table.get(name, default)
    if type(value) is not kind:
        raise ConfigInvalid(f"config.toml: {name} must be {kind.__name__}, is {type(value).__name__}")
    return value


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise ConfigInvalid(f"config.toml: {otherwise}")
