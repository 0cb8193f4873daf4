"""BAT-1 to BAT-4 and BAT-6: bytes, trees and digests against a second implementation and the golden vectors."""

import json
from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3

from abci_app.machine.codes import InvariantBroken
from abci_app.machine.connext import keccak, recover_address
from abci_app.machine.decisions.batches import (
    build_batch,
    compute_digest,
    encode_decision,
    encode_leaf,
    hash_decision,
    list_leaf_hashes,
    order_signers,
    prove_leaf,
)
from abci_app.machine.decisions.merkle import compute_proof, compute_root, compute_root_from_proof
from abci_app.machine.state.codec import Address, DomainId, Hash, TransferId
from abci_app.machine.state.records import Cursor, Decision, DecisionKind, Domain, DomainStatus
from tests.vectors import make_batch_vectors

VECTORS = json.loads(make_batch_vectors.FILE.read_text())
NAMES = [vector["name"] for vector in VECTORS["vectors"]]


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def make_domain(domain: int) -> Domain:
    cursor = Cursor(0, 0, 0, Hash(bytes(32)), 0, Hash(bytes(32)))
    return Domain(
        DomainId(domain), 30_000 + domain, Address(b"\1" * 20), make_batch_vectors.make_address(f"gate {domain}"), 0, 1,
        1, 2, cursor, 0, 5, 9995, False, False, DomainStatus.OPEN, True,
    )


def make_decision(sequence: int, destination: int, gas_limit: int = 350_000) -> Decision:
    return Decision(
        sequence, 5, DomainId(1), DomainId(destination), 1, TransferId(keccak(b"%d" % sequence)), 1, DecisionKind.FAST,
        (Address(b"\7" * 20),), 100, gas_limit,
    )


def merkle_root(nodes: list[bytes]) -> bytes:
    """The tree of BAT-3 as the gate's tests write it: recursion over levels, web3's keccak."""
    if len(nodes) == 1:
        return nodes[0]
    parents = [bytes(Web3.keccak(b"".join(nodes[i:i + 2]))) if i + 1 < len(nodes) else nodes[i]
               for i in range(0, len(nodes), 2)]
    return merkle_root(parents)


DECISION_TYPE = (
    "Decision(uint64 sequence,bytes32 transferId,bytes32 routersHash,uint64 validUntil,uint64 gasLimit,"
    "bytes32 callHash)"
)
LEAF_TYPE = (
    "Leaf(uint256 chainId,address gate,uint64 height,uint64 lane,uint64 laneFloor,uint64 count,bytes32 decisionsRoot)"
)


def second_decision_hash(decision: dict[str, Any]) -> bytes:
    routers = b"".join(abi_encode(["address"], [router]) for router in decision["routers"])
    return bytes(Web3.keccak(abi_encode(
        ["bytes32", "uint64", "bytes32", "bytes32", "uint64", "uint64", "bytes32"],
        [Web3.keccak(text=DECISION_TYPE), decision["sequence"], raw(decision["transferId"]), Web3.keccak(routers),
         decision["validUntil"], decision["gasLimit"], raw(decision["callHash"])],
    )))


def second_leaf_hash(leaf: dict[str, Any], height: int) -> bytes:
    root = merkle_root([second_decision_hash(decision) for decision in leaf["decisions"]])
    return bytes(Web3.keccak(abi_encode(
        ["bytes32", "uint256", "address", "uint64", "uint64", "uint64", "uint64", "bytes32"],
        [Web3.keccak(text=LEAF_TYPE), leaf["chainId"], leaf["gate"], height, leaf["lane"], leaf["laneFloor"],
         len(leaf["decisions"]), root],
    )))


def test_the_vectors_file_is_what_the_rules_give():
    assert make_batch_vectors.make_vectors() == VECTORS


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=NAMES)
def test_vectors_agree_with_a_second_implementation(vector):
    """BAT-2, BAT-3, BAT-4 with eth-abi's encoding and eth-account's EIP-712."""
    assert [[raw(item) for item in leaf] for leaf in vector["decisionHashes"]] == [
        [second_decision_hash(decision) for decision in leaf["decisions"]] for leaf in vector["leaves"]
    ]
    leaves = [second_leaf_hash(leaf, vector["height"]) for leaf in vector["leaves"]]
    assert [raw(item) for item in vector["leafHashes"]] == leaves
    assert raw(vector["root"]) == merkle_root(leaves)
    message = encode_typed_data(
        {"name": "ConsensusGate", "version": "1", "salt": Web3.keccak(text=vector["chain_id"])},
        {"DecisionBatch": [
            {"name": "epoch", "type": "uint64"}, {"name": "height", "type": "uint64"},
            {"name": "root", "type": "bytes32"},
        ]},
        {"epoch": vector["epoch"], "height": vector["height"], "root": raw(vector["root"])},
    )
    assert message.header == raw(vector["domainSeparator"])
    assert Web3.keccak(b"\x19\x01" + message.header + message.body) == raw(vector["digest"])


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=NAMES)
def test_vectors_are_signed_in_the_gates_order(vector):
    """BAT-6: addresses ascend, and signature i is of signer i."""
    addresses = [raw(address) for address in vector["addresses"]]
    assert addresses == sorted(addresses)
    assert [recover_address(raw(vector["digest"]), raw(item)) for item in vector["signatures"]] == addresses
    assert sum(vector["powers"]) == 10


def test_signers_stand_by_address():
    """BAT-6."""
    addresses = [Address(bytes([first]) * 20) for first in (9, 3, 255, 0)]
    assert order_signers(addresses) == (3, 1, 0, 2)


