"""``routerd router`` where it cannot run: one line on standard error, a status, nothing changed on disk."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.cli import main as cli
from abci_app.router.config import load_home, locked, render_config
from tests.kit.machine.driver import A, B
from tests.kit.router.router_kit import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with make_world(tmp_path) as made:
        yield made
    for number, handler in handlers.items():
        signal.signal(number, handler)


def tree(path: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below a folder, as it is and when it changed."""
    return {
        str(one.relative_to(path)): (
            one.stat().st_mode, one.stat().st_mtime_ns, one.read_bytes() if one.is_file() else b"",
        )
        for one in (path, *sorted(path.rglob("*")))
    }


def corrupt_config(world: World) -> None:
    (world.home / "config.toml").write_text("nodes = 7\n")


def corrupt_key(world: World) -> None:
    (world.home / "keys/router.json").chmod(0o644)


def lose_key(world: World) -> None:
    (world.home / "keys/router.json").unlink()


def change_chain(world: World) -> None:
    world.chains[B].chain.chain_id = 1


def change_config(**changes: int) -> Callable[[World], None]:
    def change(world: World) -> None:
        config = load_home(world.home).config
        first = replace(config.chains[0], **changes)  # type: ignore[arg-type]
        world.chains[A].chain.chain_id = first.chain_id
        (world.home / "config.toml").write_text(render_config(replace(config, chains=(first, *config.chains[1:]))))
    return change


@pytest.mark.parametrize(("corrupt", "message"), [
    (corrupt_config, "config.toml:1: chains is missing"),
    (corrupt_key, "is readable by others"), (lose_key, "No such file"),
    (change_chain, "config.toml: domain 2222: the endpoint serves chain id 1, configured is 32222"),
    (change_config(domain=77), "config.toml: the network has no domain 77"),
    (change_config(chain_id=5), "config.toml: domain 1111 has chain id 31111, not 5"),
])
def test_it_ends_with_one_line_and_changes_nothing(
    world: World, capsys: pytest.CaptureFixture[str], corrupt: Callable[[World], None], message: str
) -> None:
    world.save()
    corrupt(world)
    before = tree(world.home)
    assert cli.run(["router", "--home", str(world.home)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("routerd: ") and err.count("\n") == 1 and message in err
    assert tree(world.home) == before


def test_a_second_router_on_the_same_home_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.save()
    before = tree(world.home)
    with locked(world.home):
        assert cli.run(["router", "--home", str(world.home)]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"routerd: {world.home} is in use by another router (PID {os.getpid()})\n")
    assert tree(world.home) == before


@pytest.mark.parametrize(("arguments", "status", "message"), [
    ((), 1, "--home is missing"), (("--home", "/nowhere"), 1, "config.toml is missing"),
    (("--hom", "x"), 2, "No such option"), (("--home", "x", "fly"), 2, "No such command"),
])
def test_a_wrong_command_line_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, message: str
) -> None:
    assert cli.run(["router", *arguments]) == status
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1


def test_it_leaves_the_log_of_this_process_as_it_was(world: World) -> None:
    world.save()
    change_chain(world)
    before = (list(logging.getLogger().handlers), logging.getLogger().level)
    assert cli.run(["router", "--home", str(world.home)]) == 1
    assert (logging.getLogger().handlers, logging.getLogger().level) == before


def test_a_log_file_that_cannot_be_opened_is_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.save(config=replace(world.config(), log_file="config.toml/log"))
    assert cli.run(["router", "--home", str(world.home)]) == 1
    err = capsys.readouterr().err
    assert err == f"routerd: log.file: {world.home}/config.toml: File exists\n"
