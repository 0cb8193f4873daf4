"""Random streams of everything through ``apply_block``: whatever comes, in whatever order, the promises hold.

Hypothesis draws blocks; each block may hold events of every domain, bids, withdraws, submissions and rubbish.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from abci_app.machine.block import apply_block
from abci_app.machine.connext import compute_transfer_id, keccak
from abci_app.machine.decisions.batches import hash_decision, list_leaf_hashes
from abci_app.machine.decisions.merkle import compute_root
from abci_app.machine.observation.stream import (
    AssetAdded,
    AssetRemoved,
    DiamondCut,
    Event,
    ForceReceiveLocal,
    LiquidityFeeNumeratorUpdated,
    MaxRoutersPerTransferUpdated,
    OwnershipTransferred,
    Paused,
    PortalMinted,
    PortalRepaid,
    RelayerFeesIncreased,
    RouterAdded,
    RouterAllowlistRemoved,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    RouterRemoved,
    SlippageUpdated,
    Unpaused,
)
from abci_app.machine.params import FeeRow, Params
from abci_app.machine.state.codec import Address, DomainId, Hash, TransferId
from abci_app.machine.state.records import Decision, TransferInfo, TransferStatus
from abci_app.machine.state.tree import Tree
from abci_app.machine.state.view import MemoryState
from abci_app.machine.transactions.tx import encode_info_submission
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
    withdraw,
    xcalled,
)
from tests.kit.property.decision_checks import check_decisions_of_block
from tests.kit.property.machine_invariants import check_all, list_transfers
from tests.kit.property.stream_book import check_book

DOMAINS = (A, B, C)
AMOUNTS = st.sampled_from([0, 5, 10, 999, 1000, 50_000, 100_001, 150_000, 2**255])
SOME_ROUTERS = st.lists(st.sampled_from(ROUTERS), max_size=4).map(tuple)
JUNK = st.binary(max_size=40).filter(lambda raw: raw[:1] != b"\0")
"""No injected kinds: behind the block's segments one would be in its place, and refuse them all."""
PARAMS = st.builds(
    Params,
    auction_window_blocks=st.sampled_from([1, 2]), lease_s=st.sampled_from([5, 30]),
    decision_deadline_blocks=st.sampled_from([4, 20]), waiting_blocks=st.sampled_from([3, 20]),
    attempts_max=st.sampled_from([1, 3]), slow_attempts=st.sampled_from([1, 3]),
    slow_spacing_s=st.sampled_from([5, 40]), cool_down_blocks=st.sampled_from([1, 5]), stale_after_s=st.just(60),
    stub_ttl_s=st.sampled_from([20, 300]), slow_ttl_s=st.sampled_from([30, 300]),
    retention_blocks=st.sampled_from([1, 6]), bids_per_transfer=st.sampled_from([2, 8]),
    fee_table=st.sampled_from([(), (FeeRow(A, B, ROUTERS[0], 5), FeeRow(A, B, ROUTERS[1], 9))]),
)
"""Small windows, so that a short run sees every deadline."""


def calm_events(transfer_ids: st.SearchStrategy[TransferId]) -> st.SearchStrategy[Event]:
    """Events after which a network goes on as before: liquidity, approvals, fees, options."""
    router = st.sampled_from(ROUTERS)
    local = st.sampled_from([local_of(domain) for domain in (A, B, B, C)])
    return st.one_of(
        st.builds(RouterLiquidityAdded, router, local, AMOUNTS),
        st.builds(RouterLiquidityRemoved, router, local, st.sampled_from([1000, 100_000])),
        st.builds(RouterAdded, router), st.builds(RouterAdded, router), st.builds(RouterRemoved, router),
        st.builds(LiquidityFeeNumeratorUpdated, st.sampled_from([9500, 9995, 10_000])),
        st.builds(RelayerFeesIncreased, transfer_ids, router, st.sampled_from([1, 5, 2**200])),
        st.builds(SlippageUpdated, transfer_ids, AMOUNTS), st.builds(ForceReceiveLocal, transfer_ids),
        st.just(Unpaused()),
    )


def wild_events(transfer_ids: st.SearchStrategy[TransferId]) -> st.SearchStrategy[Event]:
    """Events that keep routers or whole domains out, some for good, and values that make no sense."""
    router = st.sampled_from(ROUTERS)
    local = st.sampled_from([local_of(domain) for domain in DOMAINS])
    asset_key = Hash(keccak(CANONICAL_ID + A.to_bytes(32, "big")))
    return st.one_of(
        calm_events(transfer_ids), st.just(Paused()), st.just(Unpaused()),
        st.builds(RouterLiquidityRemoved, router, local, AMOUNTS),
        st.builds(RouterAllowlistRemoved, st.booleans()),
        st.builds(OwnershipTransferred, st.sampled_from([Address(bytes(20)), ROUTERS[0]])),
        st.builds(MaxRoutersPerTransferUpdated, st.sampled_from([0, 1, 2, 5, 10**30])),
        st.builds(LiquidityFeeNumeratorUpdated, st.sampled_from([0, 10**30])),
        st.builds(AssetAdded, st.just(A), st.just(CANONICAL_ID), local, local), st.just(AssetRemoved(asset_key)),
        st.builds(PortalMinted, transfer_ids, router, local, AMOUNTS),
        st.builds(PortalRepaid, transfer_ids, local, router), st.just(DiamondCut(CANONICAL_ID)),
    )


