"""Each call reaches its method; whatever is no complete, typed answer is none."""

from typing import Any

import pytest

from abci_app.abci import Application, ApplicationError, FrameError
from abci_app.abci import messages as pb
from abci_app.abci.dispatch import FLUSH_REPLY, FLUSH_REQUEST, Dispatcher
from abci_app.abci.framing import FrameDecoder

CALLS = [field.name for field in pb.Request.DESCRIPTOR.fields]


def unframe(reply: bytes) -> pb.Response:
    """The response within one frame."""
    decoder = FrameDecoder()
    decoder.feed(reply)
    frame = decoder.next_frame()
    assert frame is not None and decoder.buffered_bytes == 0
    return pb.Response.FromString(frame)


def empty_request(call: str) -> bytes:
    """A request for call with no fields set."""
    request = pb.Request()
    getattr(request, call).SetInParent()
    return request.SerializeToString()


@pytest.mark.parametrize("call", CALLS)
def test_every_call_gets_the_response_of_its_name(call: str) -> None:
    assert unframe(Dispatcher(Application()).answer(empty_request(call))).WhichOneof("value") == call


def test_echo_and_flush_are_answered_without_the_application() -> None:
    dispatcher = Dispatcher(Application())
    echo = pb.Request(echo=pb.RequestEcho(message="hällo")).SerializeToString()
    assert unframe(dispatcher.answer(echo)).echo.message == "hällo"
    assert pb.Request(flush=pb.RequestFlush()).SerializeToString() == FLUSH_REQUEST
    assert dispatcher.answer(FLUSH_REQUEST) == FLUSH_REPLY
    assert unframe(FLUSH_REPLY).WhichOneof("value") == "flush"


def test_the_method_sees_the_request_and_its_answer_is_sent_whole() -> None:
    class Recorder(Application):
        def finalize_block(self, request: pb.RequestFinalizeBlock) -> pb.ResponseFinalizeBlock:
            self.height = request.height
            return pb.ResponseFinalizeBlock(app_hash=b"\x01" * 32, tx_results=[pb.ExecTxResult(code=3)] * 1000)

    app = Recorder()
    request = pb.Request(finalize_block=pb.RequestFinalizeBlock(height=7, txs=[b"a"])).SerializeToString()
    answer = unframe(Dispatcher(app).answer(request)).finalize_block
    assert app.height == 7
    assert answer.app_hash == b"\x01" * 32 and [result.code for result in answer.tx_results] == [3] * 1000


@pytest.mark.parametrize(
    "frame, reason",
    [
        (b"", "names no ABCI call"),
        (b"\xff\xff\xff", "is no ABCI request"),
        (b"\x42\x05\x0a", "is no ABCI request"),  # check_tx of five bytes, one of which is there
        (b"\xfa\x01\x00", "names no ABCI call"),  # field 31: a call of some later version
        (b"\x22\x00", "names no ABCI call"),  # field 4: SetOption of the old ABCI
        (b"\x4a\x00", "names no ABCI call"),  # field 9: DeliverTx of the old ABCI
    ],
)
def test_what_is_no_request_is_refused(frame: bytes, reason: str) -> None:
    with pytest.raises(FrameError, match=reason):
        Dispatcher(Application()).answer(frame)


@pytest.mark.parametrize("call", [call for call in CALLS if call not in ("echo", "flush")])
def test_an_exception_in_any_method_is_no_answer(call: str) -> None:
    def fail(request: Any) -> Any:
        raise ZeroDivisionError("boom")

    app = Application()
    setattr(app, call, fail)
    with pytest.raises(ApplicationError, match=f"{call} raised ZeroDivisionError: boom") as caught:
        Dispatcher(app).answer(empty_request(call))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("wrong", [None, {}, pb.ResponseInfo(), pb.RequestCommit(), pb.ResponseCommit])
def test_a_method_that_returns_another_type_is_no_answer(wrong: Any) -> None:
    app = Application()
    app.commit = lambda request: wrong  # type: ignore[method-assign]
    with pytest.raises(ApplicationError, match=r"commit returned .*, not ResponseCommit"):
        Dispatcher(app).answer(empty_request("commit"))


def test_an_application_without_a_method_is_refused_at_the_start() -> None:
    class Old:
        """As py-abci wanted it: no base class, the calls of 2021."""

        def info(self, request: Any) -> Any: ...

    with pytest.raises(TypeError, match="Old has no method init_chain"):
        Dispatcher(Old())  # type: ignore[arg-type]
