"""The example application under one real CometBFT node: counted, refused, killed, replayed, stopped."""

import base64
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from testnet.processes.cometbft import CometBFTError, Genesis
from tests.kit.process.cometbft import Engine, create_engines
from tests.kit.process.processes import Process, accepts, python, wait_until

LISTEN_TIMEOUT_S = 20.0
BLOCKS_TIMEOUT_S = 60.0


class Counted:
    """The pair under test."""

    def __init__(self, app: Process, engine: Engine, socket: str, state: Path) -> None:
        self.app, self.engine, self.socket, self.state = app, engine, socket, state

    def start(self) -> None:
        """The application first, then the engine."""
        self.app.start()
        wait_until(lambda: accepts(self.socket), LISTEN_TIMEOUT_S, "the counter does not listen", self.app)
        self.engine.process.start()
        wait_until(lambda: self.engine.height() > 0, BLOCKS_TIMEOUT_S, "no block", self.engine.process, self.app)

    def send(self, number: int, size: int = 8) -> dict[str, Any]:
        """Result of broadcast_tx_commit for the transaction that says number."""
        tx = base64.b64encode(number.to_bytes(size, "big")).decode()
        return dict(self.engine.rpc("broadcast_tx_commit", tx=tx, timeout_s=30.0))

    def count(self) -> int:
        """What the application answers to a query through the engine."""
        return int(base64.b64decode(self.engine.rpc("abci_query", path="count")["response"]["value"]))


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    state = tmp_path / "state.json"
    with ExitStack() as stack:
        socket = stack.enter_context(tempfile.TemporaryDirectory()) + "/abci.sock"  # tmp_path may be too long for one
        app = Process("counter", python("-m", "examples.counter", f"unix://{socket}", str(state)), tmp_path / "app.log")
        genesis = Genesis("counter-1", vote_extensions_enable_height=0)
        (engine,) = create_engines(tmp_path, [f"unix://{socket}"], genesis)
        stack.callback(app.stop)
        stack.callback(engine.process.stop)
        yield Counted(app, engine, socket, state)


def test_counts_refuses_and_replays(counted: Counted) -> None:
    counted.start()
    for number in range(3):
        result = counted.send(number)
        assert result["check_tx"]["code"] == 0 and result["tx_result"]["code"] == 0
    assert counted.count() == 3

    # Refused at the door: a wrong length. Refused in the block: a number that is not next.
    assert counted.send(3, size=9)["check_tx"]["code"] == 1
    ahead = counted.send(7)
    assert ahead["check_tx"]["code"] == 0
    assert ahead["tx_result"]["code"] == 1 and ahead["tx_result"]["log"] == "expected 3"
    assert counted.count() == 3
    height = counted.engine.height()
    counted.engine.wait_height(height + 2)
    assert counted.engine.app_hash(height + 2) == (3).to_bytes(8, "big").hex().upper()

    # The application dies without warning; the engine stops by itself.
    counted.app.kill()
    counted.engine.wait_end()
    stopped_at = json.loads(counted.state.read_text())["height"]

    # It loses its last blocks too (older disk): the engine replays them into it.
    counted.state.unlink()
    counted.start()
    assert counted.engine.height() >= stopped_at
    assert counted.count() == 3
    already = counted.send(1)["check_tx"]  # a new engine has forgotten it; the application has not
    assert already["code"] == 1 and already["log"] == "count is 3"
    assert counted.send(3)["tx_result"]["code"] == 0
    assert counted.count() == 4


def test_serves_a_second_engine_process(counted: Counted) -> None:
    counted.start()
    assert counted.send(0)["tx_result"]["code"] == 0
    counted.engine.process.kill()
    counted.engine.process.start()
    wait_until(lambda: counted.engine.height() > 0, BLOCKS_TIMEOUT_S, "no answer", counted.engine.process, counted.app)
    assert counted.app.returncode is None
    assert counted.send(1)["tx_result"]["code"] == 0
    assert counted.count() == 2


def test_sigterm_ends_the_application_cleanly(counted: Counted) -> None:
    counted.start()
    assert counted.app.stop() == 0
    assert not Path(counted.socket).exists()
    counted.engine.wait_end()
    with pytest.raises((OSError, CometBFTError)):
        counted.engine.rpc("status")


def test_a_second_counter_on_the_same_socket_is_refused(counted: Counted) -> None:
    counted.start()
    second = Process("second", counted.app.command, counted.state.with_name("second.log"))
    second.start()
    try:
        assert second.wait(LISTEN_TIMEOUT_S) == 1
    finally:
        second.stop()
    assert "address in use" in second.tail(1)
    assert counted.send(0)["tx_result"]["code"] == 0
