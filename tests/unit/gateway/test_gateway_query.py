"""Every question of the query service over gRPC, with its answer and its refusals."""

from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest

from abci_app.machine.connext import (
    compute_bid_digest,
    compute_sequencer_digest,
    compute_transfer_id,
    encode_transfer_info,
    keccak,
    recover_address,
)
from abci_app.machine.decisions import batches
from abci_app.machine.decisions.merkle import compute_root
from abci_app.machine.observation.extension import encode_commit
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, Hash, TransferId
from abci_app.machine.state.records import Decision, DecisionBatch, DomainStatus, Lane
from abci_app.node.signer import Signer
from abci_app.pb import query_pb2 as pb
from tests.kit.gateway.gateway_kit import CALL_S, FakeNode, Served, refused, serve
from tests.kit.machine.driver import (
    CHAIN_ID,
    LIQUIDITY,
    ROUTERS,
    A,
    B,
    Network,
    bundle,
    executed,
    local_of,
    reconciled,
    withdraw,
    xcalled,
)

NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
ARGUMENT = (grpc.StatusCode.INVALID_ARGUMENT, "ARGUMENT_INVALID")
FIRST, SECOND, THIRD, FOURTH = ROUTERS


@pytest.fixture
def served() -> Iterator[Served]:
    network = Network()
    node = FakeNode(network, Signer(network.validators[0].attestation_key))
    node.publish()
    with serve(node) as running:
        yield running


def decide(
    served: Served, *routers: Address, lengths: tuple[int, ...] = (1,), amount: int = 1000
) -> TransferId:
    """A transfer assigned to some of these routers."""
    transfer_id = served.node.network.assign(*(routers or (FIRST,)), lengths=lengths, amount=amount)
    served.node.publish()
    return transfer_id


def attest(served: Served) -> None:
    served.node.network.wait(2)
    served.node.publish()


def test_nothing_is_answered_before_the_first_commit() -> None:
    with serve(FakeNode()) as running:
        unready = (grpc.StatusCode.UNAVAILABLE, "NOT_READY")
        assert refused(lambda: running.query.Status(pb.StatusRequest(), timeout=CALL_S)) == unready
        assert refused(lambda: running.query.Domains(pb.DomainsRequest(), timeout=CALL_S)) == unready


def test_status_tells_of_chain_and_validators(served: Served) -> None:
    network = served.node.network
    decide(served)
    answer = served.query.Status(pb.StatusRequest(), timeout=CALL_S)
    assert (answer.chain_id, answer.height, answer.app_hash) == (CHAIN_ID, 2, network.tree.root)
    assert (answer.epoch, answer.next_sequence, answer.next_acceptance) == (1, 2, 2)
    assert (answer.unattested_batches, answer.time_s) == (1, network.time_s)
    assert {one.power for one in answer.validators} == {1} and len(answer.validators) == 4
    assert answer.attestation in [one.attestation for one in answer.validators]
    assert [(one.name, one.value) for one in answer.counters] == [
        ("blocks", 7), ("proposals_refused_SEGMENT_NOT_AGREED", 3),
    ]


def test_domains_lanes_and_assets(served: Served) -> None:
    network = served.node.network
    network.wait(1)
    network.change(keys.lane(A, B), Lane, status=DomainStatus.PAUSED)
    network.block()
    served.node.publish()
    answer = served.query.Domains(pb.DomainsRequest(), timeout=CALL_S)
    first = answer.domains[0]
    assert [one.domain for one in answer.domains] == [A, B] and answer.height == 2
    assert (first.chain_id, first.status, first.eligible, first.max_routers) == (A + 30_000, "OPEN", True, 5)
    cursor = network.domain(A).cursor
    assert (first.segment, first.cursor_block, first.cursor_hash) == (cursor.number, cursor.block, cursor.block_hash)
    lanes = {(one.origin, one.destination): (one.status, one.held, one.next_sequence) for one in answer.lanes}
    assert lanes == {(A, B): ("PAUSED", True, 1), (B, A): ("OPEN", False, 1)}
    [asset] = answer.assets
    assert [(one.domain, one.address, one.decimals, one.listed) for one in asset.locals] == [
        (A, local_of(A), 6, True), (B, local_of(B), 6, True),
    ]


def test_domains_name_who_reports_what(served: Served) -> None:
    network = served.node.network
    segments = [network.segment(A, [], network.time_s + 1)]
    network.run([encode_commit(network.commit(segments, silent=(1, 2, 3)))])
    served.node.publish()
    first = served.query.Domains(pb.DomainsRequest(), timeout=CALL_S).domains[0]
    [reports] = first.reports
    [report] = reports.reports
    assert (reports.segment, report.power, len(report.validators)) == (1, 1, 1)


