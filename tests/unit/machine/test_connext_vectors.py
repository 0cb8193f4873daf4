"""Connext's hashes and arithmetic against values that its mainnet bytecode accepts or computes."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.connext import (
    compute_bid_digest,
    compute_credits,
    compute_debits,
    compute_sequencer_digest,
    compute_share,
    compute_transfer_id,
    encode_transfer_info,
    hash_personal,
    hash_routers,
    keccak,
    recover_address,
    sign_digest,
)
from abci_app.machine.state.codec import Address, DomainId, Hash, TransferId
from abci_app.machine.state.records import TransferInfo
from abci_app.machine.transactions.tx import decode_transfer_info

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/connext_vectors.json").read_text())


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def info_of(params: dict[str, Any]) -> TransferInfo:
    return TransferInfo(
        DomainId(int(params["originDomain"])), DomainId(int(params["destinationDomain"])),
        DomainId(int(params["canonicalDomain"])), Address(unhex(params["to"])), Address(unhex(params["delegate"])),
        params["receiveLocal"], unhex(params["callData"]), int(params["slippage"]),
        Address(unhex(params["originSender"])), int(params["bridgedAmt"]), int(params["normalizedIn"]),
        int(params["nonce"]), Hash(unhex(params["canonicalId"])),
    )


@pytest.mark.parametrize("vector", [*VECTORS["transferId"], *VECTORS["execute_signed"]])
def test_transfer_ids(vector: dict[str, Any]) -> None:
    """TX-2, EVT-1: keccak(abi.encode(TransferInfo)) is Connext's transferId, a real mainnet one among them."""
    info = info_of(vector["params"])
    assert compute_transfer_id(info) == unhex(vector["transferId"])
    assert decode_transfer_info(encode_transfer_info(info)) == info


def test_abi_bytes_are_those_of_a_real_call() -> None:
    """TX-2: the encoding stands inside the calldata of `execute` as web3 made it, tuple for tuple."""
    vector = VECTORS["transferId"][0]
    tuple_bytes = encode_transfer_info(info_of(vector["params"]))[32:]
    assert tuple_bytes in unhex(vector["slowPathExecuteCalldata"])


@pytest.mark.parametrize("vector", VECTORS["execute_signed"])
def test_signatures_that_execute_accepts(vector: dict[str, Any]) -> None:
    """BID-2: digests, signatures and recovered routers of calls that the real bytecode executed."""
    transfer_id = TransferId(unhex(vector["transferId"]))
    digest = compute_bid_digest(transfer_id, vector["pathLength"])
    assert digest == hash_personal(unhex(vector["routerDigest_preEIP191"]))
    routers = tuple(Address(unhex(router)) for router in vector["routers"])
    for key, router, signature in zip(vector["routerPrivateKeys"], routers, vector["routerSignatures"], strict=True):
        assert sign_digest(unhex(key), digest) == unhex(signature)
        assert recover_address(digest, unhex(signature)) == router
        assert recover_address(compute_bid_digest(transfer_id, 4), unhex(signature)) != router
    final = compute_sequencer_digest(transfer_id, routers)
    assert final == hash_personal(unhex(vector["sequencerDigest_preEIP191"]))
    assert recover_address(final, unhex(vector["sequencerSignature"])) == unhex(vector["sequencer"])
    assert compute_sequencer_digest(transfer_id, routers[::-1] + routers[:1]) != final


@pytest.mark.parametrize("row", VECTORS["execute_math"]["rows"])
def test_debits(row: dict[str, Any]) -> None:
    """LIQ-2, ASN-3: what `execute` takes from each router, and that one share bounds them all."""
    amount, count = int(row["bridgedAmt"]), row["routers"]
    assert compute_debits(amount, count, 9995) == tuple(map(int, row["debits"]))
    assert max(compute_debits(amount, count, 10_000)) <= compute_share(amount, count)


@pytest.mark.parametrize("row", VECTORS["reconcile_math"]["rows"])
def test_credits(row: dict[str, Any]) -> None:
    """LIQ-2: what a message credits each router, in full."""
    assert compute_credits(int(row["amount"]), row["routers"]) == tuple(map(int, row["credits"]))


def test_a_router_that_stands_twice_is_debited_twice() -> None:
    """LIQ-2: positions are debited, not names: Connext takes [A, A, B]."""
    vector = VECTORS["duplicate_router"]
    debits = dict.fromkeys(vector["debits"], 0)
    for router, debit in zip(vector["routers"], compute_debits(21 * 10**18, 3, 9995), strict=True):
        debits[router] += debit
    assert debits == {router: int(debit) for router, debit in vector["debits"].items()}


@given(st.integers(0, 2**256 - 1), st.sampled_from([1, 2, 4]), st.integers(0, 10_000))
def test_one_share_bounds_every_debit(amount: int, count: int, fee: int) -> None:
    """ASN-3: ⌊A / n⌋ + n − 1 is enough for every position and every fee numerator; debits and credits lose nothing."""
    debits = compute_debits(amount, count, fee)
    assert max(debits) <= compute_share(amount, count)
    assert sum(debits) == amount * fee // 10_000
    assert sum(compute_credits(amount, count)) == amount


def test_hash_of_router_lists() -> None:
    """BAT-2: each router padded to a word; none is keccak of nothing."""
    assert hash_routers(()) == keccak(b"")
    assert hash_routers([Address(b"\1" * 20)]) == keccak(bytes(12) + b"\1" * 20)
    assert hash_routers([Address(b"\1" * 20), Address(b"\2" * 20)]) != hash_routers(
        [Address(b"\2" * 20), Address(b"\1" * 20)]
    )


DIGEST = keccak(b"digest")
SIGNATURE = sign_digest(b"\1" * 32, DIGEST)


@pytest.mark.parametrize("signature, code", [
    (SIGNATURE[:64], Code.SIGNATURE_LENGTH),
    (b"", Code.SIGNATURE_LENGTH),
    (SIGNATURE + b"\0", Code.SIGNATURE_LENGTH),
    (SIGNATURE[:32] + b"\x80" + SIGNATURE[33:], Code.SIGNATURE_HIGH_S),
    (SIGNATURE[:64] + b"\x02", Code.SIGNATURE_V),
    (SIGNATURE[:64] + b"\x1a", Code.SIGNATURE_V),
    (bytes(64) + b"\x1b", Code.SIGNATURE_UNRECOVERABLE),
    (b"\xff" * 32 + bytes(31) + b"\1\x1b", Code.SIGNATURE_UNRECOVERABLE),
])
def test_bid_2_refuses_signatures_connext_refuses(signature: bytes, code: Code) -> None:
    """BID-2: length, high s, v, no key: each its own code."""
    with pytest.raises(Rejected) as refused:
        recover_address(DIGEST, signature)
    assert refused.value.code is code
