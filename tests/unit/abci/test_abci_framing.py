"""Frames survive any split of the bytes; what is no frame is refused."""

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.abci.errors import FrameError
from abci_app.abci.framing import FrameDecoder, encode_frame, encode_frame_of_field, encode_uvarint


def decode_all(decoder: FrameDecoder, pieces: list[bytes]) -> list[bytes]:
    """Feeds the pieces one by one and takes every frame that is complete after each."""
    frames = []
    for piece in pieces:
        decoder.feed(piece)
        while (frame := decoder.next_frame()) is not None:
            frames.append(frame)
    return frames


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """data cut at the given offsets."""
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@pytest.mark.parametrize(
    "number, encoded",
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (16_383, "ff7f"),
        (16_384, "808001"),
        (2**31 - 1, "ffffffff07"),
        (2**64 - 1, "ffffffffffffffffff01"),
    ],
)
def test_uvarint_is_unsigned_and_low_group_first(number: int, encoded: str) -> None:
    assert encode_uvarint(number).hex() == encoded


@settings(max_examples=300)
@given(st.data())
def test_frames_survive_any_split(data: st.DataObject) -> None:
    messages = data.draw(st.lists(st.binary(max_size=400), max_size=20))
    stream = b"".join(encode_frame(message) for message in messages)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=40))
    decoder = FrameDecoder()
    assert decode_all(decoder, split(stream, cuts)) == messages
    assert decoder.buffered_bytes == 0


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=300), max_size=10), st.data())
def test_frames_taken_late_are_the_same(messages: list[bytes], data: st.DataObject) -> None:
    """A connection may be fed several times before it has a turn, and have turns that take only some frames."""
    stream = b"".join(encode_frame(message) for message in messages)
    decoder, frames = FrameDecoder(), []
    for piece in split(stream, data.draw(st.lists(st.integers(0, len(stream)), max_size=10))):
        decoder.feed(piece)
        for _ in range(data.draw(st.integers(0, 3))):
            frame = decoder.next_frame()
            frames += [frame] if frame is not None else []
    while (frame := decoder.next_frame()) is not None:
        frames.append(frame)
    assert frames == messages


def test_one_byte_at_a_time() -> None:
    messages = [b"", b"a" * 127, b"b" * 128, b"c" * 20_000]
    stream = b"".join(encode_frame(message) for message in messages)
    assert decode_all(FrameDecoder(), [bytes((byte,)) for byte in stream]) == messages


def test_an_incomplete_frame_waits() -> None:
    decoder = FrameDecoder()
    assert decode_all(decoder, [encode_frame(b"whole"), encode_frame(b"cut")[:-1]]) == [b"whole"]
    assert decoder.buffered_bytes == 3
    assert decode_all(decoder, [b"t"]) == [b"cut"]


def test_a_frame_at_the_limit_passes_and_one_above_is_refused_by_its_length_alone() -> None:
    assert decode_all(FrameDecoder(frame_bytes_max=1000), [encode_frame(bytes(1000))]) == [bytes(1000)]
    decoder = FrameDecoder(frame_bytes_max=1000)
    decoder.feed(encode_uvarint(1001))
    with pytest.raises(FrameError, match="1001 bytes, at most 1000"):
        decoder.next_frame()


@pytest.mark.parametrize("pieces", [[b"\xff" * 10], [b"\xff"] * 10, [b"\x80" * 20]])
def test_a_length_that_never_ends_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(FrameError, match="does not end within 10 bytes"):
        decode_all(FrameDecoder(), pieces)


def test_a_large_frame_is_not_copied_with_every_read() -> None:
    """20 MB in the engine's 4 kB writes: a decoder that copies its buffer on every read moves 50 GB and takes > 5 s."""
    message = bytes(20_000_000)
    stream = encode_frame(message)
    pieces = [stream[start : start + 4096] for start in range(0, len(stream), 4096)]
    before = time.process_time()
    assert decode_all(FrameDecoder(), pieces) == [message]
    assert time.process_time() - before < 2.5


def test_a_backlog_of_small_frames_is_not_copied_with_every_frame() -> None:
    """200,000 frames fed before the first is taken: cutting the buffer after each frame would move 1 TB."""
    stream = encode_frame(b"x" * 50) * 200_000
    decoder = FrameDecoder()
    for start in range(0, len(stream), 65_536):
        decoder.feed(stream[start : start + 65_536])
    before = time.process_time()
    assert len(decode_all(decoder, [b""])) == 200_000
    assert time.process_time() - before < 10


@pytest.mark.parametrize("size", [0, 1, 100, 123, 124, 125, 126, 127, 128, 129, 16_383, 16_384, 70_000])
@pytest.mark.parametrize("tag", [b"\x12", b"\xa2\x01"])
def test_a_field_framed_by_hand_equals_the_frame_of_its_message(size: int, tag: bytes) -> None:
    body = bytes(size)
    assert encode_frame_of_field(tag, body) == encode_frame(tag + encode_uvarint(size) + body)
