"""Writes batch_vectors.json: decisions, leaves, roots, digests and signatures that Python and Solidity must agree on.

Run it after a deliberate change of BAT rules: ``python -m tests.vectors.make_batch_vectors``.
"""

import json
from pathlib import Path
from typing import Any

import coincurve

from abci_app.machine.connext import compute_address, keccak, sign_digest
from abci_app.machine.decisions.batches import (
    compute_decisions_root,
    compute_digest,
    compute_domain_separator,
    hash_decision,
    hash_leaf,
    order_signers,
    prove_leaf,
)
from abci_app.machine.decisions.merkle import compute_root
from abci_app.machine.state.codec import Address, DomainId, Hash, TransferId
from abci_app.machine.state.records import Decision, DecisionBatch, DecisionKind, Leaf

FILE = Path(__file__).with_name("batch_vectors.json")
CHAIN_ID = "consensus-routing-vectors"
POWERS = {1: 1, 2: 2, 3: 3, 4: 4}
"""Power by private key; keys are small integers, for tests only."""


def make_address(seed: str) -> Address:
    """An address nobody has a key of."""
    return Address(keccak(seed.encode())[12:])


def make_decision(sequence: int, destination: int, routers: int) -> Decision:
    """A decision whose fields all differ from its neighbours'."""
    return Decision(
        sequence, 77, DomainId(1111), DomainId(destination), sequence, TransferId(keccak(b"transfer %d" % sequence)),
        1, DecisionKind.FAST if routers else DecisionKind.SLOW,
        tuple(make_address(f"router {sequence} {position}") for position in range(routers)),
        1_700_000_000 + sequence, 350_000 + 45_000 * max(0, routers - 1),
    )


def make_leaf(domain: int, decisions: list[Decision]) -> Leaf:
    """A leaf of lane 0 on the chain of ``domain``."""
    return Leaf(
        DomainId(domain), 30_000 + domain, make_address(f"gate {domain}"), 0, 0,
        tuple(decision.sequence for decision in decisions),
    )


def make_shapes() -> dict[str, list[list[Decision]]]:
    """Leaves of each vector, as lists of decisions."""
    counts = (1, 2, 4)
    three = [
        [make_decision(1, 1111, 2)],
        [make_decision(2 + i, 2222, counts[i % 3]) for i in range(5)],
        [make_decision(7 + i, 3333, counts[i % 3]) for i in range(32)],
    ]
    return {
        "one leaf, one decision": [[make_decision(1, 2222, 1)]],
        "one leaf, two decisions": [[make_decision(1, 2222, 1), make_decision(2, 2222, 2)]],
        "three leaves of 1, 5 and 32 decisions": three,
        "a slow decision without routers": [[make_decision(9, 2222, 0)]],
        "largest values": [[Decision(
            2**64 - 1, 77, DomainId(1111), DomainId(2222), 1, TransferId(b"\xff" * 32), 1, DecisionKind.FAST,
            (Address(b"\xff" * 20),), 2**64 - 1, 13_000_000,
        )]],
    }


def hexed(data: bytes) -> str:
    """0x and lower-case hex."""
    return "0x" + data.hex()


def make_vector(name: str, groups: list[list[Decision]]) -> dict[str, Any]:
    """One batch with everything derived from it."""
    decisions = {decision.sequence: decision for group in groups for decision in group}
    leaves = tuple(make_leaf(group[0].destination, group) for group in groups)
    hashes = [hash_leaf(leaf, 77, group) for leaf, group in zip(leaves, groups, strict=True)]
    batch = DecisionBatch(77, 3, compute_root(hashes), leaves, 0, ())
    digest = compute_digest(CHAIN_ID, batch)
    keys = [key.to_bytes(32, "big") for key in POWERS]
    addresses = [compute_address(_public(key)) for key in keys]
    order = order_signers(addresses)
    return {
        "name": name,
        "chain_id": CHAIN_ID,
        "epoch": batch.epoch,
        "height": batch.height,
        "leaves": [
            {
                "chainId": leaf.chain_id, "gate": hexed(leaf.gate), "lane": leaf.lane, "laneFloor": leaf.lane_floor,
                "decisions": [describe_decision(decision) for decision in group],
            }
            for leaf, group in zip(leaves, groups, strict=True)
        ],
        "decisionHashes": [[hexed(hash_decision(decision)) for decision in group] for group in groups],
        "decisionsRoot": [hexed(compute_decisions_root(group)) for group in groups],
        "leafHashes": [hexed(leaf_hash) for leaf_hash in hashes],
        "leafProofs": [describe_proof(*prove_leaf(batch, decisions, index)) for index in range(len(leaves))],
        "root": hexed(batch.root),
        "domainSeparator": hexed(compute_domain_separator(CHAIN_ID)),
        "digest": hexed(digest),
        "keys": [hexed(keys[member]) for member in order],
        "addresses": [hexed(addresses[member]) for member in order],
        "powers": [list(POWERS.values())[member] for member in order],
        "signatures": [hexed(sign_digest(keys[member], digest)) for member in order],
    }


def describe_decision(decision: Decision) -> dict[str, Any]:
    """The fields a gate sees."""
    return {
        "sequence": decision.sequence, "transferId": hexed(decision.transfer_id),
        "routers": [hexed(router) for router in decision.routers], "validUntil": decision.valid_until_s,
        "gasLimit": decision.gas_limit, "callHash": hexed(bytes(32)),
    }


def describe_proof(siblings: tuple[Hash, ...], path_bits: int) -> dict[str, Any]:
    """A leaf's way to the root."""
    return {"siblings": [hexed(sibling) for sibling in siblings], "pathBits": path_bits}


def _public(key: bytes) -> bytes:
    return coincurve.PrivateKey(key).public_key.format(compressed=False)


def make_vectors() -> dict[str, Any]:
    """The whole file's content."""
    return {
        "about": "Batches as gates verify them (BAT-1 to BAT-6). decisionHashes by leaf; decisionsRoot, leafHashes and "
        "leafProofs one per leaf; keys, addresses, powers and signatures in the gate's order (addresses ascending). "
        "Integers are JSON numbers; the largest stand above 2^53, read them exactly.",
        "vectors": [make_vector(name, groups) for name, groups in make_shapes().items()],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(make_vectors(), indent=1) + "\n")
