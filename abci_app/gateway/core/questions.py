"""Questions of the query service: functions from a committed height and arguments to plain answers.

They know no transport: whoever serves them translates arguments, answers and the codes of QueryError.
"""

from collections.abc import Iterator
from heapq import merge
from itertools import islice

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core import answers, auctions, batch_answers, builders
from abci_app.gateway.core.execution import build_execution, find_batch
from abci_app.gateway.core.reads import Committed, NodeReads, QueryError
from abci_app.gateway.core.scan import SCAN_MAX, scan_from
from abci_app.machine.connext import encode_transfer_info
from abci_app.machine.ledger.transfers import UNDECIDED
from abci_app.machine.state import keys, records
from abci_app.machine.state.codec import Address, TransferId
from abci_app.machine.state.view import StateDelta

LIST_DEFAULT, LIST_MAX = 100, 500
BATCHES_DEFAULT, BATCHES_MAX = 20, 100


def get_status(committed: Committed, node: NodeReads) -> answers.StatusAnswer:
    """Return chain, height, validators and this node's counters."""
    state = StateDelta(committed.view)
    chain = state.must(keys.CHAIN, records.ChainState)
    members = state.must(keys.epoch(chain.epoch_next), records.ValidatorSet).members
    return answers.StatusAnswer(
        chain_id=chain.chain_id, height=committed.height, time_s=chain.time_s, app_hash=committed.app_hash,
        epoch=chain.epoch_next, attestation=node.attestation, next_sequence=chain.next_sequence,
        next_acceptance=chain.next_acceptance,
        unattested_batches=sum(1 for _ in state.scan(keys.unattested_batches(), records.HeightEntry)),
        validators=tuple(
            answers.Validator(consensus_key=member.consensus_key, power=member.power, attestation=member.attestation)
            for member in members
        ),
        counters=tuple(answers.Counter(name, value) for name, value in sorted(node.counters().items())),
    )


def get_domains(committed: Committed) -> answers.DomainsAnswer:
    """Return all domains with cursors and pending reports, lanes, assets."""
    state = StateDelta(committed.view)
    chain = state.must(keys.CHAIN, records.ChainState)
    members = state.must(keys.epoch(chain.epoch_executing), records.ValidatorSet).members
    return answers.DomainsAnswer(
        height=committed.height,
        domains=tuple(
            builders.build_domain(state, domain, members)
            for _, domain in state.scan(keys.domains(), records.Domain)
        ),
        lanes=tuple(builders.build_lane(lane) for _, lane in state.scan(keys.lanes(), records.Lane)),
        assets=tuple(builders.build_asset(asset) for _, asset in state.scan(keys.assets(), records.Asset)),
    )


def get_transfer(committed: Committed, transfer_id: bytes) -> answers.TransferAnswer:
    """Return one transfer, its terms and the bids that stand for it."""
    state = StateDelta(committed.view)
    transfer = find_transfer(state, transfer_id)
    info = state.read(keys.transfer_info(transfer.transfer_id), records.TransferInfo)
    return answers.TransferAnswer(
        height=committed.height, transfer=builders.build_transfer(state, transfer),
        transfer_info=encode_transfer_info(info) if info else b"",
        bids=tuple(builders.build_bid(bid) for _, bid in state.scan(keys.bids(transfer.transfer_id), records.Bid)),
    )


def get_transfers(
    committed: Committed, from_acceptance: int = 0, limit: int = 0, status: str = ""
) -> answers.TransfersAnswer:
    """Return transfers by acceptance number, of one status where one is named."""
    state = StateDelta(committed.view)
    if status and status not in records.TransferStatus.__members__:
        raise QueryError(AnswerCode.ARGUMENT_INVALID, f"no status {status!r}")
    chosen, following = list_transfers(committed, state, from_acceptance, status, _limit(limit))
    return answers.TransfersAnswer(
        height=committed.height, truncated=following > 0, next_acceptance=following,
        transfers=tuple(builders.build_transfer(state, transfer) for transfer in chosen),
    )


def get_auction(committed: Committed, transfer_id: bytes, attempt: int = 0) -> answers.AuctionAnswer:
    """Return why each router won or lost."""
    state = StateDelta(committed.view)
    return auctions.build_answer(state, find_transfer(state, transfer_id), attempt)


def get_router(committed: Committed, router: bytes) -> answers.RouterAnswer:
    """Return a router on every domain, with its liquidity."""
    state = StateDelta(committed.view)
    address = Address(check_length(router, 20, "router"))
    found = (
        (domain, state.read(keys.router(domain.domain, address), records.Router))
        for _, domain in state.scan(keys.domains(), records.Domain)
    )
    domains = tuple(
        answers.RouterDomain(
            domain=domain.domain, approved=record.approved, eligible=record.eligible, faults=record.faults,
            cool_down_until=record.cool_down_until, liquidity=tuple(list_liquidity(state, domain, address)),
        )
        for domain, record in found if record is not None
    )
    if not domains:
        raise QueryError(AnswerCode.NOT_FOUND, f"no router 0x{address.hex()}")
    return answers.RouterAnswer(height=committed.height, router=address, domains=domains)


