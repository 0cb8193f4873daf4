"""One line a cause and second; and one when a source is sure again."""

import logging

import pytest

from abci_app.machine.state.codec import DomainId
from abci_app.observer.observation_errors import ErrorCause, ObservationError, ObservationErrorLog

FIRST, SECOND = DomainId(1111), DomainId(2222)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="abci_app.observer")
    return caplog


def said(lines: pytest.LogCaptureFixture, domain: DomainId, endpoint: str, cause: str) -> list[str]:
    """Details of the lines about one domain, endpoint and cause."""
    fields = [vars(record) for record in lines.records if record.msg == "not sure"]
    wanted = (domain, endpoint, cause)
    return [line["reason"] for line in fields if (line["domain"], line["endpoint"], line["cause"]) == wanted]


def test_one_line_a_cause_and_second(lines: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    errors = ObservationErrorLog(lambda: now_s)
    for tenth in range(25):
        now_s = tenth / 10
        errors.record(FIRST, "rpc0", ObservationError(ErrorCause.NONCE_GAP, f"detail {tenth}"))
        errors.record(FIRST, "rpc0", ObservationError(ErrorCause.LAGGING, "behind"))
        errors.record(FIRST, "rpc1", ObservationError(ErrorCause.NONCE_GAP, "other source"))
        errors.record(SECOND, "rpc0", ObservationError(ErrorCause.NONCE_GAP, "other domain"))
    assert said(lines, FIRST, "rpc0", "nonce-gap") == ["detail 0", "detail 10", "detail 20"]
    assert said(lines, FIRST, "rpc1", "nonce-gap") == ["other source"] * 3
    assert said(lines, SECOND, "rpc0", "nonce-gap") == ["other domain"] * 3
    assert said(lines, FIRST, "rpc0", "rpc-behind-cursor") == ["behind"] * 3
    assert lines.messages == ["not sure"] * 12


def test_sure_again_is_said_once(lines: pytest.LogCaptureFixture) -> None:
    errors = ObservationErrorLog(lambda: 0.0)
    errors.clear(FIRST, "rpc0")
    errors.record(FIRST, "rpc0", ObservationError(ErrorCause.LAGGING, "behind"))
    errors.clear(SECOND, "rpc0")
    errors.clear(FIRST, "rpc0")
    errors.clear(FIRST, "rpc0")
    assert lines.messages == ["not sure", "sure again"]
    last = vars(lines.records[1])
    assert (last["domain"], last["endpoint"], last["cause"]) == (FIRST, "rpc0", "rpc-behind-cursor")
