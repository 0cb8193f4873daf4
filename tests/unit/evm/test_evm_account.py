"""Accounts: addresses, signatures that Connext accepted, transactions, and keys that are refused."""

import json
from pathlib import Path

import pytest
from eth_account import Account as Reference
from eth_account.messages import encode_defunct

from abci_app.evm.account import SECP256K1_ORDER, Account, Transaction, eip191_digest
from abci_app.evm.errors import EncodeFailed, KeyInvalid
from abci_app.evm.types import ZERO_ADDRESS, Fees

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/connext_vectors.json").read_text())
KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
FEES = Fees(max_fee_wei=3, priority_fee_wei=1)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def test_the_address_is_the_one_every_wallet_shows() -> None:
    assert Account(KEY).address.hex() == "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"


@pytest.mark.parametrize("vector", VECTORS["execute_signed"], ids=lambda vector: f"path {vector['pathLength']}")
def test_signatures_are_those_that_connext_accepted(vector: dict) -> None:
    for key, signature in zip(vector["routerPrivateKeys"], vector["routerSignatures"], strict=True):
        digest = unhex(vector["routerDigest_preEIP191"])
        assert Account(unhex(key)).personal_sign(digest) == unhex(signature)
    sequencer = Account(unhex(vector["sequencerPrivateKey"]))
    assert sequencer.address == unhex(vector["sequencer"])
    assert sequencer.personal_sign(unhex(vector["sequencerDigest_preEIP191"])) == unhex(vector["sequencerSignature"])


@pytest.mark.parametrize("message", [b"", b"ROUTER_PING-1", bytes(32), b"x" * 1000])
def test_personal_sign_is_that_of_eth_account(message: bytes) -> None:
    signature = Account(KEY).personal_sign(message)
    assert signature == Reference.sign_message(encode_defunct(message), KEY).signature
    assert signature == Account(KEY).sign_digest(eip191_digest(message))
    assert int.from_bytes(signature[32:64], "big") <= SECP256K1_ORDER // 2


@pytest.mark.parametrize("to", [None, ZERO_ADDRESS, b"\x11" * 20])
def test_a_transaction_recovers_to_its_sender(to: bytes | None) -> None:
    account = Account(KEY)
    signed = account.sign_transaction(Transaction(31337, 7, to, b"\x01\x02", 21000, FEES, 5))
    assert signed.raw[0] == 2
    assert Reference.recover_transaction(signed.raw).lower() == "0x" + account.address.hex()


@pytest.mark.parametrize(
    "change", [{"nonce": -1}, {"gas": -1}, {"to": b"\x11" * 19}, {"value_wei": -5}, {"chain_id": "one"}]
)
def test_a_transaction_out_of_range_is_refused(change: dict) -> None:
    fields = {"chain_id": 1, "nonce": 0, "to": ZERO_ADDRESS, "data": b"", "gas": 21000, "fees": FEES, "value_wei": 0}
    with pytest.raises(EncodeFailed):
        Account(KEY).sign_transaction(Transaction(**(fields | change)))


@pytest.mark.parametrize(
    "key", [b"", bytes(32), KEY[:31], KEY + b"\x00", b"\xff" * 32, SECP256K1_ORDER.to_bytes(32, "big")]
)
def test_what_is_no_key_is_refused(key: bytes) -> None:
    with pytest.raises(KeyInvalid):
        Account(key)


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(33)])
def test_a_digest_of_another_length_is_refused(digest: bytes) -> None:
    with pytest.raises(EncodeFailed):
        Account(KEY).sign_digest(digest)


def test_no_text_form_shows_the_key() -> None:
    account = Account(KEY)
    shown = f"{account!r} {account} {vars(Transaction(1, 0, None, b'', 0, FEES))}"
    assert KEY.hex() not in shown
    assert account.private_key == KEY
