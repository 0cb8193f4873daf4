"""Log lines: one JSON object each, ids as fields, bounded per kind and second."""

import io
import json
import logging

import pytest

from abci_app.node.log import JsonLines, Limit


@pytest.fixture
def lines() -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    handler.addFilter(Limit(same_per_second=3))
    logger = logging.Logger("node.test")
    logger.addHandler(handler)
    return logger, stream


def read(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_event_and_ids(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    logger.warning("took %d\nlines", 2, extra={"height": 7, "transfer_id": b"\xab", "path": object})
    (line,) = read(stream)
    assert line["event"] == "took 2\nlines" and line["level"] == "warning" and line["source"] == "node.test"
    assert line["height"] == 7 and line["transfer_id"] == "ab" and line["time"].endswith("Z")


def test_an_exception_is_one_line_too(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    try:
        raise ValueError("x")
    except ValueError:
        logger.exception("failed")
    (line,) = read(stream)
    assert "ValueError: x" in line["traceback"]


def test_a_flood_is_cut_and_counted(
    lines: tuple[logging.Logger, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, stream = lines
    now = [100.0]
    monkeypatch.setattr("abci_app.node.log.time.monotonic", lambda: now[0])
    for number in range(10_000):
        logger.info("refused %d", number)
    logger.info("another kind")
    assert [line["event"] for line in read(stream)] == ["refused 0", "refused 1", "refused 2", "another kind"]
    now[0] = 101.0
    logger.info("refused %d", 0)
    assert read(stream)[-1]["suppressed"] == 9_997
    logger.info("refused %d", 0)
    assert "suppressed" not in read(stream)[-1]
