"""config.toml: what it may say, read with every mistake refused in one line that names it."""

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from abci_app.machine.state.codec import DomainId
from abci_app.node.errors import HomeError

CHAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,50}")
"""CometBFT takes 50 bytes; the rest of the pattern keeps it printable in logs and file names."""
UNIX_PATH_BYTES_MAX = 107
LOG_LEVELS = ("debug", "info", "warning", "error")
DOMAIN_MAX = 2**32 - 1
DOMAINS_MAX = 256
RPC_URLS_MAX = 16
POLL_MS_MIN, POLL_MS_MAX = 50, 600_000
POLL_MS = 200
ABCI_ADDRESS = "unix://abci.sock"
GRPC_ADDRESS = "127.0.0.1:9090"
COMETBFT_RPC_URL = "http://127.0.0.1:26657"


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


def parse_config(text: str) -> Config:
    """Return the configuration. Raises HomeError for TOML that is none, for unknown, missing and ill-typed names."""
    try:
        top = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HomeError(f"config.toml: {error}") from error
    abci, grpc = take_table(top, "abci"), take_table(top, "grpc")
    cometbft, store = take_table(top, "cometbft"), take_table(top, "store")
    log, observer = take_table(top, "log"), take_table(top, "observer")
    chains = take(observer, "observer.", "domains", list, [])
    config = Config(
        chain_id=take(top, "", "chain_id", str),
        abci_address=take(abci, "abci.", "address", str, ABCI_ADDRESS),
        grpc_address=take(grpc, "grpc.", "address", str, GRPC_ADDRESS),
        cometbft_rpc_url=take(cometbft, "cometbft.", "rpc_url", str, COMETBFT_RPC_URL),
        store_path=take(store, "store.", "path", str, "data"),
        log_level=take(log, "log.", "level", str, "info"),
        log_file=take(log, "log.", "file", str, ""),
        poll_ms=take(observer, "observer.", "poll_ms", int, POLL_MS),
        chains=tuple(parse_chain(entry, f"observer.domains[{index}].") for index, entry in enumerate(chains)),
    )
    tables = (("", top), ("abci.", abci), ("grpc.", grpc), ("cometbft.", cometbft), ("store.", store), ("log.", log))
    for place, table in (*tables, ("observer.", observer)):
        refuse_rest(table, place)
    check_config(config)
    return config


def parse_chain(entry: Any, place: str) -> ObservedChain:
    """Return one entry of ``[[observer.domains]]``."""
    if not isinstance(entry, dict):
        raise HomeError(f"config.toml: {place[:-1]} must be a table")
    rest = dict(entry)
    urls = take(rest, place, "rpc_urls", list)
    if not all(isinstance(url, str) for url in urls):
        raise HomeError(f"config.toml: {place}rpc_urls must be a list of strings")
    chain = ObservedChain(
        DomainId(take(rest, place, "domain", int)),
        tuple(urls),
        take(rest, place, "quorum", int, len(urls) // 2 + 1),
    )
    refuse_rest(rest, place)
    return chain


def take(table: dict[str, Any], place: str, name: str, kind: type, default: Any = None) -> Any:
    """Remove and return ``table[name]``, of exactly ``kind``; ``default`` where it is missing, unless that is None."""
    value = table.pop(name, default)
    if value is None:
        raise HomeError(f"config.toml: {place}{name} is missing")
    if type(value) is not kind:
        raise HomeError(f"config.toml: {place}{name} must be {kind.__name__}, is {type(value).__name__}")
    return value


def take_table(top: dict[str, Any], name: str) -> dict[str, Any]:
    """Remove and return a table of the top level, empty where it is missing."""
    return dict(take(top, "", name, dict, {}))


def refuse_rest(table: dict[str, Any], place: str) -> None:
    """Raise HomeError for a name that nobody took: a typing error must not pass for a default."""
    for name in sorted(table):
        raise HomeError(f"config.toml: unknown name {place}{name}")


def check_config(config: Config) -> None:
    """Raise HomeError for the first value out of its range."""
    require(CHAIN_ID.fullmatch(config.chain_id), f"chain_id {config.chain_id!r} must match {CHAIN_ID.pattern}")
    require(config.abci_address.startswith(("unix://", "tcp://")), "abci.address must be unix://path or tcp://host:port")
    if config.abci_address.startswith("tcp://"):
        require(is_endpoint(config.abci_address[6:]), "abci.address must be unix://path or tcp://host:port")
    require(is_endpoint(config.grpc_address), "grpc.address must be host:port")
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


def require(holds: object, otherwise: str) -> None:
    """Raise HomeError unless ``holds``."""
    if not holds:
        raise HomeError(f"config.toml: {otherwise}")


def is_endpoint(text: str) -> bool:
    """Tell whether ``text`` is host:port."""
    try:
        parts = urlsplit(f"//{text}")
        return bool(parts.hostname) and parts.port is not None and not parts.path and parts.username is None
    except ValueError:
        return False


def is_http_url(text: str) -> bool:
    """Tell whether ``text`` is a URL of a host over HTTP."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def resolve_abci_address(address: str, home: Path) -> str:
    """Return the address with a relative socket path made absolute. Raises HomeError where the path is too long."""
    if not address.startswith("unix://"):
        return address
    path = home.absolute() / address.removeprefix("unix://")
    length = len(str(path).encode())
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
