"""`routerd relay` as a command: it starts, ends when told to, refuses what is wrong in one line and changes nothing."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from abci_app.bridge.errors import Fatal
from abci_app.bridge.home import locked
from abci_app.cli.main import run
from abci_app.evm.artifacts.compile import load_own_artifact
from abci_app.evm.gate import deploy_gate, encode_creation, list_members
from abci_app.evm.types import Address
from tests.kit.contracts.bridge_kit import Crossing, listening, relaying, wait_for
from tests.kit.contracts.gate_kit import ROOT, creation_of
from tests.kit.evm.rpc_proxy import RpcProxy


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def foreign_gate(world: Crossing) -> Address:
    """A gate of another consensus network before the same Connext."""
    return deploy_gate(world.scene.wallet("owner"), creation_of(world.scene, chain_id="another-network"))


def token(world: Crossing) -> Address:
    """A contract that is no gate."""
    return world.scene.deployment.domain(2222).tokens["USDC"].address


def edit(world: Crossing, old: str, new: str) -> None:
    path = world.home().path / "config.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def use_gate(make: Callable[[Crossing], Address]) -> Callable[[Crossing], None]:
    return lambda world: edit(world, world.scene.gate.hex(), make(world).hex())


def expose_key(world: Crossing) -> None:
    (world.home().path / "keys" / "relayer.json").chmod(0o640)


def change_key(world: Crossing) -> None:
    path = world.home().path / "keys" / "relayer.json"
    path.write_text(path.read_text().replace(world.account.address.hex(), "11" * 20))


WRONG: list[tuple[str, Callable[[Crossing], None], str]] = [
    ("no config", lambda world: (world.home().path / "config.toml").unlink(), "config.toml is missing"),
    ("no TOML", lambda world: edit(world, "[stagger]", "[stagger"), "config.toml: "),
    ("unknown name", lambda world: edit(world, "poll_ms = 50\n\n", "pol_ms = 50\n\n"), "unknown name pol_ms"),
    ("wrong type", lambda world: edit(world, "domain = 2222", 'domain = "2222"'), "chains[0].domain must be int"),
    ("domain for chain id", lambda world: edit(world, "chain_id = 31338", "chain_id = 2222"), "serves chain id 31338"),
    ("other domain", lambda world: edit(world, "domain = 2222", "domain = 1111"), "is that of domain 2222"),
    ("no contract", use_gate(lambda world: Address(b"\x77" * 20)), "there is no contract"),
    ("no gate", use_gate(token), "is no ConsensusGate"),
    ("gate of another network", use_gate(foreign_gate), "belongs to another consensus network"),
    ("other network", lambda world: edit(world, "consensus-routing-test", "routing-test"), "another consensus network"),
    ("key readable by others", expose_key, "is readable by others (mode 0640)"),
    ("no key", lambda world: (world.home().path / "keys" / "relayer.json").unlink(), "the relayer has no key"),
    ("key of another address", change_key, "the private key is not that of address 0x1111"),
]


@pytest.mark.parametrize(("corrupt", "reason"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_is_wrong_gets_one_line_and_changes_nothing(
    world: Crossing, capfd: pytest.CaptureFixture[str], corrupt: Callable[[Crossing], None], reason: str
) -> None:
    home = world.home().path
    corrupt(world)
    before = snapshot(home)
    capfd.readouterr()
    assert run(["relay", "--home", str(home)]) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert reason in line
    assert snapshot(home) == before


def test_a_wrong_chain_that_only_shows_later_ends_it_with_nothing_written(world: Crossing) -> None:
    """The endpoint was away when the relayer started; the first thing it says is wrong."""
    edit(world, world.scene.gate.hex(), foreign_gate(world).hex())
    with RpcProxy(world.scene.rpc.url) as proxy:
        edit(world, world.scene.rpc.url, proxy.url)
        before = snapshot(world.home().path)
        proxy.faults.is_absent = True
        with (
            listening() as lines,
            pytest.raises(Fatal, match="belongs to another consensus network"),
            relaying(world.home()),
        ):
            wait_for(lambda: "chain-unavailable" in lines.causes(), "its line")
            proxy.faults.behave()
            wait_for(lambda: not any(thread.name == "relay-2222" for thread in threading.enumerate()), "its end")
    assert snapshot(world.home().path) == before


def test_a_journal_that_cannot_be_opened_is_one_line(world: Crossing, capfd: pytest.CaptureFixture[str]) -> None:
    home = world.home()
    home.journal_path(world.place.domain).mkdir(parents=True)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert run(["relay", "--home", str(home.path), "--once"]) == 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    [line] = capfd.readouterr().err.splitlines()
    assert "2222.sqlite: unable to open database file" in line


def test_a_second_relayer_on_one_home_is_refused(world: Crossing, capfd: pytest.CaptureFixture[str]) -> None:
    home = world.home().path
    before = snapshot(home)
    with locked(home):
        assert run(["relay", "--home", str(home)]) == 1
    [line] = capfd.readouterr().err.splitlines()
    assert "is in use by another relayer" in line
    assert snapshot(home) == before


@pytest.mark.parametrize("arguments", [
    ["--node", "nowhere"], ["--rank-stagger", "-1"], ["--rank-stagger", "inf"], ["--rank-stagger", "nan"],
])
def test_wrong_arguments_get_one_line(
    world: Crossing, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(["relay", "--home", str(world.home().path), *arguments]) == 1
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_a_journal_of_another_gate_is_refused(world: Crossing, capfd: pytest.CaptureFixture[str]) -> None:
    world.decide(world.offer(world.scene.execution()))
    home = world.home().path
    old_handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert run(["relay", "--home", str(home), "--once"]) == 0
        members = list_members(world.node.quorum.validator_set())
        creation = encode_creation(
            load_own_artifact(ROOT, "ConsensusGate"), connext=world.scene.connext.address,
            chain_id=world.node.quorum.chain_id, epoch=1, members=members, set_time_s=world.scene.now_s(),
        )
        edit(world, world.scene.gate.hex(), deploy_gate(world.scene.wallet("owner"), creation).hex())
        before = snapshot(home / "journal")
        capfd.readouterr()
        assert run(["relay", "--home", str(home), "--once"]) == 1
    finally:
        for number, handler in old_handlers.items():
            signal.signal(number, handler)
    [line] = capfd.readouterr().err.splitlines()
    assert "use another home" in line
    assert snapshot(home / "journal") == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_relays_until_it_is_told_to_end(world: Crossing, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "abci_app.cli.main", "relay", "--home", str(world.home().path)]
    log = world.folder / "out.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True)
    try:
        world.decide(world.offer(world.scene.execution()))
        wait_for(lambda: world.executions(world.offers[0]), "its execution")
        wait_for(lambda: '"event": "confirmed"' in log.read_text(), "its line")
        assert run(["relay", "--home", str(world.home().path)]) == 1
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=20)
    finally:
        if process.poll() is None:
            process.kill()
    assert (process.returncode, errors) == (0, "")
