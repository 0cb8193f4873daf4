"""A relayer between a fake node and real chains: anvil, the real Connext, the real gates."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from abci_app.bridge.config import RelayChain, RelayConfig, Stagger
from abci_app.bridge.home import RelayHome, init_home, load_home
from abci_app.bridge.leaves import GateTarget
from abci_app.bridge.runner import Options, Relay
from abci_app.daemon.log import JsonLinesFormatter
from abci_app.evm.account import Account
from abci_app.evm.connext import DestinationStatus, ExecuteArgs
from abci_app.evm.connext_events import TOPICS, decode_event
from abci_app.evm.gate import encode_execute_batch, make_batch, make_entry
from abci_app.machine.connext import compute_transfer_id, keccak
from abci_app.machine.decisions.batches import prove_leaf
from testnet.chains.anvil import set_balance
from testnet.connext.connext_contracts import CHAIN_IDS, SPOKE_DOMAIN
from tests.kit.bridge.fake_node import FakeNode, Offer, place_of
from tests.kit.contracts.gate_kit import Scene

LEASE_S = 3600
MONEY_WEI = 10**20
CONTINUOUS = Options()
WAIT_S = 60.0
"""A busy machine takes ten times as long as an idle one."""


@dataclass
class Crossing:
    """One chain's relayer with its surroundings."""

    scene: Scene
    node: FakeNode
    folder: Path
    account: Account
    heights: list[int] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)

    @property
    def place(self) -> GateTarget:
        return place_of(SPOKE_DOMAIN, CHAIN_IDS[SPOKE_DOMAIN], self.scene.gate)

    def offer(self, args: ExecuteArgs, lease_s: int = LEASE_S, gas_limit: int = 600_000) -> Offer:
        """An offer that holds for so long on the chain's own clock."""
        return Offer(args, max(self.scene.now_s(), int(time.time())) + lease_s, gas_limit)

    def decide(self, *offers: Offer, **terms: Any) -> int:
        """A batch of one leaf for the spoke beside one for the hub that is none of ours."""
        other = place_of(9999, 9999, b"\x99" * 20)
        height = self.node.decide((self.place, offers), (other, [offers[0]]), **terms)
        self.heights.append(height)
        self.offers += offers
        return height

    def home(self, name: str = "relay", nodes: tuple[str, ...] = (), rpc_url: str = "", **terms: Any) -> RelayHome:
        """The home of that name, made when first asked for."""
        path = self.folder / name
        if not path.exists():
            stagger = terms.pop("stagger", Stagger())
            gate = terms.pop("gate", self.scene.gate)
            chain = RelayChain(
                place_of(SPOKE_DOMAIN, terms.pop("evm_chain_id", CHAIN_IDS[SPOKE_DOMAIN]), gate),
                rpc_url or self.scene.rpc.url,
                **({"poll_ms": 50, "confirm_blocks": 1, "replace_blocks": 2} | terms),
            )
            config = RelayConfig(
                self.node.quorum.chain_id, nodes or (self.node.address,), (chain,), poll_ms=50, stagger=stagger
            )
            init_home(path, config, self.account)
        return load_home(path)

    def status(self, offer: Offer) -> DestinationStatus:
        return self.scene.status(offer.args)

    def executions(self, offer: Offer) -> int:
        """How often Connext says that it paid this transfer out."""
        connext = self.scene.connext.address
        logs = self.scene.rpc.logs(connext, 0, self.scene.rpc.block_number(), [TOPICS["Executed"]])
        wanted = compute_transfer_id(offer.args.params)
        return sum(decode_event(log).arguments["transferId"] == wanted for log in logs)

    def nonces(self) -> tuple[int, int]:
        """(mined, mined or pending) transactions of the relayer's key."""
        count = self.scene.rpc.transaction_count
        return count(self.account.address), count(self.account.address, "pending")


def submit_as_stranger(world: Crossing, height: int) -> None:
    """Somebody else brings the spoke's leaf of a batch to the gate."""
    stored = world.node.stored[height]
    decisions = stored.decisions
    leaf = stored.batch.leaves[0]
    entries = [make_entry(decisions[sequence], stored.offers[sequence].args) for sequence in leaf.sequences]
    proof = prove_leaf(stored.batch, decisions, 0)
    batch = make_batch(stored.batch, 0, proof, world.node.quorum.validator_set(), entries)
    calldata = encode_execute_batch(batch, skip_executed=False)
    world.scene.wallet("user-5").send(world.scene.gate, calldata)


@contextmanager
def crossing(scene: Scene, folder: Path, seed: bytes) -> Iterator[Crossing]:
    """A fresh relayer's key with gas money, and a node that has decided nothing yet."""
    account = Account(keccak(b"relayer of a test" + seed))
    set_balance(scene.rpc, account.address, MONEY_WEI)
    with FakeNode(scene.quorum) as node:
        yield Crossing(scene, node, folder, account)


@contextmanager
def relaying(home: RelayHome, options: Options = CONTINUOUS) -> Iterator[Relay]:
    """A relay at work in a thread; what ended it, if anything, is raised at the end."""
    relay, ended = Relay(home, options), []

    def run() -> None:
        try:
            relay.run()
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield relay
    finally:
        relay.stop()
        thread.join(30)
    assert not thread.is_alive()
    for error in ended:
        raise error


def wait_for(holds: Callable[[], Any], what: str, deadline_s: float = WAIT_S) -> None:
    """Wait until a condition holds; fail with its name after the deadline."""
    deadline = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < deadline, f"not in {deadline_s} s: {what}"
        time.sleep(0.02)


class Lines(logging.Handler):
    """Log records of the bridge, as (event, fields)."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[str, dict[str, Any]]] = []

    def emit(self, record: logging.LogRecord) -> None:
        fields = json.loads(JsonLinesFormatter().format(record))
        self.records.append((fields["event"], fields))

    def named(self, event: str) -> list[dict[str, Any]]:
        """Fields of every line of one event."""
        return [fields for name, fields in list(self.records) if name == event]

    def causes(self) -> list[str]:
        """Causes of waiting, in order."""
        return [fields["cause"] for fields in self.named("waiting")]


@contextmanager
def listening() -> Iterator[Lines]:
    """Collect what the bridge logs."""
    lines, logger = Lines(), logging.getLogger("abci_app.bridge")
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        for event, fields in lines.records:  # shown where the test fails
            print(event, {name: fields[name] for name in list(fields)[4:]})
        logger.removeHandler(lines)
        logger.setLevel(level)
