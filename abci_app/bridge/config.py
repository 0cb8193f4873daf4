"""config.toml of a relayer: what it may say, read with every mistake refused in one line that names it."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from abci_app.bridge.errors import Fatal
from abci_app.bridge.leaves import GateTarget
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
from abci_app.machine.state.codec import Address, DomainId

NODES_MAX, CHAINS_MAX, RELAYERS_MAX = 32, 256, 256
KEY_FILE = "keys/relayer.json"
POLL_MS_MIN, POLL_MS_MAX = 20, 600_000
GWEI = 10**9


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


class _Stagger(Table):
    step_ms: int = 0
    relayers: list[str] = Field(default_factory=list)


class _Chain(Table):
    domain: int
    chain_id: int
    rpc_url: str
    gate: str
    poll_ms: int = 500
    confirm_blocks: int = 2
    replace_blocks: int = 3
    max_fee_gwei: int = 500


class _Form(Table):
    """config.toml of a relayer."""

    chain_id: str
    nodes: list[str]
    chains: list[_Chain]
    key_file: str = KEY_FILE
    poll_ms: int = 100
    stagger: _Stagger = _Stagger()
    log: LogTable = LogTable()


def load_config(path: Path) -> RelayConfig:
    """Read a config.toml. Raises Fatal."""
    return load_toml(path, _Form, _make, Fatal)


def parse_config(text: str) -> RelayConfig:
    """Return the configuration. Raises Fatal for the first mistake: TOML, names, types, ranges."""
    return read_toml(text, _Form, _make, Fatal)


def _make(form: _Form) -> RelayConfig:
    config = RelayConfig(
        chain_id=form.chain_id,
        nodes=tuple(form.nodes),
        chains=tuple(_make_chain(one, f"chains[{index}].") for index, one in enumerate(form.chains)),
        key_file=form.key_file,
        poll_ms=form.poll_ms,
        stagger=Stagger(
            form.stagger.step_ms, tuple(_address(one, "stagger.relayers") for one in form.stagger.relayers)
        ),
        log_level=form.log.level,
        log_file=form.log.file,
    )
    _check(config)
    return config


def check_config(config: RelayConfig) -> None:
    """Raise Fatal for the first value out of its range."""
    with refused_as(Fatal):
        _check(config)


def _check(config: RelayConfig) -> None:
    require(0 < len(config.chain_id.encode()) <= 50, "chain_id must have 1 to 50 bytes")
    require(0 < len(config.nodes) <= NODES_MAX, f"nodes must have 1 to {NODES_MAX} entries")
    for node in config.nodes:
        require(is_endpoint(node), f"nodes: {node!r} is not host:port")
    require(len(set(config.nodes)) == len(config.nodes), "nodes names one twice")
    require(config.key_file, "key_file must not be empty")
    require(POLL_MS_MIN <= config.poll_ms <= POLL_MS_MAX, f"poll_ms must be {POLL_MS_MIN} to {POLL_MS_MAX}")
    require(0 <= config.stagger.step_ms <= POLL_MS_MAX, f"stagger.step_ms must be 0 to {POLL_MS_MAX}")
    relayers = config.stagger.relayers
    require(len(relayers) <= RELAYERS_MAX, f"stagger.relayers has more than {RELAYERS_MAX} entries")
    require(len(set(relayers)) == len(relayers), "stagger.relayers names one twice")
    require(config.log_level in LOG_LEVELS, f"log.level must be one of {', '.join(LOG_LEVELS)}")
    require(0 < len(config.chains) <= CHAINS_MAX, f"chains must have 1 to {CHAINS_MAX} entries")
    seen: set[int] = set()
    for index, chain in enumerate(config.chains):
        _check_chain(chain, f"chains[{index}].")
        require(chain.place.domain not in seen, f"chains[{index}].domain {chain.place.domain} stands twice")
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


def _make_chain(one: _Chain, where: str) -> RelayChain:
    place = GateTarget(DomainId(one.domain), one.chain_id, _address(one.gate, f"{where}gate"))
    return RelayChain(place, one.rpc_url, one.poll_ms, one.confirm_blocks, one.replace_blocks, one.max_fee_gwei)


def _check_chain(chain: RelayChain, where: str) -> None:
    require(0 < chain.place.domain < 1 << 32, f"{where}domain must be 1 to {2**32 - 1}")
    require(0 < chain.place.chain_id < 1 << 63, f"{where}chain_id must be 1 to {2**63 - 1}")
    require(any(chain.place.gate), f"{where}gate must not be the zero address")
    require(is_http_url(chain.rpc_url), f"{where}rpc_url must be an http:// or https:// URL")
    require(POLL_MS_MIN <= chain.poll_ms <= POLL_MS_MAX, f"{where}poll_ms must be {POLL_MS_MIN} to {POLL_MS_MAX}")
    require(0 < chain.confirm_blocks <= 1000, f"{where}confirm_blocks must be 1 to 1000")
    require(0 < chain.replace_blocks <= 1000, f"{where}replace_blocks must be 1 to 1000")
    require(0 < chain.max_fee_gwei <= 10**6, f"{where}max_fee_gwei must be 1 to {10**6}")


def _address(text: str, name: str) -> Address:
    digits = text.removeprefix("0x")
    try:
        raw = bytes.fromhex(digits) if len(digits) == 40 else b""
    except ValueError:
        raw = b""
    require(len(raw) == 20, f"{name}: {text[:60]!r} is no address")
    return Address(raw)
