"""One domain through one endpoint: what is read, kept and moved on; and every reason for silence, with its recovery."""

from dataclasses import replace
from typing import Any

import pytest

from abci_app.evm.connext_events import TOPICS
from abci_app.evm.optional_methods import ASK_AGAIN_S, REFUSALS_MAX
from abci_app.machine.observation.stream import XCalled, compute_digest, decode_segment
from abci_app.machine.state.codec import Hash, TransferId
from abci_app.machine.state.records import DomainStatus, RelayerFee
from abci_app.observer.endpoint_follower import CURSOR_STALL_S, EMPTY_ENDPOINT_VIEW, StepOutcome
from abci_app.observer.log_projections import project
from abci_app.observer.observation_errors import TRANSIENT, ErrorCause
from abci_app.observer.segment_builder import AHEAD_MAX, build_segments
from abci_app.observer.snapshot import SeenTransfer
from abci_app.observer.verified_reads import NEWEST_BLOCKS
from tests.kit.observer.fake_chain import DOMAIN, OTHER_DOMAIN, FakeChain, address, make_info, xcalled
from tests.kit.observer.followed_chain import Setting, routine_chain


def transfer_id(nonce: int) -> TransferId:
    identity: TransferId = xcalled(nonce)[1]["transferId"]
    return identity


# -- what is read -----------------------------------------------------------------------------------------------------


def test_final_blocks_become_segments_with_running_digests() -> None:
    setting = Setting(routine_chain())
    assert setting.settle() is StepOutcome.POLL

    segments = setting.follower.view.segments
    decoded = [decode_segment(observed.raw) for observed in segments]
    assert [(segment.number, segment.end_block, len(segment.events)) for segment in decoded] == [
        (1, 2, 0), (2, 3, 1), (3, 4, 2), (4, 6, 0), (5, 8, 1),
    ]
    digest = setting.domain.cursor.digest
    for observed in segments:
        digest = compute_digest(digest, observed.raw)
        assert observed.digest == digest
    assert [segment.end_block_hash for segment in decoded] == [setting.chain.blocks[b].hash for b in (2, 3, 4, 6, 8)]
    assert setting.errors.causes == []


def test_transfers_are_seen_from_final_blocks_until_they_are_accepted() -> None:
    setting = Setting(routine_chain())
    setting.settle()
    seen = SeenTransfer(DOMAIN, OTHER_DOMAIN)
    assert setting.follower.view.transfers == {transfer_id(0): seen, transfer_id(1): seen}
    assert setting.follower.view.blocks == {transfer_id(0): 3, transfer_id(1): 4}

    setting.accept(2)
    setting.settle()
    assert setting.follower.view.transfers == {transfer_id(1): seen}


def test_a_transfer_is_seen_before_its_segment_is_whole() -> None:
    chain = FakeChain()
    setting = Setting(chain, segment_blocks=10, idle_blocks=10)
    chain.add(xcalled(0))
    setting.settle()
    assert setting.numbers() == []
    assert list(setting.follower.view.transfers) == [transfer_id(0)]


def test_blocks_that_are_not_final_are_not_read() -> None:
    chain = routine_chain()
    chain.unfinalized = 6
    setting = Setting(chain)
    setting.settle()
    assert setting.numbers() == [1, 2]
    chain.unfinalized = 0
    setting.settle()
    assert setting.numbers() == [1, 2, 3, 4, 5]


def test_finality_by_depth() -> None:
    chain = routine_chain()
    setting = Setting(chain, finality_depth=6)
    chain.unfinalized = 0
    setting.settle()
    assert setting.numbers() == [1, 2]
    assert setting.faults.calls["eth_blockNumber"] == 1
    chain.grow(6)
    setting.settle()
    assert setting.numbers() == [1, 2, 3, 4, 5]


def test_at_most_eight_segments_ahead_and_no_reading_beyond() -> None:
    chain = FakeChain()
    setting = Setting(chain, idle_blocks=100, segment_blocks=100)
    chain.grow(5000)
    setting.settle()
    assert setting.numbers() == list(range(1, AHEAD_MAX + 1))
    calls = setting.faults.calls["eth_getLogs"]
    assert calls == 1
    setting.settle()
    assert setting.faults.calls["eth_getLogs"] == calls

    for _ in range(6):
        setting.accept(AHEAD_MAX)
        setting.settle()
    assert setting.domain.cursor.number == 48
    assert setting.numbers() == [49, 50]