def test_a_transfer_from_acceptance_to_completion(served: Served) -> None:
    network = served.node.network
    info = network.info()
    transfer_id = compute_transfer_id(info)
    request = pb.TransferRequest(transfer_id=transfer_id)
    assert refused(lambda: served.query.Transfer(request, timeout=CALL_S)) == NOT_FOUND

    network.block({A: [xcalled(info)]}, [bundle(transfer_id, FIRST, SECOND), withdraw(transfer_id, SECOND)])
    served.node.publish()
    answer = served.query.Transfer(request, timeout=CALL_S)
    assert (answer.transfer.status, answer.transfer.amount, answer.transfer.local) == ("ACCEPTED", "1000", local_of(B))
    assert answer.transfer_info == encode_transfer_info(info)
    assert {bid.router: (list(bid.path_lengths), bid.withdrawn) for bid in answer.bids} == {
        FIRST: ([1], False), SECOND: ([1], True),
    }

    network.block()
    attest(served)
    network.block({B: [executed(transfer_id, FIRST)]})
    network.block({B: [reconciled(transfer_id, FIRST)]})
    served.node.publish()
    done = served.query.Transfer(request, timeout=CALL_S).transfer
    assert (done.status, list(done.executed_by), done.finished_height) == ("COMPLETED", [FIRST], network.height)
    [attempt] = done.attempts
    assert (attempt.kind, attempt.sequence, attempt.lane_sequence, attempt.end) == ("FAST", 1, 1, "EXECUTED")
    assert (attempt.decided_height, attempt.attested_height, attempt.signatures) == (2, 3, 4)


def test_transfers_in_the_order_of_their_acceptance(served: Served) -> None:
    network = served.node.network
    ids = [network.accept() for _ in range(3)]
    ids.append(network.assign(FIRST))
    served.node.publish()

    def ask(**fields: object) -> list[bytes]:
        answer = served.query.Transfers(pb.TransfersRequest(**fields), timeout=CALL_S)  # type: ignore[arg-type]
        return [one.transfer_id for one in answer.transfers]

    assert ask() == ids
    assert ask(limit=2) == ids[:2]
    assert served.query.Transfers(pb.TransfersRequest(limit=2), timeout=CALL_S).truncated
    assert ask(from_acceptance=2) == ids[1:]
    assert ask(status="ACCEPTED") == ids[:3] and ask(status="ACCEPTED", from_acceptance=3) == ids[2:3]
    assert ask(status="ASSIGNED") == ids[3:] and ask(status="SLOW") == ask(status="WAITING") == []
    nonsense = pb.TransfersRequest(status="LOST")
    assert refused(lambda: served.query.Transfers(nonsense, timeout=CALL_S)) == ARGUMENT


def test_a_router_on_every_domain(served: Served) -> None:
    decide(served)
    answer = served.query.Router(pb.RouterRequest(router=FIRST), timeout=CALL_S)
    held = {one.domain: (one.approved, one.liquidity[0].balance, one.liquidity[0].reserved) for one in answer.domains}
    assert held == {A: (True, str(LIQUIDITY), "0"), B: (True, str(LIQUIDITY), "1000")}
    stranger = pb.RouterRequest(router=b"\x01" * 20)
    assert refused(lambda: served.query.Router(stranger, timeout=CALL_S)) == NOT_FOUND


@pytest.mark.parametrize(("method", "request_"), [
    ("Transfer", pb.TransferRequest(transfer_id=b"\1" * 31)), ("Transfer", pb.TransferRequest()),
    ("Auction", pb.AuctionRequest(transfer_id=b"\1" * 33)), ("Router", pb.RouterRequest(router=b"\1" * 32)),
])
def test_a_wrong_length_is_refused(served: Served, method: str, request_: object) -> None:
    assert refused(lambda: getattr(served.query, method)(request_, timeout=CALL_S)) == ARGUMENT


def test_decisions_and_batches_from_a_number_on(served: Served) -> None:
    for _ in range(3):
        decide(served)
    all_ = served.query.Decisions(pb.DecisionsRequest(), timeout=CALL_S).decisions
    assert [(one.sequence, one.lane_sequence, one.height) for one in all_] == [(1, 1, 2), (2, 2, 4), (3, 3, 6)]
    some = served.query.Decisions(pb.DecisionsRequest(from_sequence=2, limit=1), timeout=CALL_S).decisions
    assert list(some) == [all_[1]]
    assert not served.query.Decisions(pb.DecisionsRequest(from_sequence=9), timeout=CALL_S).decisions

    def heights(**fields: object) -> list[int]:
        answer = served.query.Batches(pb.BatchesRequest(**fields), timeout=CALL_S)  # type: ignore[arg-type]
        return [one.height for one in answer.batches]

    assert heights() == [2, 4, 6] and heights(from_height=3) == [4, 6] and heights(from_height=7) == []
    assert heights(attested_only=True) == [2, 4] and heights(limit=1, from_height=4) == [4]


def test_a_batch_hashes_and_verifies(served: Served) -> None:
    transfer_id = decide(served, FIRST, SECOND, lengths=(2,))
    attest(served)
    batch = served.query.Batch(pb.BatchRequest(height=2), timeout=CALL_S).batch
    stored = served.node.network.must(keys.batch(2), DecisionBatch)
    assert (batch.root, batch.epoch, batch.attested_height) == (stored.root, 1, 3)
    assert batch.digest == batches.compute_digest(CHAIN_ID, stored)
    [leaf] = batch.leaves
    assert compute_root([Hash(leaf.hash)]) == batch.root
    assert (leaf.destination, leaf.chain_id, list(leaf.sequences)) == (B, B + 30_000, [1])
    signers = [one.attestation for one in batch.attestations]
    assert signers == sorted(signers) and len(signers) == 4
    assert all(recover_address(batch.digest, one.signature) == one.attestation for one in batch.attestations)
    assert served.node.network.transfer(transfer_id).attempts[0].sequence == 1
    assert refused(lambda: served.query.Batch(pb.BatchRequest(height=3), timeout=CALL_S)) == NOT_FOUND


