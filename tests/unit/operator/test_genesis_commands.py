"""`routerd genesis build` and `check`: what the chains say becomes app_state; every refusal has its code."""

import base64
import copy
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from abci_app.cli import main as cli
from abci_app.machine.state.codec import DomainId
from abci_app.machine.state.tree import Tree
from tests.kit.machine.small_world import (
    CHAIN_ID,
    DESTINATION,
    ORIGIN,
    first_state,
    init_chain_validators,
    valid_app_state,
)
from tests.kit.operator.described_network import FINAL, DescribedChain, describe, serving

Capture = pytest.CaptureFixture[str]
APP_HASH = "0x" + Tree.build(first_state().values).root.hex()


class Network:
    """Two served chains and the folder in which an operator works."""

    def __init__(self, folder: Path, capsys: Capture, chains: dict[DomainId, DescribedChain], urls: Any) -> None:
        self.folder, self.capsys, self.chains = folder, capsys, chains
        self.description = describe(urls)
        self.out = folder / "genesis-app-state.json"

    def run(self, *arguments: str) -> tuple[int, str, str]:
        status = cli.run(("genesis", *arguments))
        captured = self.capsys.readouterr()
        return status, captured.out, captured.err

    def build(self, *more: str, text: str | None = None, name: str = "network.json") -> tuple[int, str, str]:
        config = self.folder / name
        config.write_text(json.dumps(self.description) if text is None else text)
        return self.run("build", "--config", str(config), "--out", str(self.out), *more)


@pytest.fixture
def network(tmp_path: Path, capsys: Capture) -> Iterator[Network]:
    chains = {domain: DescribedChain(domain) for domain in (ORIGIN, DESTINATION)}
    with ExitStack() as opened:
        urls = {domain: opened.enter_context(serving(chain)) for domain, chain in chains.items()}
        yield Network(tmp_path, capsys, chains, urls)


def sort_routers(app_state: dict[str, Any]) -> dict[str, Any]:
    return app_state | {"routers": sorted(app_state["routers"], key=json.dumps)}


def test_build_writes_what_the_chains_have_at_their_final_blocks(network: Network) -> None:
    status, out, err = network.build()
    assert (status, err) == (0, "") and APP_HASH in out
    assert sort_routers(json.loads(network.out.read_text())) == sort_routers(valid_app_state())
    for chain in network.chains.values():
        assert {block for _, block in chain.asked} == {hex(FINAL)}


def test_build_reads_toml_and_an_older_block_and_says_it_as_json(network: Network) -> None:
    chains = "\n".join(
        "[[chains]]\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in (chain | {"block": 90}).items())
        for chain in network.description["chains"]
    )
    tables = "\n".join(
        f"[[{kind}]]\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in entry.items())
        for kind in ("assets", "validators") for entry in network.description[kind]
    )
    text = (
        f'chain_id = "{CHAIN_ID}"\nrouters = {json.dumps(network.description["routers"])}\n'
        f"{chains}\n{tables}\n[params]\nlease_s = 30\n"
    )
    status, out, err = network.build("--json", text=text, name="network.toml")
    assert (status, err) == (0, "")
    printed = json.loads(out)
    assert printed["blocks"] == {"1111": 90, "2222": 90} and printed["chain_id"] == CHAIN_ID and printed["power"] == 10
    assert json.loads(network.out.read_text())["params"]["lease_s"] == 30
    assert {block for _, block in network.chains[ORIGIN].asked} == {hex(90)}


def test_build_counts_a_depth_from_the_head_where_one_is_given(network: Network) -> None:
    network.description["chains"][0]["finality_depth"] = 12
    assert network.build()[0] == 0
    domain = json.loads(network.out.read_text())["domains"][0]
    assert (domain["finality_depth"], domain["cursor"]["block"]) == (12, 90)


def test_build_lists_an_asset_only_where_connext_knows_it(network: Network) -> None:
    network.chains[DESTINATION].connext("getLocalAndAdoptedToken", bytes(20), bytes(20))
    assert network.build()[0] == 0
    app_state = json.loads(network.out.read_text())
    assert [local["domain"] for local in app_state["assets"][0]["locals"]] == [ORIGIN]
    assert {len(router["balances"]) for router in app_state["routers"] if router["domain"] == DESTINATION} == {0}


def members(*changes: tuple[int, int]) -> tuple[list[bytes], list[int]]:
    """The gate's set, some powers changed."""
    addresses, powers = DescribedChain(ORIGIN).values[DescribedChain(ORIGIN).genesis.gate, "validatorSet"][2:]
    for index, power in changes:
        powers[index] = power
    return addresses, powers