def test_content_is_kept_until_the_cursor_passes_it() -> None:
    setting = Setting(routine_chain())
    setting.settle()
    before = setting.follower.view.segments
    reads = setting.faults.calls["eth_getLogs"]
    for count in (1, 2):
        setting.accept(count)
        setting.settle()
    assert setting.follower.view.segments == before[3:]
    assert setting.faults.calls["eth_getLogs"] == reads


def test_a_poll_without_a_new_block_is_one_call() -> None:
    setting = Setting(routine_chain())
    setting.settle()
    before = sum(setting.faults.calls.values())
    setting.settle()
    assert sum(setting.faults.calls.values()) == before + 1


def test_a_new_block_without_events_is_two_calls() -> None:
    setting = Setting(routine_chain())
    setting.settle()
    before = sum(setting.faults.calls.values())
    setting.chain.add()
    setting.settle()
    assert sum(setting.faults.calls.values()) == before + 2


@pytest.mark.parametrize("split", range(1, 6))
def test_restarted_at_a_committed_cursor_it_says_the_same(split: int) -> None:
    setting = Setting(routine_chain())
    setting.settle()
    whole = setting.follower.view.segments
    setting.accept(split)
    setting.follower = setting.make_follower()
    setting.settle()
    assert setting.follower.view.segments == whole[split:]


def test_a_fee_before_a_cursor_inside_the_transaction_is_still_folded() -> None:
    """The cap may cut between a fee and its XCalled; who starts there must read the whole block."""
    fee = {"transferId": transfer_id(0), "increase": 9, "asset": address(4), "caller": address(1)}
    chain = FakeChain()
    setting = Setting(chain)
    chain.add(("TransferRelayerFeesIncreased", fee), *[("Paused", {})] * 256, xcalled(0), one_tx=True)
    setting.settle()
    whole = setting.follower.view.segments
    assert decode_segment(whole[0].raw).end_index == 256

    setting.accept(1)
    setting.follower = setting.make_follower()
    setting.settle()
    assert setting.follower.view.segments == whole[1:]
    (positioned,) = decode_segment(whole[1].raw).events
    assert isinstance(positioned.event, XCalled)
    assert positioned.event.relayer_fees == (RelayerFee(address(4), 9),)


def test_it_says_what_the_pure_functions_say() -> None:
    chain = routine_chain()
    setting = Setting(chain)
    setting.settle()
    logs = [log for block in chain.blocks for log in block.logs]

    def block_info(number: int) -> tuple[Any, int]:
        return chain.blocks[number].hash, chain.blocks[number].timestamp_s

    expected = build_segments(setting.domain, setting.domain.cursor, project(logs), 9, block_info)
    assert [observed.raw for observed in setting.follower.view.segments] == [found.raw for found in expected]


@pytest.mark.parametrize(("status", "is_observed"), [
    (DomainStatus.OPEN, True), (DomainStatus.PAUSED, True), (DomainStatus.HALTED, False),
])
def test_a_halted_domain_is_not_observed(status: DomainStatus, is_observed: bool) -> None:
    setting = Setting(routine_chain())
    setting.settle()
    setting.domain = replace(setting.domain, status=status)
    setting.settle()
    assert (setting.follower.view != EMPTY_ENDPOINT_VIEW) is is_observed


def test_new_grids_cut_anew() -> None:
    setting = Setting(routine_chain())
    setting.settle()
    setting.domain = replace(setting.domain, segment_blocks=4)
    setting.settle()
    assert [decode_segment(observed.raw).end_block for observed in setting.follower.view.segments] == [2, 4, 6, 8]


def test_what_the_network_accepted_instead_is_followed() -> None:
    setting = Setting(routine_chain())
    setting.settle()
    setting.accept(2)
    setting.domain = replace(setting.domain, cursor=replace(setting.domain.cursor, digest=Hash(b"\x01" * 32)))
    setting.settle()
    assert setting.errors.causes == [ErrorCause.OVERRULED]
    assert setting.numbers() == [3, 4, 5]


# -- silence, and why -------------------------------------------------------------------------------------------------

OTHER_HASH = "0x" + "ab" * 32

