"""The description of a network to be: what its operators agree on and no chain knows.

TOML or JSON. Names and forms are those of ``app_state`` where both have them, beside an endpoint for each chain.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abci_app.machine.codes import Rejected
from abci_app.machine.genesis.form import GenesisValidator
from abci_app.machine.genesis.json_form import from_json
from abci_app.machine.params import Params
from abci_app.machine.state.codec import U32, U64, Address, DomainId, Hash
from abci_app.operator.errors import Cause, OperatorError

NO_GATE = Address(bytes(20))
"""As ``gate``: there is none yet."""
HEAD = 0
"""As ``block``: the last final one."""


@dataclass(frozen=True, slots=True)
class DescribedChain:
    """One chain with Connext and the gate on it."""

    domain: DomainId
    chain_id: U64
    connext: Address
    segment_blocks: U32
    idle_blocks: U32
    gate: Address = NO_GATE
    """May be missing until ``routerd gate deploy`` has made it."""
    finality_depth: U32 = 0
    """Blocks below the head that count as final; 0: the chain's own ``finalized`` tag."""
    block: U64 = HEAD
    """Block G, at which the chain is read; 0: the last final one."""


@dataclass(frozen=True, slots=True)
class DescribedAsset:
    """One canonical asset; its local tokens are read from Connext."""

    canonical_domain: DomainId
    canonical_id: Hash
    min_fast: int = 0


@dataclass(frozen=True, slots=True)
class Description:
    """All but the endpoints and the network's name."""

    chains: tuple[DescribedChain, ...]
    assets: tuple[DescribedAsset, ...]
    routers: tuple[Address, ...]
    validators: tuple[GenesisValidator, ...]
    params: Params = Params()


@dataclass(frozen=True, slots=True)
class DescribedNetwork:
    """A description as its file has it."""

    chain_id: str
    """Of the consensus network, as in CometBFT's genesis."""
    rpc_urls: tuple[str, ...]
    """One for each chain of ``description``, in its order."""
    description: Description


def load_network(path: Path) -> DescribedNetwork:
    """Read a description: JSON where the name ends so, else TOML. Raises OperatorError."""
    try:
        text = path.read_text()
        fields = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise OperatorError(Cause.FILE_INVALID, f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise OperatorError(Cause.DESCRIPTION_INVALID, f"{path}: {error}") from error
    return parse_network(fields)


def parse_network(fields: Any) -> DescribedNetwork:
    """Return what a description's values say; nothing unknown, nothing missing. Raises OperatorError."""
    if not isinstance(fields, dict):
        raise OperatorError(Cause.DESCRIPTION_INVALID, "must be an object")
    rest = dict(fields)
    chain_id = _take_text(rest, "chain_id", "")
    if isinstance(rest.get("chains"), list) and all(isinstance(chain, dict) for chain in rest["chains"]):
        chains = [dict(chain) for chain in rest["chains"]]
        rpc_urls = tuple(_take_text(chain, "rpc_url", f"chains[{at}].") for at, chain in enumerate(chains))
        rest["chains"] = chains
    else:
        raise OperatorError(Cause.DESCRIPTION_INVALID, "chains: must be a list of tables")
    try:
        return DescribedNetwork(chain_id, rpc_urls, from_json(Description, rest, "description"))
    except Rejected as rejection:
        raise OperatorError(Cause.DESCRIPTION_INVALID, rejection.reason) from rejection


def _take_text(table: dict[str, Any], name: str, place: str) -> str:
    value = table.pop(name, None)
    if not isinstance(value, str) or not value:
        raise OperatorError(Cause.DESCRIPTION_INVALID, f"{place}{name}: must be a text")
    return value


def by_domain(network: DescribedNetwork) -> Mapping[int, str]:
    """Return each chain's endpoint by its domain."""
    return {chain.domain: url for chain, url in zip(network.description.chains, network.rpc_urls, strict=True)}
