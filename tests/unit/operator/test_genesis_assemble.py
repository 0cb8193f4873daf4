"""`routerd genesis assemble`: CometBFT's genesis with app_state in it; every refusal has a code."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from abci_app.cli import main as cli
from tests.kit.machine.small_world import CHAIN_ID, init_chain_validators, valid_app_state

Capture = pytest.CaptureFixture[str]

TEMPLATE: dict[str, Any] = {
    "genesis_time": "2020-01-01T00:00:00Z", "chain_id": "test-chain-x", "initial_height": "0",
    "consensus_params": {
        "block": {"max_bytes": "4194304", "max_gas": "-1"},
        "evidence": {"max_age_num_blocks": "7", "max_age_duration": "172800000000000", "max_bytes": "1048576"},
        "validator": {"pub_key_types": ["ed25519"]}, "version": {"app": "0"},
        "abci": {"vote_extensions_enable_height": "0"},
    },
    "validators": [{"address": "AB", "pub_key": {"type": "x", "value": ""}, "power": "10", "name": ""}],
    "app_hash": "",
}
"""As ``cometbft init validator`` writes it."""


def run(
    capsys: Capture, folder: Path, *more: str, app_state: str | None = None, template: str | None = None,
    chain_id: str = CHAIN_ID,
) -> tuple[int, str, str]:
    """Assemble these two files into genesis.json."""
    (folder / "app-state.json").write_text(json.dumps(valid_app_state()) if app_state is None else app_state)
    (folder / "template.json").write_text(json.dumps(TEMPLATE) if template is None else template)
    status = cli.run((
        "genesis", "assemble", str(folder / "app-state.json"), "--cometbft-genesis", str(folder / "template.json"),
        "--chain-id", chain_id, "--out", str(folder / "genesis.json"), *more,
    ))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_assemble_writes_a_genesis_that_check_accepts(tmp_path: Path, capsys: Capture) -> None:
    status, out, err = run(capsys, tmp_path, "--json", "--genesis-time", "2026-01-01T00:00:00Z")
    assert (status, err) == (0, "") and json.loads(out)["power"] == 10
    genesis = json.loads((tmp_path / "genesis.json").read_text())
    assert genesis["app_state"] == valid_app_state()
    assert (genesis["chain_id"], genesis["initial_height"]) == (CHAIN_ID, "1")
    assert (genesis["genesis_time"], genesis["app_hash"]) == ("2026-01-01T00:00:00Z", "")
    params = TEMPLATE["consensus_params"]
    assert genesis["consensus_params"] == params | {
        "block": {"max_bytes": "2097152", "max_gas": "-1"}, "abci": {"vote_extensions_enable_height": "1"},
        "version": {"app": "1"},
    }
    found = {
        (base64.b64decode(each["pub_key"]["value"]), int(each["power"]), each["address"])
        for each in genesis["validators"]
    }
    assert found == {
        (key, power, hashlib.sha256(key).hexdigest()[:40].upper()) for key, power in init_chain_validators()
    }
    powers = [int(each["power"]) for each in genesis["validators"]]
    assert powers == sorted(powers, reverse=True)
    assert cli.run((
        "genesis", "check", str(tmp_path / "app-state.json"), "--cometbft-genesis", str(tmp_path / "genesis.json"),
    )) == 0


def test_assemble_takes_another_block_size_and_the_time_of_now(tmp_path: Path, capsys: Capture) -> None:
    assert run(capsys, tmp_path, "--block-max-bytes", "262144")[0] == 0
    genesis = json.loads((tmp_path / "genesis.json").read_text())
    assert genesis["consensus_params"]["block"]["max_bytes"] == "262144"
    assert genesis["genesis_time"] > "2026" and genesis["genesis_time"].endswith("Z")


@pytest.mark.parametrize(("more", "changes", "code"), [
    ((), {"chain_id": "another-1"}, "GENESIS_INVALID"), ((), {"app_state": "{}"}, "GENESIS_INVALID"),
    ((), {"app_state": '{"a": 1, "a": 1}'}, "GENESIS_INVALID"),
    ((), {"template": "{"}, "COMETBFT_GENESIS_INVALID"), ((), {"template": "[]"}, "COMETBFT_GENESIS_INVALID"),
    ((), {"template": "{}"}, "COMETBFT_GENESIS_INVALID"),
    ((), {"template": '{"consensus_params": {"block": 5}}'}, "COMETBFT_GENESIS_INVALID"),
    (("--block-max-bytes", "104857601"), {}, "COMETBFT_GENESIS_INVALID"),
    (("--block-max-bytes", "262143"), {}, "COMETBFT_GENESIS_INVALID"),
    (("--genesis-time", "yesterday"), {}, "COMETBFT_GENESIS_INVALID"),
    (("--genesis-time", "2026-01-01T00:00:00+02:00"), {}, "COMETBFT_GENESIS_INVALID"),
])
def test_assemble_refuses_what_a_node_would_not_take(
    tmp_path: Path, capsys: Capture, more: tuple[str, ...], changes: dict[str, str], code: str
) -> None:
    status, out, err = run(capsys, tmp_path, *more, **changes)
    assert (status, out, err.count("\n")) == (1, "", 1) and err.startswith(f"routerd: {code}: ")
    assert not (tmp_path / "genesis.json").exists()


def test_assemble_leaves_an_existing_file_alone_and_names_a_missing_one(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "genesis.json").write_text("mine")
    assert run(capsys, tmp_path)[2].startswith("routerd: FILE_INVALID: ")
    assert (tmp_path / "genesis.json").read_text() == "mine"
    (tmp_path / "app-state.json").write_text(json.dumps(valid_app_state()))
    assert cli.run((
        "genesis", "assemble", str(tmp_path / "app-state.json"), "--cometbft-genesis", str(tmp_path / "none.json"),
        "--chain-id", CHAIN_ID, "--out", str(tmp_path / "other.json"),
    )) == 1
    assert capsys.readouterr().err.startswith("routerd: FILE_INVALID: ") and not (tmp_path / "other.json").exists()
