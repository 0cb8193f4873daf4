"""Settled is what has nothing pending and nothing failed."""

from pathlib import Path

import pytest

from testnet.connext import settling
from testnet.connext.message_layer import Failure, Message, Settlement
from testnet.network.layout import NetworkError

MESSAGE = Message(1111, 2222, 0, bytes(32), b"\xab" * 64)
FAILED = Failure(MESSAGE, "not today")


@pytest.mark.parametrize(("settlement", "line"), [
    (Settlement(0, (), (), 0), "settled: nothing was pending"),
    (Settlement(1, (MESSAGE,), (), 0), "settled: 1 messages processed, rounds: 1"),
])
def test_what_is_settled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settlement: Settlement, line: str
) -> None:
    monkeypatch.setattr(settling, "play", lambda home: settlement)
    assert settling.settle(tmp_path) == line


@pytest.mark.parametrize(("settlement", "words"), [
    (Settlement(5, (MESSAGE,) * 9, (), 3), "not settled: 9 messages processed, rounds: 5; 3 are pending"),
    (Settlement(1, (MESSAGE,), (FAILED,), 0), "1 failed, the first of transfer 0xabababab: not today"),
    (Settlement(0, (), (), 3), "3 are pending"),
])
def test_what_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settlement: Settlement, words: str) -> None:
    monkeypatch.setattr(settling, "play", lambda home: settlement)
    with pytest.raises(NetworkError, match=words):
        settling.settle(tmp_path)