Change = dict[str, Any]
AT_START: list[tuple[str, Change, ErrorCause]] = [
    ("absent", {"is_absent": True}, ErrorCause.UNAVAILABLE),
    ("behind the cursor", {"lag_blocks": 9}, ErrorCause.LAGGING),
    ("junk for the chain id", {"junk_methods": ("eth_chainId",)}, ErrorCause.MALFORMED),
    ("another hash at the cursor", {"changed_hashes": {1: OTHER_HASH}}, ErrorCause.NOT_CANONICAL),
]
ALWAYS: list[tuple[str, Change, ErrorCause]] = [
    ("lies about logs", {"lie_logs": True}, ErrorCause.RECEIPT_MISMATCH),
    ("drops logs", {"drop_topic0": TOPICS["XCalled"]}, ErrorCause.LOG_MISSING),
    ("junk for a header", {"junk_methods": ("eth_getBlockByNumber",)}, ErrorCause.MALFORMED),
    ("junk for logs", {"junk_methods": ("eth_getLogs",)}, ErrorCause.MALFORMED),
    ("refuses logs", {"refused_methods": {"eth_getLogs": -32000}}, ErrorCause.REFUSED),
    ("failed transactions", {"failed_receipts": True}, ErrorCause.RECEIPT_MISMATCH),
]
LATER: list[tuple[str, Change, ErrorCause]] = [
    ("absent", {"is_absent": True}, ErrorCause.UNAVAILABLE),
    ("drops logs everywhere", {"drop_topic0": TOPICS["XCalled"], "drop_everywhere": True}, ErrorCause.NONCE_GAP),
]


def names(rows: list[tuple[str, Change, ErrorCause]]) -> list[str]:
    return [row[0] for row in rows]


def corrupt(setting: Setting, change: Change) -> None:
    for name, value in change.items():
        setattr(setting.faults, name, value)


@pytest.mark.parametrize(("change", "cause"), [row[1:] for row in AT_START + ALWAYS], ids=names(AT_START + ALWAYS))
def test_an_endpoint_that_is_bad_from_the_start(change: Change, cause: ErrorCause) -> None:
    """Silence with the reason; good again, it is believed again."""
    setting = Setting(routine_chain())
    corrupt(setting, change)
    for _ in range(3):
        assert setting.settle() is StepOutcome.BACK_OFF
        assert setting.follower.view == EMPTY_ENDPOINT_VIEW
    assert set(setting.errors.causes) == {cause}

    setting.faults.behave()
    assert setting.settle() is StepOutcome.POLL
    assert setting.numbers() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("change", "cause"), [row[1:] for row in ALWAYS + LATER], ids=names(ALWAYS + LATER))
def test_an_endpoint_that_turns_bad(change: Change, cause: ErrorCause) -> None:
    """Nothing new is said. An error about content withdraws what was said, a missing answer does not."""
    setting = Setting(routine_chain())
    setting.settle()
    before = setting.follower.view
    corrupt(setting, change)
    setting.chain.add(xcalled(2))
    setting.settle()
    setting.faults.drop_topic0 = None if cause is ErrorCause.NONCE_GAP else setting.faults.drop_topic0
    setting.chain.add(xcalled(3))
    assert setting.follower.step() is StepOutcome.BACK_OFF
    assert setting.errors.causes[0] is cause
    assert setting.follower.view == (before if cause in TRANSIENT else EMPTY_ENDPOINT_VIEW)

    setting.faults.behave()
    for _ in range(5):
        setting.settle()
    assert setting.numbers() == [1, 2, 3, 4, 5, 6, 7]
    assert setting.follower.view.segments[:5] == before.segments


def test_an_endpoint_that_lags_says_nothing_new_and_catches_up() -> None:
    setting = Setting(routine_chain())
    setting.settle()
    setting.chain.add(xcalled(2))
    setting.faults.lag_blocks = 3
    assert setting.settle() is StepOutcome.POLL
    assert setting.numbers() == [1, 2, 3, 4, 5]
    setting.faults.behave()
    setting.settle()
    assert setting.numbers() == [1, 2, 3, 4, 5, 6]


def test_another_chain_is_refused() -> None:
    setting = Setting(routine_chain(), chain_id=1)
    assert setting.settle() is StepOutcome.BACK_OFF
    assert setting.errors.details == ["wrong-chain: chain id 31337, the domain's is 1"]


def test_an_unknown_stream_version_is_refused() -> None:
    setting = Setting(routine_chain(), stream_version=2)
    assert setting.settle() is StepOutcome.BACK_OFF
    assert setting.errors.causes == [ErrorCause.UNDECODABLE]


