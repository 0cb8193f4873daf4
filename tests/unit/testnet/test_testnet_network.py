"""Up, down, stop, start with sleeping processes in the place of real ones: who is started, who is ended, what stays."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testnet.chains import chain_parts
from testnet.network import endpoints, lifecycle
from testnet.network.layout import Layout, Manifest, NetworkError, load_layout, save_manifest
from testnet.processes.ports import find_free_port
from testnet.processes.spawn import end, is_running, load_identities, spawn_known

SLEEP = ["sleep", "60"]
NAMES = ["chain1111", "chain2222", "node0", "relayer", "router0", "router1", "router2"]


def sleep_as(layout: Layout, name: str) -> None:
    spawn_known(layout.pids, name, SLEEP, layout.logs / f"{name}.jsonl")


def running(home: Path) -> list[str]:
    return sorted(name for name, identity in load_identities(home / "pids").items() if is_running(identity))


def kill(home: Path, name: str) -> None:
    identity = load_identities(home / "pids")[name]
    os.kill(identity.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while is_running(identity):
        assert time.monotonic() < deadline, f"{name} survives kill -9"
        time.sleep(0.01)


class World:
    """A home, and what was done to the parts that do not exist here."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = find_free_port()
        self.done: list[str] = []
        self.create: Callable[[Layout], None] = lambda layout: None

    def up(self, base_port: int | None = None, validators: int | None = None, anew: bool = False) -> Layout:
        return lifecycle.up(self.home, base_port or self.port, validators or 1, self.done.append, anew)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path / "net")
    engine = tmp_path / "cometbft"
    engine.touch()

    def create(layout: Layout, say: object) -> None:
        save_manifest(layout.home, replace(layout.manifest, complete=False))
        for name in layout.chains():
            sleep_as(layout, name)
        made.create(layout)
        save_manifest(layout.home, layout.manifest)

    def begin(layout: Layout, name: str) -> Callable[[], None]:
        made.done.append(f"begin {name}")
        sleep_as(layout, name)
        return lambda: made.done.append(f"waited for {name}")

    def save(layout: Layout, name: str) -> None:
        made.done.append(f"save {name}")
        (layout.home / "chains").mkdir(exist_ok=True)
        layout.chain_head(layout.chains()[name]).touch()
        layout.chain_state(layout.chains()[name]).touch()

    monkeypatch.setattr(lifecycle, "ENGINE", engine)
    monkeypatch.setattr(lifecycle, "create", create)
    monkeypatch.setattr(lifecycle, "_begin", begin)
    monkeypatch.setattr(chain_parts, "resume_chain", begin)
    monkeypatch.setattr(chain_parts, "go_on", lambda layout, name: made.done.append(f"on {name}"))
    monkeypatch.setattr(chain_parts, "save_chain", save)
    monkeypatch.setattr(endpoints, "wait_ready", lambda *_: None)
    monkeypatch.setattr(endpoints, "refresh", lambda layout: layout.endpoints.write_text("{}"))
    monkeypatch.setattr(endpoints, "renew", lambda layout: made.done.append("renew"))
    yield made
    end(load_identities(made.home / "pids").values())


def test_up_and_down(world: World) -> None:
    layout = world.up()
    assert running(world.home) == NAMES and layout.endpoints.exists()
    with pytest.raises(NetworkError, match=r"runs already .7 parts.; .*testnet down --home"):
        world.up()
    assert layout.endpoints.exists()
    assert sorted(lifecycle.down(world.home)) == NAMES
    assert running(world.home) == [] and not layout.endpoints.exists()
    assert "save chain1111" in world.done and lifecycle.down(world.home) == []


@pytest.mark.parametrize("failure", [NetworkError("no"), KeyboardInterrupt()])
def test_a_network_that_cannot_be_made_leaves_nothing(world: World, failure: BaseException) -> None:
    def fail(layout: Layout) -> None:
        (layout.home / "nodes").mkdir()
        raise failure
    world.create = fail
    with pytest.raises(type(failure)):
        world.up()
    assert not world.home.exists() and not [line for line in world.done if line.startswith("save")]


def test_a_foreign_folder_is_refused_and_keeps_everything(world: World) -> None:
    world.home.mkdir()
    (world.home / "thesis.tex").write_text("all of it")
    with pytest.raises(NetworkError, match="not empty and holds no network"):
        world.up()
    with pytest.raises(NetworkError, match="not empty and holds no network"):
        world.up(anew=True)
    assert [path.name for path in world.home.iterdir()] == ["thesis.tex"]


def test_what_others_put_into_a_home_meanwhile_stays(world: World) -> None:
    def fail(layout: Layout) -> None:
        (layout.home / "thesis.tex").touch()
        raise NetworkError("no")
    world.create = fail
    with pytest.raises(NetworkError):
        world.up()
    assert [path.name for path in world.home.iterdir()] == ["thesis.tex"]


def test_up_starts_what_is_down_and_only_that(world: World) -> None:
    world.up()
    before = {name: identity.pid for name, identity in load_identities(world.home / "pids").items()}
    for name in ("node0", "relayer"):
        kill(world.home, name)
    world.done.clear()
    world.up()
    assert [line for line in world.done if line.startswith(("begin", "waited"))] == [
        "begin node0", "begin relayer", "waited for relayer",
    ]
    assert running(world.home) == NAMES
    after = {name: identity.pid for name, identity in load_identities(world.home / "pids").items()}
    assert {name for name in NAMES if before[name] != after[name]} == {"node0", "relayer"}


