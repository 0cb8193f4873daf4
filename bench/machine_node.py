"""The application of one validator with the engine's part played: what ``bench.machine`` measures."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from abci_app.abci import messages as pb
from abci_app.machine.connext import compute_bid_digest, compute_transfer_id, keccak, sign_digest
from abci_app.machine.decisions.batches import list_owed
from abci_app.machine.genesis.build import build_state, make_app_state
from abci_app.machine.genesis.form import (
    GenesisAsset,
    GenesisBalance,
    GenesisCursor,
    GenesisDomain,
    GenesisLocal,
    GenesisRouter,
    GenesisValidator,
)
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
    Event,
    Executed,
    PositionedEvent,
    Reconciled,
    RouterList,
    Segment,
    XCalled,
    compute_digest,
    encode_segment,
)
from abci_app.machine.params import INDEX_WHOLE_BLOCK, SEGMENT_EVENTS_MAX, Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId, Hash, TransferId, decode, encode
from abci_app.machine.state.records import (
    ChainState,
    Domain,
    PathSignature,
    Tombstone,
    Transfer,
    TransferInfo,
    TransferStatus,
)
from abci_app.machine.state.view import StateDelta
from abci_app.machine.transactions.tx import SubmittedBid, encode_bundle
from abci_app.node.app import RoutingApplication
from abci_app.node.run import load
from abci_app.node.signer import Signer
from abci_app.node.store import Store
from abci_app.node.view import Published
from abci_app.observer.snapshot import EMPTY_OBSERVATION, Observation

CHAIN_ID = "bench-machine"
ORIGIN, DESTINATION = DomainId(1111), DomainId(2222)
CANONICAL_ID = Hash(bytes(12) + b"\xc0" * 20)
START_S = 1_700_000_000
AMOUNT = 1_000
CONSENSUS_KEY = Hash(b"\x01" * 32)
ATTESTATION = Signer(b"\x02" * 32)
ROUTERS = tuple(Signer(bytes([16 + number]) * 32) for number in range(4))
WINDOW_BLOCKS = 12
"""Auctions close this long after acceptance: all bids of a round come before."""
PARAMS = Params(auction_window_blocks=WINDOW_BLOCKS, auction_extra_blocks=0, retention_blocks=1, lease_s=100_000)


def local_of(domain: DomainId) -> Address:
    """Return the asset's token on a domain."""
    return Address(b"\xa0" * 18 + domain.to_bytes(2, "big"))


def make_state(filler: int) -> dict[bytes, bytes]:
    """Return the state after block 1: two chains, four routers, one validator, and tombstones up to ``filler`` keys."""
    domains = [
        GenesisDomain(
            domain, domain + 30_000, Address(domain.to_bytes(2, "big") * 10), Address(b"\x9a" * 20), 0, 1, 2,
            GenesisCursor(100, Hash(keccak(b"block")), START_S), 0, 5, 9995,
        ) for domain in (ORIGIN, DESTINATION)
    ]
    locals_ = tuple(GenesisLocal(domain, local_of(domain), 6) for domain in (ORIGIN, DESTINATION))
    asset = GenesisAsset(ORIGIN, CANONICAL_ID, locals_)
    routers = [
        GenesisRouter(router.address, domain, True, (GenesisBalance(local_of(domain), 10**15),))
        for router in ROUTERS for domain in (ORIGIN, DESTINATION)
    ]
    validator = GenesisValidator(
        CONSENSUS_KEY, 1, ATTESTATION.address, ATTESTATION.prove_possession(CHAIN_ID, CONSENSUS_KEY)
    )
    values = build_state(
        make_app_state(PARAMS, domains, [asset], routers, [validator]), CHAIN_ID, [(CONSENSUS_KEY, 1)]
    )
    chain = decode(ChainState, values[keys.CHAIN])
    values[keys.CHAIN] = encode(replace(chain, height=1, time_s=START_S))
    for number in range(filler - len(values)):
        digest = Hash(sha256(b"%d" % number).digest())
        values[keys.tombstone(TransferId(digest))] = encode(Tombstone((digest,)))
    return values


class NoObserver:
    """An observer that sees nothing: this bench brings the segments itself."""

    def observation(self) -> Observation:
        """Return the empty observation."""
        return EMPTY_OBSERVATION


