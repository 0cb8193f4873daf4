"""CometBFT's files: edits that change one value and nothing else, ids, and the shared genesis."""

import base64
import hashlib
import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from testnet.processes.cometbft import (
    LOCAL_SETTINGS,
    CometBFTError,
    ConsensusKey,
    Genesis,
    Node,
    configure,
    consensus_key,
    create_network,
    edit_toml,
    node_id,
    start_command,
    write_genesis,
)

ROOT = Path(__file__).resolve().parents[3]
CONFIG = """# top comment: laddr = "not me"
proxy_app = "tcp://127.0.0.1:26658"
 moniker = "a"

[rpc]
# laddr = "a comment"
laddr = "tcp://127.0.0.1:26657"
cors = ["GET", "POST", ]

[p2p]
laddr = "tcp://0.0.0.0:26656"
pex = true
size = 5
"""


def make_home(folder: Path, name: str) -> Path:
    """A home with keys made from its name, as far as this module reads them."""
    config = folder / name / "config"
    config.mkdir(parents=True)
    public_key = hashlib.sha256(name.encode()).digest()
    address = hashlib.sha256(public_key).digest()[:20].hex().upper()
    pub_key = {"type": "tendermint/PubKeyEd25519", "value": base64.b64encode(public_key).decode()}
    (config / "priv_validator_key.json").write_text(json.dumps({"address": address, "pub_key": pub_key}))
    private_key = base64.b64encode(bytes(32) + public_key).decode()
    (config / "node_key.json").write_text(json.dumps({"priv_key": {"value": private_key}}))
    keys = "moniker = 1\nproxy_app = 1\n[rpc]\nladdr = 1\n[p2p]\nladdr = 1\npersistent_peers = 1\npex = 1\n"
    (config / "config.toml").write_text(keys + "[instrumentation]\nprometheus_listen_addr = 1\n")
    return folder / name


@pytest.mark.parametrize(
    "settings, old, new",
    [
        ({}, "", ""),
        ({"proxy_app": "unix:///a b\"c"}, 'proxy_app = "tcp://127.0.0.1:26658"', 'proxy_app = "unix:///a b\\"c"'),
        ({"rpc.laddr": "x"}, 'laddr = "tcp://127.0.0.1:26657"', 'laddr = "x"'),
        ({"p2p.laddr": "x"}, 'laddr = "tcp://0.0.0.0:26656"', 'laddr = "x"'),
        ({"p2p.pex": False}, "pex = true", "pex = false"),
        ({"p2p.size": 7}, "size = 5", "size = 7"),
    ],
)
def test_an_edit_changes_its_line_and_nothing_else(settings: dict[str, Any], old: str, new: str) -> None:
    assert edit_toml(CONFIG, settings) == CONFIG.replace(old, new)


@pytest.mark.parametrize("key", ["laddr", "rpc.pex", "pex", "p2p.proxy_app", "consensus.laddr", "rpc"])
def test_an_edit_of_a_key_that_is_not_there_is_refused(key: str) -> None:
    with pytest.raises(CometBFTError, match=f"config.toml has no {key}"):
        edit_toml(CONFIG, {key: "x", "p2p.pex": False})


def test_ids_are_the_engines(tmp_path: Path) -> None:
    """Against what `cometbft show-node-id` and the key file of a real home said."""
    (tmp_path / "config").mkdir()
    value = "iP/BM/Q3SpAOWwcdF2AvmC/177FkU9rPODhquZF2sk1Tia/vS3eLhnMGm3Ac45YlEJ/N8li0iKwnEbnSoofGXQ=="
    (tmp_path / "config" / "node_key.json").write_text(json.dumps({"priv_key": {"value": value}}))
    assert node_id(tmp_path) == "734321c760e889a1b6e53188e3fa2e725213f9eb"


def test_consensus_keys_other_than_ed25519_are_refused(tmp_path: Path) -> None:
    home = make_home(tmp_path, "a")
    public_key = hashlib.sha256(b"a").digest()
    assert consensus_key(home) == ConsensusKey(public_key, hashlib.sha256(public_key).digest()[:20])
    key = {"address": "00", "pub_key": {"type": "tendermint/PubKeySecp256k1", "value": ""}}
    (home / "config" / "priv_validator_key.json").write_text(json.dumps(key))
    with pytest.raises(CometBFTError, match="PubKeySecp256k1"):
        consensus_key(home)


