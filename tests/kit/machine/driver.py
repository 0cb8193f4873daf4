"""Drives the state machine block by block: chains that emit events, validators that report and sign, routers that bid.

Everything goes through ``apply_block`` as bytes: segments, extensions and transactions are encoded as a node would.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from abci_app.machine import block_events
from abci_app.machine.block import apply_block
from abci_app.machine.connext import compute_transfer_id, keccak, sign_digest
from abci_app.machine.decisions.batches import list_owed
from abci_app.machine.genesis.build import (
    GenesisAsset,
    GenesisBalance,
    GenesisCursor,
    GenesisDomain,
    GenesisLocal,
    GenesisRouter,
    GenesisValidator,
    build_state,
    compute_possession_digest,
    make_app_state,
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
from abci_app.machine.params import INDEX_WHOLE_BLOCK, Params
from abci_app.machine.results import Block, BlockEvent, BlockResult
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId, Hash, TransferId
from abci_app.machine.state.records import (
    Auction,
    Bid,
    ChainState,
    Decision,
    DecisionBatch,
    Domain,
    Liquidity,
    QueueTag,
    Router,
    Transfer,
    TransferInfo,
    ValidatorSet,
)
from abci_app.machine.state.tree import Tree
from abci_app.machine.state.view import MemoryState, StateDelta
from abci_app.machine.transactions.bids import compute_withdraw_digest
from abci_app.machine.transactions.tx import SubmittedBid, Withdraw, encode_bundle, encode_withdraw
from tests.kit.machine.small_world import ROUTER_KEYS, key_address, sign_path

R = TypeVar("R")

CHAIN_ID = "driver-1"
A, B, C = DomainId(1111), DomainId(2222), DomainId(3333)
START_S = 1_700_000_000
CANONICAL_ID = Hash(bytes(12) + b"\xc0" * 20)
KEYS = (*ROUTER_KEYS, b"\x04" * 32)
ROUTERS = tuple(map(key_address, KEYS))
KEY_OF = dict(zip(ROUTERS, KEYS, strict=True))
LIQUIDITY = 1_000_000
SENDER = Address(b"\x5e" * 20)


def local_of(domain: DomainId) -> Address:
    """The asset's token on a domain."""
    return Address(b"\xa0" * 18 + domain.to_bytes(2, "big"))


@dataclass
class Validator:
    """A validator and its keys."""

    consensus_key: Hash
    attestation_key: bytes
    power: int


def make_validators(powers: Sequence[int]) -> tuple[Validator, ...]:
    """Validators of these powers."""
    return tuple(
        Validator(Hash(keccak(b"consensus %d" % index)), bytes(keccak(b"attestation %d" % index)), power)
        for index, power in enumerate(powers)
    )


