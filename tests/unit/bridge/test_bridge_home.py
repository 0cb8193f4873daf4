"""A relayer's folder and config.toml: what is read back, and every mistake in one line."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.bridge.config import RelayChain, RelayConfig, Stagger, parse_config, render_config
from abci_app.bridge.errors import Fatal
from abci_app.bridge.home import init_home, load_home, locked
from abci_app.evm.account import Account
from abci_app.machine.connext import keccak
from abci_app.machine.state.codec import Address
from tests.kit.bridge.relay_kit import OTHER, PLACE

ACCOUNT = Account(keccak(b"a relayer"))
CONFIG = RelayConfig(
    "consensus-routing-test",
    ("127.0.0.1:9090", "node.example:9090", "[::1]:9090"),
    (RelayChain(PLACE, "http://127.0.0.1:8545"), RelayChain(OTHER, "https://rpc.example/key", 200, 3, 4, 50)),
    poll_ms=70,
    stagger=Stagger(1500, (Address(b"\x01" * 20), Address(b"\x02" * 20))),
    log_level="debug",
    log_file="relay.jsonl",
)


def test_what_is_rendered_is_read_back() -> None:
    assert parse_config(render_config(CONFIG)) == CONFIG
    plain = RelayConfig("x", ("h:1",), (RelayChain(PLACE, "http://h"),))
    assert parse_config(render_config(plain)) == plain


def test_a_home_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    home = tmp_path / "relay"
    init_home(home, CONFIG, ACCOUNT)
    loaded = load_home(home)
    assert (loaded.config, loaded.account.address) == (CONFIG, ACCOUNT.address)
    assert loaded.log_path == home / "relay.jsonl"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home, *home.rglob("*"))}
    assert modes == {"relay": 0o700, "keys": 0o700, "relayer.json": 0o600, "config.toml": 0o600}
    with pytest.raises(Fatal, match="exists already"):
        init_home(home, CONFIG, Account(keccak(b"another")))
    assert load_home(home).account.address == ACCOUNT.address


def test_no_home_is_made_of_a_wrong_configuration(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="nodes"):
        init_home(tmp_path / "relay", replace(CONFIG, nodes=()), ACCOUNT)
    assert list(tmp_path.iterdir()) == []


MISTAKES = [
    ("", "not_a_name = 1\n", "unknown name not_a_name"),
    ('chain_id = "consensus-routing-test"', "", "chain_id is missing"),
    ('chain_id = "consensus-routing-test"', "chain_id = 7", "chain_id must be str, is int"),
    ('chain_id = "consensus-routing-test"', 'chain_id = ""', "chain_id must have"),
    ('"127.0.0.1:9090"', '"127.0.0.1"', "'127.0.0.1' is not host:port"),
    ('"127.0.0.1:9090"', '"http://127.0.0.1:9090"', "is not host:port"),
    ('"127.0.0.1:9090"', '"node.example:9090"', "nodes names one twice"),
    ('"127.0.0.1:9090"', "9090", "nodes must be a list of strings"),
    ("poll_ms = 70", "poll_ms = 7", "poll_ms must be 20 to 600000"),
    ("poll_ms = 70", "poll_ms = true", "poll_ms must be int, is bool"),
    ("step_ms = 1500", "step_ms = -1", "stagger.step_ms must be"),
    ("0x0101", "0x01", "is no address"),
    ("0x0202020202020202020202020202020202020202", "0x0101010101010101010101010101010101010101", "names one twice"),
    ('level = "debug"', 'level = "loud"', "log.level must be one of"),
    ("[stagger]", "[staggered]", "unknown name staggered"),
    ("step_ms = 1500", "step = 1500", "unknown name stagger.step"),
    ("domain = 2222", "domain = 0", "chains[0].domain must be 1 to"),
    ("domain = 2222", "domain = 1111", "chains[1].domain 1111 stands twice"),
    ("domain = 2222", "domain = 4294967296", "chains[0].domain must be 1 to"),
    ("chain_id = 31338", "chain_id = 0", "chains[0].chain_id must be"),
    ("http://127.0.0.1:8545", "127.0.0.1:8545", "chains[0].rpc_url must be"),
    ("http://127.0.0.1:8545", "file:///etc/passwd", "chains[0].rpc_url must be"),
    ("0x" + "6a" * 20, "0x" + "00" * 20, "chains[0].gate must not be the zero address"),
    ("0x" + "6a" * 20, "0x" + "6a" * 19, "chains[0].gate: "),
    ("confirm_blocks = 2\n", "confirm_blocks = 0\n", "chains[0].confirm_blocks must be"),
    ("replace_blocks = 3\n", "replace_blocks = 0\n", "chains[0].replace_blocks must be"),
    ("max_fee_gwei = 500", "max_fee_gwei = 0", "chains[0].max_fee_gwei must be"),
    ("max_fee_gwei = 500", "max_fee_gwei = 1.5", "chains[0].max_fee_gwei must be int, is float"),
    ("[[chains]]", "[chains", "config.toml: "),
]


@pytest.mark.parametrize(("old", "new", "reason"), MISTAKES, ids=[mistake[2] for mistake in MISTAKES])
def test_every_mistake_is_named(old: str, new: str, reason: str) -> None:
    text = render_config(CONFIG)
    assert old in text
    with pytest.raises(Fatal) as refused:
        parse_config(text.replace(old, new, 1))
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_chains_are_a_mistake() -> None:
    with pytest.raises(Fatal, match="chains must have 1 to"):
        parse_config('chain_id = "x"\nnodes = ["h:1"]\nchains = []\n')
    with pytest.raises(Fatal, match=r"chains\[0\] must be a table"):
        parse_config('chain_id = "x"\nnodes = ["h:1"]\nchains = [7]\n')


@pytest.mark.parametrize(("text", "reason"), [
    ("{}", "is not a key file"),
    ("not json", "is not a key file"),
    ('{"private_key": "0x00", "address": "0x00"}', "is not a key file"),
    ('{"private_key": 7, "address": "0x00"}', "is not a key file"),
    ('{"private_key": "0x' + "00" * 32 + '", "address": "0x00"}', "is not a key file"),
    ('{"private_key": "0x' + "11" * 32 + '", "address": "0x' + "22" * 20 + '"}', "is not that of address 0x2222"),
])
def test_a_key_file_that_is_none_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    home = tmp_path / "relay"
    init_home(home, CONFIG, ACCOUNT)
    (home / "keys" / "relayer.json").write_text(text)
    with pytest.raises(Fatal, match=reason):
        load_home(home)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o601])
def test_a_key_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    home = tmp_path / "relay"
    init_home(home, CONFIG, ACCOUNT)
    (home / "keys" / "relayer.json").chmod(mode)
    with pytest.raises(Fatal, match="is readable by others"):
        load_home(home)


def test_no_home_is_no_home(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"config\.toml is missing"):
        load_home(tmp_path / "nowhere")
    with pytest.raises(Fatal, match="nowhere"), locked(tmp_path / "nowhere"):
        raise AssertionError("locked what is not there")


def test_a_home_is_held_by_one(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(Fatal, match="is in use by another relayer"), locked(tmp_path):
            raise AssertionError("held by two")
        assert os.listdir(tmp_path) == []
    with locked(tmp_path):
        pass
