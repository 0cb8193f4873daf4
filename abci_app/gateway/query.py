"""The Query service: committed state, read in a gRPC thread, one snapshot an answer."""

import threading
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from typing import NoReturn, TypeVar

import grpc

from abci_app.gateway import answers, auctions, execution
from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core.reads import Committed, NodeReads, QueryError
from abci_app.gateway.core.scan import NUMBER_MAX, SCAN_MAX, scan_from
from abci_app.machine.codes import Code
from abci_app.machine.connext import encode_transfer_info
from abci_app.machine.ledger.transfers import UNDECIDED
from abci_app.machine.state import keys, records
from abci_app.machine.state.codec import Address, TransferId
from abci_app.machine.state.view import StateDelta
from abci_app.pb import query_pb2 as pb
from abci_app.pb import query_pb2_grpc

A = TypeVar("A")

RUNNING_MAX = 8
"""Questions answered at once, the others wait their turn: the threads of consensus need the interpreter too."""
LIST_DEFAULT, LIST_MAX = 100, 500
BATCHES_DEFAULT, BATCHES_MAX = 20, 100

_STATUS: dict[Code | AnswerCode, grpc.StatusCode] = {
    AnswerCode.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    AnswerCode.ARGUMENT_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    AnswerCode.NOT_READY: grpc.StatusCode.UNAVAILABLE,
    AnswerCode.ENGINE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    AnswerCode.MEMPOOL_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def refuse(context: grpc.ServicerContext, error: QueryError) -> NoReturn:
    """End a call with the gRPC status that fits and the code's name in the trailing metadata."""
    context.set_trailing_metadata((("code", error.code.name),))
    context.abort(_STATUS.get(error.code, grpc.StatusCode.FAILED_PRECONDITION), str(error))


def check_length(value: bytes, length: int, name: str) -> bytes:
    """Return ``value``, or refuse it where it is not ``length`` bytes."""
    if len(value) != length:
        raise QueryError(AnswerCode.ARGUMENT_INVALID, f"{name} has {len(value)} bytes, must be {length}")
    return value


class QueryService(query_pb2_grpc.QueryServicer):
    """Every method: one committed snapshot in, one message out; errors carry a code."""

    def __init__(self, node: NodeReads) -> None:
        self._node = node
        self._running = threading.BoundedSemaphore(RUNNING_MAX)

    def _answer(self, context: grpc.ServicerContext, build: Callable[[Committed, StateDelta], A]) -> A:
        try:
            with self._running:
                committed = self._node.committed()
                if committed is None:
                    raise QueryError(AnswerCode.NOT_READY, "the node has not committed anything yet")
                return build(committed, StateDelta(committed.view))
        except QueryError as error:
            refuse(context, error)

    def Status(self, request: pb.StatusRequest, context: grpc.ServicerContext) -> pb.StatusResponse:
        """Chain, height, validators, this node's counters."""
        def build(committed: Committed, state: StateDelta) -> pb.StatusResponse:
            chain = state.must(keys.CHAIN, records.ChainState)
            members = state.must(keys.epoch(chain.epoch_next), records.ValidatorSet).members
            return pb.StatusResponse(
                chain_id=chain.chain_id, height=committed.height, time_s=chain.time_s, app_hash=committed.app_hash,
                epoch=chain.epoch_next, attestation=self._node.attestation, next_sequence=chain.next_sequence,
                next_acceptance=chain.next_acceptance,
                unattested_batches=sum(1 for _ in state.scan(keys.unattested_batches(), records.HeightEntry)),
                validators=[
                    pb.Validator(consensus_key=member.consensus_key, power=member.power, attestation=member.attestation)
                    for member in members
                ],
                counters=[
                    pb.Counter(name=name, value=value) for name, value in sorted(self._node.counters().items())
                ],
            )
        return self._answer(context, build)

    def Domains(self, request: pb.DomainsRequest, context: grpc.ServicerContext) -> pb.DomainsResponse:
        """All domains with cursors and pending reports, lanes, assets."""
        def build(committed: Committed, state: StateDelta) -> pb.DomainsResponse:
            chain = state.must(keys.CHAIN, records.ChainState)
            members = state.must(keys.epoch(chain.epoch_executing), records.ValidatorSet).members
            return pb.DomainsResponse(
                height=committed.height,
                domains=[
                    answers.build_domain(state, domain, members)
                    for _, domain in state.scan(keys.domains(), records.Domain)
                ],
                lanes=[answers.build_lane(lane) for _, lane in state.scan(keys.lanes(), records.Lane)],
                assets=[answers.build_asset(asset) for _, asset in state.scan(keys.assets(), records.Asset)],
            )
        return self._answer(context, build)

    def Transfer(self, request: pb.TransferRequest, context: grpc.ServicerContext) -> pb.TransferResponse:
        """One transfer, its terms and the bids that stand for it."""
        def build(committed: Committed, state: StateDelta) -> pb.TransferResponse:
            transfer = find_transfer(state, request.transfer_id)
            info = state.read(keys.transfer_info(transfer.transfer_id), records.TransferInfo)
            return pb.TransferResponse(
                height=committed.height, transfer=answers.build_transfer(state, transfer),
                transfer_info=encode_transfer_info(info) if info else b"",
                bids=[
                    answers.build_bid(bid) for _, bid in state.scan(keys.bids(transfer.transfer_id), records.Bid)
                ],
            )
        return self._answer(context, build)

    def Transfers(self, request: pb.TransfersRequest, context: grpc.ServicerContext) -> pb.TransfersResponse:
        """Transfers by acceptance number, optionally of one status."""
        def build(committed: Committed, state: StateDelta) -> pb.TransfersResponse:
            if request.status and request.status not in records.TransferStatus.__members__:
                raise QueryError(AnswerCode.ARGUMENT_INVALID, f"no status {request.status!r}")
            chosen, truncated = list_transfers(state, request.from_acceptance, request.status)
            limit = _limit(request.limit)
            return pb.TransfersResponse(
                height=committed.height, truncated=truncated or len(chosen) > limit,
                transfers=[answers.build_transfer(state, transfer) for transfer in chosen[:limit]],
            )
        return self._answer(context, build)

    def Auction(self, request: pb.AuctionRequest, context: grpc.ServicerContext) -> pb.AuctionResponse:
        """Why each router won or lost."""
        def build(committed: Committed, state: StateDelta) -> pb.AuctionResponse:
            transfer = find_transfer(state, request.transfer_id)
            return auctions.build_answer(committed, state, transfer, request.attempt)
        return self._answer(context, build)

    def Router(self, request: pb.RouterRequest, context: grpc.ServicerContext) -> pb.RouterResponse:
        """A router on every domain, with its liquidity."""
        def build(committed: Committed, state: StateDelta) -> pb.RouterResponse:
            address = Address(check_length(request.router, 20, "router"))
            answer = pb.RouterResponse(height=committed.height, router=address)
            for _, domain in state.scan(keys.domains(), records.Domain):
                router = state.read(keys.router(domain.domain, address), records.Router)
                if router is None:
                    continue
                entry = answer.domains.add(
                    domain=domain.domain, approved=router.approved, eligible=router.eligible, faults=router.faults,
                    cool_down_until=router.cool_down_until,
                )
                for local in list_locals(state, domain):
                    held = state.read(keys.liquidity(domain.domain, local, address), records.Liquidity)
                    if held is not None:
                        entry.liquidity.add(local=local, balance=str(held.balance), reserved=str(held.reserved))
            if not answer.domains:
                raise QueryError(AnswerCode.NOT_FOUND, f"no router 0x{address.hex()}")
            return answer
        return self._answer(context, build)

    def Decisions(self, request: pb.DecisionsRequest, context: grpc.ServicerContext) -> pb.DecisionsResponse:
        """Decisions from a sequence on."""
        def build(committed: Committed, state: StateDelta) -> pb.DecisionsResponse:
            end = state.must(keys.CHAIN, records.ChainState).next_sequence
            found = scan_from(state, keys.decisions(), request.from_sequence, end, records.Decision)
            return pb.DecisionsResponse(
                height=committed.height,
                decisions=[answers.build_decision(decision) for decision in islice(found, _limit(request.limit))],
            )
        return self._answer(context, build)

    def Batch(self, request: pb.BatchRequest, context: grpc.ServicerContext) -> pb.BatchResponse:
        """One batch with its signatures."""
        def build(committed: Committed, state: StateDelta) -> pb.BatchResponse:
            batch = execution.find_batch(state, request.height)
            chain_id = state.must(keys.CHAIN, records.ChainState).chain_id
            return pb.BatchResponse(height=committed.height, batch=answers.build_batch(state, batch, chain_id))
        return self._answer(context, build)

    def Batches(self, request: pb.BatchesRequest, context: grpc.ServicerContext) -> pb.BatchesResponse:
        """Batches from a height on."""
        def build(committed: Committed, state: StateDelta) -> pb.BatchesResponse:
            chain_id = state.must(keys.CHAIN, records.ChainState).chain_id
            limit = min(request.limit or BATCHES_DEFAULT, BATCHES_MAX)
            found = scan_from(state, keys.batches(), request.from_height, committed.height, records.DecisionBatch)
            chosen = islice((batch for batch in found if batch.attested_height or not request.attested_only), limit)
            return pb.BatchesResponse(
                height=committed.height, batches=[answers.build_batch(state, batch, chain_id) for batch in chosen]
            )
        return self._answer(context, build)

    def Execution(self, request: pb.ExecutionRequest, context: grpc.ServicerContext) -> pb.ExecutionResponse:
        """All a relayer needs for one leaf."""
        return self._answer(
            context,
            lambda committed, state: execution.build_execution(
                committed, state, request.height, request.leaf, self._node.sequencer_signature
            ),
        )


def find_transfer(state: StateDelta, transfer_id: bytes) -> records.Transfer:
    """Return the transfer, or refuse the question."""
    check_length(transfer_id, 32, "transfer_id")
    transfer = state.read(keys.transfer(TransferId(transfer_id)), records.Transfer)
    if transfer is None:
        raise QueryError(AnswerCode.NOT_FOUND, f"no transfer 0x{transfer_id.hex()}")
    return transfer


def list_locals(state: StateDelta, domain: records.Domain) -> list[Address]:
    """Return the local assets known on a domain, ascending."""
    return sorted({
        local.address
        for _, asset in state.scan(keys.assets(), records.Asset)
        for local in asset.locals if local.domain == domain.domain
    })


def list_transfers(state: StateDelta, from_acceptance: int, status: str) -> tuple[list[records.Transfer], bool]:
    """Return transfers in acceptance order, and whether there were more than one call looks at.

    The undecided ones have an index; the others are looked through by id, the first SCAN_MAX of them.
    """
    if status in (each.name for each in UNDECIDED):
        lanes = [lane for _, lane in state.scan(keys.lanes(), records.Lane)]
        by_lane = (list_undecided(state, lane, from_acceptance) for lane in lanes)
        looked_at = list(islice(merge(*by_lane, key=lambda transfer: transfer.acceptance), SCAN_MAX))
    else:
        scanned = islice(state.scan(keys.transfers(), records.Transfer), SCAN_MAX)
        looked_at = [transfer for _, transfer in scanned]
    chosen = [
        transfer for transfer in looked_at
        if transfer.acceptance >= from_acceptance and status in ("", transfer.status.name)
    ]
    return sorted(chosen, key=lambda transfer: transfer.acceptance), len(looked_at) >= SCAN_MAX


def list_undecided(state: StateDelta, lane: records.Lane, from_acceptance: int) -> Iterator[records.Transfer]:
    """Yield the undecided transfers of a lane, in acceptance order."""
    prefix = keys.open_transfers(lane.origin, lane.destination)
    for reference in scan_from(state, prefix, from_acceptance, NUMBER_MAX, records.Reference):
        yield state.must(keys.transfer(reference.transfer_id), records.Transfer)


def _limit(asked: int) -> int:
    return min(asked or LIST_DEFAULT, LIST_MAX)