def test_configure_names_every_other_node_as_a_peer(tmp_path: Path) -> None:
    nodes = [Node(f"v{n}", make_home(tmp_path, f"v{n}"), f"unix:///{n}", 10 + n, 20 + n, 30 + n) for n in range(3)]
    configure(nodes[1], nodes, {"p2p.pex": False})
    config = tomllib.loads((nodes[1].home / "config" / "config.toml").read_text())
    peers = f"{node_id(nodes[0].home)}@127.0.0.1:20,{node_id(nodes[2].home)}@127.0.0.1:22"
    assert config == {
        "moniker": "v1",
        "proxy_app": "unix:///1",
        "rpc": {"laddr": "tcp://127.0.0.1:11"},
        "p2p": {"laddr": "tcp://127.0.0.1:21", "persistent_peers": peers, "pex": False},
        "instrumentation": {"prometheus_listen_addr": "127.0.0.1:31"},
    }
    assert nodes[1].rpc_url == "http://127.0.0.1:11"
    assert start_command(Path("/bin/cometbft"), Path("/home")) == ["/bin/cometbft", "start", "--home", "/home"]


def test_all_homes_get_one_genesis(tmp_path: Path) -> None:
    homes = [make_home(tmp_path, name) for name in ("a", "b")]
    genesis = Genesis("c-1", {"x": [1]}, powers=[3, 4], vote_extensions_enable_height=2, initial_height=5)
    write_genesis(homes, genesis)
    texts = {(home / "config" / "genesis.json").read_text() for home in homes}
    assert len(texts) == 1
    document = json.loads(texts.pop())
    assert document["chain_id"] == "c-1" and document["initial_height"] == "5" and document["app_state"] == {"x": [1]}
    assert document["consensus_params"]["abci"] == {"vote_extensions_enable_height": "2"}
    assert document["consensus_params"]["block"] == {"max_bytes": "2097152", "max_gas": "-1"}
    assert [(entry["name"], entry["power"]) for entry in document["validators"]] == [("a", "3"), ("b", "4")]


def test_a_genesis_that_the_engine_would_refuse_is_refused_here(tmp_path: Path) -> None:
    home = make_home(tmp_path, "a")
    with pytest.raises(CometBFTError, match="at least 1048576"):
        write_genesis([home], Genesis("c-1", block_bytes_max=1_048_575))
    with pytest.raises(ValueError):
        write_genesis([home], Genesis("c-1", powers=[1, 2]))
    assert not (home / "config" / "genesis.json").exists()


def test_the_real_engine_has_every_key_and_takes_the_files(tmp_path: Path) -> None:
    """A renamed key, or a genesis the engine cannot read, shows here in a second and not in a network that hangs."""
    binary = ROOT / "build" / "bin" / "cometbft"
    assert binary.is_file(), f"{binary} is missing: ./scripts/setup builds it"
    nodes = [Node(f"v{n}", tmp_path / f"v{n}", "unix:///none", 11 + n, 21 + n, 31 + n) for n in range(2)]
    create_network(binary, nodes, Genesis("c-1", app_state={"a": 1}), {"consensus.timeout_commit": "200ms"})
    config = tomllib.loads((nodes[0].home / "config" / "config.toml").read_text())
    assert config["consensus"]["timeout_commit"] == "200ms"
    for key, value in LOCAL_SETTINGS.items():
        section, _, name = key.rpartition(".")
        assert (config[section] if section else config)[name] == (value if name != "timeout_commit" else "200ms")
    shown = subprocess.run(
        [binary, "show-node-id", "--home", nodes[1].home], capture_output=True, text=True, timeout=30, check=True
    )
    assert shown.stdout.strip() == node_id(nodes[1].home)
    assert config["p2p"]["persistent_peers"] == f"{shown.stdout.strip()}@127.0.0.1:22"


@pytest.mark.parametrize("binary", [ROOT / "build" / "bin" / "cometbft", Path("/no/such/cometbft")])
def test_init_that_fails_is_one_clear_error(tmp_path: Path, binary: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CometBFTError, match="cometbft"):
        create_network(binary, [Node("v", tmp_path / "file", "", 1, 2, 3)], Genesis("c"), {})
