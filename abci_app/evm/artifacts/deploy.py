"""Contract artifacts: creation code and addresses. The gate's artifact is part of the package, others are not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from abci_app.evm.codec import Interface, encode_arguments, parse_interface
from abci_app.evm.errors import ArtifactInvalid, EncodeFailed
from abci_app.evm.types import Address

Places = tuple[tuple[int, int], ...]
"""Start and length of each place that holds one value."""


@dataclass(frozen=True)
class Artifact:
    """A compiled contract: creation bytecode without arguments, runtime bytecode with zeroed immutables."""

    name: str
    interface: Interface
    bytecode: bytes
    deployed_bytecode: bytes
    constructor_types: tuple[str, ...]
    immutables: tuple[Places, ...] | None = None
    """Of each immutable, its places in the runtime bytecode; None: not told, as in hardhat's artifacts."""

    def creation_code(self, *arguments: Any) -> bytes:
        """Return the data of the creating transaction. Raises EncodeFailed."""
        return self.bytecode + encode_arguments(self.constructor_types, arguments)

    def selectors(self) -> tuple[bytes, ...]:
        """Return the selectors of all functions, sorted."""
        return tuple(sorted({function.selector for function in self.interface.functions.values()}))


def load_artifact(path: Path) -> Artifact:
    """Load an artifact in hardhat's JSON form (`abi`, `bytecode`, `deployedBytecode`). Raises ArtifactInvalid."""
    try:
        fields = json.loads(path.read_text())
        return _parse_artifact(path.stem, fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactInvalid(f"artifact {path}: {type(error).__name__}: {error}") from error


@cache
def load_shipped_artifact(name: str) -> Artifact:
    """Load a contract that comes with this package, ready to deploy without a compiler."""
    fields = json.loads(files("abci_app.evm.artifacts").joinpath(f"{name}.json").read_text())
    return _parse_artifact(name, fields)


def _parse_artifact(name: str, fields: Mapping[str, Any]) -> Artifact:
    return make_artifact(
        name, fields["abi"], fields["bytecode"], fields["deployedBytecode"], fields.get("immutables")
    )


def make_artifact(
    name: str, abi: Sequence[Mapping[str, Any]], bytecode: str, deployed_bytecode: str,
    immutables: Sequence[Sequence[Sequence[int]]] | None = None,
) -> Artifact:
    """Build an artifact from a compiler's output. Raises ArtifactInvalid for bytecode with unlinked libraries."""
    constructor = next((entry for entry in abi if entry["type"] == "constructor"), None)
    wrapped = dict(constructor or {"inputs": []}, type="error", name="constructor")
    parsed = next(iter(parse_interface([wrapped]).errors.values()))
    try:
        return Artifact(
            name=name,
            interface=parse_interface(abi),
            bytecode=bytes.fromhex(bytecode.removeprefix("0x")),
            deployed_bytecode=bytes.fromhex(deployed_bytecode.removeprefix("0x")),
            constructor_types=tuple(parameter.type for parameter in parsed.inputs),
            immutables=None if immutables is None else tuple(
                tuple((start, length) for start, length in places) for places in immutables
            ),
        )
    except ValueError as error:
        raise ArtifactInvalid(f"{name} has no linked bytecode: {error}") from error


def compute_create_address(sender: Address, nonce: int) -> Address:
    """Return the address of the contract that `sender`'s transaction with this nonce creates."""
    if not 0 <= nonce < 1 << 64:
        raise EncodeFailed(f"nonce {nonce}")
    digits = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    # RLP of [address, nonce]: a single byte below 0x80 stands for itself, anything else has its length in front.
    tail = digits if nonce and nonce < 0x80 else bytes([0x80 + len(digits)]) + digits
    body = b"\x94" + sender + tail
    return Address(keccak(bytes([0xC0 + len(body)]) + body)[12:])


def matches_deployed_code(artifact: Artifact, code: bytes) -> bool:
    """Tell whether on-chain code is the artifact's: an immutable may have any value, the same in all its places.

    Where the artifact does not tell the places, each zero byte may be one: that finds mistakes, not intent.
    """
    template = artifact.deployed_bytecode
    if len(code) != len(template):
        return False
    if artifact.immutables is None:
        return all(ours == theirs or ours == 0 for ours, theirs in zip(template, code, strict=True))
    blank = bytearray(code)
    for places in artifact.immutables:
        if len({code[start : start + length] for start, length in places}) > 1:
            return False
        for start, length in places:
            blank[start : start + length] = bytes(length)
    return bytes(blank) == template
