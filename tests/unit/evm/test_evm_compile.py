"""The contracts' compiler from Python: once, and with its words where something is wrong."""

import shutil
from pathlib import Path

import pytest

from abci_app.evm.artifacts.compile import compile_contracts, load_own_artifact
from abci_app.evm.errors import ArtifactInvalid

ROOT = Path(__file__).resolve().parents[3]


def copy_of_contracts(folder: Path) -> Path:
    """A small tree with one contract, the real compiler and pins."""
    contracts = folder / "contracts"
    for part in ("interfaces", "libraries", "test"):
        (contracts / part).mkdir(parents=True)
    for name in ("compile.js", "package.json", "package-lock.json"):
        shutil.copy(ROOT / "contracts" / name, contracts / name)
    (contracts / "node_modules").symlink_to(ROOT / "contracts" / "node_modules")
    return contracts


def test_an_unchanged_source_is_not_compiled_again(tmp_path: Path) -> None:
    contracts = copy_of_contracts(tmp_path)
    source = contracts / "One.sol"
    source.write_text("// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.30;\ncontract One {}\n")
    artifact = compile_contracts(tmp_path) / "One.json"
    first = artifact.stat().st_mtime_ns
    assert compile_contracts(tmp_path) == artifact.parent
    assert artifact.stat().st_mtime_ns == first
    source.write_text(source.read_text().replace("{}", "{ uint256 public number; }"))
    compile_contracts(tmp_path)
    assert artifact.stat().st_mtime_ns > first


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("pragma solidity 0.8.30;\ncontract Bad { uint256 x = ; }\n", "ParserError"),
        ("pragma solidity 0.8.17;\ncontract Bad {}\n", "different compiler version"),
        ("// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.30;\nimport './None.sol';\n", "not found"),
        ("pragma solidity 0.8.30;\ncontract Bad {}\n", "SPDX license identifier not provided"),
    ],
)
def test_what_does_not_compile_says_why_and_leaves_nothing(tmp_path: Path, source: str, words: str) -> None:
    """A warning counts as well."""
    contracts = copy_of_contracts(tmp_path)
    (contracts / "Bad.sol").write_text(source)
    with pytest.raises(ArtifactInvalid, match=words):
        compile_contracts(tmp_path)
    assert [path.name for path in (contracts / "out").iterdir()] == [".lock"]


def test_a_contract_that_does_not_exist_is_named() -> None:
    with pytest.raises(ArtifactInvalid, match="Nowhere"):
        load_own_artifact(ROOT, "Nowhere")