def test_a_log_that_does_not_decode_silences_its_domain() -> None:
    setting = Setting(routine_chain())
    setting.settle()
    setting.chain.add(("Paused", {}))
    log = setting.chain.blocks[-1].logs[0]
    setting.chain.blocks[-1].logs = [replace(log, topics=(TOPICS["RouterAdded"],))]
    assert setting.settle() is StepOutcome.BACK_OFF
    assert setting.errors.causes == [ErrorCause.UNDECODABLE]
    assert setting.follower.view == EMPTY_ENDPOINT_VIEW


@pytest.mark.parametrize("change", [{"removed": True}, {"block_hash": b"\x01" * 32}], ids=["removed", "foreign"])
def test_a_log_that_is_not_of_its_block_is_refused(change: dict[str, Any]) -> None:
    setting = Setting(routine_chain())
    block = setting.chain.blocks[3]
    block.logs = [replace(block.logs[0], **change)]
    assert setting.settle() is StepOutcome.BACK_OFF
    assert setting.errors.causes == [ErrorCause.HEADER_MISMATCH]


def test_a_nonce_gap_to_the_committed_nonce_silences_the_domain() -> None:
    setting = Setting(routine_chain(), next_nonce=1)
    assert setting.settle() is StepOutcome.BACK_OFF
    assert setting.errors.details == ["nonce-gap: XCalled at 3/0 has nonce 0, due was 1"]


def test_a_change_above_the_cursor_is_read_again_from_the_cursor() -> None:
    setting = Setting(routine_chain())
    setting.settle()
    before = setting.follower.view.segments
    setting.chain.reorganise(4, fork=1)
    setting.chain.grow(1)
    assert setting.settle() is StepOutcome.BACK_OFF
    assert setting.errors.causes == [ErrorCause.HASH_CHANGED]
    setting.settle()
    assert setting.follower.view.segments[:2] == before[:2]
    assert setting.follower.view.segments[2].digest != before[2].digest
    assert list(setting.follower.view.transfers) == [transfer_id(0)]


def test_a_changed_hash_at_the_final_head_is_noticed_without_a_new_block() -> None:
    setting = Setting(routine_chain())
    setting.settle()
    setting.chain.reorganise(9, fork=1)
    assert setting.settle() is StepOutcome.BACK_OFF
    assert setting.errors.causes == [ErrorCause.HASH_CHANGED]


def test_a_final_hash_that_changes_and_changes_back() -> None:
    """Another hash above the cursor is another chain: read again, other digests; and again when it is put right."""
    setting = Setting(routine_chain())
    setting.settle()
    before = setting.follower.view.segments
    corrupt(setting, {"changed_hashes": {8: OTHER_HASH, 9: OTHER_HASH}})
    setting.chain.add()
    assert setting.settle() is StepOutcome.BACK_OFF
    assert setting.follower.view == EMPTY_ENDPOINT_VIEW
    setting.settle()
    assert setting.follower.view.segments[:4] == before[:4]
    assert decode_segment(setting.follower.view.segments[4].raw).end_block_hash == b"\xab" * 32

    setting.faults.behave()
    setting.settle()
    assert setting.follower.view.segments[4] != before[4]
    setting.now_s += CURSOR_STALL_S + 1
    setting.settle()
    assert setting.follower.view.segments[:5] == before


def test_a_cursor_that_stands_still_is_read_from_again() -> None:
    """An endpoint that lied alike everywhere and was corrected is noticed, though no hash ever changed."""
    setting = Setting(routine_chain())
    corrupt(setting, {"lie_logs": True, "lie_everywhere": True})
    setting.settle()
    lie = setting.follower.view.segments
    setting.faults.behave()
    setting.settle()
    assert setting.follower.view.segments == lie
    setting.now_s += CURSOR_STALL_S + 1
    setting.settle()
    assert setting.numbers() == [1, 2, 3, 4, 5]
    assert setting.follower.view.segments[0] == lie[0]
    assert setting.follower.view.segments[1] != lie[1]


def test_a_cursor_that_moves_is_not_read_from_again() -> None:
    setting = Setting(routine_chain())
    setting.settle()
    reads = setting.faults.calls["eth_getLogs"]
    for _ in range(4):
        setting.now_s += CURSOR_STALL_S - 1
        setting.accept(1)
        setting.settle()
    assert setting.faults.calls["eth_getLogs"] == reads


