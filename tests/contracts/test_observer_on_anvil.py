"""The observer on logs of the real Connext: everything a deployment emits, and an RPC that does everything wrong."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from abci_app.evm.connext import CONNEXT, encode_xcall
from abci_app.evm.connext_events import TOPICS
from abci_app.evm.rpc import Rpc
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.observation.segments import chain_segments
from abci_app.machine.observation.stream import (
    Event,
    Executed,
    Reconciled,
    RelayerFeesIncreased,
    XCalled,
    compute_first_digest,
    decode_segment,
)
from abci_app.machine.params import INDEX_WHOLE_BLOCK
from abci_app.machine.state.codec import Address, DomainId, Hash
from abci_app.machine.state.records import Cursor, Domain, DomainStatus, RelayerFee, TransferInfo
from abci_app.observer.log_projections import STREAM_TOPICS, project
from abci_app.observer.snapshot import ObservedSegment, SeenTransfer
from abci_app.observer.verified_reads import VerifiedReads
from abci_app.observer.watcher import DomainConfig, Watcher
from testnet.chains.anvil import mine_until
from testnet.connext.supply import TOKEN, UNLIMITED
from tests.kit.evm.local_chains import HUB, SPOKE, Bridge, events_of
from tests.kit.evm.rpc_proxy import Faults, RpcProxy

WAIT_S = 60.0


class Committed:
    """The committed domain, as the node would hand it out; starts after a block of the chain."""

    def __init__(self, bridge: Bridge, domain: int, start: int, next_nonce: int) -> None:
        header = bridge.rpc(domain).block(start)
        deployed = bridge.deployment.domain(domain)
        first = Cursor(0, start, INDEX_WHOLE_BLOCK, Hash(header.hash), header.timestamp_s, Hash(bytes(32)))
        self.domain = Domain(
            DomainId(domain), deployed.chain_id, Address(deployed.connext), Address(bytes(20)), 0, 1, 1, 2, first,
            next_nonce, 5, 9995, False, False, DomainStatus.OPEN, True,
        )
        self.domain = replace(self.domain, cursor=replace(first, digest=compute_first_digest(self.domain)))
        self.events: list[Event] = []

    def accept(self, segments: tuple[ObservedSegment, ...]) -> None:
        """Commit segments by the machine's own rules."""
        fitting = tuple(segment.raw for segment in segments if segment.number > self.domain.cursor.number)
        for found in chain_segments({self.domain.domain: self.domain}, fitting):
            events = [positioned.event for positioned in found.segment.events]
            calls = sum(isinstance(event, XCalled) for event in events)
            self.domain = replace(self.domain, cursor=found.after, next_nonce=self.domain.next_nonce + calls)
            self.events += events


def from_now(bridge: Bridge, domain: int) -> Committed:
    """A stream that starts at the final head, behind all transfers so far."""
    return Committed(bridge, domain, finalize(bridge, domain), bridge.connext(domain).nonce())


@contextmanager
def watching(committed: Committed, *urls: str, quorum: int = 1) -> Iterator[Watcher]:
    """A running watcher of one domain, quick enough for a test."""
    watcher = Watcher(
        [DomainConfig(committed.domain.domain, urls, quorum)], lambda: {committed.domain.domain: committed.domain},
        connect=lambda url: Rpc(url, timeout_s=2.0, retry_delays_s=()), poll_s=0.02,
    )
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


def segments_of(watcher: Watcher, committed: Committed) -> tuple[ObservedSegment, ...]:
    found = watcher.observation().domains.get(committed.domain.domain)
    return () if found is None else found.segments


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not after {WAIT_S} s"
        time.sleep(0.02)


def finalize(bridge: Bridge, domain: int, blocks: int = 0) -> int:
    """Mine until everything so far, and so many blocks more, are final. Returns the final block."""
    head = bridge.rpc(domain).block_number() + blocks
    mine_until(bridge.rpc(domain), head + 2)
    assert bridge.rpc(domain).finalized().number == head
    return head


