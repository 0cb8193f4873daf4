"""Storage keys: prefixes, order, no two records under one key; and the pinned bytes of two whole records (COD-1)."""

import inspect
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.machine.codes import InvariantBroken
from abci_app.machine.params import FeeRow, Params
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId, Hash, Malformed, TransferId, decode, encode
from abci_app.machine.state.records import (
    EMPTY_HASH,
    Attempt,
    AttemptEnd,
    Bid,
    Charge,
    DecisionKind,
    RelayerFee,
    Transfer,
    TransferStatus,
)

PROTOCOL = Path(__file__).resolve().parents[4] / "docs" / "protocol.md"
D1, D2, D10 = DomainId(1), DomainId(2), DomainId(10)
A1, A2 = Address(b"\x01" * 20), Address(b"\x02" * 20)
H1 = Hash(b"\x11" * 32)
T1, T2 = TransferId(b"\x11" * 32), TransferId(b"\x22" * 32)

PREFIXES = [
    (keys.domains(), keys.domain(D1)),
    (keys.lanes(), keys.lane(D1, D2)),
    (keys.assets(), keys.asset(D1, H1)),
    (keys.routers(D1), keys.router(D1, A1)),
    (keys.transfers(), keys.transfer(T1)),
    (keys.bids(T1), keys.bid(T1, A1)),
    (keys.auctions(T1), keys.auction(T1, 1)),
    (keys.decisions(), keys.decision(1)),
    (keys.batches(), keys.batch(1)),
    (keys.unattested_batches(), keys.unattested(1)),
    (keys.domain_reports(D1), keys.reports(D1, 1)),
    (keys.open_transfers(D1, D2), keys.open_transfer(D1, D2, 1)),
    (keys.leases(D1), keys.lease(D1, 5, 1)),
    (keys.slow_dues(D1, D2), keys.slow_due(D1, D2, 5, 1)),
    (keys.drops(), keys.drop(5, 1)),
    (keys.finished_transfers(), keys.finished(5, 1)),
    (keys.stub_expiries(), keys.stub_expiry(5, T1)),
]
OTHERS = [
    keys.CHAIN, keys.PARAMS, keys.epoch(1), keys.queue(D1, A1), keys.queue_tag(D1, A1, A2),
    keys.transfer_info(T1), keys.stub(T1), keys.tombstone(T1), keys.liquidity(D1, A1, A2),
]
EVERY = [*(key for _, key in PREFIXES), *OTHERS]

U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
IDS = st.binary(min_size=32, max_size=32)
PARSED: list[tuple[Callable[..., bytes], Callable[[bytes], Any], tuple[Any, ...]]] = [
    (keys.transfer, keys.parse_transfer, (IDS,)),
    (keys.decision, keys.parse_decision, (U64,)),
    (keys.batch, keys.parse_batch, (U64,)),
    (keys.reports, keys.parse_reports, (U32, U64)),
    (keys.open_transfer, keys.parse_open_transfer, (U32, U32, U64)),
    (keys.lease, keys.parse_lease, (U32, U64, U64)),
    (keys.slow_due, keys.parse_slow_due, (U32, U32, U64, U64)),
    (keys.drop, keys.parse_drop, (U64, U64)),
    (keys.finished, keys.parse_finished, (U64, U64)),
    (keys.stub_expiry, keys.parse_stub_expiry, (U64, IDS)),
]
"""A key's function, its parser, and what the arguments can be."""


def test_every_key_function_is_looked_at_here() -> None:
    functions = {
        name for name, value in vars(keys).items()
        if inspect.isfunction(value) and value.__module__ == keys.__name__ and not name.startswith("_")
    }
    parsers = {name for name in functions if name.startswith("parse_")}
    assert parsers == {parse.__name__ for _, parse, _ in PARSED} and len(parsers) == len(PARSED)
    others = functions - parsers - {"list_range"}
    assert len(others) == 2 * len(PREFIXES) + len(OTHERS) - 2  # CHAIN and PARAMS are constants


