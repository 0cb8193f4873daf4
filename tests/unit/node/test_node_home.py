"""A node's home: made whole and private, never overwritten; every mistake in it is one line and changes nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.daemon.config import CONFIG_FILE
from abci_app.machine.state.codec import DomainId
from abci_app.node.config import Config, ObservedChain, parse_config, render_config, resolve_abci_address
from abci_app.node.errors import HomeError
from abci_app.node.home import KEY_FILE, init_home, load_home, locked

CONFIG = Config("routing-1", chains=(ObservedChain(DomainId(1111), ("http://127.0.0.1:8545",), 1),))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "node"
    init_home(path, CONFIG)
    return path


def tree(path: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below path with its mode and content."""
    return {
        str(file.relative_to(path)): (file.stat().st_mode, file.read_bytes() if file.is_file() else b"")
        for file in sorted(path.rglob("*"))
    }


def test_init_makes_a_private_home_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "node"
    address = init_home(path, CONFIG)
    loaded = load_home(path)
    assert loaded.config == CONFIG
    assert loaded.signer.address == address
    assert (path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert (path / KEY_FILE).parent.stat().st_mode & 0o777 == 0o700
    assert sorted(tree(path)) == ["config.toml", "keys", "keys/attestation.json"]
    assert loaded.signer.export_private_key().hex() not in repr(loaded)


def test_two_homes_have_two_keys(tmp_path: Path) -> None:
    assert init_home(tmp_path / "a", CONFIG) != init_home(tmp_path / "b", CONFIG)


def test_init_never_overwrites(home: Path) -> None:
    before = tree(home)
    with pytest.raises(HomeError, match="initialized already"):
        init_home(home, replace(CONFIG, chain_id="other"))
    assert tree(home) == before


def test_init_keeps_a_key_that_is_there(home: Path) -> None:
    key = (home / KEY_FILE).read_bytes()
    (home / CONFIG_FILE).unlink()
    init_home(home, CONFIG)
    assert (home / KEY_FILE).read_bytes() == key
    assert load_home(home).config == CONFIG


@pytest.mark.parametrize("chain_id", ["", "a b", "x" * 51, "zürich", "a\nb"])
def test_init_refuses_a_wrong_chain_id_and_makes_nothing(tmp_path: Path, chain_id: str) -> None:
    with pytest.raises(HomeError, match="chain_id"):
        init_home(tmp_path / "node", Config(chain_id))
    assert tree(tmp_path) == {}


def test_init_refuses_a_socket_path_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="at most 107"):
        init_home(tmp_path / ("x" * 100), CONFIG)
    assert tree(tmp_path) == {}


def edit(old: str, new: str) -> Callable[[Path], None]:
    """A change of config.toml."""
    def change(home: Path) -> None:
        text = (home / CONFIG_FILE).read_text()
        assert old in text
        (home / CONFIG_FILE).write_text(text.replace(old, new))
    return change


def edit_key(**fields: object) -> Callable[[Path], None]:
    """A change of the key file."""
    def change(home: Path) -> None:
        document = json.loads((home / KEY_FILE).read_text())
        (home / KEY_FILE).write_text(json.dumps({**document, **fields}))
    return change


