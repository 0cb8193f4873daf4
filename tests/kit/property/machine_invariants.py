"""What must hold after every block, counted from scratch: reservations, indexes, sequences, tags, bounds."""

from collections import Counter

from abci_app.machine.decisions.batches import is_live
from abci_app.machine.ledger.transfers import UNDECIDED, compute_index_keys
from abci_app.machine.state import keys
from abci_app.machine.state.records import (
    Attempt,
    AttemptEnd,
    Auction,
    Bid,
    ChainState,
    Decision,
    DecisionBatch,
    DecisionKind,
    Domain,
    HeightEntry,
    Lane,
    Liquidity,
    Queue,
    QueueTag,
    Reference,
    Reports,
    Stub,
    Tombstone,
    Transfer,
    TransferStatus,
)
from abci_app.machine.state.view import MemoryState, StateDelta

INDEXES = (
    b"open/", b"lease/", b"slow_due/", keys.drops(), keys.finished_transfers(),
)


def list_transfers(state: MemoryState) -> list[Transfer]:
    """Every transfer there is."""
    return [transfer for _, transfer in StateDelta(state).scan(b"transfer/", Transfer)]


def check_all(state: MemoryState) -> None:
    """Raise AssertionError for the first thing that does not hold."""
    transfers = list_transfers(state)
    check_reservations(state, transfers)
    check_indexes(state, transfers)
    check_records(transfers)
    check_decisions(state, transfers)
    check_charges(state, transfers)
    check_queues(state, transfers)
    check_tombstones(state)
    check_marks(state)


def check_reservations(state: MemoryState, transfers: list[Transfer]) -> None:
    """LIQ-1: reserved(r, domain, local) = Σ of r's shares in current open attempts there."""
    expected: Counter[bytes] = Counter()
    for transfer in transfers:
        for attempt in transfer.attempts:
            if attempt.end is AttemptEnd.OPEN and attempt.kind is DecisionKind.FAST:
                for router in attempt.routers:
                    expected[keys.liquidity(transfer.destination, transfer.local, router)] += attempt.share
    found = {key: record.reserved for key, record in StateDelta(state).scan(b"liquidity/", Liquidity)}
    assert {key: amount for key, amount in found.items() if amount} == {k: v for k, v in expected.items() if v}
    for _, record in StateDelta(state).scan(b"liquidity/", Liquidity):
        assert not (record.at_fault and record.balance >= record.reserved)


def check_indexes(state: MemoryState, transfers: list[Transfer]) -> None:
    """Every index key leads to a transfer that wants it, and none is missing."""
    wanted = {key: transfer.transfer_id for transfer in transfers for key in compute_index_keys(transfer)}
    there = {
        key: reference.transfer_id
        for prefix in INDEXES for key, reference in StateDelta(state).scan(prefix, Reference)
    }
    assert there == wanted
    stubs = {
        keys.stub_expiry(stub.expires_s, bytes.fromhex(key.split(b"/")[1].decode()))  # type: ignore[arg-type]
        for key, stub in StateDelta(state).scan(b"stub/", Stub)
    }
    assert {key for key, _ in StateDelta(state).scan(keys.stub_expiries(), HeightEntry)} == stubs


def check_records(transfers: list[Transfer]) -> None:
    """A status says which attempts there can be and which times are set."""
    for transfer in transfers:
        status = transfer.status
        open_attempts: list[Attempt] = [a for a in transfer.attempts if a.end is AttemptEnd.OPEN]
        assert open_attempts in ([], [transfer.attempts[-1]] if transfer.attempts else [])
        fast = [attempt for attempt in open_attempts if attempt.kind is DecisionKind.FAST]
        assert bool(fast) == (status is TransferStatus.ASSIGNED)
        assert not open_attempts or status in (TransferStatus.ASSIGNED, TransferStatus.RECONCILED)
        assert [attempt.number for attempt in transfer.attempts] == list(range(1, len(transfer.attempts) + 1))
        assert bool(transfer.finished_height) == (status is TransferStatus.COMPLETED)
        assert bool(transfer.drop_after_s) == (status in (TransferStatus.SLOW, TransferStatus.RECONCILED))
        assert not transfer.slow_next_s or status is TransferStatus.RECONCILED
        assert bool(transfer.deadline_clock) == (status in UNDECIDED)
        assert not transfer.executed_by or status in (TransferStatus.EXECUTED, TransferStatus.COMPLETED)
        for names in ([charge.router for charge in transfer.returned], [fee.asset for fee in transfer.fees]):
            assert names == sorted(set(names))
        for attempt in transfer.attempts:
            assert len(set(attempt.routers)) == len(attempt.routers)
            assert not attempt.charges or attempt.end is AttemptEnd.OPEN
            assert bool(attempt.ended_height) == (attempt.end is not AttemptEnd.OPEN)