@dataclass
class Network:
    """A state machine with its chains and validators."""

    params: Params = Params()
    domains: tuple[DomainId, ...] = (A, B)
    powers: tuple[int, ...] = (1, 1, 1, 1)
    min_fast: int = 10
    liquidity: int = LIQUIDITY
    domain_changes: Mapping[str, Any] = field(default_factory=dict)
    signing: bool = True
    """Whether validators sign batches; a test switches it off to see batches stay unattested."""

    def __post_init__(self) -> None:
        self.validators = make_validators(self.powers)
        values = build_state(self._app_state(), CHAIN_ID, [(v.consensus_key, v.power) for v in self.validators])
        self.state = MemoryState(values)
        self.genesis = dict(values)
        self.tree = Tree.build(values)
        self.height = 0
        self.time_s = START_S
        self.blocks: list[Block] = []
        self.events: list[BlockEvent] = []
        self.result: BlockResult | None = None
        self.nonces = dict.fromkeys(self.domains, 0)

    def _app_state(self) -> dict[str, Any]:
        domains = [
            replace(GenesisDomain(
                domain=domain, chain_id=domain + 30_000, connext=Address(domain.to_bytes(2, "big") * 10),
                gate=Address(b"\x9a" * 18 + domain.to_bytes(2, "big")), finality_depth=0, segment_blocks=1,
                idle_blocks=2, cursor=GenesisCursor(100, Hash(keccak(b"block")), START_S), next_nonce=0, max_routers=5,
                fee_numerator=9995,
            ), **self.domain_changes)
            for domain in self.domains
        ]
        asset = GenesisAsset(
            self.domains[0], CANONICAL_ID, tuple(GenesisLocal(d, local_of(d), 6) for d in self.domains), self.min_fast
        )
        routers = [
            GenesisRouter(router, domain, True, (GenesisBalance(local_of(domain), self.liquidity),))
            for router in ROUTERS for domain in self.domains
        ]
        validators = [
            GenesisValidator(
                v.consensus_key, v.power, key_address(v.attestation_key),
                sign_digest(v.attestation_key, compute_possession_digest(CHAIN_ID, v.consensus_key)),
            )
            for v in self.validators
        ]
        return make_app_state(self.params, domains, [asset], routers, validators)

    # --- reading ----------------------------------------------------------------------------------------------------

    @property
    def delta(self) -> StateDelta:
        return StateDelta(self.state)

    def read(self, key: bytes, cls: type[R]) -> R | None:
        """A record of the committed state."""
        return self.delta.read(key, cls)

    def must(self, key: bytes, cls: type[R]) -> R:
        """A record that must be there."""
        return self.delta.must(key, cls)

    def transfer(self, transfer_id: TransferId) -> Transfer:
        return self.must(keys.transfer(transfer_id), Transfer)

    def status(self, transfer_id: TransferId) -> str:
        return self.transfer(transfer_id).status.name

    def liquidity_of(self, router: Address, domain: DomainId = B) -> Liquidity:
        return self.must(keys.liquidity(domain, local_of(domain), router), Liquidity)

    def tag_of(self, router: Address, domain: DomainId = B) -> int:
        tag = self.read(keys.queue_tag(domain, local_of(domain), router), QueueTag)
        return tag.finish if tag else 0

    def router(self, router: Address, domain: DomainId = B) -> Router:
        return self.must(keys.router(domain, router), Router)

    def domain(self, domain: DomainId) -> Domain:
        return self.must(keys.domain(domain), Domain)

    def auction(self, transfer_id: TransferId, attempt: int = 1) -> Auction:
        return self.must(keys.auction(transfer_id, attempt), Auction)

    def bid(self, transfer_id: TransferId, router: Address) -> Bid | None:
        return self.read(keys.bid(transfer_id, router), Bid)

    @property
    def chain(self) -> ChainState:
        return self.must(keys.CHAIN, ChainState)

    def decisions(self) -> list[Decision]:
        return [decision for _, decision in self.delta.scan(keys.decisions(), Decision)]

    def batch(self, height: int) -> DecisionBatch | None:
        return self.read(keys.batch(height), DecisionBatch)

    def kinds(self) -> list[str]:
        """Kinds of the last block's events, those of its transactions first."""
        return [event.kind for event in self.events]

    def alarms(self) -> list[str]:
        """Reasons of the last block's alarms."""
        return [dict(event.attributes)["reason"] for event in self.events if event.kind == "alarm"]

    # --- changing the committed state (what governance will do) -----------------------------------------------------

    def change(self, key: bytes, cls: type[Any], **changes: Any) -> None:
        """Rewrite fields of a record between two blocks."""
        self.change_or_write(key, replace(self.must(key, cls), **changes))

    def change_or_write(self, key: bytes, record: object) -> None:
        """Put a record between two blocks."""
        delta = self.delta
        delta.write(key, record)
        changed = delta.changes()
        self.state.apply(changed)
        self.tree = self.tree.update(changed)

    # --- blocks -----------------------------------------------------------------------------------------------------

    def block(
        self, events: Mapping[DomainId, Sequence[Event]] | None = None, txs: Iterable[bytes] = (), seconds: int = 1,
        clocks: Mapping[DomainId, int] | None = None, proposer: int | None = None, idle: bool = True,
    ) -> BlockResult:
        """Execute the next block: each domain moves one segment on (with its events), all validators report and sign.

        ``clocks``: timestamps of segments by domain, block time where not given; ``idle`` False: no empty segments.
        """
        self.time_s += seconds
        segments = []
        for domain in self.domains:
            happened = list((events or {}).get(domain, ()))
            if happened or idle:
                segments.append(self.segment(domain, happened, (clocks or {}).get(domain, self.time_s)))
        injected = [encode_commit(self.commit(segments)), *(INJECTED_SEGMENT + encode_segment(s) for s in segments)]
        result = self.run((*injected, *txs), proposer)
        assert not any(each.code for each in result.results[:len(injected)]), result.results[:len(injected)]
        return result

    def run(self, txs: Iterable[bytes], proposer: int | None = None) -> BlockResult:
        """Execute the next block with exactly these transactions."""
        self.height += 1
        by = (self.height if proposer is None else proposer) % len(self.validators)
        block = Block(self.height, self.time_s, Address(self.validators[by].consensus_key[:20]), tuple(txs))
        result = apply_block(self.state, self.tree, block)
        self.state.apply(result.changes)
        self.tree = result.tree
        self.blocks.append(block)
        self.events = list(result.list_events())
        for event in self.events:
            check_event(event)
        self.result = result
        return result

    def wait(self, blocks: int, **kwargs: Any) -> None:
        """Execute ``blocks`` blocks in which nothing happens."""
        for _ in range(blocks):
            self.block(**kwargs)

    def segment(self, domain_id: DomainId, events: Sequence[Event], clock_s: int, **changes: Any) -> Segment:
        """The next segment of a domain, all events in its next block."""
        domain = self.domain(domain_id)
        block = domain.cursor.block + 1
        if not events:
            block += block % domain.idle_blocks
        positioned = tuple(PositionedEvent(block, index, event) for index, event in enumerate(events))
        segment = Segment(
            domain_id, domain.chain_id, domain.connext, domain.stream_version, domain.segment_blocks,
            domain.idle_blocks, domain.cursor.number + 1, block, INDEX_WHOLE_BLOCK, keccak(b"block %d" % block),
            clock_s, positioned,
        )
        return replace(segment, **changes)

    def report(self, segment: Segment) -> DomainReport:
        """A report of one segment that follows the domain's cursor."""
        digest = compute_digest(self.domain(segment.domain).cursor.digest, encode_segment(segment))
        return DomainReport(segment.domain, segment.number, (digest,))

    def commit(self, segments: Sequence[Segment], silent: Sequence[int] = ()) -> InjectedCommit:
        """An extended commit in which all members but ``silent`` report these segments and sign what they owe."""
        reports = tuple(self.report(segment) for segment in sorted(segments, key=lambda each: each.domain))
        return self.commit_of({
            index: (self.signatures(index), reports) for index in range(len(self.validators)) if index not in silent
        })

    def commit_of(
        self, given: Mapping[int, tuple[tuple[SignedBatch, ...], tuple[DomainReport, ...]]]
    ) -> InjectedCommit:
        """An extended commit with what each member of the set (by its place in CometBFT's order) says."""
        return InjectedCommit(0, tuple(
            CommitEntry(VoteFlag.COMMIT, encode_extension(*given[index]), b"\1" * 64) if index in given
            else CommitEntry(VoteFlag.ABSENT, b"", b"")
            for index in range(len(self.validators))
        ))

    def signatures(self, member: int) -> tuple[SignedBatch, ...]:
        """What a member owes, signed."""
        if not self.signing:
            return ()
        key = self.key_of_member(member)
        owed = list_owed(self.delta, key_address(key))
        return tuple(SignedBatch(height, epoch, sign_digest(key, digest)) for height, epoch, digest in owed)

    def key_of_member(self, member: int) -> bytes:
        """Attestation key of a member by its place in the executing set."""
        members = self.must(keys.epoch(1), ValidatorSet).members
        return next(
            v.attestation_key for v in self.validators if v.consensus_key == members[member].consensus_key
        )

    # --- what happens on chains -------------------------------------------------------------------------------------

    def info(self, origin: DomainId = A, destination: DomainId = B, amount: int = 1000, **changes: Any) -> TransferInfo:
        """The TransferInfo of the next xcall on ``origin``."""
        nonce = self.nonces[origin]
        self.nonces[origin] = nonce + 1
        return replace(TransferInfo(
            origin, destination, self.domains[0], Address(b"\x70" * 20), Address(b"\xde" * 20), False, b"", 300, SENDER,
            amount, min(amount * 10**12, 2**255), nonce, CANONICAL_ID,
        ), **changes)

    def accept(self, txs: Sequence[bytes] = (), **kwargs: Any) -> TransferId:
        """Execute a block that accepts one new transfer, and return its id."""
        info = self.info(**kwargs)
        self.block({info.origin_domain: [xcalled(info)]}, txs)
        return compute_transfer_id(info)

    def assign(self, *routers: Address, lengths: tuple[int, ...] = (1,), **kwargs: Any) -> TransferId:
        """Accept a transfer with bids of these routers and let its auction close; return its id."""
        info = self.info(**kwargs)
        transfer_id = compute_transfer_id(info)
        self.block({info.origin_domain: [xcalled(info)]}, [bundle(transfer_id, *routers, lengths=lengths)])
        self.block()
        return transfer_id

    def let_lease_end(self, domain: DomainId = B) -> None:
        """Execute blocks until the destination's clock is past every lease given so far, strictly."""
        self.block(seconds=self.params.lease_s + 1)


