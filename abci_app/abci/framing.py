"""Frames of ABCI's socket protocol: each message is preceded by its length in bytes as a uvarint."""

from abci_app.abci.errors import FrameError

FRAME_BYTES_MAX = 128 * 2**20
"""Above CometBFT's largest block (100 MiB) with the rest of its request; the engine itself would go up to 2 GiB."""
UVARINT_BYTES_MAX = 10
"""A 64-bit number, seven bits a byte."""


def encode_uvarint(number: int) -> bytes:
    """Encode an integer as a uvarint: seven bits a byte, lowest first, the high bit set where more follow."""
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode_frame(message: bytes) -> bytes:
    """Encode a message as one frame."""
    return encode_uvarint(len(message)) + message


def encode_frame_of_field(tag: bytes, body: bytes) -> bytes:
    """Encode a message whose only field is (tag, body) as one frame, without building and copying it."""
    size = len(body)
    if size < 0x7C:  # tag (1 or 2 bytes) and both lengths fit in one byte each
        return b"%c%b%c%b" % (len(tag) + 1 + size, tag, size, body)
    length = encode_uvarint(size)
    return b"".join((encode_uvarint(len(tag) + len(length) + size), tag, length, body))


class FrameDecoder:
    """Incremental decoder of frames from a byte stream, in linear time however the stream is split.

    Bytes in use stand in an immutable buffer with an offset; later ones gather behind it. Only when the next frame is
    known to be complete are the two joined, so a frame of many megabytes is copied once, not once a read.
    """

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._buffer = b""
        self._offset = 0
        self._gathered = bytearray()
        self._wanted_bytes = 0  # least size of the rest that can hold the next frame; 0: not known yet

    @property
    def buffered_bytes(self) -> int:
        """Return the bytes fed and not yet returned in a frame."""
        return len(self._buffer) - self._offset + len(self._gathered)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        if self._offset == len(self._buffer) and not self._gathered:
            self._buffer, self._offset = data, 0
        else:
            self._gathered += data

    def next_frame(self) -> bytes | None:
        """Return the next complete frame's message, None until there is one. Raises FrameError for a bad length."""
        if self._offset + self._wanted_bytes > len(self._buffer):
            if self.buffered_bytes < self._wanted_bytes:
                return None
            self._join()
        body, length = self._read_length()
        if length < 0 and self._gathered:
            self._join()
            body, length = self._read_length()
        if length < 0:
            return None
        end = body + length
        if end > len(self._buffer):
            self._wanted_bytes = end - self._offset
            return self.next_frame() if self.buffered_bytes >= self._wanted_bytes else None
        self._offset, self._wanted_bytes = end, 0
        return self._buffer[body:end]

    def _join(self) -> None:
        """Put what has gathered behind the rest of the buffer."""
        self._buffer = self._buffer[self._offset :] + self._gathered
        self._offset = 0
        self._gathered = bytearray()

    def _read_length(self) -> tuple[int, int]:
        """Return (offset behind the length, length) of the frame at the offset; length -1 while incomplete."""
        buffer, offset = self._buffer, self._offset
        length = shift = 0
        for index in range(offset, min(offset + UVARINT_BYTES_MAX, len(buffer))):
            byte = buffer[index]
            if byte < 0x80:
                length |= byte << shift
                if length > self._frame_bytes_max:
                    raise FrameError(f"a frame of {length} bytes, at most {self._frame_bytes_max} are allowed")
                return index + 1, length
            length |= (byte & 0x7F) << shift
            shift += 7
        if shift == 7 * UVARINT_BYTES_MAX:
            raise FrameError(f"a frame's length does not end within {UVARINT_BYTES_MAX} bytes")
        return offset, -1
