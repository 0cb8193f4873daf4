"""``routerd testnet``: every command takes the same options, and refuses numbers that are not its network's."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from abci_app.cli import main as cli
from testnet.network import lifecycle
from testnet.network.layout import Manifest, save_manifest

COMMANDS = [("up",), ("status",), ("down",), ("stop", "node0"), ("start", "node0"), ("settle",)]


@pytest.fixture(autouse=True)
def handlers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Signals are as they were; the engine counts as built."""
    (tmp_path / "cometbft").touch()
    monkeypatch.setattr(lifecycle, "ENGINE", tmp_path / "cometbft")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["--base-port", "--validators"])
def test_other_numbers_than_the_networks_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], option: str
) -> None:
    home = tmp_path / "net"
    save_manifest(home, Manifest(15_000, 4))
    before = (home / "manifest.json").stat().st_mtime_ns
    assert cli.run(["testnet", *command, "--home", str(home), option, "7"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert f"has {option} {15_000 if option == '--base-port' else 4}, not 7" in printed.err
    assert [path.name for path in home.iterdir()] == ["manifest.json"]
    assert (home / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("command", COMMANDS[1:], ids=" ".join)
def test_without_a_home_it_is_the_folder_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert cli.run(["testnet", *command]) == 1
    printed = capsys.readouterr()
    assert ".testnet holds no network; " in printed.err and printed.err.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_the_networks_own_numbers_are_no_obstacle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_manifest(tmp_path / "net", Manifest(15_000, 4))
    arguments = ["--home", str(tmp_path / "net"), "--base-port", "15000", "--validators", "4"]
    assert cli.run(["testnet", "down", *arguments]) == 0
    assert capsys.readouterr().out == "down: nothing was running\n"
