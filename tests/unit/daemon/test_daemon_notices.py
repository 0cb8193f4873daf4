"""What a process waits for is said at once, then ever more seldom, and once when it is over."""

import logging

import pytest

from abci_app.daemon.notices import REPEAT_MAX_S, Notices
from tests.kit.bridge.relay_kit import Clock

LOG = logging.getLogger("abci_app.test")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.getMessage()} {record.cause}" for record in caplog.records]  # type: ignore[attr-defined]


def test_a_cause_is_logged_at_once_then_at_doubling_intervals(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    notices = Notices(LOG, clock, domain=2222)
    logged_s = []
    for tenth in range(10 * 200):
        before = len(caplog.records)
        notices.say("gas-money", "lacks 5 wei")
        if len(caplog.records) > before:
            logged_s.append(tenth // 10)
        clock.now_s += 0.1
    assert logged_s == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert REPEAT_MAX_S == 60


def test_each_cause_has_its_own_time(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    notices = Notices(LOG, clock, domain=2222)
    for _ in range(5):
        notices.say("gas-money", "…")
        notices.say("gas-price", "…")
    assert events(caplog) == ["waiting gas-money", "waiting gas-price"]


def test_the_end_of_a_cause_is_logged_once_and_only_if_it_stood(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    caplog.set_level(logging.INFO, "abci_app.test")
    notices = Notices(LOG, clock, domain=2222)
    notices.clear("gas-money")
    notices.say("gas-money", "…")
    clock.now_s += 7
    assert notices.is_standing("gas-money")
    notices.clear("gas-price", "gas-money")
    notices.clear("gas-money")
    assert events(caplog) == ["waiting gas-money", "recovered gas-money"]
    assert caplog.records[-1].lasted_s == 7.0  # type: ignore[attr-defined]
    notices.say("gas-money", "…")
    assert events(caplog)[-1] == "waiting gas-money"


def test_all_causes_end_together_and_each_line_names_the_part(
    caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    caplog.set_level(logging.INFO, "abci_app.test")
    notices = Notices(LOG, clock, part="watch-1")
    for cause in ("a", "b"):
        notices.say(cause, f"why {cause}")
    notices.clear_all()
    notices.clear_all()
    assert events(caplog) == ["waiting a", "waiting b", "recovered a", "recovered b"]
    assert {record.part for record in caplog.records} == {"watch-1"}  # type: ignore[attr-defined]
    assert [record.reason for record in caplog.records[:2]] == ["why a", "why b"]  # type: ignore[attr-defined]
    assert not notices.is_standing("a")
