"""Four validators with real CometBFT: a transfer is decided and attested by all, and nothing committed is ever lost."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from abci_app.machine.connext import recover_address
from abci_app.machine.decisions.batches import compute_digest
from abci_app.machine.state import keys
from abci_app.machine.state.codec import TransferId
from abci_app.machine.state.records import (
    Decision,
    DecisionBatch,
    Domain,
    Transfer,
    TransferStatus,
    ValidatorSet,
)
from abci_app.machine.transactions.tx import encode_bundle
from tests.kit.machine.small_world import DESTINATION, ORIGIN, ROUTER_KEYS, ROUTERS, valid_bid
from tests.kit.node.small_chain import FakeChain, make_info, make_xcalled
from tests.kit.process.counter_network import CHAIN_ID, Network, make_network
from tests.kit.process.processes import wait_until

ATTEST_TIMEOUT_S = 60.0


@pytest.fixture
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        made = make_network(stack)
        made.start()
        yield made


class Story:
    """The two chains as the test writes them, and transfers on them."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.chains = {}
        for domain_id in (ORIGIN, DESTINATION):
            domain = network.nodes[0].read(keys.domain(domain_id), Domain)
            assert domain is not None
            self.chains[domain_id] = FakeChain(domain)
        self.nonce = 0

    def call(self, nodes: list[int] | None = None) -> TransferId:
        """A user's transfer that these nodes see as final."""
        xcalled = make_xcalled(make_info(self.nonce))
        self.nonce += 1
        self.chains[ORIGIN].add([xcalled])
        self.chains[DESTINATION].add()
        self.network.transfers.append(xcalled.transfer_id)
        self.network.see([chain.observed() for chain in self.chains.values()], nodes)
        return xcalled.transfer_id


def is_assigned(transfer: Transfer) -> bool:
    return transfer.status is TransferStatus.ASSIGNED


def wait_batch(network: Network, height: int, signatures: int) -> DecisionBatch:
    """The batch of a height once it is attested and has that many signatures."""
    found: list[DecisionBatch] = []

    def look() -> bool:
        batch = network.nodes[0].read(keys.batch(height), DecisionBatch)
        if batch is not None and batch.attested_height and len(batch.signatures) >= signatures:
            found.append(batch)
        return bool(found)

    wait_until(look, ATTEST_TIMEOUT_S, f"batch {height} is not attested", network.nodes[0].app)
    return found[0]


def test_a_transfer_is_decided_and_attested_by_four(network: Network) -> None:
    story = Story(network)
    transfer_id = story.call()
    answer = network.submit(encode_bundle([valid_bid(transfer_id, ROUTER_KEYS[1])]))
    assert answer["code"] == 0, answer
    transfer = network.wait_transfer(transfer_id, is_assigned)
    (attempt,) = transfer.attempts
    assert attempt.routers == (ROUTERS[1],)
    assert attempt.decided_height == transfer.accepted_height + 1

    batch = wait_batch(network, attempt.decided_height, signatures=3)
    members = network.nodes[0].read(keys.epoch(batch.epoch), ValidatorSet)
    assert members is not None
    digest = compute_digest(CHAIN_ID, batch)
    for signed in batch.signatures:
        assert recover_address(digest, signed.signature) == members.members[signed.member].attestation
    assert batch.attested_height <= attempt.decided_height + 3
    assert len(network.app_hashes(batch.attested_height + 1)) == 1

    # Refused at the door, with its own code, and nothing changes.
    assert network.submit(encode_bundle([valid_bid(TransferId(b"\x11" * 32))]))["code"] == 30
    assert network.submit(b"\x00\x01junk")["code"] == 14
    assert network.transfer(transfer_id) == transfer


def test_nothing_committed_is_lost_when_processes_are_killed(network: Network) -> None:
    story = Story(network)
    first = story.call()
    assert network.submit(encode_bundle([valid_bid(first)]))["code"] == 0
    decided = network.wait_transfer(first, is_assigned)

    # One application: its engine ends by itself; the other three go on; the pair catches up.
    victim = network.nodes[3]
    victim.app.kill()
    victim.engine.wait_end()
    height = network.height()
    network.wait_above(height + 2, nodes=[0, 1, 2])
    victim.start()
    network.wait_above(network.height())

    # One engine: its application serves the next one.
    victim = network.nodes[2]
    victim.engine.process.kill()
    network.wait_above(network.height() + 1, nodes=[0, 1, 3])
    assert victim.app.returncode is None
    victim.start_engine()
    network.wait_above(network.height())

    # All eight at once: every state is at least what was last seen of it, and the next transfer is decided.
    heights = [chain.height for node in network.nodes if (chain := node.chain()) is not None]
    assert len(heights) == 4
    for node in network.nodes:
        node.kill()
    network.start()
    for node, height in zip(network.nodes, heights, strict=True):
        node.wait_height(height)
        assert node.read(keys.transfer(first), Transfer) == decided
        assert node.read(keys.decision(1), Decision) is not None
    second = story.call(nodes=[0, 1, 2])
    assert network.submit(encode_bundle([valid_bid(second, ROUTER_KEYS[2])]), node=1)["code"] == 0
    network.wait_transfer(second, is_assigned, node=3)
    assert len(network.app_hashes(network.height() - 1)) == 1
