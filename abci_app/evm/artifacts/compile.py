"""Compiler of this repository's contracts; run as a module it also rewrites `abi/gate.json` and the gate's artifact.

    python -m abci_app.evm.artifacts.compile

Works from a checkout only: sources and compiler are not part of the installed package.
"""

import fcntl
import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from abci_app.evm.artifacts.deploy import Artifact, load_artifact
from abci_app.evm.errors import ArtifactInvalid

COMPILE_S = 300.0
"""5 s on an idle machine; a busy one may take a minute."""

GATE_ABI = Path(__file__).parents[1] / "abi" / "gate.json"
GATE_ARTIFACT = Path(__file__).with_name("ConsensusGate.json")
"""Not below `abi`: every file there counts as an interface whose errors are known."""


def compile_contracts(root: Path) -> Path:
    """Compile where a source, setting or pin changed; return the folder of artifacts below the repository's root.

    Processes that ask at the same time wait for the first. Raises ArtifactInvalid with the compiler's words.
    """
    out = root / "contracts" / "out"
    try:
        out.mkdir(exist_ok=True)
        with (out / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = subprocess.run(
                ["node", "compile.js"], cwd=out.parent, capture_output=True, text=True, timeout=COMPILE_S, check=False
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ArtifactInvalid(f"contracts do not compile: {error}") from error
    if done.returncode != 0:
        raise ArtifactInvalid(f"contracts do not compile:\n{done.stderr.strip()[-4000:]}")
    return out


@cache
def load_own_artifact(root: Path, name: str) -> Artifact:
    """Load the artifact of one of this repository's contracts, once a process. Raises ArtifactInvalid."""
    return load_artifact(compile_contracts(root) / f"{name}.json")


def render_gate_abi(root: Path) -> str:
    """Return the text of `abi/gate.json`: the gate's functions, events and errors, a line each."""
    abi = json.loads((compile_contracts(root) / "ConsensusGate.json").read_text())["abi"]
    chosen = [entry for entry in abi if entry["type"] in ("event", "error", "function")]
    chosen.sort(key=lambda entry: (entry["type"], entry["name"]))
    return "[\n " + ",\n ".join(json.dumps(_shorten(entry)) for entry in chosen) + "\n]\n"


def render_gate_artifact(root: Path) -> str:
    """Return the text of `artifacts/ConsensusGate.json`: constructor, both bytecodes and immutables, a line each."""
    fields = json.loads((compile_contracts(root) / "ConsensusGate.json").read_text())
    constructor = [_shorten(entry) for entry in fields["abi"] if entry["type"] == "constructor"]
    shipped = fields | {"abi": constructor}
    return "{\n " + ",\n ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in shipped.items()) + "\n}\n"


def _shorten(fragment: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the compiler's internalType, and flags that are false."""
    short: dict[str, Any] = {}
    for key in ("type", "name", "inputs", "components", "outputs", "stateMutability", "indexed"):
        value = fragment.get(key)
        if isinstance(value, list):
            short[key] = [_shorten(entry) for entry in value]
        elif value:
            short[key] = value
        elif key == "name":
            short[key] = ""
    return short


if __name__ == "__main__":
    repository = Path(__file__).resolve().parents[3]
    GATE_ABI.write_text(render_gate_abi(repository))
    GATE_ARTIFACT.write_text(render_gate_artifact(repository))
