"""What stands on the two local chains: addresses, assets, roles; and the keys behind them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from abci_app.evm.account import SECP256K1_ORDER, Account
from abci_app.evm.types import Address

DEV_SEED = b"consensus-routing: keys for LOCAL TESTNETS ONLY, known to everybody, worth nothing"
"""All keys of a local network that are not a validator's come from this. Never send anything of value to them."""


@dataclass(frozen=True)
class Token:
    """One asset on one domain: its local address there, and its canonical identity."""

    symbol: str
    address: Address
    decimals: int
    canonical_domain: int
    canonical_id: bytes

    @property
    def unit(self) -> int:
        """Return one whole unit in the smallest ones."""
        unit: int = 10**self.decimals
        return unit


@dataclass(frozen=True)
class DomainDeployment:
    """Connext on one chain. `root_manager`, `root_tree` and `hub_connectors` exist on the hub only."""

    domain: int
    chain_id: int
    rpc_port: int
    connext: Address
    spoke_connector: Address
    spoke_tree: Address
    watcher_manager: Address
    tokens: Mapping[str, Token]
    end_block: int
    """Last block of the deployment; the state of genesis may be read at any later one."""
    root_manager: Address | None = None
    root_tree: Address | None = None
    hub_connectors: Mapping[int, Address] | None = None


@dataclass(frozen=True)
class Deployment:
    """The complete bridge on both chains, the hub first."""

    domains: tuple[DomainDeployment, ...]
    hub_domain: int
    owner: Address
    proposer: Address
    watcher: Address
    relayer: Address
    """The only approved relayer until the gate takes over."""
    routers: tuple[Address, ...]
    router_liquidity_units: int
    """Whole units of each token that each router holds on each domain."""
    users: int
    """Accounts `user-0` … with gas and tokens on both chains, used by no process."""

    def domain(self, domain: int) -> DomainDeployment:
        """Return the deployment on one domain. Raises KeyError."""
        for deployed in self.domains:
            if deployed.domain == domain:
                return deployed
        raise KeyError(f"no domain {domain} in this deployment")

    @property
    def hub(self) -> DomainDeployment:
        return self.domain(self.hub_domain)

    def at_ports(self, ports: Mapping[int, int]) -> "Deployment":
        """Return the same deployment with its chains (by domain) at other ports."""
        return replace(self, domains=tuple(replace(one, rpc_port=ports[one.domain]) for one in self.domains))


def dev_account(role: str) -> Account:
    """Return the account of a role: `owner`, `proposer`, `watcher`, `relayer`, `router-0` …, `user-0` …"""
    digest = hashlib.sha256(DEV_SEED + b"/" + role.encode()).digest()
    return Account((int.from_bytes(digest, "big") % (SECP256K1_ORDER - 1) + 1).to_bytes(32, "big"))


def to_json(deployment: Deployment) -> str:
    """Return JSON text; bytes as `0x` hex."""
    return json.dumps(asdict(deployment), default=_hex, indent=1)


def from_json(text: str) -> Deployment:
    """Parse what to_json gave. Raises ValueError, KeyError or TypeError for anything else."""
    fields = json.loads(text)
    fields["domains"] = tuple(_domain_from_json(entry) for entry in fields["domains"])
    for name in ("owner", "proposer", "watcher", "relayer"):
        fields[name] = _bytes(fields[name])
    fields["routers"] = tuple(_bytes(router) for router in fields["routers"])
    return Deployment(**fields)


def _domain_from_json(fields: dict[str, Any]) -> DomainDeployment:
    for name in ("connext", "spoke_connector", "spoke_tree", "watcher_manager"):
        fields[name] = _bytes(fields[name])
    for name in ("root_manager", "root_tree"):
        fields[name] = fields[name] and _bytes(fields[name])
    fields["tokens"] = {
        symbol: Token(**(token | {"address": _bytes(token["address"]), "canonical_id": _bytes(token["canonical_id"])}))
        for symbol, token in fields["tokens"].items()
    }
    if fields["hub_connectors"] is not None:
        fields["hub_connectors"] = {int(domain): _bytes(hub) for domain, hub in fields["hub_connectors"].items()}
    return DomainDeployment(**fields)


def _hex(value: Any) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    raise TypeError(f"{type(value).__name__} in a deployment")


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