def get_decisions(committed: Committed, from_sequence: int = 0, limit: int = 0) -> batch_answers.DecisionsAnswer:
    """Return decisions from a sequence on."""
    state = StateDelta(committed.view)
    end = state.must(keys.CHAIN, records.ChainState).next_sequence
    found = scan_from(state, keys.decisions(), keys.parse_decision, from_sequence, end, records.Decision)
    decisions = tuple(builders.build_decision(decision) for decision in islice(found, _limit(limit)))
    return batch_answers.DecisionsAnswer(height=committed.height, decisions=decisions)


def get_batch(committed: Committed, height: int) -> batch_answers.BatchAnswer:
    """Return one batch with its signatures."""
    state = StateDelta(committed.view)
    chain_id = state.must(keys.CHAIN, records.ChainState).chain_id
    batch = builders.build_batch(state, find_batch(state, height), chain_id)
    return batch_answers.BatchAnswer(height=committed.height, batch=batch)


def get_batches(
    committed: Committed, from_height: int = 0, limit: int = 0, attested_only: bool = False
) -> batch_answers.BatchesAnswer:
    """Return batches from a height on."""
    state = StateDelta(committed.view)
    chain_id = state.must(keys.CHAIN, records.ChainState).chain_id
    count = min(limit or BATCHES_DEFAULT, BATCHES_MAX)
    end = committed.height
    found = scan_from(state, keys.batches(), keys.parse_batch, from_height, end, records.DecisionBatch)
    chosen = islice((batch for batch in found if batch.attested_height or not attested_only), count)
    batches = tuple(builders.build_batch(state, batch, chain_id) for batch in chosen)
    return batch_answers.BatchesAnswer(height=committed.height, batches=batches)


def get_execution(committed: Committed, node: NodeReads, height: int, leaf: int) -> batch_answers.ExecutionAnswer:
    """Return the payload with which a relayer executes one leaf."""
    return build_execution(committed, StateDelta(committed.view), height, leaf, node.sequencer_signature)


def check_length(value: bytes, length: int, name: str) -> bytes:
    """Return ``value``. Raises QueryError(ARGUMENT_INVALID) where it is not ``length`` bytes."""
    if len(value) != length:
        raise QueryError(AnswerCode.ARGUMENT_INVALID, f"{name} has {len(value)} bytes, must be {length}")
    return value


def find_transfer(state: StateDelta, transfer_id: bytes) -> records.Transfer:
    """Return a transfer. Raises QueryError: ARGUMENT_INVALID, NOT_FOUND."""
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


def list_liquidity(state: StateDelta, domain: records.Domain, router: Address) -> Iterator[answers.RouterLiquidity]:
    """Yield a router's liquidity on a domain by local asset, ascending."""
    for local in list_locals(state, domain):
        held = state.read(keys.liquidity(domain.domain, local, router), records.Liquidity)
        if held is not None:
            yield answers.RouterLiquidity(local=local, balance=held.balance, reserved=held.reserved)


def list_transfers(
    committed: Committed, state: StateDelta, from_acceptance: int, status: str, limit: int
) -> tuple[list[records.Transfer], int]:
    """Return at most ``limit`` transfers in acceptance order, and the acceptance number to go on from; 0: no more.

    The undecided ones have an index of their own. One call looks at SCAN_MAX at most, whether they are of ``status``
    or not, so a page may be empty and others follow.
    """
    if status in (each.name for each in UNDECIDED):
        lanes = [lane for _, lane in state.scan(keys.lanes(), records.Lane)]
        by_lane = (list_undecided(state, lane, from_acceptance) for lane in lanes)
        found: Iterator[records.Transfer] = merge(*by_lane, key=lambda transfer: transfer.acceptance)
    else:
        ids = committed.list_accepted(min(from_acceptance, keys.NUMBER_MAX))
        found = (state.must(keys.transfer(transfer_id), records.Transfer) for transfer_id in ids)
    chosen: list[records.Transfer] = []
    for count, transfer in enumerate(islice(found, SCAN_MAX), start=1):
        if len(chosen) == limit:
            return chosen, transfer.acceptance
        if status in ("", transfer.status.name):
            chosen.append(transfer)
        if count == SCAN_MAX:
            return chosen, transfer.acceptance + 1
    return chosen, 0


def list_undecided(state: StateDelta, lane: records.Lane, from_acceptance: int) -> Iterator[records.Transfer]:
    """Yield the undecided transfers of a lane, in acceptance order."""
    prefix = keys.open_transfers(lane.origin, lane.destination)
    end = keys.NUMBER_MAX
    for reference in scan_from(state, prefix, _parse_acceptance, from_acceptance, end, records.Reference):
        yield state.must(keys.transfer(reference.transfer_id), records.Transfer)


def _parse_acceptance(key: bytes) -> int:
    return keys.parse_open_transfer(key)[-1]


def _limit(asked: int) -> int:
    return min(asked or LIST_DEFAULT, LIST_MAX)
