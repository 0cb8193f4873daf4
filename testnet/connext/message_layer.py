"""Plays Connext's message layer with the real contracts: propose, wait, finalize, prove, process.

In optimistic mode nothing is sent between the chains: an allow-listed proposer states the aggregate root on the hub and
then on each spoke, each statement can be disputed for a window of blocks, and afterwards anybody proves messages
against it. `settle` does this until every message that was dispatched has been processed, so every pending
`Reconciled` has happened. It may be killed and run again: an unfinished proposal is finished first.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abci_app.evm.codec import decode_revert, encode_arguments, load_interface
from abci_app.evm.errors import TransactionFailed
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Address, Log
from abci_app.evm.wallet import Wallet
from testnet.chains.anvil import Step
from testnet.connext.deployment import Deployment, DomainDeployment, dev_account
from testnet.connext.merkle import MerkleTree, keccak

HUB, SPOKE = load_interface("root_manager"), load_interface("spoke_connector")
TREE = load_interface("merkle_tree_manager")

SNAPSHOT_S = 1800
"""A hub proposal names the half hour of the block that includes it."""

NO_PROPOSAL = (1).to_bytes(32, "big")
"""`proposedAggregateRootHash` while nothing is proposed."""

BATCH_MESSAGES = 8
"""Messages in one proveAndProcess."""

PROCESS_GAS = 4_000_000
"""Gas limit of a batch: each message uses about 120,000 and needs 865,000 left when it is reached."""

TRANSACTION_GAS = 1_000_000
"""Gas limit of anything else here; at most 70,000 is used."""

ROUNDS_MAX = 5
"""A round takes what was dispatched before it; under steady traffic there is always something new."""

PROPOSE_ATTEMPTS = 3
"""A hub proposal fails if the half hour changes between its making and its block."""


class MessageLayerFailed(Exception):
    """Settling cannot go on. One line, for people."""


@dataclass(frozen=True)
class Message:
    """A dispatched message; `index` is its leaf in the origin's tree, `body` the packed bytes whose keccak it is."""

    origin: int
    destination: int
    index: int
    leaf: bytes
    body: bytes

    @property
    def transfer_id(self) -> bytes:
        return self.body[-32:]


@dataclass(frozen=True)
class Failure:
    """A message that the destination took although its handler reverted."""

    message: Message
    reason: str


@dataclass(frozen=True)
class Settlement:
    """What one `settle` did; `left` is how many messages came in faster than ROUNDS_MAX rounds took them."""

    rounds: int
    processed: tuple[Message, ...]
    failures: tuple[Failure, ...]
    left: int

    @property
    def is_complete(self) -> bool:
        """Whether every pending Reconciled has happened."""
        return not self.failures and not self.left


def settle(deployment: Deployment, rpcs: Mapping[int, Rpc], step: Step) -> Settlement:
    """Process every dispatched message of a deployment; `rpcs` by domain.

    `step` waits for blocks: `chains.wait_until` where they come by themselves, `chains.mine_until` under automine.
    Raises EvmError, ChainFailed, MessageLayerFailed.
    """
    layer = _Layer(deployment, rpcs, step)
    processed: list[Message] = []
    failures: list[Failure] = []
    for rounds in range(ROUNDS_MAX):
        sent = {domain: read_messages(rpc, deployment.domain(domain)) for domain, rpc in rpcs.items()}
        pending = find_pending(deployment, rpcs, sent)
        if not pending:
            return Settlement(rounds, tuple(processed), tuple(failures), 0)
        failures += layer.process(pending, layer.publish(sent))
        processed += pending
    sent = {domain: read_messages(rpc, deployment.domain(domain)) for domain, rpc in rpcs.items()}
    left = len(find_pending(deployment, rpcs, sent))
    return Settlement(ROUNDS_MAX, tuple(processed), tuple(failures), left)


def read_messages(rpc: Rpc, deployed: DomainDeployment) -> list[Message]:
    """Return every message dispatched on a domain so far, by index. Raises MessageLayerFailed for a gap."""
    dispatch = SPOKE.event("Dispatch")
    logs = rpc.logs(deployed.spoke_connector, 0, rpc.block_number(), [dispatch.topic0])
    messages = [_parse_message(deployed.domain, dispatch.decode(log)) for log in logs]
    if [message.index for message in messages] != list(range(len(messages))):
        raise MessageLayerFailed(f"domain {deployed.domain}: the log lacks messages")
    return messages


