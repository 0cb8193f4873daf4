"""Why each router won or lost: a model that knows nothing but the answer finds the same winners."""

from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest

from abci_app.machine.connext import compute_transfer_id, keccak
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address
from abci_app.machine.state.records import DomainStatus, Lane, Liquidity, QueueTag, Router
from abci_app.pb import query_pb2 as pb
from tests.kit.gateway.gateway_kit import CALL_S, FakeNode, Served, refused, serve
from tests.kit.machine.driver import LIQUIDITY, ROUTERS, A, B, bundle, local_of, withdraw, xcalled

FIRST, SECOND, THIRD, FOURTH = ROUTERS


@pytest.fixture
def served() -> Iterator[Served]:
    node = FakeNode()
    node.publish()
    with serve(node) as running:
        yield running


def ask(served: Served, transfer_id: bytes, attempt: int = 0) -> pb.AuctionResponse:
    served.node.publish()
    return served.query.Auction(pb.AuctionRequest(transfer_id=transfer_id, attempt=attempt), timeout=CALL_S)


# --- the model: docs/protocol.md rules ASN-2 … ASN-4 from the answer's fields and nothing else -----------------------


def recompute(answer: pb.AuctionResponse) -> tuple[int, list[tuple[bytes, int]], dict[bytes, str]]:
    """(path length, winners with charges in order, code name by router)."""
    amount, virtual = int(answer.amount), int(answer.virtual_before)
    shares = {1: amount, 2: amount // 2 + 1, 4: amount // 4 + 3}

    def judge(one: pb.Candidate, n: int) -> str:
        reasons = [
            (n not in one.path_lengths, "NO_BID_FOR_PATH"), (one.withdrawn, "WITHDRAWN"),
            (not one.approved, "NOT_APPROVED"), (not one.eligible, "NOT_ELIGIBLE"),
            (answer.height < one.cool_down_until, "COOLING_DOWN"),
            (int(one.balance) - int(one.reserved) < shares[n], "LIQUIDITY_SHORT"),
        ]
        return next(("INFEASIBLE_" + word for bad, word in reasons if bad), "OK")

    for n in (1, 2, 4):
        able = [one for one in answer.candidates if judge(one, n) == "OK"]
        if n <= answer.max_routers and len(able) >= n:
            ranked = sorted(
                (max(virtual, int(one.finish)), keccak(answer.transfer_id + one.router), one.router, one.weight)
                for one in able
            )[:n]
            won = [(router, (shares[n] << 32) // weight) for _, _, router, weight in ranked]
            codes = {one.router: judge(one, n) for one in answer.candidates}
            lost = {router for router, code in codes.items() if code == "OK"} - {router for router, _ in won}
            return n, won, codes | dict.fromkeys(lost, "INFEASIBLE_LOST")
    return 0, [], {}


def check(answer: pb.AuctionResponse) -> None:
    """The answer says what the model says."""
    length, winners, codes = recompute(answer)
    assert answer.path_length == length
    assert [(one.router, int(one.charge)) for one in answer.winners] == winners
    if length:
        assert {one.router: one.code_name for one in answer.candidates} == codes


# --------------------------------------------------------------------------------------------------------------------


def test_winners_of_many_auctions_follow_from_their_answers_alone(served: Served) -> None:
    network = served.node.network
    seen_lengths, turns = set(), set()
    for number in range(24):
        amount = (100_000, 1_500_000, 3_000_000, 90_001)[number % 4]
        routers = ROUTERS if number % 4 else ROUTERS[number % 3:]
        transfer_id = network.assign(*routers, lengths=(1, 2, 4), amount=amount)
        answer = ask(served, transfer_id)
        check(answer)
        assert answer.recorded
        seen_lengths.add(answer.path_length)
        turns.add(bytes(answer.winners[0].router) if answer.winners else b"")
        for router in ROUTERS:
            held = network.must(keys.liquidity(B, local_of(B), router), Liquidity)
            network.change_or_write(keys.liquidity(B, local_of(B), router), replace(held, reserved=0))
    assert seen_lengths == {1, 2, 4} and len(turns) == len(ROUTERS)


CORRUPTED = [
    ("NO_BID_FOR_PATH", None), ("WITHDRAWN", None), ("NOT_APPROVED", {"approved": False}),
    ("NOT_ELIGIBLE", {"eligible": False}), ("COOLING_DOWN", {"cool_down_until": 99}), ("LIQUIDITY_SHORT", None),
    ("LOST", None),
]


@pytest.mark.parametrize(("word", "changes"), CORRUPTED)
def test_every_way_to_lose_has_its_code(served: Served, word: str, changes: dict[str, object] | None) -> None:
    network = served.node.network
    info = network.info(amount=1000)
    transfer_id = compute_transfer_id(info)
    txs = [bundle(transfer_id, FIRST), bundle(transfer_id, SECOND, lengths=(2,) if word == "NO_BID_FOR_PATH" else (1,))]
    if word == "WITHDRAWN":
        txs.append(withdraw(transfer_id, SECOND))
    network.block({A: [xcalled(info)]}, txs)
    if changes:
        network.change(keys.router(B, SECOND), Router, **changes)
    if word == "LIQUIDITY_SHORT":
        network.change(keys.liquidity(B, local_of(B), SECOND), Liquidity, balance=999)
    if word == "LOST":
        network.change_or_write(keys.queue_tag(B, local_of(B), SECOND), QueueTag(1 << 60, 1))
    network.block()
    answer = ask(served, transfer_id, attempt=1)
    check(answer)
    codes = {bytes(one.router): one.code_name for one in answer.candidates}
    assert codes == {FIRST: "OK", SECOND: f"INFEASIBLE_{word}"}
    assert [bytes(one.router) for one in answer.winners] == [FIRST]


def test_an_undecided_transfer_is_judged_as_things_stand(served: Served) -> None:
    network = served.node.network
    transfer_id = network.accept(amount=1000)
    nobody = ask(served, transfer_id)
    assert (nobody.recorded, nobody.reason, len(nobody.candidates)) == (False, "nobody bids", 0)

    network.change(keys.lane(A, B), Lane, status=DomainStatus.PAUSED)
    network.block(txs=[bundle(transfer_id, FIRST), bundle(transfer_id, SECOND)])
    held = ask(served, transfer_id)
    check(held)
    assert "held" in held.reason and len(held.winners) == 1 and held.attempt == 1

    for router in (FIRST, SECOND):
        network.change(keys.liquidity(B, local_of(B), Address(router)), Liquidity, balance=1)
    short = ask(served, transfer_id)
    check(short)
    assert {one.code_name for one in short.candidates} == {"INFEASIBLE_LIQUIDITY_SHORT"}

    network.change(keys.lane(A, B), Lane, status=DomainStatus.OPEN)
    network.block()
    assert ask(served, transfer_id).reason == "no path length has enough feasible routers"

    network.change(keys.liquidity(B, local_of(B), FIRST), Liquidity, balance=LIQUIDITY)
    open_ = ask(served, transfer_id)
    assert "still open" in open_.reason and bytes(open_.winners[0].router) == FIRST
    network.block()
    final = ask(served, transfer_id)
    assert final.recorded and [bytes(one.router) for one in final.winners] == [FIRST]


def test_why_nobody_could_serve_it_is_told_after_it_went_slow(served: Served) -> None:
    network = served.node.network
    for router in (FIRST, SECOND):
        network.change(keys.liquidity(B, local_of(B), Address(router)), Liquidity, balance=1)
    transfer_id = network.accept(amount=1000)
    network.block(txs=[bundle(transfer_id, FIRST), bundle(transfer_id, SECOND)])
    for _ in range(network.params.decision_deadline_blocks):
        network.block()
    assert network.status(transfer_id) == "SLOW"
    for attempt in (0, 1):
        answer = ask(served, transfer_id, attempt)
        check(answer)
        assert (answer.recorded, answer.path_length, answer.reason) == (
            True, 0, "no path length has enough feasible routers"
        )
        assert {one.code_name for one in answer.candidates} == {"INFEASIBLE_LIQUIDITY_SHORT"}
    with pytest.raises(grpc.RpcError):
        ask(served, transfer_id, 2)


def test_a_renewal_shows_the_auction_it_goes_on_from(served: Served) -> None:
    network = served.node.network
    transfer_id = network.assign(FIRST)
    network.let_lease_end()
    assert len(network.transfer(transfer_id).attempts) == 2
    assert ask(served, transfer_id).attempt == 1
    request = pb.AuctionRequest(transfer_id=transfer_id, attempt=2)
    expected = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert refused(lambda: served.query.Auction(request, timeout=CALL_S)) == expected


@pytest.mark.parametrize("attempt", [0, 1, 7])
def test_no_auction_no_answer(served: Served, attempt: int) -> None:
    network = served.node.network
    transfer_id = network.accept(amount=1)  # below min_fast: SLOW, never auctioned
    served.node.publish()
    assert network.status(transfer_id) == "SLOW"
    request = pb.AuctionRequest(transfer_id=transfer_id, attempt=attempt)
    expected = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert refused(lambda: served.query.Auction(request, timeout=CALL_S)) == expected
    unknown = pb.AuctionRequest(transfer_id=b"\1" * 32)
    assert refused(lambda: served.query.Auction(unknown, timeout=CALL_S)) == expected