CHAIN_FAULTS = {
    "another chain": (lambda chain: setattr(chain, "chain_id", 5), "CHAIN_MISMATCH"),
    "another domain": (lambda chain: chain.connext("domain", 3333), "DOMAIN_MISMATCH"),
    "no connext": (lambda chain: chain.values.pop((chain.genesis.connext, "nonce")), "CHAIN_UNREADABLE"),
    "no gate": (lambda chain: chain.values.pop((chain.genesis.gate, "connext")), "CHAIN_UNREADABLE"),
    "gate of another connext": (lambda chain: chain.gate("connext", b"\x01" * 20), "GATE_MISMATCH"),
    "gate of another network": (lambda chain: chain.gate("domainSeparator", b"\x01" * 32), "GATE_MISMATCH"),
    "gate of a later epoch": (lambda chain: chain.gate("validatorSet", 2, 2**40, *members()), "GATE_MISMATCH"),
    "gate of other powers": (lambda chain: chain.gate("validatorSet", 1, 2**40, *members((0, 9))), "GATE_MISMATCH"),
    "block replaced": (lambda chain: setattr(chain, "replaced", True), "BLOCK_REPLACED"),
    "values out of range": (lambda chain: chain.connext("maxRoutersPerTransfer", 0), "GENESIS_INVALID"),
}


@pytest.mark.parametrize("fault", CHAIN_FAULTS)
def test_build_refuses_what_a_chain_says(network: Network, fault: str) -> None:
    corrupt, code = CHAIN_FAULTS[fault]
    corrupt(network.chains[ORIGIN])
    status, out, err = network.build()
    assert (status, out, err.count("\n")) == (1, "", 1) and err.startswith(f"routerd: {code}: ")
    assert not network.out.exists()


def corrupted(description: dict[str, Any], *path: Any, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(description)
    holder: Any = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return changed


@pytest.mark.parametrize(("path", "value", "code"), [
    (("chain_id",), "", "DESCRIPTION_INVALID"), (("chains",), {}, "DESCRIPTION_INVALID"),
    (("chains", 0, "rpc_url"), 5, "DESCRIPTION_INVALID"), (("chains", 0, "surprise"), 5, "DESCRIPTION_INVALID"),
    (("chains", 0, "gate"), "0x12", "DESCRIPTION_INVALID"), (("params",), {"lease": 1}, "DESCRIPTION_INVALID"),
    (("validators", 0, "proof"), "0x", "DESCRIPTION_INVALID"), (("chains", 0, "block"), 101, "BLOCK_NOT_FINAL"),
    (("chain_id",), "another-1", "GATE_MISMATCH"), (("chains", 0, "idle_blocks"), 0, "GENESIS_INVALID"),
    (("validators", 0, "proof"), "0x" + "11" * 65, "GENESIS_INVALID"), (("params",), {"lease_s": 0}, "GENESIS_INVALID"),
])
def test_build_refuses_a_wrong_description(network: Network, path: tuple[Any, ...], value: Any, code: str) -> None:
    network.description = corrupted(network.description, *path, value=value)
    status, out, err = network.build()
    assert (status, out, err.count("\n")) == (1, "", 1) and err.startswith(f"routerd: {code}: ")
    assert not network.out.exists()


@pytest.mark.parametrize(("text", "name"), [("{", "a.json"), ("[]", "a.json"), ("a =", "a.toml")])
def test_build_refuses_what_is_no_description(network: Network, text: str, name: str) -> None:
    status, _, err = network.build(text=text, name=name)
    assert status == 1 and err.startswith("routerd: DESCRIPTION_INVALID: ")


def test_build_refuses_an_asset_that_no_chain_knows(network: Network) -> None:
    for chain in network.chains.values():
        chain.connext("getLocalAndAdoptedToken", bytes(20), bytes(20))
    assert network.build()[2].startswith("routerd: ASSET_UNKNOWN: ")


def test_build_leaves_an_existing_file_alone_and_names_a_missing_one(network: Network) -> None:
    network.out.write_text("mine")
    assert network.build()[2].startswith("routerd: FILE_INVALID: ") and network.out.read_text() == "mine"
    status, _, err = network.run("build", "--config", str(network.folder / "none.toml"), "--out", str(network.out))
    assert status == 1 and err.startswith("routerd: FILE_INVALID: ")


# --- check ----------------------------------------------------------------------------------------------------------


def cometbft_genesis(app_state: Any) -> dict[str, Any]:
    """A genesis.json as CometBFT writes it, with the small world's validators."""
    return {
        "genesis_time": "2026-01-01T00:00:00Z", "chain_id": CHAIN_ID, "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": "2097152", "max_gas": "-1"}, "abci": {"vote_extensions_enable_height": "1"},
        },
        "validators": [
            {
                "address": "", "name": "", "power": str(power),
                "pub_key": {"type": "tendermint/PubKeyEd25519", "value": base64.b64encode(key).decode()},
            }
            for key, power in init_chain_validators()
        ],
        "app_hash": "", "app_state": app_state,
    }


