"""A worker between a fake node and a fake chain, stepped by hand, on a clock that a test moves."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from abci_app.bridge.follow import LeafFollower
from abci_app.bridge.inclusion import Limits
from abci_app.bridge.journal import Journal
from abci_app.bridge.leaves import AttestedLeaf, GateTarget, LeafKey
from abci_app.bridge.payload import parse_execution
from abci_app.bridge.plan import Turn
from abci_app.bridge.submitter import Sender
from abci_app.bridge.worker import Settings, Worker
from abci_app.client.errors import NodeRefused
from abci_app.daemon.notices import Notices
from abci_app.daemon.runner import Next
from abci_app.evm.account import Account
from abci_app.evm.connext import ExecuteArgs
from abci_app.machine.connext import keccak
from abci_app.pb import query_pb2 as pb
from bench.quorum import Quorum, make_quorum, make_transfer, sign_execution
from testnet.connext.deployment import Token
from tests.kit.bridge.fake_gate_chain import GATE_ADDRESS, GWEI, START_S, FakeChain
from tests.kit.bridge.fake_node import FakeNode, Offer, place_of

CHAIN_ID = "consensus-routing-test"
PLACE = place_of(2222, 31338, GATE_ADDRESS)
OTHER = place_of(1111, 31337, b"\x6b" * 20)
TOKEN = Token("USDC", b"\xdc" * 20, 6, 1111, b"\xdc" * 32)
LEASE_S = 100
ROUTERS = tuple(Account(keccak(b"router %d" % index)) for index in range(4))
_nonces = count(1)


def make_test_quorum() -> Quorum:
    """Powers 1, 2, 3, 4."""
    return make_quorum(CHAIN_ID, (1, 2, 3, 4))


def make_offer(
    routers: int = 1, valid_until_s: int = START_S + LEASE_S, gas_limit: int = 600_000, call_data: bytes = b""
) -> Offer:
    """A transfer of its own, to be served by so many routers; without any it is the slow path."""
    info = make_transfer(
        TOKEN, origin=1111, destination=2222, to=b"\xaa" * 20, amount=10**7, nonce=next(_nonces), call_data=call_data
    )
    sequencer = make_test_quorum().validators[0].account if routers else None
    args: ExecuteArgs = sign_execution(info, ROUTERS[:routers], sequencer)
    return Offer(args, valid_until_s, gas_limit)


class Clock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Refusing:
    """Stands for a gRPC context: what the service refuses becomes NodeRefused."""

    def __init__(self) -> None:
        self.code = ""

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.code = dict(metadata)["code"]

    def abort(self, status: Any, details: str) -> None:
        raise NodeRefused(self.code, details)


class DirectNodes:
    """bridge.nodes.Nodes without a network; rotating goes to the next fake node."""

    def __init__(self, *nodes: FakeNode) -> None:
        self.nodes = nodes
        self.generation = 0

    @property
    def node(self) -> FakeNode:
        return self.nodes[self.generation % len(self.nodes)]

    @property
    def address(self) -> str:
        return f"node {self.generation % len(self.nodes)}"

    def rotate(self) -> None:
        self.generation += 1

    def batches(self, from_height: int) -> pb.BatchesResponse:
        request = pb.BatchesRequest(from_height=from_height, limit=100)
        answer: pb.BatchesResponse = self.node.Batches(request, Refusing())
        return answer

    def batch(self, height: int) -> pb.BatchResponse:
        answer: pb.BatchResponse = self.node.Batch(pb.BatchRequest(height=height), Refusing())
        return answer

    def execution(self, height: int, leaf: int) -> pb.ExecutionResponse:
        answer: pb.ExecutionResponse = self.node.Execution(pb.ExecutionRequest(height=height, leaf=leaf), Refusing())
        return answer


@dataclass
class Bench:
    """Everything around one worker."""

    folder: Path
    node: FakeNode = field(default_factory=lambda: FakeNode(make_test_quorum()))
    chain: FakeChain = field(default_factory=lambda: FakeChain(make_test_quorum()))
    account: Account = field(default_factory=lambda: Account(keccak(b"relayer")))
    clock: Clock = field(default_factory=Clock)
    limits: Limits = Limits(confirm_blocks=1, replace_blocks=3, max_fee_wei=500 * GWEI)
    turn: Turn | None = None
    is_dry: bool = False
    poll_s: float = 0.0

    def __post_init__(self) -> None:
        self.start()

    @property
    def sender(self) -> Sender:
        return Sender(self.account, PLACE)

    def start(self) -> None:
        """A new worker over the same journal, as after a restart."""
        self.journal = Journal.open(self.folder / "journal.sqlite", {})
        self.nodes = DirectNodes(self.node)
        self.follower = make_follower(self.nodes, self.journal, self.clock)
        settings = Settings(self.limits, self.poll_s, self.turn or Turn(self.account.address), self.is_dry)
        self.notices = Notices(logging.getLogger("abci_app.bridge"), self.clock, domain=PLACE.domain)
        self.worker = Worker(
            self.follower, self.chain, self.journal, self.sender, settings, self.notices, self.clock
        )

    def decide(self, *offers: Offer, **terms: Any) -> LeafKey:
        """A batch of one leaf for PLACE, after one of somebody else's."""
        return LeafKey(self.node.decide((OTHER, [offers[0]]), (PLACE, offers), **terms), 1)

    def step(self, times: int = 1, seconds: float = 0.1) -> Next:
        """Both steps, so many times, with time passing between."""
        outcome = Next.PAUSE
        for _ in range(times):
            self.worker.follow()
            outcome = self.worker.relay()
            self.clock.now_s += seconds
        return outcome


def make_follower(nodes: DirectNodes, journal: Journal, clock: Clock) -> LeafFollower:
    """A follower of PLACE's leaves."""
    return LeafFollower(
        nodes,  # type: ignore[arg-type]
        PLACE, CHAIN_ID, is_settled=journal.is_settled, cursor=journal.cursor(), clock=clock,
    )


def attested_leaf(*offers: Offer, signers: Sequence[int] = (1, 2, 3), place: GateTarget = PLACE) -> AttestedLeaf:
    """A leaf as a relayer holds it."""
    node = FakeNode(make_test_quorum())
    height = node.decide((place, offers), signers=signers)
    answer = node.Execution(pb.ExecutionRequest(height=height, leaf=0), Refusing())
    return parse_execution(answer, LeafKey(height, 0), place, CHAIN_ID, 1000.0)
