"""config.toml of a relayer: what it may say, read with every mistake refused in one line that names it."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from abci_app.bridge.errors import Fatal
from abci_app.bridge.leaves import GateTarget
from abci_app.machine.state.codec import Address, DomainId

NODES_MAX, CHAINS_MAX, RELAYERS_MAX = 32, 256, 256
KEY_FILE = "keys/relayer.json"
LOG_LEVELS = ("debug", "info", "warning", "error")
POLL_MS_MIN, POLL_MS_MAX = 20, 600_000
GWEI = 10**9

Fields = Mapping[str, tuple[type, Any]]
"""Name → (type, default); a default of None means that the name must be there."""


@dataclass(frozen=True, slots=True)
class RelayChain:
    """One destination: where it is reached, and how transactions are treated there."""

    place: GateTarget
    rpc_url: str
    poll_ms: int = 500
    """Between two looks for receipts."""
    confirm_blocks: int = 2
    """A transaction counts when this many blocks hold it, its own included."""
    replace_blocks: int = 3
    """A transaction that this many new blocks have passed over is sent again, with higher fees."""
    max_fee_gwei: int = 500
    """No transaction ever offers more for its gas."""


@dataclass(frozen=True, slots=True)
class Stagger:
    """Several relayers take turns: the one of rank k waits k steps. Without a step, or alone, nobody waits."""

    step_ms: int = 0
    relayers: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """A relayer's config.toml. Relative paths are relative to the home."""

    chain_id: str
    """Of the consensus network; the gates are bound to it."""
    nodes: tuple[str, ...]
    """host:port of nodes' gRPC: they take turns, and the next one stands in for one that fails."""
    chains: tuple[RelayChain, ...]
    key_file: str = KEY_FILE
    poll_ms: int = 100
    """Between two questions to the node."""
    stagger: Stagger = field(default_factory=Stagger)
    log_level: str = "info"
    log_file: str = ""
    """Empty: standard output."""


_TOP: Fields = {
    "chain_id": (str, None), "nodes": (list, None), "chains": (list, None), "key_file": (str, KEY_FILE),
    "poll_ms": (int, 100), "stagger": (dict, {}), "log": (dict, {}),
}
_STAGGER: Fields = {"step_ms": (int, 0), "relayers": (list, [])}
_LOG: Fields = {"level": (str, "info"), "file": (str, "")}
_CHAIN: Fields = {
    "domain": (int, None), "chain_id": (int, None), "rpc_url": (str, None), "gate": (str, None),
    "poll_ms": (int, 500), "confirm_blocks": (int, 2), "replace_blocks": (int, 3), "max_fee_gwei": (int, 500),
}