def check(capsys: Capture, folder: Path, app_state: str, genesis: str | None, *more: str) -> tuple[int, str, str]:
    """Run the check on these two files."""
    (folder / "app-state.json").write_text(app_state)
    if genesis is not None:
        (folder / "genesis.json").write_text(genesis)
        more = ("--cometbft-genesis", str(folder / "genesis.json"), *more)
    status = cli.run(("genesis", "check", str(folder / "app-state.json"), *more))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_check_accepts_a_whole_genesis_and_app_state_alone(tmp_path: Path, capsys: Capture) -> None:
    text = json.dumps(valid_app_state())
    status, out, err = check(capsys, tmp_path, text, json.dumps(cometbft_genesis(valid_app_state())))
    assert (status, err) == (0, "") and APP_HASH in out and "4, power 10" in out
    status, out, err = check(capsys, tmp_path, text, None, "--chain-id", CHAIN_ID, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == {
        "chain_id": CHAIN_ID, "app_hash": APP_HASH, "domains": 2, "assets": 1, "routers": 6, "validators": 4,
        "power": 10, "blocks": {"1111": 100, "2222": 100},
    }


@pytest.mark.parametrize(("path", "value", "code"), [
    (("initial_height",), "2", "COMETBFT_GENESIS_INVALID"),
    (("consensus_params", "abci", "vote_extensions_enable_height"), "0", "COMETBFT_GENESIS_INVALID"),
    (("consensus_params", "abci", "vote_extensions_enable_height"), "2", "COMETBFT_GENESIS_INVALID"),
    (("consensus_params", "block", "max_bytes"), "262143", "COMETBFT_GENESIS_INVALID"),
    (("consensus_params", "block", "max_bytes"), "0", "COMETBFT_GENESIS_INVALID"),
    (("consensus_params", "block", "max_bytes"), "many", "COMETBFT_GENESIS_INVALID"),
    (("consensus_params", "version"), {"app": "2"}, "COMETBFT_GENESIS_INVALID"),
    (("consensus_params",), {}, "COMETBFT_GENESIS_INVALID"),
    (("consensus_params",), None, "COMETBFT_GENESIS_INVALID"),
    (("validators", 0, "pub_key", "type"), "tendermint/PubKeySecp256k1", "COMETBFT_GENESIS_INVALID"),
    (("validators", 0, "pub_key", "value"), "?", "COMETBFT_GENESIS_INVALID"),
    (("validators", 0, "power"), "9", "GENESIS_INVALID"), (("validators",), None, "GENESIS_INVALID"),
    (("chain_id",), "another-1", "GENESIS_INVALID"), (("app_state",), None, "APP_STATE_DIFFERS"),
    (("app_state", "domains", 0, "gate"), "0x" + "11" * 20, "APP_STATE_DIFFERS"),
])
def test_check_refuses_cometbfts_genesis(
    tmp_path: Path, capsys: Capture, path: tuple[Any, ...], value: Any, code: str
) -> None:
    genesis = corrupted(cometbft_genesis(valid_app_state()), *path, value=value)
    status, out, err = check(capsys, tmp_path, json.dumps(valid_app_state()), json.dumps(genesis))
    assert (status, out, err.count("\n")) == (1, "", 1) and err.startswith(f"routerd: {code}: ")


@pytest.mark.parametrize("size", ["262144", "-1"])
def test_check_accepts_the_smallest_blocks_and_unlimited_ones(tmp_path: Path, capsys: Capture, size: str) -> None:
    genesis = corrupted(cometbft_genesis(valid_app_state()), "consensus_params", "block", "max_bytes", value=size)
    assert check(capsys, tmp_path, json.dumps(valid_app_state()), json.dumps(genesis))[0] == 0


@pytest.mark.parametrize(("text", "code"), [
    ("{", "GENESIS_INVALID"), ("[]", "GENESIS_INVALID"), ('{"a": 1, "a": 1}', "GENESIS_INVALID"),
    ("{}", "GENESIS_INVALID"), (json.dumps(valid_app_state() | {"surprise": 1}), "GENESIS_INVALID"),
])
def test_check_refuses_a_wrong_app_state(tmp_path: Path, capsys: Capture, text: str, code: str) -> None:
    status, _, err = check(capsys, tmp_path, text, None, "--chain-id", CHAIN_ID)
    assert status == 1 and err.startswith(f"routerd: {code}: ")


def test_check_refuses_files_that_cannot_be_read(tmp_path: Path, capsys: Capture) -> None:
    text = json.dumps(valid_app_state())
    for genesis in ("{", "[]", '{"a": 1, "a": 1}'):
        assert check(capsys, tmp_path, text, genesis)[2].startswith("routerd: COMETBFT_GENESIS_INVALID: ")
    missing = check(capsys, tmp_path, text, None, "--cometbft-genesis", str(tmp_path / "none.json"))
    assert missing[2].startswith("routerd: FILE_INVALID: ")
    assert cli.run(("genesis", "check", str(tmp_path / "none.json"), "--chain-id", CHAIN_ID)) == 1
    assert capsys.readouterr().err.startswith("routerd: FILE_INVALID: ")


def test_check_wants_one_source_of_the_chain_id(tmp_path: Path, capsys: Capture) -> None:
    text = json.dumps(valid_app_state())
    assert "use either" in check(capsys, tmp_path, text, None)[2]
    both = check(capsys, tmp_path, text, json.dumps(cometbft_genesis(valid_app_state())), "--chain-id", CHAIN_ID)
    assert both[0] == 1 and "use either" in both[2]