def xcalled(info: TransferInfo, **changes: Any) -> XCalled:
    """The XCalled of a TransferInfo."""
    transfer_id = compute_transfer_id(info)
    return replace(XCalled(
        transfer_id, info.nonce, info, None, len(info.call_data), local_of(info.origin_domain), info.bridged_amt,
        local_of(info.origin_domain), (), keccak(b"xcall" + transfer_id),
    ), **changes)


def router_list(*routers: Address) -> RouterList:
    """Routers as an event names them."""
    return RouterList(len(routers), tuple(routers), None)


def executed(
    transfer_id: TransferId, *routers: Address, amount: int = 1000, origin: DomainId = A, domain: DomainId = B,
    **changes: Any,
) -> Executed:
    """An Executed on ``domain``."""
    return replace(Executed(
        transfer_id, origin, A, CANONICAL_ID, amount, router_list(*routers), SENDER, local_of(domain),
        local_of(domain), amount, SENDER, keccak(b"execute" + transfer_id),
    ), **changes)


def reconciled(
    transfer_id: TransferId, *routers: Address, amount: int = 1000, origin: DomainId = A, domain: DomainId = B,
    **changes: Any,
) -> Reconciled:
    """A Reconciled on ``domain``."""
    return replace(Reconciled(
        transfer_id, origin, local_of(domain), router_list(*routers), amount, keccak(b"reconcile" + transfer_id)
    ), **changes)