def check_decisions(state: MemoryState, transfers: list[Transfer]) -> None:
    """ORD-2: gap-free global and lane sequences; every attempt has its decision, every decision its batch."""
    delta = StateDelta(state)
    decisions = {decision.sequence: decision for _, decision in delta.scan(keys.decisions(), Decision)}
    attempts = {attempt.sequence: (t, attempt) for t in transfers for attempt in t.attempts}
    assert sorted(attempts) == sorted(decisions)
    for sequence, decision in decisions.items():
        transfer, attempt = attempts[sequence]
        assert (decision.transfer_id, decision.attempt) == (transfer.transfer_id, attempt.number)
        assert (decision.routers, decision.valid_until_s) == (attempt.routers, attempt.valid_until_s)
        batch = delta.must(keys.batch(decision.height), DecisionBatch)
        assert [s for leaf in batch.leaves for s in leaf.sequences].count(sequence) == 1
    chain = delta.must(keys.CHAIN, ChainState)
    assert all(sequence < chain.next_sequence for sequence in decisions)
    for _, lane in delta.scan(keys.lanes(), Lane):
        places = [
            d.lane_sequence for _, d in sorted(decisions.items())
            if (d.origin, d.destination) == (lane.origin, lane.destination)
        ]
        assert places == sorted(set(places))
        assert all(place < lane.next_sequence for place in places)


def check_charges(state: MemoryState, transfers: list[Transfer]) -> None:
    """ASN-6: finish tags cover all charges that still stand; a router's last charge stands or is returned."""
    standing: Counter[bytes] = Counter()
    for transfer in transfers:
        carried = {charge.router for attempt in transfer.attempts for charge in attempt.charges}
        assert not carried & {charge.router for charge in transfer.returned}
        for attempt in transfer.attempts:
            for charge in attempt.charges:
                standing[keys.queue_tag(transfer.destination, transfer.local, charge.router)] += charge.amount
    for key, amount in standing.items():
        assert StateDelta(state).must(key, QueueTag).finish >= amount


def check_queues(state: MemoryState, transfers: list[Transfer]) -> None:
    """ASN-4, ASN-5: a queue's time is what the last auction made of it, and never before any auction's."""
    delta = StateDelta(state)
    height = delta.must(keys.CHAIN, ChainState).height
    latest: dict[bytes, tuple[int, Auction]] = {}
    for transfer in transfers:
        for attempt in transfer.attempts:
            record = delta.read(keys.auction(transfer.transfer_id, attempt.number), Auction)
            if record is None or not record.path_length:  # a renewal, or slow after nobody could serve it
                continue
            assert (record.height, record.share) == (attempt.decided_height, attempt.share)
            assert tuple(winner.router for winner in record.winners) == attempt.routers
            key = keys.queue(transfer.destination, transfer.local)
            assert delta.must(key, Queue).virtual >= record.virtual_after >= record.virtual_before
            if attempt.decided_height == height and attempt.sequence > latest.get(key, (0,))[0]:
                latest[key] = (attempt.sequence, record)
    for key, (_, record) in latest.items():
        assert delta.must(key, Queue).virtual == record.virtual_after


def check_tombstones(state: MemoryState) -> None:
    """LIM-5: each list once, in order."""
    for _, tombstone in StateDelta(state).scan(b"tombstone/", Tombstone):
        assert tombstone.router_lists == tuple(sorted(set(tombstone.router_lists)))


def check_marks(state: MemoryState) -> None:
    """LSE-6, REP-4: a live batch without a quorum has a mark; reports lie past the cursor; bidders are counted."""
    delta = StateDelta(state)
    marked = {mark.height for _, mark in delta.scan(keys.unattested_batches(), HeightEntry)}
    for _, batch in delta.scan(keys.batches(), DecisionBatch):
        assert not (batch.attested_height and batch.height in marked)
        assert batch.attested_height or batch.height in marked or not is_live(delta, batch)
    for _, domain in delta.scan(keys.domains(), Domain):
        for key, _ in delta.scan(keys.domain_reports(domain.domain), Reports):
            assert int(key.split(b"/")[2]) > domain.cursor.number
    for transfer in list_transfers(state):
        assert len(list(delta.scan(keys.bids(transfer.transfer_id), Bid))) == transfer.bidders