@pytest.mark.parametrize("prefix, key", PREFIXES)
def test_a_plural_is_the_prefix_of_its_singular_and_of_nothing_else(prefix: bytes, key: bytes) -> None:
    """COD-1: a scan sees its own records only; prefixes end in a slash."""
    assert key.startswith(prefix) and prefix.endswith(b"/")
    assert [other for other in EVERY if other.startswith(prefix)] == [key]
    assert len(set(EVERY)) == len(EVERY)


@given(st.data())
@pytest.mark.parametrize("make, parse, arguments", PARSED)
def test_a_parser_returns_what_the_key_was_made_of(
    make: Callable[..., bytes], parse: Callable[[bytes], Any], arguments: tuple[Any, ...], data: st.DataObject
) -> None:
    """COD-1: every number has one key, and every key one number."""
    made = data.draw(st.tuples(*arguments))
    parsed = parse(make(*made))
    assert (parsed if isinstance(parsed, tuple) else (parsed,)) == made


@pytest.mark.parametrize("make, parse, arguments", PARSED)
def test_a_parser_refuses_other_keys(
    make: Callable[..., bytes], parse: Callable[[bytes], Any], arguments: tuple[Any, ...]
) -> None:
    """COD-1: another length, another kind, a part more or less, and what int() would take for a number."""
    key = make(*(T1 if each not in (U32, U64) else 7 for each in arguments))
    parse(key)
    name, slash, parts = key.partition(b"/")
    digits = parts[1:]
    refused = [
        b"", name, name + slash, key[:-1], key + b"0", key + b"/", key + b"/1", slash + key, b"x" + key,
        name + slash * 2 + digits, name + b"/+" + digits, name + b"/ " + digits, name + b"/_" + digits,
        name + b"/-" + digits, b"-".join(key.rsplit(b"/", 1)),
        *(other for other in EVERY if other.partition(b"/")[0] != name),
    ]
    for other in refused:
        with pytest.raises(InvariantBroken):
            parse(other)


@pytest.mark.parametrize("digits", [b"AA" * 32, b"  " * 32, b"11" * 31 + b"1 ", b"11" * 31 + b"0x"])
def test_a_parser_refuses_hex_of_another_form(digits: bytes) -> None:
    """COD-1: an id has one form in a key, lower case without spaces."""
    with pytest.raises(InvariantBroken):
        keys.parse_stub_expiry(b"stub_expiry/%020d/%s" % (5, digits))


@given(st.integers(0, keys.NUMBER_MAX), st.integers(0, keys.NUMBER_MAX))
def test_prefixes_of_a_range_are_few_ascend_and_begin_at_the_start(start: int, end: int) -> None:
    parts = list(keys.list_range(keys.batches(), start, end))
    assert len(parts) <= 181 and parts == sorted(parts)
    assert (parts[:1] == [b"batch/%020d" % start]) is (start <= end)


@pytest.mark.parametrize(("start", "end"), [(5, 4), (0, keys.NUMBER_MAX + 1), (-1, 3)])
def test_a_range_that_cannot_be_has_no_prefixes(start: int, end: int) -> None:
    assert list(keys.list_range(keys.batches(), start, end)) == []


@pytest.mark.parametrize("low, high", [
    (keys.domain(D2), keys.domain(D10)),
    (keys.lane(D1, D10), keys.lane(D2, D1)),
    (keys.lane(D1, D2), keys.lane(D1, D10)),
    (keys.decision(9), keys.decision(10)),
    (keys.decision(10), keys.decision(2**64 - 1)),
    (keys.batch(99), keys.batch(100)),
    (keys.reports(D1, 9), keys.reports(D1, 10)),
    (keys.open_transfer(D1, D2, 9), keys.open_transfer(D1, D2, 10)),
    (keys.lease(D1, 9, 10), keys.lease(D1, 10, 9)),
    (keys.lease(D1, 10, 9), keys.lease(D1, 10, 10)),
    (keys.slow_due(D1, D2, 9, 10), keys.slow_due(D1, D2, 10, 9)),
    (keys.drop(9, 10), keys.drop(10, 9)),
    (keys.finished(9, 10), keys.finished(10, 9)),
    (keys.stub_expiry(9, T2), keys.stub_expiry(10, T1)),
    (keys.auction(T1, 9), keys.auction(T1, 10)),
    (keys.auction(T1, 255), keys.auction(T2, 1)),
    (keys.bid(T1, A1), keys.bid(T1, A2)),
    (keys.epoch(9), keys.epoch(10)),
])
def test_keys_sort_the_way_people_count(low: bytes, high: bytes) -> None:
    """ORD-1: what is scanned by number, time or height comes in that order, at every number of digits."""
    assert low < high


