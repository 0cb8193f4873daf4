"""What the network says stands where, and the chains' endpoints, each believed only once its chain id is right."""

from collections.abc import Mapping, Sequence

from abci_app.client.errors import NodeRefused, NodeUnavailable
from abci_app.client.nodes import NodeClient
from abci_app.daemon.runner import Retryable, describe
from abci_app.evm.connext import Connext
from abci_app.evm.errors import ChainMismatch, EvmError
from abci_app.evm.rpc import Rpc
from abci_app.machine.state.codec import DomainId
from abci_app.pb import query_pb2
from abci_app.router.checks import Destination
from abci_app.router.config import WatchedChain
from abci_app.router.errors import ConfigInvalid, NodeContradicts
from abci_app.router.ledger import Ledger

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
    """Diamonds, gates and tokens of the configured chains, as the network's nodes tell them. Any thread reads.

    Where Connext is decides whom this router believes and pays through, so no node may change that: it is what the
    configuration says, or else what was reported first.
    """

    def __init__(self, client: NodeClient, chains: Chains, watched: Sequence[WatchedChain]) -> None:
        self._client, self._chains, self._watched = client, chains, tuple(watched)
        self._pins = {chain.domain: chain.connext for chain in watched if chain.connext}
        self.destinations: Mapping[int, Destination] = {}
        """By domain; replaced as a whole by ``load``."""

    def load(self) -> None:
        """Ask for the first time. Raises ConfigInvalid for a chain that is not the network's; NodeUnavailable,
        NodeRefused."""
        self.destinations = self._read(self._client.domains())

    def reload(self, client: NodeClient) -> None:
        """Ask anew. Raises NodeContradicts where a node says otherwise than before; NodeUnavailable, NodeRefused."""
        answer = client.domains()
        try:
            self.destinations = self._read(answer)
        except ConfigInvalid as error:
            raise NodeContradicts(f"a node contradicts what was true at the start: {error}") from error

    def pin(self, ledger: Ledger) -> Mapping[int, bytes]:
        """Hold on to each domain's Connext; return those that are believed for the first time. After ``load``.

        Raises ConfigInvalid where the nodes say otherwise than the ledger, LedgerFailed.
        """
        fresh = {}
        for domain, destination in self.destinations.items():
            if domain in self._pins:
                continue
            reported = destination.connext.address
            kept = ledger.load_pin(domain)
            if not kept:
                ledger.save_pin(domain, reported)
                fresh[domain] = reported
            elif kept != reported:
                raise ConfigInvalid(
                    f"domain {domain}: nodes said Connext was 0x{kept.hex()} and now 0x{reported.hex()}: "
                    "set connext in config.toml"
                )
            self._pins[domain] = reported
        return fresh

    def _read(self, answer: query_pb2.DomainsResponse) -> Mapping[int, Destination]:
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
            pinned = self._pins.get(chain.domain, domain.connext)
            if domain.connext != pinned:
                raise ConfigInvalid(
                    f"config.toml: domain {chain.domain} has Connext 0x{domain.connext.hex()}, not 0x{pinned.hex()}"
                )
            locals_ = {
                (asset.canonical_domain, asset.canonical_id): local.address
                for asset in answer.assets for local in asset.locals if local.domain == chain.domain and local.listed
            }
            connext = Connext(self._chains.unchecked_rpc(chain.domain), domain.connext)
            found[chain.domain] = Destination(
                DomainId(chain.domain), connext, domain.gate, locals_, domain.max_routers
            )
        return found


def explain(error: Exception) -> Retryable | None:
    """Return why a chain or node could not be asked now; None for what ends the router."""
    if isinstance(error, EvmError):
        return Retryable("chain-unavailable", describe(error))
    if isinstance(error, NodeUnavailable):
        return Retryable("node-unavailable", describe(error))
    return Retryable("node-refused", describe(error)) if isinstance(error, NodeRefused) else None
