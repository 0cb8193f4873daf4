"""Each cause at once, then at doubling intervals; and one line when it is over."""

import logging

import pytest

from abci_app.machine.state.codec import DomainId
from abci_app.observer.observation_errors import ErrorCause, ObservationError, ObservationErrorLog

FIRST, SECOND = DomainId(1111), DomainId(2222)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="abci_app.observer")
    return caplog


def details_of(lines: pytest.LogCaptureFixture, domain: DomainId, endpoint: str, cause: str) -> list[str]:
    """Details of the lines about one domain, endpoint and cause."""
    fields = [vars(record) for record in lines.records if record.msg == "waiting"]
    wanted = (domain, endpoint, cause)
    return [line["reason"] for line in fields if (line["domain"], line["endpoint"], line["cause"]) == wanted]


def test_each_source_and_cause_has_its_own_lines(lines: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    errors = ObservationErrorLog(lambda: now_s)
    for tenth in range(25):
        now_s = tenth / 10
        errors.record(FIRST, "rpc0", ObservationError(ErrorCause.NONCE_GAP, f"detail {tenth}"))
        errors.record(FIRST, "rpc0", ObservationError(ErrorCause.LAGGING, "behind"))
        errors.record(FIRST, "rpc1", ObservationError(ErrorCause.NONCE_GAP, "other source"))
        errors.record(SECOND, "rpc0", ObservationError(ErrorCause.NONCE_GAP, "other domain"))
    assert details_of(lines, FIRST, "rpc0", "nonce-gap") == ["detail 0", "detail 10"]
    assert details_of(lines, FIRST, "rpc1", "nonce-gap") == ["other source"] * 2
    assert details_of(lines, SECOND, "rpc0", "nonce-gap") == ["other domain"] * 2
    assert details_of(lines, FIRST, "rpc0", "rpc-behind-cursor") == ["behind"] * 2
    assert lines.messages == ["waiting"] * 8


def test_the_end_is_logged_once(lines: pytest.LogCaptureFixture) -> None:
    errors = ObservationErrorLog(lambda: 0.0)
    errors.clear(FIRST, "rpc0")
    errors.record(FIRST, "rpc0", ObservationError(ErrorCause.LAGGING, "behind"))
    errors.clear(SECOND, "rpc0")
    errors.clear(FIRST, "rpc0")
    errors.clear(FIRST, "rpc0")
    assert lines.messages == ["waiting", "recovered"]
    last = vars(lines.records[1])
    assert (last["domain"], last["endpoint"], last["cause"]) == (FIRST, "rpc0", "rpc-behind-cursor")
