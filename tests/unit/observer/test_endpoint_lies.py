"""One endpoint that answers beside the question, and the limits of a segment and of an event to the byte."""

from dataclasses import replace
from typing import Any

import pytest

from abci_app.evm.connext_events import TOPICS
from abci_app.machine.observation.stream import encode_event, size_positioned
from abci_app.machine.state.codec import Address, Hash
from abci_app.observer.log_projections import project
from abci_app.observer.observation_errors import ErrorCause, ObservationError
from abci_app.observer.segment_builder import build_segments
from abci_app.observer.verified_reads import VerifiedReads
from tests.kit.evm.rpc_proxy import Faults
from tests.kit.observer.fake_chain import CONNEXT_ADDRESS, FakeChain, FakeRpc, encode_log, xcalled

STRANGER = Address(b"\xee" * 20)


class OffByOne(FakeRpc):
    """Gives the block after the one that it is asked for."""

    def request(self, method: str, params: Any) -> Any:
        if method == "eth_getBlockByNumber":
            params = [hex(int(params[0], 16) + 1), params[1]]
        return super().request(method, params)


def reads_of(rpc: FakeRpc) -> VerifiedReads:
    return VerifiedReads(rpc, CONNEXT_ADDRESS, tuple(TOPICS.values()))


def test_the_header_of_another_block_is_none() -> None:
    """Its hash and time would be those of the segment."""
    chain = FakeChain(5)
    assert reads_of(FakeRpc(chain)).header(3).number == 3
    with pytest.raises(ObservationError, match="asked for block 3, got 4") as refused:
        reads_of(OffByOne(chain)).header(3)
    assert refused.value.cause is ErrorCause.MALFORMED


@pytest.mark.parametrize("has_block_receipts", [True, False])
def test_a_log_of_another_contract_in_our_transaction_is_not_ours(has_block_receipts: bool) -> None:
    """Any contract may emit an event with Connext's topic; nobody may make a block unreadable with it."""
    chain = FakeChain(1)
    number = chain.add(xcalled(0), xcalled(1), one_tx=True)
    block = chain.blocks[number]
    block.logs[1] = replace(block.logs[1], address=STRANGER)
    faults = Faults()
    faults.refused_methods = {} if has_block_receipts else {"eth_getBlockReceipts": -32601}
    logs = reads_of(FakeRpc(chain, faults)).read_logs(number, number, Hash(chain.blocks[number - 1].hash))
    assert logs == (block.logs[0],)


@pytest.mark.parametrize(("room", "counts"), [(0, [2, 1]), (-1, [1, 1, 1]), (1, [2, 1])])
def test_a_segment_is_full_at_its_limit_to_the_byte(
    monkeypatch: pytest.MonkeyPatch, room: int, counts: list[int]
) -> None:
    """SEG-1: an observer that cuts elsewhere has other digests, and nobody agrees with it."""
    chain = FakeChain(1)
    block = chain.add(*(xcalled(nonce) for nonce in range(3)))
    chain.add()
    events = project(chain.blocks[block].logs)
    limit = size_positioned(events[0]) + size_positioned(events[1]) + room
    monkeypatch.setattr("abci_app.observer.segment_builder.SEGMENT_BYTES_MAX", limit)
    domain = chain.domain()

    def block_info(number: int) -> tuple[Hash, int]:
        return Hash(chain.blocks[number].hash), chain.blocks[number].timestamp_s

    built = build_segments(domain, domain.cursor, events, block, block_info)
    assert [len(one.segment.events) for one in built] == counts


@pytest.mark.parametrize(("room", "is_taken"), [(1, True), (0, True), (-1, False)])
def test_an_event_is_too_large_from_the_first_byte_on(
    monkeypatch: pytest.MonkeyPatch, room: int, is_taken: bool
) -> None:
    """SEG-2: what no segment may hold is said here, with its log, not found out by those who get the segment."""
    log = encode_log(*xcalled(0, b"\x01" * 500))
    [positioned] = project([log])
    size = len(encode_event(positioned.event))
    monkeypatch.setattr("abci_app.observer.log_projections.EVENT_BYTES_MAX", size + room)
    if is_taken:
        assert project([log]) == (positioned,)
        return
    with pytest.raises(ObservationError, match=f"log 1/0: projection of {size} bytes") as refused:
        project([log])
    assert refused.value.cause is ErrorCause.UNDECODABLE