class Node:
    """The application of a single validator, and the engine's part played here."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.path = path
        self.clock = clock
        self.nonce = 0
        self.infos: list[TransferInfo] = []
        self.app = self.open()

    def open(self) -> RoutingApplication:
        """Open the application on what is on disk."""
        return load(lambda: RoutingApplication(
            CHAIN_ID, Store.open(self.path, CHAIN_ID), ATTESTATION, NoObserver(), Published()
        ))

    @property
    def delta(self) -> StateDelta:
        """Return the committed state."""
        committed = self.app.published.latest()
        if committed is None:
            raise RuntimeError("nothing is committed")
        return StateDelta(committed.view)

    def block(self, events: Mapping[DomainId, Sequence[Event]] | None = None, txs: Iterable[bytes] = ()) -> float:
        """Finalize and commit the next block with these events and transactions; return the milliseconds."""
        delta = self.delta
        chain = delta.must(keys.CHAIN, ChainState)
        segments: list[bytes] = []
        reports = []
        for domain_id in (ORIGIN, DESTINATION):
            domain = delta.must(keys.domain(domain_id), Domain)
            raws, digests = cut(domain, list((events or {}).get(domain_id, ())), chain.time_s + 1)
            segments += raws
            reports.append(DomainReport(domain_id, domain.cursor.number + 1, digests))
        signed = tuple(
            SignedBatch(height, epoch, ATTESTATION.sign_batch(digest))
            for height, epoch, digest in list_owed(delta, ATTESTATION.address)
        )
        entry = CommitEntry(VoteFlag.COMMIT, encode_extension(signed, tuple(reports)), b"\1" * 64)
        commit = encode_commit(InjectedCommit(0, (entry,)))
        request = pb.RequestFinalizeBlock(
            height=chain.height + 1, time=pb.Timestamp(seconds=chain.time_s + 1), proposer_address=bytes(20),
            txs=[commit, *(INJECTED_SEGMENT + raw for raw in segments), *txs],
        )
        start = self.clock()
        answer = self.app.finalize_block(request)
        self.app.commit(pb.RequestCommit())
        spent_ms = (self.clock() - start) * 1e3
        refused = [result.code for result in answer.tx_results if result.code]
        if refused:
            raise RuntimeError(f"a transaction was refused: code {refused[0]}")
        return spent_ms

    def call(self, count: int) -> list[XCalled]:
        """Return the events of ``count`` new transfers."""
        infos = [
            TransferInfo(
                ORIGIN, DESTINATION, ORIGIN, Address(b"\x70" * 20), Address(b"\xde" * 20), False, b"", 300,
                Address(b"\x5e" * 20), AMOUNT, AMOUNT * 10**12, self.nonce + number, CANONICAL_ID,
            ) for number in range(count)
        ]
        self.nonce += count
        self.infos += infos
        return [
            XCalled(
                compute_transfer_id(info), info.nonce, info, None, 0, local_of(ORIGIN), AMOUNT, local_of(ORIGIN), (),
                Hash(keccak(b"xcall %d" % info.nonce)),
            ) for info in infos
        ]

    def bids_of(self, router: Signer, bundled: bool = True) -> list[bytes]:
        """Return a bid of the router for each transfer of the round, in bundles of 64 or one a transaction."""
        made = [
            SubmittedBid(transfer_id, router.address, (PathSignature(1, sign_digest(
                router.export_private_key(), compute_bid_digest(transfer_id, 1)
            )),)) for transfer_id in map(compute_transfer_id, self.infos)
        ]
        size = 64 if bundled else 1
        return [encode_bundle(made[at:at + size]) for at in range(0, len(made), size)]

    def check(self, txs: Iterable[bytes]) -> None:
        """Run CheckTx of all of them, as the mempool does."""
        for tx in txs:
            code = self.app.check_tx(pb.RequestCheckTx(tx=tx)).code
            if code:
                raise RuntimeError(f"CheckTx: code {code}")

    def settled(self) -> tuple[list[Event], list[Event]]:
        """Return Executed and Reconciled of every transfer of the round, by the router that was chosen."""
        executed: list[Event] = []
        reconciled: list[Event] = []
        local = local_of(DESTINATION)
        for transfer_id in map(compute_transfer_id, self.infos):
            transfer = self.delta.must(keys.transfer(transfer_id), Transfer)
            if transfer.status is not TransferStatus.ASSIGNED:
                raise RuntimeError(f"a transfer is {transfer.status.name}")
            routers = RouterList(1, transfer.attempts[-1].routers, None)
            executed.append(Executed(
                transfer_id, ORIGIN, ORIGIN, CANONICAL_ID, AMOUNT, routers, ATTESTATION.address, local, local, AMOUNT,
                ATTESTATION.address, Hash(keccak(b"executed" + transfer_id)),
            ))
            reconciled.append(Reconciled(
                transfer_id, ORIGIN, local, routers, AMOUNT, Hash(keccak(b"reconciled" + transfer_id))
            ))
        return executed, reconciled


def cut(domain: Domain, events: list[Event], clock_s: int) -> tuple[list[bytes], tuple[Hash, ...]]:
    """Return the canonical segments of these events, each a chain's block, and the running digests."""
    raws: list[bytes] = []
    digests: list[Hash] = []
    digest, block = domain.cursor.digest, domain.cursor.block
    for number, at in enumerate(range(0, max(len(events), 1), SEGMENT_EVENTS_MAX), start=domain.cursor.number + 1):
        piece = events[at:at + SEGMENT_EVENTS_MAX]
        block += 1 if piece else 2 - block % 2
        raws.append(encode_segment(Segment(
            domain.domain, domain.chain_id, domain.connext, domain.stream_version, domain.segment_blocks,
            domain.idle_blocks, number, block, INDEX_WHOLE_BLOCK, Hash(keccak(b"%d" % block)), clock_s,
            tuple(PositionedEvent(block, index, event) for index, event in enumerate(piece)),
        )))
        digest = compute_digest(digest, raws[-1])
        digests.append(digest)
    return raws, tuple(digests)
