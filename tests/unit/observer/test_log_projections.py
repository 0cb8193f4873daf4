"""Every listed event, from an encoded log to its projection; folding; bounds; what does not decode."""

from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode

from abci_app.evm.connext import CONNEXT
from abci_app.evm.types import Log
from abci_app.machine.connext import hash_routers, keccak
from abci_app.machine.observation.stream import (
    EVENT_KINDS,
    Event,
    Executed,
    RelayerFeesIncreased,
    RouterList,
    XCalled,
    decode_event,
    encode_event,
)
from abci_app.machine.params import CALL_DATA_INLINE_MAX, EVENT_BYTES_MAX
from abci_app.machine.state.codec import Address
from abci_app.machine.state.records import RelayerFee
from abci_app.observer.log_projections import OLD_FEES_TOPIC, PROJECTIONS, STREAM_TOPICS, project
from abci_app.observer.observation_errors import ErrorCause, ObservationError
from tests.kit.observer.event_table import EVENTS, INFO, TRANSFER, TX, A, B, executed, fees
from tests.kit.observer.fake_chain import CONNEXT_ADDRESS, address, encode_log, word, xcalled


@pytest.mark.parametrize(("name", "arguments", "expected"), EVENTS, ids=[name for name, _, _ in EVENTS])
def test_each_event_has_its_projection(name: str, arguments: dict[str, Any], expected: Event) -> None:
    (positioned,) = project([encode_log(name, arguments, index=5)])

    assert (positioned.block, positioned.index) == (1, 5)
    assert positioned.event == expected
    kind = next(kind for kind, cls in EVENT_KINDS.items() if cls is type(expected))
    assert decode_event(kind, encode_event(positioned.event)) == expected


def test_the_table_above_is_complete() -> None:
    """Each listed event, each kind of the machine, both fee events, and nothing twice."""
    assert {name for name, _, _ in EVENTS} == set(PROJECTIONS)
    assert {type(expected) for _, _, expected in EVENTS} == set(EVENT_KINDS.values())
    assert len(set(STREAM_TOPICS)) == len(STREAM_TOPICS) == len(PROJECTIONS) + 1


def test_listed_topics_are_those_of_mainnet() -> None:
    """First four bytes of topics on record from the deployed diamonds."""
    known = {
        "XCalled": "ed8e6ba6", "Executed": "0b07a8b0", "Reconciled": "30bf4453", "RouterAdded": "bc68405e",
        "RouterLiquidityAdded": "cc310012", "RouterLiquidityRemoved": "facf3161", "RouterRemoved": "bee3e974",
        "TransferRelayerFeesIncreased": "f90d3aaf", "SlippageUpdated": "b243c3ce", "ForceReceiveLocal": "25100413",
        "AavePortalMintUnbacked": "2d3ba0fa", "AavePortalRepayment": "54b01a5a", "Paused": "9e87fac8",
        "MaxRoutersPerTransferUpdated": "a7fe3330", "LiquidityFeeNumeratorUpdated": "eb6222a0",
        "SequencerAdded": "3860a100", "SequencerRemoved": "4860b0a1", "RelayerAdded": "d756b9ae",
    }
    topics = {CONNEXT.events[topic].name: topic.hex()[:8] for topic in STREAM_TOPICS if topic in CONNEXT.events}
    assert {name: topics[name] for name in known} == known
    assert OLD_FEES_TOPIC.hex()[:8] == "fd832caf"


# -- fees -------------------------------------------------------------------------------------------------------------


def block_of(*events: tuple[str, dict[str, Any]], txs: tuple[int, ...] = ()) -> list[Log]:
    return [
        encode_log(name, arguments, index=at, tx=txs[at] if txs else 0) for at, (name, arguments) in enumerate(events)
    ]


def test_fees_before_xcalled_are_folded_per_asset() -> None:
    call = ("XCalled", {**xcalled(7)[1], "transferId": TRANSFER, "params": INFO})
    events = project(block_of(fees(TRANSFER, 5, A), fees(TRANSFER, 1, B), fees(TRANSFER, 7, A), call))

    (only,) = events
    assert isinstance(only.event, XCalled)
    assert (only.index, only.event.relayer_fees) == (3, (RelayerFee(A, 12), RelayerFee(B, 1)))


def test_the_first_four_assets_are_folded() -> None:
    call = ("XCalled", {**xcalled(7)[1], "transferId": TRANSFER, "params": INFO})
    paid = [fees(TRANSFER, number, address(number)) for number in (9, 3, 5, 4, 6, 9)]
    (only,) = project(block_of(*paid, call))
    assert isinstance(only.event, XCalled)
    assert only.event.relayer_fees == (
        RelayerFee(address(9), 18), RelayerFee(address(3), 3), RelayerFee(address(5), 5), RelayerFee(address(4), 4),
    )