def test_up_that_fails_ends_what_it_started_and_leaves_what_ran(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = world.up()
    kill(world.home, "node0")

    def fail(*_: object) -> None:
        assert not layout.endpoints.exists(), "a stale endpoints.json says that the network is ready"
        raise NetworkError("not ready")
    monkeypatch.setattr(endpoints, "wait_ready", fail)
    with pytest.raises(NetworkError, match="not ready"):
        world.up()
    assert running(world.home) == [name for name in NAMES if name != "node0"]
    assert not layout.endpoints.exists()


def test_up_goes_on_where_it_was_killed_before_its_end(world: World) -> None:
    """Everything runs, but nobody waited for it, and a chain may not make blocks yet."""
    layout = world.up()
    layout.endpoints.unlink()
    world.done.clear()
    world.up()
    assert layout.endpoints.exists() and {"on chain1111", "on chain2222"} <= set(world.done)


def test_a_chain_that_lost_blocks_is_refused_before_anything_starts(world: World) -> None:
    layout = world.up()
    for name in ("chain2222", "node0"):
        kill(world.home, name)
    world.done.clear()
    with pytest.raises(NetworkError, match="chain 2222 lost blocks"):
        world.up()
    assert world.done == [] and layout.endpoints.exists()
    assert running(world.home) == [name for name in NAMES if name not in ("chain2222", "node0")]


def test_numbers_that_are_not_the_networks_are_refused(world: World) -> None:
    world.up()
    for numbers in ((world.port + 1, 1), (world.port, 3)):
        with pytest.raises(NetworkError, match="has --"):
            world.up(*numbers)


def leave_unfinished(world: World) -> Layout:
    """What a kill -9 in the middle of creation leaves: a manifest that says so, and chains."""
    layout = Layout(world.home, Manifest(world.port, 1, complete=False))
    save_manifest(world.home, layout.manifest)
    for name in layout.chains():
        sleep_as(layout, name)
    (world.home / "thesis.tex").touch()
    return layout


def test_down_ends_what_a_killed_creation_left(world: World) -> None:
    leave_unfinished(world)
    with pytest.raises(NetworkError, match="never finished"):
        lifecycle.stop(world.home, "chain1111")
    with pytest.raises(NetworkError, match="never finished"):
        lifecycle.start(world.home, "node0")
    assert lifecycle.down(world.home) == ["chain1111", "chain2222"]
    assert running(world.home) == [] and world.done == []


def test_up_makes_an_unfinished_network_anew(world: World) -> None:
    left = list(load_identities(leave_unfinished(world).pids).values())
    world.up()
    assert not any(map(is_running, left)) and running(world.home) == NAMES
    assert load_layout(world.home).manifest == Manifest(world.port, 1)
    assert (world.home / "thesis.tex").exists()


def test_anew_replaces_what_does_not_run(world: World) -> None:
    world.up(anew=True)
    with pytest.raises(NetworkError, match="runs already"):
        world.up(anew=True)
    lifecycle.down(world.home)
    (world.home / "gates.json").touch()
    (world.home / "thesis.tex").touch()
    world.up(world.port + 1, 2, anew=True)
    assert load_layout(world.home).manifest == Manifest(world.port + 1, 2)
    assert not (world.home / "gates.json").exists() and (world.home / "thesis.tex").exists()


def test_what_cannot_be_made_anew_stays(world: World) -> None:
    world.up()
    lifecycle.down(world.home)
    with pytest.raises(NetworkError, match="--validators must be"):
        world.up(validators=99, anew=True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", world.port))
        taken.listen()
        with pytest.raises(NetworkError, match="in use"):
            world.up(anew=True)
    assert load_layout(world.home).manifest == Manifest(world.port, 1)
    world.up()


def test_stop_and_start_one_part(world: World) -> None:
    world.up()
    world.done.clear()
    lifecycle.stop(world.home, "router1")
    with pytest.raises(NetworkError, match="router1 does not run"):
        lifecycle.stop(world.home, "router1")
    lifecycle.start(world.home, "router1")
    with pytest.raises(NetworkError, match="router1 runs already"):
        lifecycle.start(world.home, "router1")
    assert world.done == ["renew", "begin router1", "waited for router1", "renew"]
    with pytest.raises(NetworkError, match="no 'router9' here"):
        lifecycle.start(world.home, "router9")


def test_a_part_that_does_not_come_up_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.up()
    lifecycle.stop(world.home, "relayer")

    def begin(layout: Layout, name: str) -> Callable[[], None]:
        sleep_as(layout, name)
        return fail

    def fail() -> None:
        raise NetworkError("relayer is not ready")
    monkeypatch.setattr(lifecycle, "_begin", begin)
    with pytest.raises(NetworkError, match="not ready"):
        lifecycle.start(world.home, "relayer")
    assert running(world.home) == [name for name in NAMES if name != "relayer"]


def test_an_orphan_is_ended_before_its_validator_starts(world: World) -> None:
    layout = world.up()
    sleep_as(layout, "node0-app")
    orphan = load_identities(layout.pids)["node0-app"]
    kill(world.home, "node0")
    world.up()
    assert not is_running(orphan)


def test_a_manifest_from_before_is_one_of_a_finished_network(tmp_path: Path) -> None:
    fields = {"base_port": 28000, "validators": 4, "routers": 3, "chain_id": "routing-local-1"}
    (tmp_path / "manifest.json").write_text(json.dumps(fields))
    assert load_layout(tmp_path).manifest == Manifest(28000, 4)
