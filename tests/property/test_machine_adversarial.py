"""Blocks that make no sense: absurd but canonical events, corrupted commits, transactions in any order.

Every choice comes from one seeded generator; a failure names its seed and block, and ``run(seed, blocks)`` replays it.
Whatever comes: nothing raises, the promises hold from scratch, and two ways to the same state agree.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest

from abci_app.machine.block import apply_block
from abci_app.machine.connext import compute_transfer_id, keccak
from abci_app.machine.ledger.transfers import UNDECIDED, get_transfer
from abci_app.machine.observation.extension import (
    INJECTED_SEGMENT,
    CommitEntry,
    DomainReport,
    InjectedCommit,
    SignedBatch,
    VoteFlag,
    encode_commit,
    encode_extension,
)
from abci_app.machine.observation.stream import (
    EVENT_KINDS,
    Event,
    PositionedEvent,
    RouterList,
    Segment,
    XCalled,
    decode_event,
    encode_event,
    encode_segment,
)
from abci_app.machine.params import INDEX_WHOLE_BLOCK, FeeRow, Params
from abci_app.machine.state import keys
from abci_app.machine.state import tree as tree_module
from abci_app.machine.state import view as state_module
from abci_app.machine.state.codec import Address, DomainId, Hash, Signature, TransferId, Uint, decode, encode
from abci_app.machine.state.records import (
    Asset,
    AssetLocal,
    Auction,
    Bid,
    ChainState,
    Decision,
    DecisionBatch,
    Domain,
    HeightEntry,
    Lane,
    Liquidity,
    Queue,
    QueueTag,
    Reference,
    RelayerFee,
    Reports,
    Router,
    Stub,
    Tombstone,
    Transfer,
    TransferInfo,
    TransferStatus,
    ValidatorSet,
)
from abci_app.machine.state.tree import Tree
from abci_app.machine.state.view import MemoryState
from abci_app.machine.transactions import bids as bids_module
from abci_app.machine.transactions.tx import encode_info_submission
from tests.kit.machine import slow_tree
from tests.kit.machine.driver import (
    CANONICAL_ID,
    ROUTERS,
    A,
    B,
    C,
    Network,
    bundle,
    executed,
    local_of,
    reconciled,
    router_list,
    withdraw,
    xcalled,
)
from tests.kit.machine.slow_tree import slow_root
from tests.kit.property.decision_checks import check_decisions_of_block
from tests.kit.property.machine_invariants import check_all, list_transfers
from tests.kit.property.stream_book import check_book

ROOT = Path(__file__).resolve().parents[2]
DOMAINS = (A, B, C)
SEEDS = (1, 2, 3, 4)
BLOCKS = 60
ZERO = Address(bytes(20))
WORDS = (0, 1, 2, 999, 1000, 50_000, 2**32, 2**64 - 1, 2**64, 2**127, 2**255, 2**256 - 1)
"""What an EVM word may hold where nobody promised sense."""
DISPUTED = (b"\x23" * 100 + b"\x24" * 100, b"\xfa\xff\xff\xff\x7f\0", b"\xa0" + b"\x80" * 8 + b"\0\1")
"""Groups a hundred deep, a tag beyond 32 bits, a tag of ten bytes: one library of protobuf parses them, another not."""
PARAMS = Params(
    lease_s=6, decision_deadline_blocks=5, waiting_blocks=4, attempts_max=3, slow_attempts=2, slow_spacing_s=5,
    cool_down_blocks=2, stale_after_s=40, stub_ttl_s=15, slow_ttl_s=25, retention_blocks=4, bids_per_transfer=3,
    fee_table=(FeeRow(C, A, ROUTERS[0], 2),),
)
RECORDS: dict[bytes, type] = {
    b"asset": Asset, b"auction": Auction, b"batch": DecisionBatch, b"bid": Bid, b"chain": ChainState,
    b"decision": Decision, b"domain": Domain, b"drop": Reference, b"epoch": ValidatorSet, b"finished": Reference,
    b"lane": Lane, b"lease": Reference, b"liquidity": Liquidity, b"open": Reference, b"params": Params,
    b"queue": Queue, b"queue_tag": QueueTag, b"reports": Reports, b"router": Router, b"slow_due": Reference,
    b"stub": Stub, b"stub_expiry": HeightEntry, b"tombstone": Tombstone, b"transfer": Transfer,
    b"transfer_info": TransferInfo, b"unattested": HeightEntry,
}
"""What lies under which first part of a key."""


class Chaos:
    """A network to which anything canonical happens."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.net = Network(PARAMS, domains=DOMAINS, liquidity=100_000, signing=seed % 2 == 0)
        self.infos: list[TransferInfo] = []

    def one_in(self, count: int) -> bool:
        return self.dice.randrange(count) == 0

    # --- values -----------------------------------------------------------------------------------------------------

    def transfer_id(self) -> TransferId:
        """Mostly one that was called or will be."""
        if not self.infos or self.one_in(20):
            return TransferId(self.dice.randbytes(32))
        return compute_transfer_id(self.dice.choice(self.infos[-12:]))

    def open_id(self) -> TransferId:
        """Mostly one that may still be bid for."""
        biddable = (*UNDECIDED, TransferStatus.ASSIGNED)
        opened = [each for each in list_transfers(self.net.state) if each.status in biddable]
        return self.dice.choice(opened).transfer_id if opened and not self.one_in(4) else self.transfer_id()

    def routers(self) -> RouterList:
        """None, one, many, twice the same, the zero address, and as many as go in as a hash."""
        count = self.dice.choice((0, 0, 1, 1, 1, 2, 2, 4, 16))
        if self.one_in(12):
            return RouterList(self.dice.choice((17, 2**32 - 1)), (), Hash(self.dice.randbytes(32)))
        return RouterList(count, tuple(self.dice.choice((*ROUTERS, ZERO)) for _ in range(count)), None)

    def info(self, origin: DomainId) -> TransferInfo:
        """A transfer from ``origin``, mostly of a kind that is auctioned."""
        destination = self.dice.choice([domain for domain in DOMAINS if domain != origin])
        info = self.net.info(origin, destination, self.dice.choice((1000, 1000, 1000, 50_000, 150_000, *WORDS)))
        if self.one_in(8):
            hints = get_type_hints(TransferInfo, include_extras=True)
            info = replace(info, **{
                name: self.value(hints[name]) for name in hints if self.one_in(4) and name != "call_data"
            })
        if self.one_in(4):
            info = replace(info, call_data=self.dice.randbytes(self.dice.choice((1, 40, 8192))))
        self.infos.append(info)
        return info

    def value(self, kind: Any) -> Any:
        """Any value that a field of this type can carry in canonical bytes."""
        if kind is TransferId:
            return self.transfer_id()
        if kind is Address:
            return self.dice.choice((*ROUTERS, *map(local_of, DOMAINS), ZERO, Address(self.dice.randbytes(20))))
        if kind is Hash:
            return self.dice.choice((CANONICAL_ID, Hash(bytes(32)), Hash(keccak(CANONICAL_ID + A.to_bytes(32, "big")))))
        if kind is DomainId:
            return self.dice.choice((*DOMAINS, DomainId(0), DomainId(2**32 - 1)))
        if get_origin(kind) is Annotated:
            bits = 8 * get_args(kind)[1].width if isinstance(get_args(kind)[1], Uint) else 8
            return self.dice.choice([word for word in WORDS if word < 1 << bits])
        if kind is bool:
            return self.one_in(2)
        if kind is RouterList:
            return self.routers()
        return self.dice.choice(WORDS)

    def event(self, domain_id: DomainId) -> Event:
        """One event of any kind: a third calls, a third settles, a third is anything."""
        kind = self.dice.randrange(3)
        if kind == 0:
            return self.xcall(domain_id)
        if kind == 1 and self.infos:
            return self.settlement(domain_id)
        cls = EVENT_KINDS[self.dice.randint(2, len(EVENT_KINDS))]
        hints = get_type_hints(cls, include_extras=True)
        made: Event = cls(**{field.name: self.value(hints[field.name]) for field in fields(cls)})
        return made

    def xcall(self, domain_id: DomainId) -> XCalled:
        """An XCalled: a new one, one again, one whose callData is a hash, one that lies."""
        info = self.dice.choice(self.infos) if self.infos and self.one_in(6) else self.info(domain_id)
        nonce = min(info.nonce, 2**64 - 1)
        fees = tuple(RelayerFee(self.value(Address), self.dice.choice(WORDS)) for _ in range(self.dice.randrange(5)))
        event = replace(xcalled(replace(info, origin_domain=domain_id)), transfer_id=compute_transfer_id(info))
        event = replace(event, info=info, nonce=nonce, relayer_fees=fees)
        if self.one_in(8):
            event = replace(
                event, info=replace(info, call_data=b""), call_data_hash=CANONICAL_ID,
                call_data_length=self.dice.choice((8193, 2**32 - 1)),
            )
        if self.one_in(12):
            event = replace(event, nonce=self.dice.choice((0, 5, 2**64 - 1)), tx_hash=Hash(bytes(32)))
        return event

    def settlement(self, domain_id: DomainId) -> Event:
        """Executed or Reconciled, mostly of a transfer to this domain, mostly of routers that were chosen for it."""
        here = [info for info in self.infos if info.destination_domain == domain_id][-8:]
        info = self.dice.choice(here if here and not self.one_in(8) else self.infos)
        transfer_id = compute_transfer_id(info)
        known = get_transfer(self.net.delta, transfer_id)
        decided = [attempt.routers for attempt in known.attempts] if known else []
        routers = router_list(*self.dice.choice(decided)) if decided and not self.one_in(4) else self.routers()
        make = self.dice.choice((executed, executed, reconciled))
        return make(
            transfer_id, amount=self.dice.choice((*[info.bridged_amt] * 6, *WORDS)), domain=domain_id, routers=routers,
            origin=self.dice.choice((*[info.origin_domain] * 12, DomainId(7))),
        )

    # --- blocks -----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Execute the next block."""
        net = self.net
        if self.one_in(3):
            self.anchor_again()
        net.time_s += self.dice.choice((0, 1, 1, 1, 2, 7, 30))
        segments = [self.segment(domain) for domain in DOMAINS if not self.one_in(6)]
        commit = net.commit([]) if not segments else self.commit(segments)
        injected = [encode_commit(commit), *(INJECTED_SEGMENT + encode_segment(segment) for segment in segments)]
        if self.one_in(10):
            injected = self.dice.sample(injected, len(injected))
        self.before = MemoryState(net.state.values)
        net.run((*injected, *self.txs()), proposer=self.dice.randrange(4))

    def anchor_again(self) -> None:
        """Repair what events broke for good, as governance would, so that there is something to break again."""
        for domain in DOMAINS:
            self.net.change(keys.domain(domain), Domain, eligible=True, connext_paused=False, max_routers=5)
            for router in ROUTERS:
                self.net.change(keys.router(domain, router), Router, approved=True, eligible=True)
                liquidity = self.net.liquidity_of(router, domain)
                if not liquidity.reserved:
                    self.net.change(keys.liquidity(domain, local_of(domain), router), Liquidity, balance=100_000)
        self.net.change(keys.asset(A, CANONICAL_ID), Asset, locals=tuple(
            AssetLocal(domain, local_of(domain), 6, True) for domain in DOMAINS
        ))

    def segment(self, domain_id: DomainId) -> Segment:
        """One segment after the cursor, ending where the rule lets it; its clock goes anywhere."""
        domain = self.net.domain(domain_id)
        cursor = domain.cursor
        clock = self.dice.choice((*[self.net.time_s] * 9, 0, max(cursor.timestamp_s - 5, 0), self.net.time_s + 100))
        if self.net.height == BLOCKS - 3 and domain_id == C:
            clock = 2**64 - 1
        block, index = (cursor.block + 1, 0) if cursor.index == INDEX_WHOLE_BLOCK else (cursor.block, cursor.index + 1)
        events = [self.event(domain_id) for _ in range(self.dice.choice((0, 1, 1, 2, 3, 6)))]
        for event in events:
            decode_event(next(kind for kind, cls in EVENT_KINDS.items() if cls is type(event)), encode_event(event))
        if not events:
            end = block + block % domain.idle_blocks
            return self.net.segment(domain_id, [], clock, end_block=end)
        if self.one_in(15):
            events = [*events, *[events[-1]] * (256 - len(events))]
        full = len(events) == 256
        positioned = tuple(PositionedEvent(block, index + place, event) for place, event in enumerate(events))
        end_index = positioned[-1].index if full and self.one_in(2) else INDEX_WHOLE_BLOCK
        empty = self.net.segment(domain_id, [], clock)
        return replace(empty, end_block=block, end_index=end_index, events=positioned)

    def commit(self, segments: Sequence[Segment]) -> InjectedCommit:
        """What validators say: mostly the truth, and one of them anything."""
        commit = self.net.commit(segments)
        entries = list(commit.entries)
        liar = self.dice.randrange(len(entries))
        lies = [
            entries[liar],
            CommitEntry(VoteFlag.COMMIT, self.dice.randbytes(self.dice.choice((0, 1, 100, 2048))), b"\1" * 64),
            CommitEntry(VoteFlag.COMMIT, b"", b""), CommitEntry(VoteFlag.NIL, b"", b""),
            CommitEntry(VoteFlag.COMMIT, encode_extension(
                tuple(SignedBatch(height, self.dice.choice((0, 1, 2**64 - 1)), Signature(b"\1" * 64 + b"\x1b"))
                      for height in (0, max(1, self.net.height - 1), 2**64 - 1)),
                tuple(DomainReport(domain, self.dice.choice((0, 1, self.net.height, 2**64 - 1)), tuple(
                    Hash(self.dice.randbytes(32)) for _ in range(self.dice.randint(1, 4))
                )) for domain in (DomainId(0), *DOMAINS)),
            ), b"\1" * 64),
        ]
        entries[liar] = self.dice.choice(lies)
        if self.one_in(15):
            entries.pop()
        return replace(commit, entries=tuple(entries))

    def txs(self) -> list[bytes]:
        """Bids, withdraws and submissions of anything, then some of them cut or doubled."""
        txs = []
        for _ in range(self.dice.randrange(7)):
            if self.infos and self.one_in(4):
                txs.append(encode_info_submission(self.dice.choice(self.infos)))
            elif self.one_in(6):
                txs.append(withdraw(self.transfer_id(), self.dice.choice(ROUTERS)))
            else:
                routers = self.dice.sample(ROUTERS, self.dice.randint(1, 4))
                txs.append(bundle(self.open_id(), *routers, lengths=self.dice.choice(((1,), (1, 2), (2, 4)))))
        return [*txs, *map(self.corrupt, txs)] if self.one_in(3) else txs

    def corrupt(self, tx: bytes) -> bytes:
        """Other bytes: cut, with a byte changed, with bytes more, with endings that only some parsers give up on."""
        at = self.dice.randrange(len(tx))
        other = self.dice.choice((
            tx, tx[:at], tx[:at] + self.dice.randbytes(1) + tx[at + 1:], tx[:at] + self.dice.randbytes(9) + tx[at:],
        ))
        return self.dice.choice((other, tx + self.dice.choice(DISPUTED), self.dice.choice(DISPUTED)))


