"""config.toml: what it may say, read with every mistake refused in one line that names it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from abci_app.daemon.addresses import ABCI_ADDRESS, COMETBFT_RPC_URL, GRPC_ADDRESS
from abci_app.daemon.config import (
    LOG_LEVELS,
    Field,
    LogTable,
    Table,
    is_endpoint,
    is_http_url,
    load_toml,
    read_toml,
    refused_as,
    require,
)
from abci_app.machine.state.codec import DomainId
from abci_app.node.errors import HomeError

CHAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,50}")
"""CometBFT takes 50 bytes; the rest of the pattern keeps it printable in logs and file names."""
UNIX_PATH_BYTES_MAX = 107
DOMAIN_MAX = 2**32 - 1
DOMAINS_MAX = 256
RPC_URLS_MAX = 16
POLL_MS_MIN, POLL_MS_MAX = 50, 600_000
POLL_MS = 200


@dataclass(frozen=True, slots=True)
class ObservedChain:
    """Where the node reads one domain's chain."""

    domain: DomainId
    rpc_urls: tuple[str, ...]
    quorum: int
    """How many of ``rpc_urls`` must say the same before the node says it too."""


@dataclass(frozen=True, slots=True)
class Config:
    """One node's config.toml. Relative paths are relative to the home."""

    chain_id: str
    abci_address: str = ABCI_ADDRESS
    grpc_address: str = GRPC_ADDRESS
    cometbft_rpc_url: str = COMETBFT_RPC_URL
    store_path: str = "data"
    log_level: str = "info"
    log_file: str = ""
    """Empty: standard output."""
    poll_ms: int = POLL_MS
    """Pause between two looks at the final head of a chain."""
    chains: tuple[ObservedChain, ...] = ()


class _Abci(Table):
    address: str = ABCI_ADDRESS


class _Grpc(Table):
    address: str = GRPC_ADDRESS


class _Cometbft(Table):
    rpc_url: str = COMETBFT_RPC_URL


class _Store(Table):
    path: str = "data"


class _Domain(Table):
    domain: int
    rpc_urls: list[str]
    quorum: int | None = None
    """None: a majority."""


class _Observer(Table):
    poll_ms: int = POLL_MS
    domains: list[_Domain] = Field(default_factory=list)


class _Form(Table):
    """config.toml of a node."""

    chain_id: str
    abci: _Abci = _Abci()
    grpc: _Grpc = _Grpc()
    cometbft: _Cometbft = _Cometbft()
    store: _Store = _Store()
    log: LogTable = LogTable()
    observer: _Observer = _Observer()


def load_config(path: Path, hint: str) -> Config:
    """Read a config.toml; ``hint`` tells what to do where there is none. Raises HomeError."""
    return load_toml(path, _Form, _make, HomeError, hint)


def parse_config(text: str) -> Config:
    """Return the configuration. Raises HomeError for the first mistake: TOML, names, types, ranges."""
    return read_toml(text, _Form, _make, HomeError)


def _make(form: _Form) -> Config:
    config = Config(
        form.chain_id, form.abci.address, form.grpc.address, form.cometbft.rpc_url, form.store.path,
        form.log.level, form.log.file, form.observer.poll_ms,
        tuple(
            ObservedChain(
                DomainId(one.domain), tuple(one.rpc_urls),
                len(one.rpc_urls) // 2 + 1 if one.quorum is None else one.quorum,
            )
            for one in form.observer.domains
        ),
    )
    _check(config)
    return config


def check_config(config: Config) -> None:
    """Raise HomeError for the first value out of its range."""
    with refused_as(HomeError):
        _check(config)


def _check(config: Config) -> None:
    require(CHAIN_ID.fullmatch(config.chain_id), f"chain_id {config.chain_id!r} must match {CHAIN_ID.pattern}")
    require(config.abci_address.startswith(("unix://", "tcp://")), "abci.address must be unix://path or tcp://host:port")
    if config.abci_address.startswith("tcp://"):
        require(is_endpoint(config.abci_address[6:], port_min=0), "abci.address must be unix://path or tcp://host:port")
    require(is_endpoint(config.grpc_address, port_min=0), "grpc.address must be host:port")
    require(is_http_url(config.cometbft_rpc_url), "cometbft.rpc_url must be http://host:port")
    require(config.store_path, "store.path must not be empty")
    require(config.log_level in LOG_LEVELS, f"log.level must be one of {', '.join(LOG_LEVELS)}")
    poll_ms_fits = POLL_MS_MIN <= config.poll_ms <= POLL_MS_MAX
    require(poll_ms_fits, f"observer.poll_ms must be {POLL_MS_MIN} to {POLL_MS_MAX}")
    require(len(config.chains) <= DOMAINS_MAX, f"observer.domains has more than {DOMAINS_MAX} entries")
    seen: set[int] = set()
    for index, chain in enumerate(config.chains):
        place = f"observer.domains[{index}]."
        require(0 < chain.domain <= DOMAIN_MAX, f"{place}domain must be 1 to {DOMAIN_MAX}")
        require(chain.domain not in seen, f"{place}domain {chain.domain} stands twice")
        require(0 < len(chain.rpc_urls) <= RPC_URLS_MAX, f"{place}rpc_urls must have 1 to {RPC_URLS_MAX} entries")
        require(len(set(chain.rpc_urls)) == len(chain.rpc_urls), f"{place}rpc_urls names one twice")
        require(all(map(is_http_url, chain.rpc_urls)), f"{place}rpc_urls must be http:// or https:// URLs")
        require(0 < chain.quorum <= len(chain.rpc_urls), f"{place}quorum must be 1 to the number of rpc_urls")
        seen.add(chain.domain)


def resolve_abci_address(address: str, home: Path) -> str:
    """Return the address with a relative socket path made absolute. Raises HomeError where the path is too long."""
    if not address.startswith("unix://"):
        return address
    path = home.absolute() / address.removeprefix("unix://")
    length = len(str(path).encode())
    with refused_as(HomeError):
        require(length <= UNIX_PATH_BYTES_MAX, f"abci.address: the socket's path has {length} bytes, at most "
                f"{UNIX_PATH_BYTES_MAX} are allowed: use a shorter home or another path")
    return f"unix://{path}"


def render_config(config: Config) -> str:
    """Return the text of a config.toml that says exactly ``config``."""
    lines = [
        "# A node of the routing network. Relative paths are relative to this file's folder.",
        f"chain_id = {json.dumps(config.chain_id)}",
        "",
        "[abci]  # where CometBFT reaches this node: its proxy_app",
        f"address = {json.dumps(config.abci_address)}",
        "",
        "[grpc]  # where routers and relayers reach it",
        f"address = {json.dumps(config.grpc_address)}",
        "",
        "[cometbft]  # the engine beside this node; transactions go there",
        f"rpc_url = {json.dumps(config.cometbft_rpc_url)}",
        "",
        "[store]",
        f"path = {json.dumps(config.store_path)}",
        "",
        "[log]  # JSON lines; an empty file means standard output",
        f"level = {json.dumps(config.log_level)}",
        f"file = {json.dumps(config.log_file)}",
        "",
        "[observer]",
        f"poll_ms = {config.poll_ms}",
        "# One entry a chain below: quorum of rpc_urls must agree before this node reports what they say.",
    ]
    for chain in config.chains:
        lines += [
            "",
            "[[observer.domains]]",
            f"domain = {chain.domain}",
            f"rpc_urls = {json.dumps(list(chain.rpc_urls))}",
            f"quorum = {chain.quorum}",
        ]
    return "\n".join(lines) + "\n"
