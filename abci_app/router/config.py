"""The router's folder: config.toml and keys/router.json (0600), and the lock that keeps a second router out.

Everything is checked before anything is opened, so that a wrong home changes nothing on disk.
"""

import json
import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from abci_app.daemon.config import (
    CONFIG_FILE,
    LOG_LEVELS,
    Field,
    Invalid,
    LogTable,
    Table,
    is_endpoint,
    is_http_url,
    load_toml,
    read_toml,
    require,
)
from abci_app.daemon.home import create_home, held
from abci_app.daemon.keys import KeyKind, load_key, render_key
from abci_app.evm.account import Account
from abci_app.evm.errors import KeyInvalid
from abci_app.evm.types import parse_address
from abci_app.machine.params import PATH_LENGTHS
from abci_app.router.errors import ConfigInvalid

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
    log_level: str = "info"
    log_file: str = ""
    """Relative to the home; empty: standard output."""


@dataclass(frozen=True, slots=True)
class RouterHome:
    """A checked folder."""

    path: Path
    config: RouterConfig
    account: Account

    @property
    def ledger(self) -> Path:
        """Return the file of signed bids."""
        return self.path / LEDGER_FILE

    @property
    def log_path(self) -> Path | None:
        """Return the log file; None: standard output."""
        return self.path / self.config.log_file if self.config.log_file else None


def save_home(path: Path, config: RouterConfig, account: Account) -> None:
    """Make a folder. Raises ConfigInvalid where there is one already or ``config`` is wrong, with nothing changed."""
    parse_config(render_config(config))
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
    lines += ["", "[log]", f"level = {json.dumps(config.log_level)}", f"file = {json.dumps(config.log_file)}"]
    return "\n".join(lines) + "\n"


def load_home(path: Path) -> RouterHome:
    """Read and check folder, config and key; nothing is changed. Raises ConfigInvalid."""
    config = load_toml(path / CONFIG_FILE, _Form, _make, ConfigInvalid)
    return RouterHome(path, config, load_account(path / KEY_FILE))


def locked(path: Path) -> AbstractContextManager[None]:
    """Hold the home for this process. Raises ConfigInvalid while another one holds it."""
    return held(path, "router", ConfigInvalid)


class _Chain(Table):
    domain: int
    chain_id: int
    rpc_url: str
    confirmations: int = 0
    connext: str = ""


class _Form(Table):
    """config.toml of a router."""

    nodes: list[str]
    chains: list[_Chain]
    poll_ms: int = POLL_MS
    path_lengths: list[int] = Field(default_factory=lambda: list(PATH_LENGTHS))
    log: LogTable = LogTable()


def parse_config(text: str) -> RouterConfig:
    """Return the configuration. Raises ConfigInvalid for the first mistake: TOML, names, types, ranges."""
    return read_toml(text, _Form, _make, ConfigInvalid)


def _make(form: _Form) -> RouterConfig:
    nodes, lengths = form.nodes, form.path_lengths
    require(0 < len(nodes) <= NODES_MAX, f"nodes must have 1 to {NODES_MAX} entries")
    for node in nodes:
        require(is_endpoint(node), f"nodes: {node[:60]!r} is not host:port")
    require(len(set(nodes)) == len(nodes), "nodes names one twice")
    require(POLL_MS_MIN <= form.poll_ms <= POLL_MS_MAX, f"poll_ms must be {POLL_MS_MIN} to {POLL_MS_MAX}")
    chosen = [length for length in PATH_LENGTHS if length in lengths]
    require(chosen and lengths == chosen, f"path_lengths must be some of {list(PATH_LENGTHS)}, ascending")
    require(0 < len(form.chains) <= CHAINS_MAX, f"chains must have 1 to {CHAINS_MAX} entries")
    watched = tuple(_make_chain(chain, f"chains[{index}].") for index, chain in enumerate(form.chains))
    require(len({chain.domain for chain in watched}) == len(watched), "chains: a domain stands twice")
    require(form.log.level in LOG_LEVELS, f"log.level must be one of {', '.join(LOG_LEVELS)}")
    return RouterConfig(tuple(nodes), watched, form.poll_ms, tuple(chosen), form.log.level, form.log.file)


def _make_chain(one: _Chain, place: str) -> WatchedChain:
    connext = _read_address(one.connext, place)
    chain = WatchedChain(one.domain, one.chain_id, one.rpc_url, one.confirmations, connext)
    require(0 < chain.domain < 2**32, f"{place}domain must be 1 to {2**32 - 1}")
    require(0 < chain.chain_id < 2**63, f"{place}chain_id must be 1 to {2**63 - 1}")
    require(0 <= chain.confirmations <= CONFIRMATIONS_MAX, f"{place}confirmations must be 0 to {CONFIRMATIONS_MAX}")
    require(is_http_url(chain.rpc_url), f"{place}rpc_url must be an http:// or https:// URL")
    return chain


def _read_address(text: str, place: str) -> bytes:
    try:
        return parse_address(text) if text else b""
    except ValueError as error:
        raise Invalid(f"{place}connext must be 0x and 40 hex digits") from error


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