def run(seed: int, blocks: int = BLOCKS) -> Chaos:
    """All blocks of a seed; after each the promises hold."""
    chaos = Chaos(seed)
    for number in range(blocks):
        try:
            first = chaos.net.chain.next_sequence
            chaos.step()
            check_all(chaos.net.state)
            check_bytes(chaos.net.state)
            check_new_sequences(chaos.net, first)
            assert chaos.net.result is not None
            check_book(chaos.before, chaos.net.state, chaos.net.blocks[-1], chaos.net.result)
            check_decisions_of_block(chaos.before, chaos.net.state)
            check_again(chaos)
            if number % 20 == 19:
                assert slow_root(chaos.net.state.values) == chaos.net.tree.root
        except Exception as error:
            raise AssertionError(f"seed {seed}, block {number + 1}") from error
    return chaos


def check_bytes(state: MemoryState) -> None:
    """COD-2: each stored value is the one encoding of a record of its key's kind."""
    for key, value in state.values.items():
        assert encode(decode(RECORDS[key.split(b"/")[0]], value)) == value


def check_new_sequences(net: Network, first: int) -> None:
    """ORD-2: the block's batch holds exactly the sequences that the counter moved over."""
    assert net.result is not None
    batch = net.result.batch
    decided = sorted(sequence for leaf in batch.leaves for sequence in leaf.sequences) if batch else []
    assert decided == list(range(first, net.chain.next_sequence))