def test_fees_without_asset_are_native() -> None:
    """Diamonds before 2.4.0."""
    data = abi_encode(["uint256", "address"], [5, bytes(A)])
    old = Log(CONNEXT_ADDRESS, (OLD_FEES_TOPIC, TRANSFER), data, 1, bytes(32), TX, 0, 0, False)
    alone = project([old])
    assert alone[0].event == RelayerFeesIncreased(TRANSFER, Address(bytes(20)), 5)

    call = encode_log("XCalled", {**xcalled(7)[1], "transferId": TRANSFER, "params": INFO}, index=1)
    (folded,) = project([old, call])
    assert isinstance(folded.event, XCalled)
    assert folded.event.relayer_fees == (RelayerFee(Address(bytes(20)), 5),)


@pytest.mark.parametrize(
    ("order", "txs", "kinds"),
    [
        (("call", "fee"), (0, 0), (XCalled, RelayerFeesIncreased)),
        (("fee", "call"), (0, 1), (RelayerFeesIncreased, XCalled)),
        (("other", "call"), (0, 0), (RelayerFeesIncreased, XCalled)),
        (("fee", "call", "fee"), (0, 0, 0), (XCalled, RelayerFeesIncreased)),
    ],
    ids=["after", "another transaction", "another transfer", "before and after"],
)
def test_other_fees_are_events_of_their_own(
    order: tuple[str, ...], txs: tuple[int, ...], kinds: tuple[type, ...]
) -> None:
    made = {
        "call": ("XCalled", {**xcalled(7)[1], "transferId": TRANSFER, "params": INFO}),
        "fee": fees(TRANSFER, 5, A), "other": fees(word(1), 5, A),
    }
    events = project(block_of(*(made[name] for name in order), txs=txs))
    assert tuple(type(positioned.event) for positioned in events) == kinds


# -- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "inline"), [(0, True), (CALL_DATA_INLINE_MAX, True), (CALL_DATA_INLINE_MAX + 1, False)]
)
def test_long_call_data_travels_as_hash_and_length(length: int, inline: bool) -> None:
    """LIM-1; the largest projection there is still fits."""
    call_data = b"\xab" * length
    name, arguments = xcalled(2**64 - 1, call_data)
    paid = [fees(arguments["transferId"], 2**255, address(number)) for number in range(4)]
    (only,) = project(block_of(*paid, (name, arguments)))

    assert isinstance(only.event, XCalled)
    assert only.event.call_data_length == length
    assert only.event.info.call_data == (call_data if inline else b"")
    assert only.event.call_data_hash == (None if inline else keccak(call_data))
    assert len(encode_event(only.event)) <= EVENT_BYTES_MAX
    assert decode_event(1, encode_event(only.event)) == only.event


@pytest.mark.parametrize(("count", "inline"), [(16, True), (17, False)])
def test_long_router_lists_travel_as_count_and_hash(count: int, inline: bool) -> None:
    routers = tuple(address(number) for number in range(count))
    (only,) = project([encode_log("Executed", executed(routers))])
    assert isinstance(only.event, Executed)
    expected = RouterList(count, routers, None) if inline else RouterList(count, (), hash_routers(routers))
    assert only.event.routers == expected


# -- what is no event -------------------------------------------------------------------------------------------------


def corrupted(change: str) -> Log:
    log = encode_log(*xcalled(7))
    changes: dict[str, dict[str, Any]] = {
        "cut short": {"data": log.data[:-32]},
        "empty": {"data": b""},
        "topic missing": {"topics": log.topics[:-1]},
        "topic too many": {"topics": (*log.topics, word(1))[:5]},
        "no topic": {"topics": ()},
        "unknown topic": {"topics": (word(1), *log.topics[1:])},
        "not listed": {"topics": (keccak(b"ExternalCalldataExecuted(bytes32,bool,bytes)"), word(1))},
        "nonce too large": {"topics": (*log.topics[:2], (2**64).to_bytes(32, "big"), log.topics[3])},
        "address with a high byte": {"data": log.data[:32] + b"\xff" * 32 + log.data[64:]},
    }
    return replace(log, **changes[change])


@pytest.mark.parametrize(
    "change",
    [
        "cut short", "empty", "topic missing", "topic too many", "no topic", "unknown topic", "not listed",
        "nonce too large", "address with a high byte",
    ],
)
def test_what_does_not_decode_is_no_guess(change: str) -> None:
    good = encode_log("Paused", {}, index=1)
    with pytest.raises(ObservationError) as refused:
        project([corrupted(change), good])
    assert refused.value.cause is ErrorCause.UNDECODABLE
    assert "1/0" in refused.value.detail