class Machine(RuleBasedStateMachine):
    """Collects events and transactions, executes them in blocks, checks after each."""

    @initialize(params=PARAMS, signing=st.booleans(), wild=st.booleans())
    def start(self, params: Params, signing: bool, wild: bool) -> None:
        """Three domains, four routers, four validators."""
        self.other_events = wild_events if wild else calm_events
        self.net = Network(params, domains=DOMAINS, liquidity=100_000, signing=signing)
        self.infos: list[TransferInfo] = []
        self.pending: dict[DomainId, list[Event]] = {domain: [] for domain in DOMAINS}
        self.txs: list[bytes] = []
        self.decided = 0
        self.checked = -1
        self.decisions: dict[int, Decision] = {}

    # --- what may happen --------------------------------------------------------------------------------------------

    def known(self, data: st.DataObject) -> TransferId:
        """An id that was called or may be called later."""
        if not self.infos:
            self.infos.append(self.net.info(amount=1000))
        return compute_transfer_id(data.draw(st.sampled_from(self.infos[-6:])))

    @rule(lane=st.sampled_from([(A, B), (A, B), (B, C), (C, A)]), amount=AMOUNTS, emitted=st.integers(0, 4),
          call_data=st.sampled_from([b"", b"", b"\1"]), bidders=st.integers(0, 15),
          lengths=st.sampled_from([(1,), (1, 2), (2,), (1, 2, 4), (4,)]))
    def call(
        self, lane: tuple[DomainId, DomainId], amount: int, emitted: int, call_data: bytes, bidders: int,
        lengths: tuple[int, ...],
    ) -> None:
        """An xcall with bids for it; one in five is not seen yet, so that its other events come first."""
        info = self.net.info(*lane, amount=amount, call_data=call_data)
        self.infos.append(info)
        if emitted:
            self.pending[lane[0]].append(xcalled(info))
        routers = [router for index, router in enumerate(ROUTERS) if bidders >> index & 1]
        if routers:
            self.txs.append(bundle(compute_transfer_id(info), *routers, lengths=lengths))

    @rule(data=st.data())
    def call_late(self, data: st.DataObject) -> None:
        """The XCalled of any transfer, again or at last."""
        self.known(data)
        info = data.draw(st.sampled_from(self.infos[-6:]))
        self.pending[info.origin_domain].append(xcalled(info))

    @rule(data=st.data(), routers=SOME_ROUTERS, message=st.booleans(), amount=AMOUNTS, astray=st.integers(0, 9))
    def settle(
        self, data: st.DataObject, routers: tuple[Address, ...], message: bool, amount: int, astray: int
    ) -> None:
        """An Executed or a Reconciled, mostly where it belongs, of any routers."""
        self.known(data)
        info = data.draw(st.sampled_from(self.infos[-6:]))
        domain = DOMAINS[0] if astray == 0 else info.destination_domain
        make = reconciled if message else executed
        self.pending[domain].append(make(
            compute_transfer_id(info), *routers, amount=amount, origin=info.origin_domain, domain=domain
        ))

    @rule(data=st.data())
    def execute_as_decided(self, data: st.DataObject) -> None:
        """The Executed of some decision ever made, the latest or an older one."""
        decisions = self.net.decisions()
        if decisions:
            decision = data.draw(st.sampled_from(decisions[-8:]))
            transfer = self.net.transfer(decision.transfer_id)
            self.pending[decision.destination].append(executed(
                decision.transfer_id, *decision.routers, amount=transfer.amount, origin=decision.origin,
                domain=decision.destination, local=transfer.local,
            ))

    @rule(data=st.data(), domain=st.sampled_from([A, B, B, C]))
    def something_else(self, data: st.DataObject, domain: DomainId) -> None:
        """Any other event."""
        ids = st.just(self.known(data))
        self.pending[domain].append(data.draw(self.other_events(ids)))

    @rule(data=st.data(), what=st.integers(0, 6), who=st.integers(0, 3), junk=JUNK,
          lengths=st.sampled_from([(1,), (1, 2), (2,), (1, 2, 4), (4,)]))
    def transact(self, data: st.DataObject, what: int, who: int, lengths: tuple[int, ...], junk: bytes) -> None:
        """A bid, a withdraw, a TransferInfo or rubbish."""
        self.known(data)
        info = data.draw(st.sampled_from(self.infos[-6:]))
        transfer_id = compute_transfer_id(info)
        if what < 4:
            self.txs.append(bundle(transfer_id, ROUTERS[who], lengths=lengths))
        else:
            self.txs.append((withdraw(transfer_id, ROUTERS[who]), encode_info_submission(info), junk)[what - 4])

    @rule(data=st.data(), seconds=st.sampled_from([1, 1, 6, 31]))
    def finish_as_decided(self, data: st.DataObject, seconds: int) -> None:
        """A block, then the Reconciled of something decided, and another block."""
        self.block(seconds, 0, 1)
        decisions = self.net.decisions()
        if decisions:
            decision = data.draw(st.sampled_from(decisions[-8:]))
            transfer = self.net.transfer(decision.transfer_id)
            self.pending[decision.destination].append(reconciled(
                decision.transfer_id, *decision.routers, amount=transfer.amount, origin=decision.origin,
                domain=decision.destination, local=transfer.local,
            ))
            self.block(1, 0, 2)

    @rule(data=st.data(), withdrawn=st.booleans())
    def leases_end(self, data: st.DataObject, withdrawn: bool) -> None:
        """Time goes past all leases; before that the routers of some transfer may have withdrawn."""
        assigned = [each for each in list_transfers(self.net.state) if each.status is TransferStatus.ASSIGNED]
        if assigned and withdrawn:
            transfer = data.draw(st.sampled_from(assigned))
            self.txs += [withdraw(transfer.transfer_id, router) for router in transfer.attempts[-1].routers]
        self.block(1, 0, 1)
        self.block(self.net.params.lease_s + 1, 0, 2)

    @rule(count=st.integers(1, 4))
    def quiet_blocks(self, count: int) -> None:
        """Blocks in which nothing else happens."""
        for proposer in range(count):
            self.block(1, 0, proposer)

    @rule(seconds=st.sampled_from([1, 1, 1, 6, 31, 61, 301]), lag=st.sampled_from([0, 0, 0, 10, 100]),
          proposer=st.integers(0, 3))
    def block(self, seconds: int, lag: int, proposer: int) -> None:
        """Execute all that was collected."""
        net = self.net
        before = MemoryState(net.state.values)
        tree = net.tree
        clocks = dict.fromkeys(DOMAINS, net.time_s + seconds - lag)
        result = net.block(self.pending, self.txs, seconds=seconds, clocks=clocks, proposer=proposer)
        self.pending = {domain: [] for domain in DOMAINS}
        self.txs = []
        self.check_no_trace(before, tree)
        self.check_new_decisions(before)
        check_book(before, net.state, net.blocks[-1], result)
        check_decisions_of_block(before, net.state)
        if result.batch is not None:
            decisions = {decision.sequence: decision for decision in net.decisions()}
            assert result.batch.root == compute_root(list_leaf_hashes(result.batch, decisions))

    # --- what must hold ---------------------------------------------------------------------------------------------

    def check_no_trace(self, before: MemoryState, tree: Tree) -> None:
        """ORD-5: without the transactions that were refused, the same block gives the same app hash."""
        net = self.net
        block, result = net.blocks[-1], net.result
        assert result is not None
        kept = tuple(tx for tx, each in zip(block.txs, result.results, strict=True) if not each.code)
        if len(kept) < len(block.txs):
            lean = type(block)(block.height, block.time_s, block.proposer, kept)
            assert apply_block(before, tree, lean).app_hash == result.app_hash

    def check_new_decisions(self, before: MemoryState) -> None:
        """ORD-2: gap-free; a decision never changes; its leases and reservations were right when it was made."""
        net = self.net
        now = {decision.sequence: decision for decision in net.decisions()}
        for sequence in sorted(now):
            if sequence > self.decided:
                assert sequence == self.decided + 1
                self.decided = sequence
                self.decisions[sequence] = now[sequence]
            assert hash_decision(now[sequence]) == hash_decision(self.decisions[sequence])
        assert net.chain.next_sequence == self.decided + 1

    @invariant()
    def everything_holds(self) -> None:
        """LIQ-1 and the rest, from scratch."""
        if hasattr(self, "net") and self.net.height > self.checked:
            self.checked = self.net.height
            check_all(self.net.state)

    def teardown(self) -> None:
        """ORD-4: replaying all blocks from genesis, in one go, gives the same root; so does a tree built afresh."""
        if not hasattr(self, "net"):
            return
        state = MemoryState(self.net.genesis)
        tree = Tree.build(state.values)
        for block in self.net.blocks:
            result = apply_block(state, tree, block)
            state.apply(result.changes)
            tree = result.tree
        assert tree.root == self.net.tree.root == Tree.build(self.net.state.values).root


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    derandomize=True, max_examples=30, stateful_step_count=50, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