def check_again(chaos: Chaos) -> None:
    """ORD-4: the same block over a fresh view and a tree built afresh, with nothing remembered, gives the same."""
    state_module._remember.cache_clear()
    bids_module._recover_bidder.cache_clear()
    again = apply_block(chaos.before, Tree.build(chaos.before.values), chaos.net.blocks[-1])
    assert chaos.net.result is not None
    assert again.app_hash == chaos.net.result.app_hash
    assert (again.changes, again.results) == (chaos.net.result.changes, chaos.net.result.results)


@pytest.mark.parametrize("seed", SEEDS)
def test_anything_canonical_may_happen(seed: int) -> None:
    """ORD-5, LIQ-1, ORD-2, COD-2, TRE-3, ORD-4: no exception, and all promises after each block."""
    assert run(seed).net.chain.next_sequence > 10


# --- two processes ---------------------------------------------------------------------------------------------------


def tell(seed: int, blocks: int) -> None:
    """Print what each block of a seed gave: what consensus hashes, and what people see."""
    chaos = Chaos(seed)
    for _ in range(blocks):
        chaos.step()
        result = chaos.net.result
        assert result is not None
        print(json.dumps([
            result.app_hash.hex(), [(int(each.code), each.data.hex(), each.log) for each in result.results],
            [(event.kind, event.attributes) for event in chaos.net.events],
        ]))


