"""The router's folder: config.toml and keys/router.json (0600), and the lock that keeps a second router out.

Everything is checked before anything is opened, so that a wrong home changes nothing on disk.
"""

import json
import secrets
import tomllib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from abci_app.daemon.home import create_home, held
from abci_app.daemon.keys import KeyKind, load_key, render_key
from abci_app.evm.account import Account
from abci_app.evm.errors import KeyInvalid
from abci_app.evm.types import parse_address
from abci_app.machine.params import PATH_LENGTHS
from abci_app.router.errors import ConfigInvalid

CONFIG_FILE = "config.toml"
KEY_FILE = Path("keys") / "router.json"
LEDGER_FILE = "ledger.sqlite"
KEY_KIND = KeyKind(
    Account, KeyInvalid, ConfigInvalid,
    missing=": No such file or directory",
    wrong="holds no key",
    is_bare_allowed=True,
)
NODES_MAX, CHAINS_MAX = 32, 256
POLL_MS = 150
POLL_MS_MIN, POLL_MS_MAX = 20, 60_000
CONFIRMATIONS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class WatchedChain:
    """One chain the router watches for orders and pays out on."""

    domain: int
    chain_id: int
    rpc_url: str
    confirmations: int = 0
    """Blocks below the head that count as final; 0 means the chain's own ``finalized`` tag."""
    connext: bytes = b""
    """Connext's diamond, 20 bytes. Empty: what nodes say at the first start is believed, and kept in the ledger."""


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
    """Make a folder. Raises ConfigInvalid where there is one already or ``config`` is wrong, with nothing changed."""
    parse_config(tomllib.loads(render_config(config)))
    key = render_key(account.private_key, account.address)
    create_home(path, {KEY_FILE: key, Path(CONFIG_FILE): render_config(config)}, ConfigInvalid)


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
        if chain.connext:
            lines.append(f'connext = "0x{chain.connext.hex()}"')
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


def locked(path: Path) -> AbstractContextManager[None]:
    """Hold the home for this process. Raises ConfigInvalid while another one holds it."""
    return held(path, "router", ConfigInvalid)


def parse_config(top: Mapping[str, Any]) -> RouterConfig:
    """Return the configuration. Raises ConfigInvalid for unknown, missing, ill-typed or senseless values."""
    _names(top, {"nodes", "chains"}, {"poll_ms", "path_lengths"}, "")
    nodes, chains = _typed(top, "nodes", list), _typed(top, "chains", list)
    poll_ms = _typed(top, "poll_ms", int, POLL_MS)
    lengths = _typed(top, "path_lengths", list, list(PATH_LENGTHS))
    _require(0 < len(nodes) <= NODES_MAX, f"nodes must have 1 to {NODES_MAX} entries")
    for node in nodes:
        _require(isinstance(node, str) and _is_endpoint(node), f"nodes: {str(node)[:60]!r} is not host:port")
    _require(len(set(nodes)) == len(nodes), "nodes names one twice")
    _require(POLL_MS_MIN <= poll_ms <= POLL_MS_MAX, f"poll_ms must be {POLL_MS_MIN} to {POLL_MS_MAX}")
    chosen = [length for length in PATH_LENGTHS if length in lengths]
    _require(chosen and lengths == chosen, f"path_lengths must be some of {list(PATH_LENGTHS)}, ascending")
    _require(0 < len(chains) <= CHAINS_MAX, f"chains must have 1 to {CHAINS_MAX} entries")
    watched = tuple(_parse_chain(chain, f"chains[{index}].") for index, chain in enumerate(chains))
    _require(len({chain.domain for chain in watched}) == len(watched), "a domain stands twice")
    return RouterConfig(tuple(nodes), watched, poll_ms, tuple(chosen))


def _parse_chain(entry: Any, place: str) -> WatchedChain:
    _require(isinstance(entry, dict), f"{place[:-1]} must be a table")
    _names(entry, {"domain", "chain_id", "rpc_url"}, {"confirmations", "connext"}, place)
    chain = WatchedChain(
        _typed(entry, "domain", int), _typed(entry, "chain_id", int), _typed(entry, "rpc_url", str),
        _typed(entry, "confirmations", int, 0), _read_address(_typed(entry, "connext", str, ""), place),
    )
    _require(0 < chain.domain < 2**32, f"{place}domain must be 1 to {2**32 - 1}")
    _require(0 < chain.chain_id < 2**63, f"{place}chain_id must be 1 to {2**63 - 1}")
    _require(0 <= chain.confirmations <= CONFIRMATIONS_MAX, f"{place}confirmations must be 0 to {CONFIRMATIONS_MAX}")
    _require(_is_http_url(chain.rpc_url), f"{place}rpc_url must be an http:// or https:// URL")
    return chain


def _read_address(text: str, place: str) -> bytes:
    try:
        return parse_address(text) if text else b""
    except ValueError as error:
        raise ConfigInvalid(f"config.toml: {place}connext must be 0x and 40 hex digits") from error


def make_account() -> Account:
    """Return a new random account."""
    while True:
        try:
            return Account(secrets.token_bytes(32))
        except KeyInvalid:  # once in 2¹²⁸ draws
            continue


def load_account(path: Path) -> Account:
    """Read a key file that nobody else can read: hex, or JSON with ``private_key`` and perhaps ``address``.

    Raises ConfigInvalid; the key appears in no message.
    """
    return load_key(path, KEY_KIND)


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


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(f"//{text}")
        return bool(parts.hostname) and bool(parts.port) and not parts.path and parts.username is None
    except ValueError:
        return False


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise ConfigInvalid(f"config.toml: {otherwise}")
