"""What each client's words for a refusal become; compared without case, blanks and punctuation."""

import pytest

from abci_app.evm.errors import (
    CallReverted,
    EvmError,
    NonceUsed,
    RpcMalformed,
    RpcRefused,
    RpcUnavailable,
    TransactionKnown,
    TransactionUnderpriced,
)
from abci_app.evm.refusals import map_refusal

WORDS = [
    ("geth", -32000, "already known", TransactionKnown),
    ("geth", -32000, "nonce too low: next nonce 5, tx nonce 4", NonceUsed),
    ("geth", -32000, "replacement transaction underpriced", TransactionUnderpriced),
    ("geth", 3, "execution reverted: short", CallReverted),
    ("geth", -32000, "unknown transaction type", RpcRefused),
    ("geth", -32000, "insufficient funds for gas * price + value", RpcRefused),
    ("Nethermind", -32010, "AlreadyKnown", TransactionKnown),
    ("Nethermind", -32010, "OldNonce, Current nonce: 5, nonce of rejected tx: 4", NonceUsed),
    ("Nethermind", -32010, "ReplacementNotAllowed", TransactionUnderpriced),
    ("Nethermind", -32010, "FeeTooLowToCompete", TransactionUnderpriced),
    ("Nethermind", -32015, "VM execution error.", RpcRefused),
    ("Besu", -32000, "Known transaction", TransactionKnown),
    ("Besu", -32001, "Nonce too low", NonceUsed),
    ("Besu", -32000, "Execution reverted (short)", CallReverted),
    ("Parity", -32010, "Transaction with the same hash was already imported.", TransactionKnown),
    ("Parity", -32010, "Transaction nonce is too low. Try incrementing the nonce.", NonceUsed),
    ("a provider", -32016, "over rate limit", RpcUnavailable),
    ("a provider", -32007, "50/second request limit reached", RpcUnavailable),
    ("a provider", -32000, "out of gas", RpcRefused),
    ("a provider", -32602, "gas limit is too high", RpcRefused),
]


@pytest.mark.parametrize(("client", "code", "message", "kind"), WORDS, ids=[f"{one[0]}: {one[2]}" for one in WORDS])
def test_each_clients_words_have_their_kind(client: str, code: int, message: str, kind: type[EvmError]) -> None:
    assert type(map_refusal({"code": code, "message": message})) is kind, client


@pytest.mark.parametrize("error", ["text", None, {}, {"code": "3"}, {"code": True, "message": "already known"}])
def test_an_error_without_a_code_is_malformed(error: object) -> None:
    assert type(map_refusal(error)) is RpcMalformed


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("Reverted 0x", CallReverted), ("Reverted 0x7c32a2b3", CallReverted), ("revert", CallReverted),
        ("out of gas", RpcRefused), (None, RpcRefused),
    ],
)
def test_a_failed_execution_reverted_only_where_its_data_says_so(data: object, kind: type[EvmError]) -> None:
    assert type(map_refusal({"code": -32015, "message": "VM execution error.", "data": data})) is kind
