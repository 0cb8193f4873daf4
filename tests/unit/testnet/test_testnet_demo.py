"""However the demo ends, its network ends with it; only a finished run may keep it. And its seconds are the blocks'."""

from collections.abc import Callable
from pathlib import Path

import pytest

from abci_app.evm.types import EvmBlock
from testnet.chains import block_times
from testnet.demo import scenario as demo
from testnet.demo.demo_view import View
from testnet.demo.tracker import Progress
from testnet.demo.traffic import Order, SentTransfer
from testnet.network import lifecycle
from testnet.network.layout import Layout, Manifest, NetworkError
from testnet.processes.cometbft import CometBFTError
from testnet.processes.spawn import interrupt


class Stage:
    """The demo without a network: what it did to one, and what its run does."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.done: list[str] = []
        self.play: Callable[[], list[str]] = list

    def run(self, keep: bool = False) -> int:
        return demo.run(self.home, None, None, keep)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(tmp_path)

    class Played:
        def __init__(self, layout: Layout, view: object) -> None:
            pass

        def run(self) -> list[str]:
            return made.play()

    def up(home: Path, *_: object, anew: bool) -> Layout:
        assert anew
        made.done.append("up")
        return Layout(home, Manifest(15000, 4))
    monkeypatch.setattr(lifecycle, "up", up)
    monkeypatch.setattr(lifecycle, "down", lambda home: made.done.append("down"))
    monkeypatch.setattr(demo, "Demo", Played)
    return made


def test_a_run_ends_what_it_began(stage: Stage) -> None:
    assert stage.run() == 0 and stage.done == ["up", "down"]


def test_problems_are_a_failure(stage: Stage) -> None:
    stage.play = lambda: ["somebody was not paid"]
    assert stage.run() == 1 and stage.run(keep=True) == 1
    assert stage.done == ["up", "down", "up"]


def test_a_finished_run_may_keep_its_network_and_says_how_to_end_it(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stage.run(keep=True) == 0 and stage.done == ["up"]
    assert f"testnet down --home {stage.home} ends it" in capsys.readouterr().out


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("failure", [KeyboardInterrupt(), BrokenPipeError(), NetworkError("late"), SystemExit(1)])
def test_any_other_end_ends_the_network(stage: Stage, failure: BaseException, keep: bool) -> None:
    def fail() -> list[str]:
        raise failure
    stage.play = fail
    with pytest.raises(type(failure)):
        stage.run(keep)
    assert stage.done == ["up", "down"]


def test_an_interruption_while_the_network_is_ended_waits_for_that(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(home: Path) -> None:
        interrupt(KeyboardInterrupt())
        stage.done.append("down")
    monkeypatch.setattr(lifecycle, "down", down)
    with pytest.raises(KeyboardInterrupt):
        stage.run()
    assert stage.done == ["up", "down"]


def test_a_reader_that_left_ends_the_network(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first thing that is said after the network is up may be the one that nobody reads."""
    def say(view: object, line: str) -> None:
        raise BrokenPipeError
    monkeypatch.setattr(View, "say", say)
    with pytest.raises(BrokenPipeError):
        stage.run(keep=True)
    assert stage.done == ["up", "down"]


# -- seconds ----------------------------------------------------------------------------------------------------------


class StampedChain:
    """A chain that knows its blocks' stamps only."""

    def __init__(self, stamps: dict[int, int]) -> None:
        self._stamps = stamps

    def block(self, number: int) -> EvmBlock:
        return EvmBlock(number, b"", b"", self._stamps[number], 0)


def make_progress() -> Progress:
    order = Order("a", "USDC", 1111, 2222, 5, b"")
    return Progress(SentTransfer(order, b"", b"", 7, 100), executed_block=9)


CHAINS = {1111: StampedChain({7: 1_700_000_000}), 2222: StampedChain({9: 1_700_000_006})}


def test_execution_counts_to_the_end_of_its_blocks_second() -> None:
    assert block_times.read_executed(make_progress(), CHAINS) == 7  # type: ignore[arg-type]


def test_a_height_is_final_at_the_time_of_the_next_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first engine is away, the second one's time has more digits than a float."""
    asked = []

    def call(url: str, method: str, timeout_s: float, height: str) -> dict[str, dict[str, str]]:
        asked.append((url, method, height))
        if url == "a":
            raise OSError("away")
        return {"header": {"time": "2023-11-14T22:13:23.250000001Z"}}
    monkeypatch.setattr(block_times, "call_rpc", call)
    found = block_times.read_final(make_progress(), 41, CHAINS, ["a", "b"])  # type: ignore[arg-type]
    assert found == pytest.approx(3.25) and asked == [("a", "header", "42"), ("b", "header", "42")]


def test_a_header_that_nobody_has_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*_: object, **__: object) -> None:
        raise CometBFTError("height 42 must be less")
    monkeypatch.setattr(block_times, "call_rpc", call)
    with pytest.raises(NetworkError, match="header of 42: height 42 must be less"):
        block_times.read_committed(41, ["a"])
