"""Decisions, leaves, roots and digests hash alike in Solidity and Python, on shared vectors (BAT-2 … BAT-4, BAT-6)."""

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from abci_app.evm.artifacts.compile import (
    GATE_ABI,
    GATE_ARTIFACT,
    load_own_artifact,
    render_gate_abi,
    render_gate_artifact,
)
from abci_app.evm.artifacts.deploy import load_shipped_artifact
from abci_app.evm.codec import Interface
from abci_app.evm.connext import transfer_info_tuple
from abci_app.evm.errors import CallReverted
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Address
from abci_app.evm.wallet import Wallet
from abci_app.machine.connext import compute_transfer_id, keccak
from abci_app.machine.state.records import TransferInfo
from testnet.chains.anvil import ChainConfig, find_anvil, set_balance, start_anvil
from testnet.connext.deployment import dev_account
from testnet.processes.ports import find_free_port

ROOT = Path(__file__).resolve().parents[3]
VECTORS: list[dict[str, Any]] = json.loads((ROOT / "tests/vectors/batch_vectors.json").read_text())["vectors"]


class Harness:
    """HashHarness on a bare chain."""

    def __init__(self, rpc: Rpc, address: Address, interface: Interface) -> None:
        self.rpc, self.address, self.interface = rpc, address, interface

    def call(self, name: str, *arguments: Any) -> Any:
        function = self.interface.function(name)
        values = function.decode(self.rpc.call(self.address, function.encode(*arguments)))
        return values[0] if values else None


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    log_file = tmp_path_factory.mktemp("anvil") / "anvil.log"
    with start_anvil(find_anvil(ROOT), ChainConfig(31337, find_free_port(), log_file)) as chain:
        wallet = Wallet(chain.rpc, dev_account("owner"))
        set_balance(chain.rpc, wallet.address, 10**21)
        artifact = load_own_artifact(ROOT, "HashHarness")
        created = wallet.transact(None, artifact.creation_code()).contract_address
        assert created is not None
        yield Harness(chain.rpc, created, artifact.interface)


def unhex(value: str) -> bytes:
    return bytes.fromhex(value.removeprefix("0x"))


def unhex_all(values: list[str]) -> list[bytes]:
    return [unhex(value) for value in values]


def test_the_abi_fragment_is_what_the_compiler_gives() -> None:
    assert GATE_ABI.read_text() == render_gate_abi(ROOT), "run: python -m abci_app.evm.artifacts.compile"


def test_the_shipped_artifact_is_what_the_compiler_gives() -> None:
    assert GATE_ARTIFACT.read_text() == render_gate_artifact(ROOT), "run: python -m abci_app.evm.artifacts.compile"
    shipped, own = load_shipped_artifact("ConsensusGate"), load_own_artifact(ROOT, "ConsensusGate")
    assert (shipped.bytecode, shipped.deployed_bytecode) == (own.bytecode, own.deployed_bytecode)
    assert (shipped.constructor_types, shipped.immutables) == (own.constructor_types, own.immutables)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_decisions_and_leaves_hash_alike(harness: Harness, vector: dict[str, Any]) -> None:
    for position, leaf in enumerate(vector["leaves"]):
        hashes = [
            harness.call(
                *("hashDecision", decision["sequence"], unhex(decision["transferId"])),
                *(unhex_all(decision["routers"]), decision["validUntil"], decision["gasLimit"]),
                unhex(decision["callHash"]),
            )
            for decision in leaf["decisions"]
        ]
        assert hashes == unhex_all(vector["decisionHashes"][position])
        root = harness.call("computeRoot", hashes)
        assert root == unhex(vector["decisionsRoot"][position])
        hashed = harness.call(
            *("hashLeaf", leaf["chainId"], unhex(leaf["gate"]), vector["height"]),
            *(leaf["lane"], leaf["laneFloor"], len(hashes), root),
        )
        assert hashed == unhex(vector["leafHashes"][position])


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_every_leaf_climbs_to_the_root(harness: Harness, vector: dict[str, Any]) -> None:
    assert harness.call("computeRoot", unhex_all(vector["leafHashes"])) == unhex(vector["root"])
    for leaf_hash, proof in zip(vector["leafHashes"], vector["leafProofs"], strict=True):
        siblings = unhex_all(proof["siblings"])
        assert harness.call("climb", unhex(leaf_hash), siblings, proof["pathBits"]) == unhex(vector["root"])
        if siblings:
            assert harness.call("climb", unhex(leaf_hash), siblings, proof["pathBits"] ^ 1) != unhex(vector["root"])


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_digest_is_the_same(harness: Harness, vector: dict[str, Any]) -> None:
    separator = harness.call("computeDomainSeparator", keccak(vector["chain_id"].encode()))
    assert separator == unhex(vector["domainSeparator"])
    digest = harness.call("hashBatch", separator, vector["epoch"], vector["height"], unhex(vector["root"]))
    assert digest == unhex(vector["digest"])


@pytest.mark.parametrize("members", [subset for n in range(5) for subset in combinations(range(4), n)], ids=str)
def test_exactly_more_than_two_thirds_is_a_quorum(harness: Harness, members: tuple[int, ...]) -> None:
    """All 16 subsets of the powers 1, 2, 3, 4: more than 20/3 means 7 or more."""
    vector = VECTORS[0]
    power = sum(vector["powers"][member] for member in members)
    arguments = (
        *(unhex_all(vector["addresses"]), vector["powers"], unhex(vector["digest"])),
        *(sum(1 << member for member in members), b"".join(unhex(vector["signatures"][member]) for member in members)),
    )
    if 3 * power > 2 * 10:
        harness.call("requireQuorum", *arguments)
    else:
        with pytest.raises(CallReverted) as refused:
            harness.call("requireQuorum", *arguments)
        assert (refused.value.name, refused.value.arguments) == ("QuorumMissing", (power, 10))


@pytest.mark.parametrize(("powers", "members", "passes"), [([1, 1, 1], (0, 1), False), ([1, 1, 1], (0, 1, 2), True),
    ([2, 1, 3], (0, 1), False), ([2**64 - 2, 1], (0,), True), ([2**64 - 2, 1], (1,), False)])
def test_two_thirds_exactly_is_none(
    harness: Harness, powers: list[int], members: tuple[int, ...], passes: bool
) -> None:
    vector = VECTORS[0]
    arguments = (
        *(unhex_all(vector["addresses"])[: len(powers)], powers, unhex(vector["digest"])),
        *(sum(1 << member for member in members), b"".join(unhex(vector["signatures"][member]) for member in members)),
    )
    if passes:
        harness.call("requireQuorum", *arguments)
    else:
        with pytest.raises(CallReverted, match="QuorumMissing"):
            harness.call("requireQuorum", *arguments)


def test_transfer_ids_are_the_same(harness: Harness) -> None:
    address = Address(b"\xab" * 20)
    for call_data in (b"", b"\x01", b"\x02" * 32, b"\x03" * 65):
        info = TransferInfo(
            1111, 2222, 1111, address, Address(b"\xcd" * 20), True, call_data, 30, address, 2**255, 1, 7, b"\xee" * 32
        )  # type: ignore[arg-type]
        assert harness.call("computeTransferId", transfer_info_tuple(info)) == compute_transfer_id(info)
