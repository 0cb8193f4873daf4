"""The router's folder: what config.toml and key file may say, and who else may use it."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from abci_app.evm.account import Account
from abci_app.router.config import (
    RouterConfig,
    WatchedChain,
    load_account,
    load_home,
    locked,
    make_account,
    parse_config,
    render_config,
    save_home,
)
from abci_app.router.errors import ConfigInvalid

KEY = b"\x01" * 32
CHAIN = WatchedChain(1111, 31337, "http://127.0.0.1:8545")
CONFIG = RouterConfig(("127.0.0.1:9090",), (CHAIN,))


def tree(path: Path) -> dict[str, tuple[int, bytes]]:
    """Everything below a folder."""
    return {
        str(one.relative_to(path)): (one.stat().st_mode, one.read_bytes() if one.is_file() else b"")
        for one in sorted(path.rglob("*"))
    }


def test_a_home_is_read_as_it_was_written(tmp_path: Path) -> None:
    other = WatchedChain(2, 3, "https://x/y?k=\"z\"", 12, b"\xc0" * 20)
    config = RouterConfig(("a:1", "[::1]:2"), (CHAIN, other), 500, (1, 4), "debug", "log/x.jsonl")
    save_home(tmp_path / "r", config, Account(KEY))
    home = load_home(tmp_path / "r")
    assert (home.config, home.account.address) == (config, Account(KEY).address)
    assert (home.log_path, replace(home, config=CONFIG).log_path) == (tmp_path / "r/log/x.jsonl", None)
    modes = {path.name: path.stat().st_mode & 0o777 for path in [tmp_path / "r", *(tmp_path / "r").rglob("*")]}
    assert modes == {"r": 0o700, "config.toml": 0o600, "keys": 0o700, "router.json": 0o600}


@pytest.mark.parametrize("left", ["config.toml", "keys/router.json", "both"])
def test_a_home_is_never_overwritten(tmp_path: Path, left: str) -> None:
    save_home(tmp_path, CONFIG, Account(KEY))
    for name in {"config.toml", "keys/router.json"} - {left} if left != "both" else ():
        (tmp_path / name).unlink()
    before = tree(tmp_path)
    with pytest.raises(ConfigInvalid, match="exists"):
        save_home(tmp_path, CONFIG, Account(b"\x02" * 32))
    assert tree(tmp_path) == before


def test_a_home_is_not_made_of_a_wrong_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="nodes must have"):
        save_home(tmp_path / "r", RouterConfig((), (CHAIN,)), Account(KEY))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "reason"), [
    ("nodes = []", "nodes must have"), ("nodes = 'a:1'", "nodes must be list"), ("nodes = ['a']", "not host:port"),
    ("nodes = ['a:0']", "not host:port"), ("nodes = ['a:99999']", "not host:port"),
    ("nodes = [7]", "nodes must be a list of strings"),
    ("nodes = ['a:1', 'a:1']", "twice"), ("poll_ms = 5", "poll_ms must be 20"), ("poll_ms = true", "must be int"),
    ("[log]\nlevel = 'loud'", "log.level must be one of debug"), ("[log]\nleve = 'info'", "unknown name log.leve"),
    ("poll_ms = 1.5", "must be int"), ("path_lengths = []", "path_lengths"), ("path_lengths = [3]", "path_lengths"),
    ("path_lengths = [2, 1]", "path_lengths"), ("path_lengths = ['1']", "path_lengths"),
    ("path_lengths = [[1]]", "path_lengths"), ("polls_ms = 5", "unknown name polls_ms"), ("chains = []", "chains must"),
    ("chains = [1]", "must be a table"), ("chains = 1", "must be list"),
    ("[[chains]]\ndomain = 1\nchain_id = 1", "chains[0].rpc_url is missing"),
    ("[[chains]]\ndomain = 0\nchain_id = 1\nrpc_url = 'http://a'", "domain must be 1"),
    ("[[chains]]\ndomain = 4294967296\nchain_id = 1\nrpc_url = 'http://a'", "domain must be 1"),
    ("[[chains]]\ndomain = 1\nchain_id = 0\nrpc_url = 'http://a'", "chain_id must be 1"),
    ("[[chains]]\ndomain = 1\nchain_id = 1\nrpc_url = 'ws://a'", "rpc_url must be"),
    ("[[chains]]\ndomain = 1\nchain_id = 1\nrpc_url = 'http://'", "rpc_url must be"),
    ("[[chains]]\ndomain = 1\nchain_id = 1\nrpc_url = 'http://a:x'", "rpc_url must be"),
    ("[[chains]]\ndomain = 1\nchain_id = 1\nrpc_url = 'http://a'\nconfirmations = -1", "confirmations must be 0"),
    ("[[chains]]\ndomain = 1\nchain_id = 1\nrpc_url = 'http://a'\nconnext = '0x12'", "connext must be 0x and 40 hex"),
    ("[[chains]]\ndomain = 1\nchain_id = 1\nrpc_url = 'http://a'\nfoo = 1", "unknown name chains[0].foo"),
    ("[[chains]]\ndomain = 1\nchain_id = 1\nrpc_url = 'http://a'\n" * 2, "a domain stands twice"),
    ("nodes = [", "Invalid value"), ("\x00", "config.toml"),
])
def test_a_wrong_config_is_named_and_nothing_changes(tmp_path: Path, text: str, reason: str) -> None:
    save_home(tmp_path, CONFIG, Account(KEY))
    nodes, chains = "nodes = ['a:1']\n", "\n[[chains]]\ndomain = 9\nchain_id = 9\nrpc_url = 'http://a'\n"
    whole = (nodes if "nodes" not in text else "") + text + (chains if "chains" not in text else "")
    (tmp_path / "config.toml").write_text(whole)
    before = tree(tmp_path)
    with pytest.raises(ConfigInvalid) as caught:
        load_home(tmp_path)
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    assert tree(tmp_path) == before


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"config\.toml is missing"):
        load_home(tmp_path / "nowhere")


def test_what_is_rendered_is_what_is_parsed() -> None:
    assert parse_config(render_config(CONFIG)) == CONFIG


def key_file(tmp_path: Path, content: Any, mode: int = 0o600) -> Path:
    path = tmp_path / "key"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return path


@pytest.mark.parametrize("content", [
    "0x" + KEY.hex(), KEY.hex() + "\n", {"private_key": KEY.hex()},
    {"private_key": "0x" + KEY.hex(), "address": "0x" + Account(KEY).address.hex().upper()},
])
def test_a_key_is_read(tmp_path: Path, content: Any) -> None:
    assert load_account(key_file(tmp_path, content)).address == Account(KEY).address


@pytest.mark.parametrize(("content", "mode", "reason"), [
    (KEY.hex(), 0o640, "readable by others"), (KEY.hex(), 0o604, "readable by others"),
    ("", 0o600, "holds no key"), ("zz" * 32, 0o600, "holds no key"), ("00" * 32, 0o600, "holds no key"),
    ("ff" * 32, 0o600, "holds no key"), (KEY.hex()[2:], 0o600, "holds no key"), ("{", 0o600, "holds no key"),
    ({"key": KEY.hex()}, 0o600, "holds no key"), ({"private_key": 7}, 0o600, "holds no key"),
    ({"private_key": KEY.hex(), "address": 7}, 0o600, "holds no key"),
    ({"private_key": KEY.hex(), "address": "0x" + "11" * 20}, 0o600, "not that of address 0x1111"),
])
def test_a_wrong_key_is_named_and_never_shown(tmp_path: Path, content: Any, mode: int, reason: str) -> None:
    with pytest.raises(ConfigInvalid, match=reason) as caught:
        load_account(key_file(tmp_path, content, mode))
    assert KEY.hex()[2:] not in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="No such file"):
        load_account(tmp_path / "none")


def test_new_accounts_differ() -> None:
    assert make_account().address != make_account().address


def test_a_home_has_one_holder(tmp_path: Path) -> None:
    before = os.listdir(tmp_path)
    with locked(tmp_path), pytest.raises(ConfigInvalid, match="in use by another router"), locked(tmp_path):
        raise AssertionError("held twice")
    with locked(tmp_path):
        assert os.listdir(tmp_path) == before
    with pytest.raises(ConfigInvalid, match="No such file"), locked(tmp_path / "none"):
        raise AssertionError("held nothing")