def test_keys_are_pinned() -> None:
    """TRE-1: a key is hashed into the app hash, so its text is part of the protocol."""
    assert sha256(b"\n".join(EVERY)).hexdigest() == "a255fc03fb8b8ce278c7f69148d61ce6bb2dbdf6ca74975e4468cd7cec50812e"


def test_the_protocol_tells_every_key() -> None:
    """TRE-1: who writes another node from docs/protocol.md makes the same keys."""
    section = PROTOCOL.read_text().split("<!-- table: keys -->\n")[1].split("<!-- end -->")[0]
    forms = [line.split("`")[1] for line in section.splitlines()[2:]]
    patterns = [re.compile(re.sub(r"\{\w+(?::(\d+))?\}", make_pattern, form)) for form in forms]
    for key in EVERY:
        assert len([pattern for pattern in patterns if pattern.fullmatch(key.decode())]) == 1, key
    assert len(patterns) == len(EVERY)


def make_pattern(name: "re.Match[str]") -> str:
    """Digits where their number stands behind the name of a part, else hex."""
    return rf"\d{{{name[1]}}}" if name[1] else "([0-9a-f]{40}|[0-9a-f]{64})"


# --- whole records --------------------------------------------------------------------------------------------------

TRANSFER = Transfer(
    transfer_id=T1, status=TransferStatus.ASSIGNED, acceptance=7, origin=D1, destination=D2, nonce=3, amount=10**18,
    local=A1, has_call_data=True, info_known=True, origin_tx=H1, accepted_height=5, accepted_time_s=1_700_000_000,
    deadline_clock=35, fees=(RelayerFee(A2, 300),),
    attempts=(
        Attempt(1, DecisionKind.FAST, 9, (A1,), 10**18, 1_700_000_120, (), 6, AttemptEnd.RENEWED, 50),
        Attempt(2, DecisionKind.FAST, 12, (A1,), 10**18, 1_700_000_300, (Charge(A1, 10**18 << 32),), 50,
                AttemptEnd.OPEN, 0),
    ),
    returned=(Charge(A2, 1),), slow_decisions=0, slow_next_s=0, drop_after_s=0, executed_by=(A1, A2),
    executed_tx=EMPTY_HASH, reconciled_tx=EMPTY_HASH, finished_height=0, bidders=2,
)
PARAMS = Params(fee_table=(FeeRow(D1, D2, A1, 5),))


@pytest.mark.parametrize("record, digest", [
    (TRANSFER, "b9879e4fe95a8078318dc65858ad7e7aca43ad2dcc5a241b5a05475c42d5e62e"),
    (PARAMS, "ee1911b0f25db75a06b2283f794ff5e81443c96b836cc913c88b94a27a92d9fb"),
])
def test_records_are_pinned(record: object, digest: str) -> None:
    """COD-1: a field added, dropped or moved changes the app hash and shows here first."""
    assert sha256(encode(record)).hexdigest() == digest
    assert decode(type(record), encode(record)) == record


def test_cod_2_refuses_one_record_read_as_another() -> None:
    """COD-2: bytes of a transfer are no bid and no parameters."""
    for cls in (Bid, Params):
        with pytest.raises(Malformed):
            decode(cls, encode(TRANSFER))
