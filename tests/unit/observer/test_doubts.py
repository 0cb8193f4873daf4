"""One line a cause and second; and one when a source is sure again."""

import logging

import pytest

from abci_app.machine.codec import DomainId
from abci_app.observer.doubts import Cause, DoubtLog, NotSure

FIRST, SECOND = DomainId(1111), DomainId(2222)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="abci_app.observer")
    return caplog


def test_one_line_a_cause_and_second(lines: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    doubts = DoubtLog(lambda: now_s)
    for tenth in range(25):
        now_s = tenth / 10
        doubts.say(FIRST, "rpc0", NotSure(Cause.NONCE_GAP, f"detail {tenth}"))
        doubts.say(FIRST, "rpc0", NotSure(Cause.LAGGING, "behind"))
        doubts.say(FIRST, "rpc1", NotSure(Cause.NONCE_GAP, "other source"))
        doubts.say(SECOND, "rpc0", NotSure(Cause.NONCE_GAP, "other domain"))
    said = [line for line in lines.messages if line.startswith("not-sure domain=1111 source=rpc0 cause=nonce-gap")]
    assert said == [f"not-sure domain=1111 source=rpc0 cause=nonce-gap detail {tenth}" for tenth in (0, 10, 20)]
    assert len(lines.messages) == 4 * 3


def test_sure_again_is_said_once(lines: pytest.LogCaptureFixture) -> None:
    doubts = DoubtLog(lambda: 0.0)
    doubts.clear(FIRST, "rpc0")
    doubts.say(FIRST, "rpc0", NotSure(Cause.LAGGING, "behind"))
    doubts.clear(SECOND, "rpc0")
    doubts.clear(FIRST, "rpc0")
    doubts.clear(FIRST, "rpc0")
    assert lines.messages == [
        "not-sure domain=1111 source=rpc0 cause=rpc-behind-cursor behind",
        "sure-again domain=1111 source=rpc0 cause=rpc-behind-cursor",
    ]