# -- real logs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", [HUB, SPOKE])
def test_all_that_a_deployment_emits_becomes_events(bridge: Bridge, domain: int) -> None:
    """From block 0 on: roles, assets, liquidity, and the slow transfers that backed the tokens."""
    final = finalize(bridge, domain, 1)
    committed = Committed(bridge, domain, 0, 0)
    with watching(committed, bridge.chains[domain].url) as watcher:
        def follow() -> bool:
            committed.accept(segments_of(watcher, committed))
            return committed.domain.cursor.block >= final - 1
        wait_for(follow, "the whole chain")

    logs = bridge.rpc(domain).logs(committed.domain.connext, 0, committed.domain.cursor.block, STREAM_TOPICS)
    names = {topic: name for name, topic in TOPICS.items()}
    emitted = Counter(names[log.topics[0]] for log in logs)
    assert committed.events == [positioned.event for positioned in project(logs)]
    assert committed.domain.next_nonce == bridge.connext(domain).nonce() == emitted["XCalled"]
    assert {"AssetAdded", "RouterAdded", "RouterLiquidityAdded", "RelayerAdded", "XCalled"} <= set(emitted)
    assert {"Reconciled", "Executed", "DiamondCut", "OwnershipTransferred"} <= set(emitted)
    for event in committed.events:
        if isinstance(event, XCalled):
            assert compute_transfer_id(event.info) == event.transfer_id
        if isinstance(event, Executed | Reconciled):
            assert event.routers.count == 0


def test_a_transfer_is_seen_and_cut(bridge: Bridge) -> None:
    committed = from_now(bridge, HUB)
    amount = 5 * bridge.token(HUB, "USDC").unit
    info = bridge.xcall(HUB, SPOKE, "USDC", amount, call_data=b"\x01\x02")
    transfer_id = compute_transfer_id(info)
    with watching(committed, bridge.chains[HUB].url) as watcher:
        time.sleep(0.2)
        assert watcher.observation().transfers == {}
        finalize(bridge, HUB)
        wait_for(lambda: transfer_id in watcher.observation().transfers, "the transfer")
        assert watcher.observation().transfers == {transfer_id: SeenTransfer(DomainId(HUB), DomainId(SPOKE))}
        wait_for(lambda: bool(xcalls(segments_of(watcher, committed))), "its segment")
        (event,) = xcalls(segments_of(watcher, committed))

        committed.accept(segments_of(watcher, committed))
        wait_for(lambda: watcher.observation().transfers == {}, "its acceptance")

    token = bridge.token(HUB, "USDC").address
    assert (event.info, event.transfer_id, event.nonce) == (info, transfer_id, info.nonce)
    assert (event.asset, event.amount, event.local) == (token, amount, token)
    assert event.relayer_fees == ()


def test_a_relayer_fee_is_folded_into_its_transfer(bridge: Bridge) -> None:
    """Connext emits the fee before XCalled; one that is paid later stands for itself."""
    committed = from_now(bridge, HUB)
    wallet, connext, token = bridge.wallet(HUB, "user-1"), bridge.connext(HUB).address, bridge.token(HUB, "USDC")
    wallet.transact(token.address, TOKEN.encode("approve", connext, UNLIMITED))
    calldata = encode_xcall(
        destination_domain=SPOKE, to=wallet.address, asset=token.address, delegate=wallet.address, amount=1_000_000,
        slippage_bps=100,
    )
    [sent] = events_of(wallet.transact(connext, calldata, value_wei=12345), connext, "XCalled")
    bump = CONNEXT.encode("bumpTransfer(bytes32)", sent.arguments["transferId"])
    wallet.transact(connext, bump, value_wei=77)
    finalize(bridge, HUB)
    with watching(committed, bridge.chains[HUB].url) as watcher:
        wait_for(lambda: len(events(segments_of(watcher, committed))) == 2, "both events")
        call, later = events(segments_of(watcher, committed))
    assert isinstance(call, XCalled)
    assert call.relayer_fees == (RelayerFee(Address(bytes(20)), 12345),)
    assert later == RelayerFeesIncreased(call.transfer_id, Address(bytes(20)), 77)


def events(segments: tuple[ObservedSegment, ...]) -> list[Event]:
    return [positioned.event for segment in segments for positioned in decode_segment(segment.raw).events]