def execution(served: Served, height: int, leaf: int = 0) -> pb.ExecutionResponse:
    return served.query.Execution(pb.ExecutionRequest(height=height, leaf=leaf), timeout=CALL_S)


def test_an_execution_payload_is_what_connext_wants(served: Served) -> None:
    transfer_id = decide(served, FIRST, SECOND, lengths=(2,))
    attest(served)
    answer = execution(served, 2)
    [entry] = answer.entries
    routers = [Address(router) for router in entry.decision.routers]
    assert bytes(keccak(entry.transfer_info)) == transfer_id
    digest = compute_bid_digest(transfer_id, 2)
    assert [recover_address(digest, signed) for signed in entry.router_signatures] == routers
    sequencer = recover_address(compute_sequencer_digest(transfer_id, routers), entry.sequencer_signature)
    assert sequencer == entry.sequencer == served.node.attestation
    assert (answer.total_power, len(answer.attestations), answer.leaf.hash) == (4, 4, answer.root)


def test_a_leaf_of_several_proves_itself(served: Served) -> None:
    network = served.node.network
    there, back = network.info(), network.info(origin=B, destination=A)
    ids = [compute_transfer_id(info) for info in (there, back)]
    txs = [bundle(transfer_id, FIRST) for transfer_id in ids]
    network.block({A: [xcalled(there)], B: [xcalled(back)]}, txs)
    network.block()
    attest(served)
    for index in (0, 1):
        answer = execution(served, 2, index)
        node, bits = answer.leaf.hash, answer.path_bits
        for level, sibling in enumerate(answer.proof):
            node = keccak(sibling + node if bits >> level & 1 else node + sibling)
        assert node == answer.root


EXECUTION_REFUSALS = [
    ("no batch", NOT_FOUND), ("no leaf", NOT_FOUND),
    ("not attested", (grpc.StatusCode.FAILED_PRECONDITION, "NOT_ATTESTED")),
    ("over", (grpc.StatusCode.FAILED_PRECONDITION, "EXPIRED")),
    ("pruned", (grpc.StatusCode.FAILED_PRECONDITION, "EXPIRED")),
    ("no key", (grpc.StatusCode.FAILED_PRECONDITION, "NO_KEY")),
    ("foreign key", (grpc.StatusCode.FAILED_PRECONDITION, "NO_KEY")),
]


@pytest.mark.parametrize(("case", "expected"), EXECUTION_REFUSALS)
def test_an_execution_payload_is_refused(served: Served, case: str, expected: tuple[grpc.StatusCode, str]) -> None:
    network, node = served.node.network, served.node
    height, leaf = 2, 0
    decide(served)
    if case != "not attested":
        attest(served)
    if case == "no batch":
        height = 3
    elif case == "no leaf":
        leaf = 1
    elif case == "over":
        network.let_lease_end()
    elif case == "pruned":
        network.state.values.pop(keys.decision(1))
    elif case == "no key":
        node.signer = None
    elif case == "foreign key":
        node.signer = Signer(b"\x55" * 32)
    node.publish()
    assert refused(lambda: execution(served, height, leaf)) == expected


def test_a_decision_past_its_lease_gets_no_sequencer_signature(served: Served) -> None:
    network = served.node.network
    infos = [network.info() for _ in range(2)]
    ids = [compute_transfer_id(info) for info in infos]
    network.block({A: [xcalled(info) for info in infos]}, [bundle(one, FIRST) for one in ids])
    network.block()
    attest(served)
    early = network.must(keys.decision(1), Decision)
    over = replace(early, valid_until_s=network.domain(B).cursor.timestamp_s - 1)
    network.change_or_write(keys.decision(1), over)
    served.node.publish()
    entries = execution(served, 2).entries
    assert [bool(entry.sequencer_signature) for entry in entries] == [False, True]


def test_a_slow_decision_has_neither_routers_nor_sequencer(served: Served) -> None:
    network = served.node.network
    transfer_id = network.accept()
    network.block({B: [reconciled(transfer_id)]})
    height = network.height
    attest(served)
    [entry] = execution(served, height).entries
    assert (entry.decision.kind, list(entry.router_signatures), entry.sequencer) == ("SLOW", [], b"")


def test_reading_goes_on_while_blocks_are_made(served: Served) -> None:
    before = served.query.Status(pb.StatusRequest(), timeout=CALL_S)
    served.node.network.wait(3)
    assert served.query.Status(pb.StatusRequest(), timeout=CALL_S) == before
    served.node.publish()
    assert served.query.Status(pb.StatusRequest(), timeout=CALL_S).height == 3
