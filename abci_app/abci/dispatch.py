"""Request dispatch: decode, call the application's method, check and encode its answer."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError, Message

from abci_app.abci import messages
from abci_app.abci.application import Application
from abci_app.abci.errors import ApplicationError, FrameError
from abci_app.abci.framing import encode_frame_of_field, encode_uvarint

FLUSH_REQUEST = b"\x12\x00"
FLUSH_REPLY = encode_frame_of_field(b"\x1a", b"")
WIRE_TYPE_BYTES = 2


class Dispatcher:
    """Answers requests of one application."""

    def __init__(self, app: Application) -> None:
        """Raise TypeError if app lacks a method, so that this shows at the start and not in the first such block."""
        self._calls: dict[str, tuple[Callable[[Any], Message], type[Message], bytes]] = {}
        tags = {field.name: field.number << 3 | WIRE_TYPE_BYTES for field in messages.Response.DESCRIPTOR.fields}
        for field in messages.Request.DESCRIPTOR.fields:
            method = {"echo": answer_echo, "flush": answer_flush}.get(field.name) or getattr(app, field.name, None)
            if not callable(method):
                raise TypeError(f"{type(app).__name__} has no method {field.name}")
            response_type = getattr(messages, "Response" + field.name.title().replace("_", ""))
            self._calls[field.name] = method, response_type, encode_uvarint(tags[field.name])

    def answer(self, frame: bytes) -> bytes:
        """Return the framed reply to one request. Raises FrameError or ApplicationError; then there is none."""
        if frame == FLUSH_REQUEST:
            return FLUSH_REPLY
        try:
            request = messages.Request.FromString(frame)
        except DecodeError as error:
            raise FrameError(f"a frame of {len(frame)} bytes is no ABCI request: {error}") from error
        name = request.WhichOneof("value")
        if name is None:
            raise FrameError(f"a frame of {len(frame)} bytes names no ABCI call known here: {frame[:16].hex()}…")
        method, response_type, tag = self._calls[name]
        try:
            response = method(getattr(request, name))
            if type(response) is response_type:
                return encode_frame_of_field(tag, response.SerializeToString())
        except Exception as error:
            raise ApplicationError(f"{name} raised {type(error).__name__}: {error}") from error
        raise ApplicationError(f"{name} returned {type(response).__name__}, not {response_type.__name__}")


def answer_echo(request: messages.RequestEcho) -> messages.ResponseEcho:
    """Answer CometBFT's echo request."""
    return messages.ResponseEcho(message=request.message)


def answer_flush(request: messages.RequestFlush) -> messages.ResponseFlush:
    """Answer a flush that is encoded differently from FLUSH_REQUEST."""
    return messages.ResponseFlush()