def test_once_the_cursor_is_not_canonical_there_is_nothing_more() -> None:
    setting = Setting(routine_chain())
    setting.settle()
    setting.accept(3)
    setting.settle()
    setting.chain.reorganise(4, fork=1)
    setting.chain.grow(1)
    for _ in range(5):
        setting.settle()
        setting.chain.grow(1)
    assert setting.errors.causes == [ErrorCause.HASH_CHANGED] + [ErrorCause.NOT_CANONICAL] * 4
    assert setting.follower.view == EMPTY_ENDPOINT_VIEW


def test_a_range_that_is_too_long_is_halved_until_it_fits() -> None:
    chain = FakeChain()
    setting = Setting(chain, segment_blocks=100, idle_blocks=100)
    chain.grow(700)
    setting.faults.log_range_max = 70
    setting.settle()
    assert setting.errors.causes == []
    assert setting.numbers() == [1, 2, 3, 4, 5, 6, 7]
    assert setting.faults.calls["eth_getLogs"] <= 700 / 70 + 20, "the limit is found once, not every second request"


RECEIPTS_REFUSED: list[tuple[str, Change]] = [
    ("junk", {"junk_methods": ("eth_getBlockReceipts",)}),
    ("null", {"constants": {"eth_getBlockReceipts": None}}),
    ("a passing code", {"refused_methods": {"eth_getBlockReceipts": -32000}}),
    ("entries without a hash", {"constants": {"eth_getBlockReceipts": [{"logs": []}]}}),
    ("of no transaction", {"constants": {"eth_getBlockReceipts": []}}),
]


@pytest.mark.parametrize("change", [row[1] for row in RECEIPTS_REFUSED], ids=[row[0] for row in RECEIPTS_REFUSED])
def test_receipts_one_by_one_where_those_of_a_block_are_refused_again_and_again(change: Change) -> None:
    """At first it may be an index that lags: nothing is said. Then the method counts as missing, for a while."""
    setting = Setting(routine_chain())
    corrupt(setting, change)
    for _ in range(REFUSALS_MAX - 1):
        assert setting.settle() is StepOutcome.BACK_OFF
        assert setting.follower.view == EMPTY_ENDPOINT_VIEW
    assert setting.settle() is StepOutcome.POLL
    assert setting.numbers() == [1, 2, 3, 4, 5]
    asked = setting.faults.calls["eth_getBlockReceipts"]
    assert asked == REFUSALS_MAX

    setting.chain.add(xcalled(2))
    setting.settle()
    assert setting.faults.calls["eth_getBlockReceipts"] == asked
    setting.now_s += ASK_AGAIN_S
    setting.faults.behave()
    setting.settle()
    setting.chain.add(xcalled(3))
    setting.settle()
    assert setting.faults.calls["eth_getBlockReceipts"] > asked


def test_receipts_one_by_one_where_the_endpoint_gives_none_of_a_block() -> None:
    setting = Setting(routine_chain())
    setting.faults.refused_methods = {"eth_getBlockReceipts": -32601}
    setting.settle()
    assert setting.numbers() == [1, 2, 3, 4, 5]
    assert setting.faults.calls["eth_getBlockReceipts"] == 1
    assert setting.faults.calls["eth_getTransactionReceipt"] == 4


def test_in_a_long_range_only_the_newest_headers_are_read() -> None:
    chain = FakeChain()
    setting = Setting(chain, segment_blocks=1000, idle_blocks=1000)
    chain.grow(900)
    chain.add(xcalled(0))
    setting.settle()
    assert setting.faults.calls["eth_getBlockByNumber"] <= NEWEST_BLOCKS + 3
    assert list(setting.follower.view.transfers) == [transfer_id(0)]


def test_a_long_range_that_does_not_follow_is_refused() -> None:
    chain = FakeChain()
    setting = Setting(chain, idle_blocks=1000, segment_blocks=1000)
    chain.grow(10)
    setting.settle()
    chain.reorganise(5, fork=1)
    chain.grow(100)
    assert setting.settle() is StepOutcome.BACK_OFF
    assert setting.errors.causes == [ErrorCause.HASH_CHANGED]


def test_long_call_data_does_not_change_what_is_seen() -> None:
    chain = FakeChain()
    setting = Setting(chain)
    chain.add(xcalled(0, b"\x01" * 9000))
    setting.settle()
    event = decode_segment(setting.follower.view.segments[0].raw).events[0].event
    assert isinstance(event, XCalled)
    assert (event.call_data_length, event.info) == (9000, make_info(0))