def xcalls(segments: tuple[ObservedSegment, ...]) -> list[XCalled]:
    return [event for event in events(segments) if isinstance(event, XCalled)]


# -- an endpoint that misbehaves --------------------------------------------------------------------------------------

Change = Callable[[Faults, Committed], None]


def set_all(**values: Any) -> Change:
    def change(faults: Faults, _: Committed) -> None:
        for name, value in values.items():
            setattr(faults, name, value)
    return change


def change_final_hash(faults: Faults, committed: Committed) -> None:
    """Of every block from the cursor's on: another chain, as far as the endpoint goes."""
    start = committed.domain.cursor.block
    faults.changed_hashes = {number: f"0x{number:064x}" for number in range(start, start + 40)}


FAULTS: list[tuple[str, Change, set[str]]] = [
    ("absent", set_all(is_absent=True), {"rpc-unavailable"}),
    ("hangs", lambda faults, _: faults.hang(), {"rpc-unavailable"}),
    ("lies about logs", set_all(lie_logs=True), {"log-not-in-receipts"}),
    ("drops a log", set_all(drop_topic0=TOPICS["XCalled"]), {"log-missing"}),
    ("changes final hashes", change_final_hash, {"final-hash-changed", "cursor-not-canonical"}),
    ("answers junk", set_all(junk_methods=("eth_getLogs",)), {"rpc-malformed"}),
]