@pytest.mark.parametrize(("change", "message"), [
    (lambda home: (home / CONFIG_FILE).unlink(), "config.toml is missing"),
    (lambda home: (home / CONFIG_FILE).write_bytes(b"\xff"), "cannot be read"),
    (edit("[grpc]", "[grpc"), "config.toml: "),
    (edit("chain_id", "chainid"), "chain_id is missing"),
    (edit('chain_id = "routing-1"', "chain_id = 1"), "chain_id must be str, is int"),
    (edit('chain_id = "routing-1"', 'chain_id = "a b"'), "chain_id 'a b' must match"),
    (edit("# A node", "seeds = 3\n# A node"), "unknown name seeds"),
    (edit("[store]", "[store]\nkind = 1"), "unknown name store.kind"),
    (edit("[abci]", "[abcd]"), "unknown name abcd"),
    (edit("unix://abci.sock", "abci.sock"), "abci.address must be"),
    (edit("unix://abci.sock", "tcp://127.0.0.1"), "abci.address must be"),
    (edit("unix://abci.sock", "unix://" + "x" * 108), "at most 107"),
    (edit("127.0.0.1:9090", "127.0.0.1"), "grpc.address must be host:port"),
    (edit("127.0.0.1:9090", "127.0.0.1:99999"), "grpc.address must be host:port"),
    (edit("http://127.0.0.1:26657", "127.0.0.1:26657"), "cometbft.rpc_url"),
    (edit('level = "info"', 'level = "loud"'), "log.level must be one of"),
    (edit('path = "data"', 'path = ""'), "store.path must not be empty"),
    (edit("quorum = 1", "quorum = 2"), "quorum must be 1 to"),
    (edit("quorum = 1", "quorum = 0"), "quorum must be 1 to"),
    (edit("quorum = 1", "quorum = true"), "quorum must be int, is bool"),
    (edit("quorum = 1", "quorun = 1"), "unknown name observer.domains[0].quorun"),
    (edit("poll_ms = 200", "poll_ms = 1"), "poll_ms must be"),
    (edit("poll_ms = 200", "poll_ms = 0.5"), "poll_ms must be int, is float"),
    (edit("domain = 1111", "domain = 0"), "domain must be 1 to"),
    (edit("domain = 1111", "domain = 4294967296"), "domain must be 1 to"),
    (edit('["http://127.0.0.1:8545"]', "[]"), "rpc_urls must have 1 to"),
    (edit('["http://127.0.0.1:8545"]', "[7]"), "must be a list of strings"),
    (edit('["http://127.0.0.1:8545"]', '["ws://127.0.0.1:8545"]'), "must be http://"),
    (edit('["http://127.0.0.1:8545"]', '["http://a:1", "http://a:1"]'), "names one twice"),
    (edit("quorum = 1", 'quorum = 1\n[[observer.domains]]\ndomain = 1111\nrpc_urls = ["http://a:1"]'), "stands twice"),
    (edit("\n[[observer.domains]]\n", "\ndomains = [3]\n[abc]\n"), "must be a table"),
    (edit("[observer]", "[observer]\nx = 1"), "unknown name observer.x"),
    (lambda home: (home / KEY_FILE).unlink(), "has no attestation key"),
    (lambda home: (home / KEY_FILE).chmod(0o640), "readable by others (mode 0640)"),
    (lambda home: (home / KEY_FILE).chmod(0o604), "readable by others (mode 0604)"),
    (lambda home: (home / KEY_FILE).write_text("{}"), "not an attestation key file"),
    (lambda home: (home / KEY_FILE).write_text("x"), "not an attestation key file"),
    (edit_key(private_key="0x12"), "a private key has 32 bytes"),
    (edit_key(private_key="0x" + "00" * 32), "out of range"),
    (edit_key(private_key="0x" + "ff" * 32), "out of range"),
    (edit_key(private_key=7), "not an attestation key file"),
    (edit_key(address="0x" + "11" * 20), "is not that of address"),
])
def test_load_refuses_in_one_line_and_changes_nothing(
    home: Path, change: Callable[[Path], object], message: str
) -> None:
    change(home)
    before = tree(home)
    with pytest.raises(HomeError) as refusal:
        load_home(home)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert tree(home) == before


def test_config_says_what_was_rendered() -> None:
    config = Config(
        "a.b_c-1", "tcp://127.0.0.1:1", "[::1]:2", "https://engine:3", "db", "debug", 'log/"quoted" ä.jsonl', 60,
        (ObservedChain(DomainId(1), ("http://a", "https://b/k"), 2), ObservedChain(DomainId(2), ("http://c",), 1)),
    )
    assert parse_config(render_config(config)) == config


def test_quorum_is_a_majority_unless_said() -> None:
    text = 'chain_id = "c"\n[[observer.domains]]\ndomain = 1\nrpc_urls = ["http://a", "http://b", "http://c"]'
    assert parse_config(text).chains[0].quorum == 2


def test_socket_paths_are_relative_to_the_home(tmp_path: Path) -> None:
    assert resolve_abci_address("unix://s", Path("/h")) == "unix:///h/s"
    assert resolve_abci_address("unix:///x/s", Path("/h")) == "unix:///x/s"
    assert resolve_abci_address("tcp://127.0.0.1:1", Path("/h")) == "tcp://127.0.0.1:1"


def test_a_second_process_is_kept_out_until_the_first_ends(home: Path) -> None:
    script = (
        "import sys, pathlib\nfrom abci_app.node.home import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    )
    before = tree(home)
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(HomeError, match="in use by another routerd"), locked(home):
            pass
    finally:
        holder.kill()
        holder.communicate(timeout=10)
    with locked(home):
        assert tree(home) == before


def test_a_home_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(HomeError), locked(tmp_path / "none"):
        pass
