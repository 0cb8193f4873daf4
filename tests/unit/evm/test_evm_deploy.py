"""Artifacts and addresses of created contracts."""

import json
from pathlib import Path

import pytest

from abci_app.evm.artifacts.deploy import compute_create_address, load_artifact, make_artifact, matches_deployed_code
from abci_app.evm.errors import ArtifactInvalid, EncodeFailed

SENDER = bytes.fromhex("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")


@pytest.mark.parametrize(
    ("nonce", "address"),
    [
        (0, "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"),
        (1, "343c43a37d37dff08ae8c4a11544c718abb4fcf8"),
        (2, "f778b86fa74e846c4f0a1fbd1335fe81c00a0c91"),
        (3, "fffd933a0bc612844eaf0c6fe3e5b8e9b6c1d19c"),
    ],
)
def test_create_addresses_are_the_well_known_ones(nonce: int, address: str) -> None:
    assert compute_create_address(SENDER, nonce).hex() == address


def test_create_addresses_differ_around_every_length_of_the_nonce() -> None:
    nonces = [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x10000, 2**63, 2**64 - 1]
    assert len({compute_create_address(SENDER, nonce) for nonce in nonces}) == len(nonces)


@pytest.mark.parametrize("nonce", [-1, 2**64])
def test_a_nonce_out_of_range_is_refused(nonce: int) -> None:
    with pytest.raises(EncodeFailed):
        compute_create_address(SENDER, nonce)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"abi": [], "bytecode": "0x"}',
        '{"abi": [], "bytecode": "0x60__$0399e8fdab399fb8f200f3895472e3787c$__", "deployedBytecode": "0x"}',
        '{"abi": [], "bytecode": 5, "deployedBytecode": "0x"}',
    ],
)
def test_what_is_no_linked_artifact_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "Thing.json"
    path.write_text(text)
    with pytest.raises(ArtifactInvalid):
        load_artifact(path)


def test_a_missing_artifact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactInvalid):
        load_artifact(tmp_path / "Missing.json")


def test_creation_code_ends_with_the_arguments(tmp_path: Path) -> None:
    abi = [{"type": "constructor", "inputs": [{"name": "_count", "type": "uint256"}]}]
    path = tmp_path / "Thing.json"
    path.write_text(json.dumps({"abi": abi, "bytecode": "0x6001", "deployedBytecode": "0x60"}))
    artifact = load_artifact(path)
    assert artifact.name == "Thing"
    assert artifact.creation_code(5) == b"\x60\x01" + (5).to_bytes(32, "big")
    for wrong in ((), (1, 2), ("five",)):
        with pytest.raises(EncodeFailed):
            artifact.creation_code(*wrong)


def test_only_immutables_may_differ_on_chain() -> None:
    artifact = make_artifact("Thing", [], "0x", "0x60000000ff0000", [[(1, 2), (5, 2)]])
    for same in ("60000000ff0000", "60abcd00ffabcd"):
        assert matches_deployed_code(artifact, bytes.fromhex(same))
    one_place_differs = "60abcd00ffabce"
    for other in (one_place_differs, "60000001ff0000", "61000000ff0000", "60000000ff000000", "60000000ff00", ""):
        assert not matches_deployed_code(artifact, bytes.fromhex(other))
    without = make_artifact("Thing", [], "0x", "0x6000ff", [])
    assert matches_deployed_code(without, bytes.fromhex("6000ff"))
    assert not matches_deployed_code(without, bytes.fromhex("60abff"))


def test_only_zero_bytes_of_an_artifact_without_immutables_may_differ_on_chain() -> None:
    artifact = make_artifact("Thing", [], "0x", "0x6000ff")
    assert matches_deployed_code(artifact, bytes.fromhex("6000ff"))
    assert matches_deployed_code(artifact, bytes.fromhex("60abff"))
    assert not matches_deployed_code(artifact, bytes.fromhex("61abff"))
    assert not matches_deployed_code(artifact, bytes.fromhex("6000ff00"))
    assert not matches_deployed_code(artifact, b"")
