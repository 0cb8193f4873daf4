"""Log lines: one JSON object each, ids as fields, bounded per kind and second, without secrets; no disk stops them."""

import io
import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from abci_app.daemon.log import JsonLinesFormatter, LineHandler, RateLimit, logging_to, redact

SECRET = "s3cr3t"


@pytest.fixture
def lines() -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLinesFormatter())
    handler.addFilter(RateLimit(same_per_second=3))
    logger = logging.Logger("abci_app.test")
    logger.addHandler(handler)
    return logger, stream


def read(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_event_and_ids(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    logger.warning("took %d\nlines", 2, extra={"height": 7, "transfer_id": b"\xab", "path": Path("x")})
    (line,) = read(stream)
    assert line["event"] == "took 2\nlines" and line["level"] == "warning" and line["source"] == "abci_app.test"
    assert line["height"] == 7 and line["transfer_id"] == "0xab" and line["time"].endswith("Z")
    assert line["path"] == "x"


def test_values_keep_their_form(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    fields = {"list": [b"\x01", {"inner": (True, None, 1.5)}], "number": 2**80}
    logger.info("x", extra=fields)
    (line,) = read(stream)
    assert line["list"] == ["0x01", {"inner": [True, None, 1.5]}] and line["number"] == 2**80


def test_an_exception_is_one_line_too(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    try:
        raise ValueError(f"x of http://me:{SECRET}@a:1/{SECRET}")
    except ValueError:
        logger.exception("failed")
    (line,) = read(stream)
    assert "ValueError: x of http://a:1" in line["traceback"] and "Traceback" in line["traceback"]
    assert SECRET not in stream.getvalue()


def test_a_flood_is_cut_and_counted(
    lines: tuple[logging.Logger, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, stream = lines
    now = [100.0]
    monkeypatch.setattr("abci_app.daemon.log.time.monotonic", lambda: now[0])
    for number in range(10_000):
        logger.info("refused %d", number)
    logger.info("another kind")
    assert [line["event"] for line in read(stream)] == ["refused 0", "refused 1", "refused 2", "another kind"]
    now[0] = 101.0
    logger.info("refused %d", 0)
    assert read(stream)[-1]["suppressed"] == 9_997
    logger.info("refused %d", 0)
    assert "suppressed" not in read(stream)[-1]


# -- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "shown"), [
    (f"https://rpc.example/v3/{SECRET}", "https://rpc.example"),
    (f"at https://me:{SECRET}@rpc.example:8545/?key={SECRET}, again", "at https://rpc.example:8545 again"),
    (f"HTTP://H?{SECRET} and wss://h#{SECRET}", "HTTP://H and wss://h"),
    (f"('http://h/{SECRET}', 'ws://h:1/{SECRET}')", "('http://h', 'ws://h:1')"),
    (
        f"HTTPSConnectionPool(host='h', port=443): Max retries exceeded with url: /v3/{SECRET} (Caused by x)",
        "HTTPSConnectionPool(host='h', port=443): Max retries exceeded with url: /… (Caused by x)",
    ),
    (f"Retrying after connection broken by 'E(1)': /v3/{SECRET}", "Retrying after connection broken by 'E(1)': /…"),
    (f'https://h:443 "POST /v3/{SECRET} HTTP/1.1" 200', 'https://h:443 "POST /… HTTP/1.1" 200'),
    ("http://127.0.0.1:8545 and unix:///a/b.sock", "http://127.0.0.1:8545 and unix:///a/b.sock"),
    ('File "/abci_app/x.py", line 3', 'File "/abci_app/x.py", line 3'),
])
def test_of_a_url_only_scheme_host_and_port_are_shown(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_every_part_of_a_line_is_redacted(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines
    url = f"https://h/{SECRET}"
    logger.error("no answer of %s", url, extra={"url": url, "urls": {url: [url, OSError(url)]}})
    (line,) = read(stream)
    assert line["event"] == "no answer of https://h" and line["urls"] == {"https://h": ["https://h", "https://h"]}
    assert SECRET not in stream.getvalue()


def test_of_libraries_warnings_are_written_without_secrets_and_nothing_below(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with logging_to(path, "debug", OSError):
        library = logging.getLogger("urllib3.connectionpool")
        library.debug('%s "%s %s"', "https://h:443", "POST", f"/v3/{SECRET}")
        library.warning("Retrying after connection broken by %r: %s", "E", f"/v3/{SECRET}")
        logging.getLogger("abci_app.node").debug("ours")
        logging.getLogger("abci_apparent").info("not ours")
    events = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert events == ["Retrying after connection broken by 'E': /…", "ours"]


# -- the file ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def mask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("mask")
def test_a_new_file_is_its_owners_and_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log" / "node.jsonl"
    for number in range(2):
        with logging_to(path, "info", OSError):
            logging.getLogger("abci_app.x").info("line %d", number)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["line 0", "line 1"]


def test_the_level_is_kept_and_the_root_logger_is_left_as_it_was(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    with logging_to(tmp_path / "log", "warning", OSError):
        logging.getLogger("abci_app.x").info("too low")
        logging.getLogger("abci_app.x").warning("high enough")
    logging.getLogger("abci_app.x").warning("too late")
    assert (root.handlers, root.level) == before
    assert [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()] == ["high enough"]


def test_a_file_that_cannot_be_opened_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"^log\.file: {tmp_path}: Is a directory$"), logging_to(
        tmp_path, "info", ValueError
    ):
        pass


def write(handler: LineHandler, event: str) -> None:
    handler.handle(logging.makeLogRecord({"name": "abci_app.x", "levelno": 30, "levelname": "WARNING", "msg": event}))


def test_a_full_disk_stops_nobody_and_the_lines_it_cost_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    handler = LineHandler(descriptor)
    for event in ("a", "b"):
        write(handler, event)
    assert capsys.readouterr() == ("", "")
    room = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(room, descriptor)
    os.close(room)
    for event in ("c", "d"):
        write(handler, event)
    handler.close()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["event"], line.get("lost")) for line in lines] == [("c", 2), ("d", None)]


def test_after_a_line_of_which_only_a_part_was_written_the_next_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "log", os.write
    handler = LineHandler(os.open(path, os.O_WRONLY | os.O_CREAT))
    room = [10]

    def write_some(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        written, room[0] = real(descriptor, data[: room[0]]), 0
        return written

    with monkeypatch.context() as patched:
        patched.setattr("abci_app.daemon.log.os.write", write_some)
        write(handler, "torn")
    write(handler, "whole")
    handler.close()
    torn, whole = path.read_text().splitlines()
    assert torn == '{"time": "' and (json.loads(whole)["event"], json.loads(whole)["lost"]) == ("whole", 1)


def test_nobody_who_reads_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    handler = LineHandler(writing)
    os.close(reading)
    write(handler, "a")
    handler.close()
    write(handler, "b")
    assert capsys.readouterr() == ("", "")


def test_a_mistake_in_a_call_is_shown_beside_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handler = LineHandler(os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT))
    handler.handle(logging.makeLogRecord({"name": "abci_app.x", "levelno": 30, "msg": "%d", "args": ("x",)}))
    write(handler, "b")
    handler.close()
    assert "Logging error" in capsys.readouterr().err
    assert [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()] == ["b"]
