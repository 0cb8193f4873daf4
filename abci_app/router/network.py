"""What the network says stands where, and the chains' endpoints, each believed only once its chain id is right."""

from collections.abc import Mapping, Sequence

from abci_app.evm.connext import Connext
from abci_app.evm.errors import ChainMismatch
from abci_app.evm.rpc import Rpc
from abci_app.machine.codec import DomainId
from abci_app.router.checks import Destination
from abci_app.router.client import NodeClient
from abci_app.router.config import WatchedChain
from abci_app.router.errors import ConfigInvalid

RPC_TIMEOUT_S = 5.0


class Chains:
    """The configured chains' endpoints. Calls are not repeated here: whoever asks comes again."""

    def __init__(self, chains: Sequence[WatchedChain], timeout_s: float = RPC_TIMEOUT_S) -> None:
        self._chains = {chain.domain: chain for chain in chains}
        self._rpcs = {chain.domain: Rpc(chain.rpc_url, timeout_s=timeout_s, retry_delays_s=()) for chain in chains}
        self._checked: set[int] = set()

    def close(self) -> None:
        """Close all connections."""
        for rpc in self._rpcs.values():
            rpc.close()

    def rpc(self, domain: int) -> Rpc:
        """Return an endpoint that serves the configured chain. Raises ConfigInvalid for another one, EvmError."""
        if domain not in self._checked:
            try:
                self._rpcs[domain].require_chain(self._chains[domain].chain_id)
            except ChainMismatch as error:
                raise ConfigInvalid(f"config.toml: domain {domain}: {error}") from error
            self._checked.add(domain)
        return self._rpcs[domain]

    def unchecked_rpc(self, domain: int) -> Rpc:
        """Return an endpoint whose answers do not count yet."""
        return self._rpcs[domain]


class Network:
    """Diamonds, gates and tokens of the configured chains, as the network's nodes tell them. Any thread reads."""

    def __init__(self, client: NodeClient, chains: Chains, watched: Sequence[WatchedChain]) -> None:
        self._client, self._chains, self._watched = client, chains, tuple(watched)
        self.destinations: Mapping[int, Destination] = {}
        """By domain; replaced as a whole by ``load``."""

    def load(self) -> None:
        """Ask anew. Raises ConfigInvalid for a chain that is not the network's; NodeUnavailable, NodeRefused."""
        answer = self._client.domains()
        known = {domain.domain: domain for domain in answer.domains}
        found = {}
        for chain in self._watched:
            domain = known.get(chain.domain)
            if domain is None:
                raise ConfigInvalid(f"config.toml: the network has no domain {chain.domain}")
            if domain.chain_id != chain.chain_id:
                raise ConfigInvalid(
                    f"config.toml: domain {chain.domain} has chain id {domain.chain_id}, not {chain.chain_id}"
                )
            locals_ = {
                (asset.canonical_domain, asset.canonical_id): local.address
                for asset in answer.assets for local in asset.locals if local.domain == chain.domain and local.listed
            }
            connext = Connext(self._chains.unchecked_rpc(chain.domain), domain.connext)
            found[chain.domain] = Destination(
                DomainId(chain.domain), connext, domain.gate, locals_, domain.max_routers
            )
        self.destinations = found