def test_the_three_kinds_of_nodes_differ_in_length():
    """BAT-3: 224, 256 and 64 bytes, so that none can pass for another."""
    decision = make_decision(1, 2)
    leaf = build_batch(5, 1, [decision], {DomainId(2): make_domain(2)}).leaves[0]
    assert len(encode_decision(decision)) == 224
    assert len(encode_leaf(leaf, 5, hash_decision(decision))) == 256


def test_leaves_stand_by_domain_and_decisions_by_sequence():
    """BAT-1."""
    domains = {DomainId(domain): make_domain(domain) for domain in (2, 3)}
    decisions = [make_decision(7, 3), make_decision(8, 2), make_decision(9, 3)]
    batch = build_batch(5, 4, decisions, domains)
    assert [(leaf.destination, leaf.sequences) for leaf in batch.leaves] == [(2, (8,)), (3, (7, 9))]
    assert (batch.height, batch.epoch, batch.attested_height, batch.signatures) == (5, 4, 0, ())
    assert build_batch(5, 4, decisions[::-1], domains) == batch


@pytest.mark.parametrize("gas_limits, sizes", [
    ([350_000] * 32, [32]),
    ([350_000] * 33, [32, 1]),
    ([13_000_000, 1_000_000], [2]),
    ([13_000_000, 1_000_001], [1, 1]),
    ([6_000_000, 6_000_000, 6_000_000, 2_000_000], [2, 2]),
    ([13_000_000, 13_000_000], [1, 1]),
])
def test_leaves_are_cut_by_entries_and_gas(gas_limits, sizes):
    """BAT-1: at most 32 entries and 14,000,000 gas."""
    decisions = [make_decision(1 + i, 2, gas) for i, gas in enumerate(gas_limits)]
    batch = build_batch(5, 1, decisions, {DomainId(2): make_domain(2)})
    assert [len(leaf.sequences) for leaf in batch.leaves] == sizes


@pytest.mark.parametrize("lengths, sizes", [
    ({}, [18]),
    (dict.fromkeys(range(1, 19), 8192), [15, 3]),
    ({1: 25_000}, [18]),
    ({1: 25_001}, [17, 1]),
])
def test_long_calls_count_in_a_leaf(lengths, sizes):
    """BAT-1: 20 gas a byte of callData; without it a leaf of long calls would not fit into one transaction."""
    decisions = [make_decision(1 + i, 2, 750_000) for i in range(18)]
    batch = build_batch(5, 1, decisions, {DomainId(2): make_domain(2)}, lengths)
    assert [len(leaf.sequences) for leaf in batch.leaves] == sizes


def test_an_empty_tree_has_no_root():
    """BAT-3: the zero root does not exist."""
    with pytest.raises(InvariantBroken):
        compute_root([])
    with pytest.raises(InvariantBroken):
        compute_proof([Hash(bytes(32))], 1)


@pytest.mark.parametrize("changed", [
    {"epoch": 2}, {"height": 6}, {"chain_id": "other"}, {"sequence": 2}, {"valid_until_s": 101}, {"gas_limit": 1},
    {"routers": ()},
])
def test_every_field_changes_the_digest(changed):
    """BAT-2, BAT-4: nothing a gate reads is left out of what is signed."""
    base: dict[str, Any] = {
        "epoch": 1, "height": 5, "chain_id": "chain", "sequence": 1, "valid_until_s": 100, "gas_limit": 350_000,
        "routers": (Address(b"\7" * 20),),
    }

    def digest(values: dict[str, Any]) -> bytes:
        decision = Decision(
            values["sequence"], 5, DomainId(1), DomainId(2), 1, TransferId(b"\5" * 32), 1, DecisionKind.FAST,
            values["routers"], values["valid_until_s"], values["gas_limit"],
        )
        batch = build_batch(values["height"], values["epoch"], [decision], {DomainId(2): make_domain(2)})
        return compute_digest(values["chain_id"], batch)

    assert digest({**base, **changed}) != digest(base)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.integers(1, 40), st.data())
def test_proofs_lead_to_the_root_and_nowhere_else(count, data):
    """BAT-3: a proof of one node fails for every other node and with any bit turned."""
    nodes = [keccak(b"node %d" % i) for i in range(count)]
    index = data.draw(st.integers(0, count - 1))
    siblings, bits = compute_proof(nodes, index)
    root = merkle_root(list(nodes))
    assert compute_root(nodes) == root == compute_root_from_proof(nodes[index], siblings, bits)
    assert bits < 1 << len(siblings)
    for other in range(count):
        if other != index:
            assert compute_root_from_proof(nodes[other], siblings, bits) != root
    for position in range(len(siblings)):
        assert compute_root_from_proof(nodes[index], siblings, bits ^ 1 << position) != root


def test_leaf_proofs_of_a_batch_lead_to_its_root():
    """BAT-3: with three leaves the last one moves up a level unchanged."""
    domains = {DomainId(domain): make_domain(domain) for domain in (2, 3, 4)}
    decisions = {sequence: make_decision(sequence, 1 + sequence) for sequence in (1, 2, 3)}
    batch = build_batch(5, 1, list(decisions.values()), domains)
    hashes = list_leaf_hashes(batch, decisions)
    proofs = [prove_leaf(batch, decisions, index) for index in range(3)]
    assert [(len(siblings), bits) for siblings, bits in proofs] == [(2, 0), (2, 1), (1, 1)]
    assert {compute_root_from_proof(node, *proof) for node, proof in zip(hashes, proofs, strict=True)} == {batch.root}