def test_other_processes_agree() -> None:
    """ORD-4, TX-1: neither the seed of hashes nor the library behind protobuf decides anything."""
    told = []
    for hash_seed, library in (("0", "upb"), ("1", "upb"), ("2", "python")):
        variables = {
            **os.environ, "PYTHONHASHSEED": hash_seed, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": library,
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-c", f"from {__name__} import tell; tell(1, {BLOCKS})"]
        told.append(subprocess.run(
            command, env=variables, cwd=ROOT, capture_output=True, check=True, timeout=100, text=True
        ).stdout)
    assert told[0].count("\n") == BLOCKS
    assert told[0] == told[1] == told[2]


# --- keys that were ground ------------------------------------------------------------------------------------------


class Ground:
    """Stands in for hashlib's object where the path of a key was chosen by whoever made the key."""

    def __init__(self, path: bytes) -> None:
        self.path = path

    def digest(self) -> bytes:
        """The chosen path."""
        return self.path


def test_the_deepest_tree_there_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """TRE-1, TRE-3: paths that part at every single bit, put in and taken out in any order; no recursion runs out."""
    dice = random.Random(5)
    base = dice.getrandbits(256)
    paths = {b"key%d" % bit: (base ^ 1 << bit).to_bytes(32, "big") for bit in range(256)}

    def ground(data: bytes) -> Any:
        return Ground(paths[data]) if data in paths else sha256(data)

    monkeypatch.setattr(tree_module, "sha256", ground)
    monkeypatch.setattr(slow_tree, "sha256", ground)
    values: dict[bytes, bytes] = {}
    tree = Tree()
    for _ in range(60):
        count = dice.choice((1, 2, 40, 256))
        changes = {key: dice.choice((None, b"x", b"y")) for key in dice.sample(sorted(paths), count)}
        tree = tree.update(changes)
        values = {key: value for key, value in {**values, **changes}.items() if value is not None}
        assert tree.root == slow_root(values) == Tree.build(values).root
    deepest = tree.update(dict.fromkeys(paths, b"z")).prove(b"key0").member
    assert deepest is not None and len(deepest.steps) == 255
