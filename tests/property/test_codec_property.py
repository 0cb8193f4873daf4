"""Every stored record, event, segment, extension and commit: there and back, and no second encoding of anything."""

from dataclasses import fields, is_dataclass
from enum import IntEnum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.machine import params
from abci_app.machine.codes import Code, Rejected
from abci_app.machine.observation import stream
from abci_app.machine.observation.extension import (
    CommitEntry,
    DomainReport,
    Extension,
    InjectedCommit,
    SignedBatch,
    VoteFlag,
    decode_commit,
    encode_commit,
    encode_extension,
    parse_extension,
)
from abci_app.machine.observation.stream import (
    EVENT_KINDS,
    PositionedEvent,
    Segment,
    decode_segment,
    encode_event,
    encode_segment,
)
from abci_app.machine.params import Params
from abci_app.machine.state import records
from abci_app.machine.state.codec import (
    Address,
    DomainId,
    Hash,
    Malformed,
    Signature,
    TransferId,
    Uint,
    decode,
    encode,
)
from abci_app.machine.transactions.tx import decode_transfer_info, decode_tx

SIZES = {Address: 20, Hash: 32, TransferId: 32, Signature: 65}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a record's field type."""
    if kind in SIZES:
        return st.binary(min_size=SIZES[kind], max_size=SIZES[kind])
    if kind is DomainId:
        return st.integers(0, 2**32 - 1)
    origin = get_origin(kind)
    if origin is Annotated:
        marker = get_args(kind)[1]
        assert isinstance(marker, Uint)
        return st.integers(0, 256**marker.width - 1)
    if origin is tuple:
        return st.lists(values_of(get_args(kind)[0]), max_size=3).map(tuple)
    if origin in (Union, UnionType):
        return st.none() | values_of(next(arg for arg in get_args(kind) if arg is not type(None)))
    if is_dataclass(kind):
        return instances(kind)  # type: ignore[arg-type]
    if issubclass(kind, IntEnum):
        return st.sampled_from(list(kind))
    simple = {int: st.integers(0, 2**256 - 1), bool: st.booleans(), bytes: st.binary(max_size=40), str: st.text()}
    return simple[kind]


def instances(cls: type) -> st.SearchStrategy[Any]:
    """Any instance of a record class."""
    hints = get_type_hints(cls, include_extras=True)
    return st.builds(cls, **{field.name: values_of(hints[field.name]) for field in fields(cls)})


def record_classes() -> list[type]:
    """Every dataclass of the modules that define stored bytes."""
    found = [value for module in (records, params) for value in vars(module).values()]
    own = [cls for cls in found if isinstance(cls, type) and is_dataclass(cls)]
    return sorted({*own, *EVENT_KINDS.values(), stream.RouterList}, key=lambda cls: cls.__name__)


def is_second_encoding(cls: type, corrupted: bytes) -> bool:
    """Tell whether bytes decode to something that encodes to other bytes."""
    try:
        return encode(decode(cls, corrupted)) != corrupted
    except Malformed:
        return False


@st.composite
def corrupted_bytes(draw: st.DrawFn, raw: bytes) -> bytes:
    """Bytes a little different: one changed, some left out, some added."""
    at = draw(st.integers(0, len(raw)))
    return draw(st.sampled_from([
        raw[:at] + draw(st.binary(max_size=2)) + raw[at + draw(st.integers(0, 2)):],
        raw[:at], raw + draw(st.binary(min_size=1, max_size=3)), raw[at:] + raw[:at],
    ]))


@pytest.mark.parametrize("cls", record_classes(), ids=lambda cls: cls.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_record_survives_and_has_one_encoding(cls: type, data: st.DataObject) -> None:
    """COD-1: decode(encode(x)) = x. COD-2: corrupted bytes are malformed, or are some value's own."""
    value = data.draw(instances(cls))
    raw = encode(value)
    assert decode(cls, raw) == value
    assert not is_second_encoding(cls, data.draw(corrupted_bytes(raw)))


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    """A segment with valid events in order."""
    plain = st.one_of([instances(cls) for kind, cls in EVENT_KINDS.items() if kind > 3])
    places = sorted(draw(st.sets(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=6)))
    events = tuple(PositionedEvent(*place, draw(plain)) for place in places)
    return Segment(
        DomainId(draw(values_of(DomainId))), draw(st.integers(0, 2**64 - 1)), draw(values_of(Address)), 1, 1, 2,
        draw(st.integers(0, 2**64 - 1)), draw(st.integers(50, 2**64 - 1)), draw(st.integers(50, 2**32 - 1)),
        draw(values_of(Hash)), draw(st.integers(0, 2**64 - 1)), events,
    )


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_segments_have_one_encoding(data: st.DataObject) -> None:
    """SEG-2: there and back; corrupted ones are malformed or somebody's own."""
    segment = data.draw(segments())
    raw = encode_segment(segment)
    assert decode_segment(raw) == segment
    corrupted = data.draw(corrupted_bytes(raw))
    try:
        again = decode_segment(corrupted)
    except Malformed:
        return
    assert encode_segment(again) == corrupted
    assert all(len(encode_event(each.event)) <= 9 * 1024 for each in again.events)


@st.composite
def extensions(draw: st.DrawFn) -> bytes:
    """A canonical extension's bytes."""
    u64 = st.integers(0, 2**64 - 1)
    places = sorted(draw(st.sets(st.tuples(u64, u64), max_size=3)))
    domains = sorted(draw(st.sets(st.integers(0, 2**32 - 1), max_size=4)))
    digests = st.lists(values_of(Hash), min_size=1, max_size=4).map(tuple)
    return encode_extension(
        tuple(SignedBatch(*place, draw(values_of(Signature))) for place in places),
        tuple(DomainReport(DomainId(domain), draw(u64), draw(digests)) for domain in domains),
    )


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_extensions_have_one_encoding(data: st.DataObject) -> None:
    """EXT-1, EXT-2: what parses is exactly what would be said; everything else counts as empty."""
    raw = data.draw(extensions())
    for candidate in (raw, data.draw(corrupted_bytes(raw))):
        given = parse_extension(candidate)
        if given is not None:
            assert encode_extension(given.signatures, given.reports) == candidate
        elif candidate == raw:
            assert raw == b""


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_commits_have_one_encoding(data: st.DataObject) -> None:
    """COM-1, COM-2: a commit that decodes is its own encoding; the rest is COMMIT_MALFORMED, never another error."""
    entry = st.sampled_from([
        CommitEntry(VoteFlag.COMMIT, b"\1\2", b"\3" * 64), CommitEntry(VoteFlag.COMMIT, b"", b""),
        CommitEntry(VoteFlag.ABSENT, b"", b""), CommitEntry(VoteFlag.NIL, b"", b""),
    ])
    entries = st.lists(entry, max_size=6).map(tuple)
    commit = InjectedCommit(data.draw(st.integers(0, 2**32 - 1)), data.draw(entries))
    raw = encode_commit(commit)
    assert decode_commit(raw) == commit
    corrupted = data.draw(corrupted_bytes(raw))
    try:
        assert encode_commit(decode_commit(corrupted)) == corrupted
    except Rejected as rejection:
        assert rejection.code is Code.COMMIT_MALFORMED


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_in_order(raw: bytes) -> None:
    """TX-1, TX-2, EXT-2, COD-2: no bytes make a decoder fail in any other way than its own."""
    for decoder in (decode_tx, decode_transfer_info, decode_commit):
        with pytest.raises(Rejected):
            decoder(raw)
    parse_extension(raw)
    for cls in (Extension, Params, records.Transfer):
        assert not is_second_encoding(cls, raw)