def find_pending(
    deployment: Deployment, rpcs: Mapping[int, Rpc], sent: Mapping[int, Sequence[Message]]
) -> list[Message]:
    """Return the messages to chains of ours that were not processed there."""
    process = SPOKE.event("Process")
    done = set()
    for domain, rpc in rpcs.items():
        logs = rpc.logs(deployment.domain(domain).spoke_connector, 0, rpc.block_number(), [process.topic0])
        done |= {process.decode(log)["leaf"] for log in logs}
    every = [message for messages in sent.values() for message in messages]
    return [message for message in every if message.destination in rpcs and message.leaf not in done]


def _parse_message(domain: int, arguments: Mapping[str, Any]) -> Message:
    body = arguments["message"]
    return Message(domain, int.from_bytes(body[40:44], "big"), arguments["index"], arguments["leaf"], body)


@dataclass(frozen=True)
class _Aggregate:
    """A root that all chains accept, with the trees under it and their places in it."""

    tree: MerkleTree
    trees: Mapping[int, MerkleTree]
    positions: Mapping[int, int]


class _Layer:
    """One proposer's view of a deployment."""

    def __init__(self, deployment: Deployment, rpcs: Mapping[int, Rpc], step: Step) -> None:
        self.deployment, self.rpcs, self.step = deployment, rpcs, step
        hub = deployment.hub
        if hub.root_manager is None or hub.root_tree is None:
            raise MessageLayerFailed(f"hub {hub.domain} has no RootManager")
        self.hub, self.root_manager, self.root_tree = hub.domain, hub.root_manager, hub.root_tree
        self.wallets = {domain: Wallet(rpc, dev_account("proposer")) for domain, rpc in rpcs.items()}

    def publish(self, sent: Mapping[int, Sequence[Message]]) -> _Aggregate:
        """Make hub and spokes accept an aggregate root over all these messages."""
        if self._read(self.hub, self.root_tree, "count", TREE) != 0:
            raise MessageLayerFailed("the hub's own tree has leaves of slow mode; only optimistic mode is played here")
        trees = {domain: MerkleTree([message.leaf for message in messages]) for domain, messages in sent.items()}
        domains = self._hub_domains()
        aggregate = MerkleTree([trees[domain].root for domain in domains])
        self._finish_on_hub()
        if self._latest_on_hub()[1] != aggregate.root:
            self._propose_on_hub(aggregate.root, [trees[domain].root for domain in domains], domains)
            self._finish_on_hub()
        timestamp_s, _ = self._latest_on_hub()
        if not self._is_proven(self.hub, aggregate.root):
            self._transact(self.hub, self.root_manager, HUB.encode("sendRootToHubSpoke"))
        spokes = [domain for domain in domains if domain != self.hub]
        for domain in spokes:
            self._finish_on_spoke(domain)
            if not self._is_proven(domain, aggregate.root):
                proposal = SPOKE.encode("proposeAggregateRoot", aggregate.root, timestamp_s)
                self._transact(domain, self._spoke(domain), proposal)
        for domain in spokes:
            self._finish_on_spoke(domain)
        return _Aggregate(aggregate, trees, {domain: position for position, domain in enumerate(domains)})

    def process(self, pending: Sequence[Message], aggregate: _Aggregate) -> list[Failure]:
        """Prove and process messages; those of one transaction share origin and destination."""
        failures = []
        for origin in aggregate.trees:
            for destination in self.rpcs:
                group = [one for one in pending if (one.origin, one.destination) == (origin, destination)]
                for start in range(0, len(group), BATCH_MESSAGES):
                    batch = group[start : start + BATCH_MESSAGES]
                    failures += self._process_batch(origin, destination, batch, aggregate)
        return failures

    def _process_batch(
        self, origin: int, destination: int, batch: Sequence[Message], aggregate: _Aggregate
    ) -> list[Failure]:
        tree, position = aggregate.trees[origin], aggregate.positions[origin]
        proofs = [(message.body, tree.path(message.index), message.index) for message in batch]
        path = aggregate.tree.path(position)
        calldata = SPOKE.encode("proveAndProcess", proofs, aggregate.tree.root, path, position)
        logs = self._transact(destination, self._spoke(destination), calldata, PROCESS_GAS)
        event = SPOKE.event("Process")
        results = {}
        for log in logs:
            if log.topics[0] == event.topic0:
                result = event.decode(log)
                results[result["leaf"]] = result
        if set(results) != {message.leaf for message in batch}:
            raise MessageLayerFailed(f"domain {destination} did not report every message of a batch")
        return [
            Failure(message, _describe(results[message.leaf]["returnData"]))
            for message in batch
            if not results[message.leaf]["success"]
        ]

    # -- the hub ------------------------------------------------------------------------------------------------------

    def _propose_on_hub(self, root: bytes, roots: Sequence[bytes], domains: Sequence[int]) -> None:
        for attempt in range(PROPOSE_ATTEMPTS):
            now_s = self.rpcs[self.hub].block().timestamp_s
            if attempt == 0:  # afterwards the head is the refused proposal's own block: it shows the chain's clock
                now_s = max(int(time.time()), now_s)
            proposal = HUB.encode("proposeAggregateRoot", now_s // SNAPSHOT_S, root, roots, domains)
            try:
                self._transact(self.hub, self.root_manager, proposal)
                return
            except TransactionFailed as failed:
                name = failed.reason.name if failed.reason else None
                if name != "RootManager_proposeAggregateRoot__InvalidSnapshotId" or attempt + 1 == PROPOSE_ATTEMPTS:
                    raise

    def _finish_on_hub(self) -> None:
        """Finalize a proposal of the hub, if there is one, at the end of its window."""
        if self._read(self.hub, self.root_manager, "proposedAggregateRootHash", HUB) == NO_PROPOSAL:
            return
        proposed = self._last_log(self.hub, self.root_manager, HUB.event("AggregateRootProposed").topic0)
        arguments = HUB.event("AggregateRootProposed").decode(proposed)
        root, end = arguments["aggregateRoot"], arguments["endOfDispute"]
        self._require_proposal(self.hub, self.root_manager, encode_arguments(["bytes32", "uint256"], [root, end]))
        self.step(self.rpcs[self.hub], end - 1)
        self._transact(self.hub, self.root_manager, HUB.encode("finalize", root, end))

    def _latest_on_hub(self) -> tuple[int, bytes]:
        """Return (timestamp, root) that the hub finalized last; (0, zero) before the first."""
        timestamp_s = self._read(self.hub, self.root_manager, "lastSavedAggregateRootTimestamp", HUB)
        return timestamp_s, self._read(self.hub, self.root_manager, "validAggregateRoots", HUB, timestamp_s)

    def _hub_domains(self) -> list[int]:
        """Return the hub's domains in its own order, which is that of the aggregate's leaves."""
        known = {domain: self._read(self.hub, self.root_manager, "getDomainIndex", HUB, domain) for domain in self.rpcs}
        if sorted(known.values()) != list(range(len(known))):
            raise MessageLayerFailed("the hub serves domains that are not in this deployment")
        return sorted(known, key=lambda domain: int(known[domain]))

    # -- spokes -------------------------------------------------------------------------------------------------------

    def _finish_on_spoke(self, domain: int) -> None:
        """Finalize a proposal of a spoke, if there is one, at the end of its window."""
        spoke, event = self._spoke(domain), SPOKE.event("AggregateRootProposed")
        if self._read(domain, spoke, "proposedAggregateRootHash", SPOKE) == NO_PROPOSAL:
            return
        arguments = event.decode(self._last_log(domain, spoke, event.topic0))
        proposal = [arguments["aggregateRoot"], arguments["rootTimestamp"], arguments["endOfDispute"]]
        self._require_proposal(domain, spoke, encode_arguments(["bytes32", "uint256", "uint256"], proposal))
        self.step(self.rpcs[domain], proposal[2] - 1)
        self._transact(domain, spoke, SPOKE.encode("finalize", *proposal))

    def _is_proven(self, domain: int, root: bytes) -> bool:
        return bool(self._read(domain, self._spoke(domain), "provenAggregateRoots", SPOKE, root))

    def _spoke(self, domain: int) -> Address:
        return self.deployment.domain(domain).spoke_connector

    # -- any chain ----------------------------------------------------------------------------------------------------

    def _require_proposal(self, domain: int, contract: Address, preimage: bytes) -> None:
        if self._read(domain, contract, "proposedAggregateRootHash", HUB) != keccak(preimage):
            raise MessageLayerFailed(f"domain {domain}: the pending proposal is not the last one in the log")

    def _last_log(self, domain: int, contract: Address, topic0: bytes) -> Log:
        logs = self.rpcs[domain].logs(contract, 0, self.rpcs[domain].block_number(), [topic0])
        if not logs:
            raise MessageLayerFailed(f"domain {domain}: a proposal is pending that is not in the log")
        return logs[-1]

    def _read(self, domain: int, contract: Address, name: str, interface: Any, *arguments: Any) -> Any:
        function = interface.function(name)
        return function.decode(self.rpcs[domain].call(contract, function.encode(*arguments)))[0]

    def _transact(self, domain: int, to: Address, data: bytes, gas: int = TRANSACTION_GAS) -> tuple[Log, ...]:
        return self.wallets[domain].transact(to, data, gas=gas).logs


def _describe(returned: bytes) -> str:
    name, arguments = decode_revert(returned)
    return f"{name}{arguments}" if name else (returned.hex() or "no data")