@pytest.mark.parametrize(("change", "causes"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_silence_with_a_reason_and_recovery(
    bridge: Bridge, caplog: pytest.LogCaptureFixture, change: Change, causes: set[str]
) -> None:
    """Good, bad, good: while it is bad nothing new is said, and why is logged; afterwards nothing is missing."""
    caplog.set_level(logging.INFO, logger="abci_app.observer")
    committed = from_now(bridge, HUB)
    url = bridge.chains[HUB].url
    with RpcProxy(url) as proxy, watching(committed, proxy.url) as watcher:
        final = finalize(bridge, HUB, 4)
        wait_for(lambda: read_up_to(watcher, committed) >= final - 1, "the first segments")
        before = segments_of(watcher, committed)

        change(proxy.faults, committed)
        transfer_id = compute_transfer_id(bridge.xcall(HUB, SPOKE, "USDC", 1_000_000))
        finalize(bridge, HUB, 2)
        wait_for(lambda: causes <= doubts(caplog), "the reason")
        assert transfer_id not in watcher.observation().transfers
        assert segments_of(watcher, committed) in (before, ())
        assert doubts(caplog) == causes

        proxy.faults.behave()
        wait_for(lambda: transfer_id in watcher.observation().transfers, "the transfer")
        with watching(committed, url) as control:
            wait_for(lambda: transfer_id in control.observation().transfers, "the control's transfer")
            wait_for(lambda: segments_of(control, committed) == segments_of(watcher, committed), "the same segments")
        assert segments_of(watcher, committed)[:len(before)] == before
    assert any(record.msg == "recovered" for record in caplog.records)


def test_an_endpoint_behind_the_cursor(bridge: Bridge, caplog: pytest.LogCaptureFixture) -> None:
    committed = from_now(bridge, HUB)
    with RpcProxy(bridge.chains[HUB].url) as proxy:
        proxy.faults.lag_blocks = 3
        with watching(committed, proxy.url) as watcher:
            wait_for(lambda: doubts(caplog) == {"rpc-behind-cursor"}, "the reason")
            finalize(bridge, HUB)
            wait_for(lambda: proxy.faults.calls["eth_getBlockByNumber"] > 6, "some more polls")
            assert segments_of(watcher, committed) == ()
            proxy.faults.behave()
            wait_for(lambda: segments_of(watcher, committed) != (), "segments")


def test_an_endpoint_that_lags_behind_the_chain_is_late_and_right(bridge: Bridge) -> None:
    committed = from_now(bridge, HUB)
    with RpcProxy(bridge.chains[HUB].url) as proxy, watching(committed, proxy.url) as watcher:
        proxy.faults.lag_blocks = 4
        transfer_id = compute_transfer_id(bridge.xcall(HUB, SPOKE, "DAI", 10**18))
        finalize(bridge, HUB)
        polls = proxy.faults.calls["eth_getBlockByNumber"]
        wait_for(lambda: proxy.faults.calls["eth_getBlockByNumber"] > polls + 6, "some more polls")
        assert watcher.observation().transfers == {}
        finalize(bridge, HUB, 4)
        wait_for(lambda: transfer_id in watcher.observation().transfers, "the transfer, four blocks later")


def test_a_log_that_is_dropped_everywhere_shows_in_the_nonces(
    bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    committed = from_now(bridge, HUB)
    with RpcProxy(bridge.chains[HUB].url) as proxy, watching(committed, proxy.url) as watcher:
        proxy.faults.drop_topic0, proxy.faults.drop_everywhere = TOPICS["XCalled"], True
        first = bridge.xcall(HUB, SPOKE, "USDC", 1_000_000)
        final = finalize(bridge, HUB)
        wait_for(lambda: read_up_to(watcher, committed) >= final - 1, "the block without its log")
        proxy.faults.behave()
        second = bridge.xcall(HUB, SPOKE, "USDC", 2_000_000)
        finalize(bridge, HUB)
        wait_for(lambda: doubts(caplog) == {"nonce-gap"}, "the gap")
        both = {compute_transfer_id(first), compute_transfer_id(second)}
        wait_for(lambda: set(watcher.observation().transfers) == both, "both transfers")


def test_two_honest_endpoints_outvote_a_liar(bridge: Bridge, caplog: pytest.LogCaptureFixture) -> None:
    """Its lie fits together in logs and receipts: only the other endpoints show it."""
    committed = from_now(bridge, HUB)
    url = bridge.chains[HUB].url
    with RpcProxy(url) as liar, RpcProxy(url) as honest:
        liar.faults.lie_logs = liar.faults.lie_everywhere = True
        with watching(committed, url, liar.url, honest.url, quorum=2) as watcher:
            transfer_id = compute_transfer_id(bridge.xcall(HUB, SPOKE, "USDC", 1_000_000))
            finalize(bridge, HUB, 2)
            wait_for(lambda: bool(xcalls(segments_of(watcher, committed))), "the segment")
            wait_for(lambda: doubts(caplog) == {"endpoints-disagree"}, "the disagreement")
            assert [call.amount for call in xcalls(segments_of(watcher, committed))] == [1_000_000]
            assert transfer_id in watcher.observation().transfers


def test_another_chain_is_refused(bridge: Bridge, caplog: pytest.LogCaptureFixture) -> None:
    committed = from_now(bridge, HUB)
    with watching(committed, bridge.chains[SPOKE].url) as watcher:
        wait_for(lambda: doubts(caplog) == {"wrong-chain"}, "the reason")
        assert segments_of(watcher, committed) == ()


def test_blooms_of_a_real_chain_hold_its_logs(bridge: Bridge) -> None:
    """The check for missing logs rests on them."""
    info: TransferInfo = bridge.xcall(HUB, SPOKE, "USDC", 1_000_000)
    head = bridge.rpc(HUB).block_number()
    mine_until(bridge.rpc(HUB), head + 1)
    endpoint = VerifiedReads(bridge.rpc(HUB), Address(bridge.deployment.hub.connext), STREAM_TOPICS)
    assert endpoint.may_hold_logs(endpoint.header(head))
    assert not endpoint.may_hold_logs(endpoint.header(head + 1))
    (log,) = endpoint.read_logs(head, head + 1, endpoint.header(head).parent_hash)
    assert log.topics[1] == compute_transfer_id(info)


def read_up_to(watcher: Watcher, committed: Committed) -> int:
    """Last block in the segments published."""
    found = segments_of(watcher, committed)
    return decode_segment(found[-1].raw).end_block if found else committed.domain.cursor.block


def doubts(caplog: pytest.LogCaptureFixture) -> set[str]:
    """Causes logged so far."""
    return {vars(record)["cause"] for record in caplog.records if record.msg == "waiting"}