def load_config(path: Path) -> RelayConfig:
    """Read a config.toml. Raises Fatal."""
    try:
        return parse_config(path.read_text())
    except FileNotFoundError as error:
        raise Fatal(f"{path} is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Fatal(f"{path}: {error}") from error


def parse_config(text: str) -> RelayConfig:
    """Return the configuration. Raises Fatal for what is no TOML, and for the first name that is wrong."""
    try:
        top = _take(tomllib.loads(text), "", _TOP)
    except tomllib.TOMLDecodeError as error:
        raise Fatal(f"config.toml: {error}") from error
    stagger, log = _take(top["stagger"], "stagger.", _STAGGER), _take(top["log"], "log.", _LOG)
    config = RelayConfig(
        chain_id=top["chain_id"],
        nodes=_strings(top["nodes"], "nodes"),
        chains=tuple(_parse_chain(entry, f"chains[{index}].") for index, entry in enumerate(top["chains"])),
        key_file=top["key_file"],
        poll_ms=top["poll_ms"],
        stagger=Stagger(
            stagger["step_ms"],
            tuple(_address(one, "stagger.relayers") for one in _strings(stagger["relayers"], "stagger.relayers")),
        ),
        log_level=log["level"],
        log_file=log["file"],
    )
    check_config(config)
    return config


def check_config(config: RelayConfig) -> None:
    """Raise Fatal for the first value out of its range."""
    _require(0 < len(config.chain_id.encode()) <= 50, "chain_id must have 1 to 50 bytes")
    _require(0 < len(config.nodes) <= NODES_MAX, f"nodes must have 1 to {NODES_MAX} entries")
    for node in config.nodes:
        _require(_is_endpoint(node), f"nodes: {node!r} is not host:port")
    _require(len(set(config.nodes)) == len(config.nodes), "nodes names one twice")
    _require(config.key_file, "key_file must not be empty")
    _require(POLL_MS_MIN <= config.poll_ms <= POLL_MS_MAX, f"poll_ms must be {POLL_MS_MIN} to {POLL_MS_MAX}")
    _require(0 <= config.stagger.step_ms <= POLL_MS_MAX, f"stagger.step_ms must be 0 to {POLL_MS_MAX}")
    relayers = config.stagger.relayers
    _require(len(relayers) <= RELAYERS_MAX, f"stagger.relayers has more than {RELAYERS_MAX} entries")
    _require(len(set(relayers)) == len(relayers), "stagger.relayers names one twice")
    _require(config.log_level in LOG_LEVELS, f"log.level must be one of {', '.join(LOG_LEVELS)}")
    _require(0 < len(config.chains) <= CHAINS_MAX, f"chains must have 1 to {CHAINS_MAX} entries")
    seen: set[int] = set()
    for index, chain in enumerate(config.chains):
        _check_chain(chain, f"chains[{index}].")
        _require(chain.place.domain not in seen, f"chains[{index}].domain {chain.place.domain} stands twice")
        seen.add(chain.place.domain)


def render_config(config: RelayConfig) -> str:
    """Return the text of a config.toml that says exactly ``config``."""
    lines = [
        "# A relayer. Relative paths are relative to this file's folder.",
        f"chain_id = {json.dumps(config.chain_id)}  # of the consensus network",
        f"nodes = {json.dumps(list(config.nodes))}  # gRPC; they take turns",
        f"key_file = {json.dumps(config.key_file)}  # needs gas money on every chain below",
        f"poll_ms = {config.poll_ms}",
        "",
        "[stagger]  # of several relayers, the one of rank k waits k steps; ranks differ from leaf to leaf",
        f"step_ms = {config.stagger.step_ms}",
        f"relayers = {json.dumps([f'0x{one.hex()}' for one in config.stagger.relayers])}",
        "",
        "[log]  # JSON lines; an empty file means standard output",
        f"level = {json.dumps(config.log_level)}",
        f"file = {json.dumps(config.log_file)}",
    ]
    for chain in config.chains:
        lines += [
            "",
            "[[chains]]",
            f"domain = {chain.place.domain}",
            f"chain_id = {chain.place.chain_id}",
            f"rpc_url = {json.dumps(chain.rpc_url)}",
            f'gate = "0x{chain.place.gate.hex()}"',
            f"poll_ms = {chain.poll_ms}",
            f"confirm_blocks = {chain.confirm_blocks}",
            f"replace_blocks = {chain.replace_blocks}",
            f"max_fee_gwei = {chain.max_fee_gwei}",
        ]
    return "\n".join(lines) + "\n"


def _parse_chain(entry: Any, where: str) -> RelayChain:
    _require(isinstance(entry, dict), f"{where[:-1]} must be a table")
    fields = _take(entry, where, _CHAIN)
    place = GateTarget(DomainId(fields["domain"]), fields["chain_id"], _address(fields["gate"], f"{where}gate"))
    rest = ("rpc_url", "poll_ms", "confirm_blocks", "replace_blocks", "max_fee_gwei")
    return RelayChain(place, *(fields[name] for name in rest))


def _check_chain(chain: RelayChain, where: str) -> None:
    _require(0 < chain.place.domain < 1 << 32, f"{where}domain must be 1 to {2**32 - 1}")
    _require(0 < chain.place.chain_id < 1 << 63, f"{where}chain_id must be 1 to {2**63 - 1}")
    _require(any(chain.place.gate), f"{where}gate must not be the zero address")
    _require(_is_http_url(chain.rpc_url), f"{where}rpc_url must be an http:// or https:// URL")
    _require(POLL_MS_MIN <= chain.poll_ms <= POLL_MS_MAX, f"{where}poll_ms must be {POLL_MS_MIN} to {POLL_MS_MAX}")
    _require(0 < chain.confirm_blocks <= 1000, f"{where}confirm_blocks must be 1 to 1000")
    _require(0 < chain.replace_blocks <= 1000, f"{where}replace_blocks must be 1 to 1000")
    _require(0 < chain.max_fee_gwei <= 10**6, f"{where}max_fee_gwei must be 1 to {10**6}")


def _take(table: Mapping[str, Any], where: str, fields: Fields) -> dict[str, Any]:
    """Every field of a table, defaults filled in. Raises Fatal for unknown names too: typing errors must not pass."""
    for name in sorted(table):
        _require(name in fields, f"unknown name {where}{name}")
    taken = {}
    for name, (kind, default) in fields.items():
        value = table.get(name, default)
        _require(value is not None, f"{where}{name} is missing")
        _require(type(value) is kind, f"{where}{name} must be {kind.__name__}, is {type(value).__name__}")
        taken[name] = value
    return taken


def _strings(values: list[Any], name: str) -> tuple[str, ...]:
    _require(all(isinstance(value, str) for value in values), f"{name} must be a list of strings")
    return tuple(values)


def _address(text: str, name: str) -> Address:
    digits = text.removeprefix("0x")
    try:
        raw = bytes.fromhex(digits) if len(digits) == 40 else b""
    except ValueError:
        raw = b""
    _require(len(raw) == 20, f"{name}: {text[:60]!r} is no address")
    return Address(raw)


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
        raise Fatal(f"config.toml: {otherwise}")