def bid_of(transfer_id: TransferId, router: Address, lengths: tuple[int, ...] = (1,)) -> SubmittedBid:
    """A router's bid with a right signature for each path length."""
    return SubmittedBid(
        transfer_id, router, tuple(sign_path(KEY_OF[router], transfer_id, length) for length in lengths)
    )


def bundle(transfer_id: TransferId, *routers: Address, lengths: tuple[int, ...] = (1,)) -> bytes:
    """A transaction with one bid of each router."""
    return encode_bundle([bid_of(transfer_id, router, lengths) for router in routers])


def withdraw(transfer_id: TransferId, router: Address) -> bytes:
    """A transaction that takes a router's bid back."""
    signature = sign_digest(KEY_OF[router], compute_withdraw_digest(CHAIN_ID, transfer_id))
    return encode_withdraw(Withdraw(transfer_id, router, signature))


def check_event(event: BlockEvent) -> None:
    """Fail unless an event has the attributes that its kind, and an alarm's reason, promise (ORD-5)."""
    names = tuple(name for name, _ in event.attributes)
    promised = block_events.ATTRIBUTES[event.kind]
    if event.kind is block_events.EventKind.ALARM:
        promised += block_events.ALARM_ATTRIBUTES[block_events.Alarm(event.attributes[0][1])]
    assert names == promised, f"{event.kind}: {names}, not {promised}"
