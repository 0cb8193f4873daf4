"""Words of clients' and providers' JSON-RPC errors, and which of our exceptions they mean.

geth and its forks share most words; Nethermind, Besu and Parity's heirs have their own.
Texts are compared without case, blanks and punctuation. No entry may be part of what a different refusal says.
"""

from typing import Any

from abci_app.evm import parse
from abci_app.evm.codec import decode_revert
from abci_app.evm.errors import (
    CallReverted,
    EvmError,
    MethodMissing,
    NonceUsed,
    RpcMalformed,
    RpcRefused,
    RpcUnavailable,
    TransactionKnown,
    TransactionUnderpriced,
)

CODE_REVERTED = 3
"""geth's code of a revert with data."""

CODE_VM_ERROR = -32015
"""Parity's and Nethermind's code of any failed execution; the data says whether it reverted."""

CODES_RATE_LIMIT = (429, -32005, -32007, -32016, -32029)
"""HTTP's status as a code; EIP-1474's; and three of providers."""

CODES_METHOD_MISSING = (-32601, -32004)
"""JSON-RPC's code, and that of EIP-1474."""

WORDS_METHOD_MISSING = (
    "methodnotfound",
    "methodnotsupported",
    "unsupportedmethod",  # providers, with the code of an invalid request
    "methodisnotsupported",
    "methodisnotwhitelisted",  # "rpc method is not whitelisted": proxies
    "methodnotwhitelisted",
    "doesnotexistisnotavailable",  # geth: "the method … does not exist/is not available"
)

WORDS_KNOWN = (
    "alreadyknown",  # geth and its forks; Nethermind's AlreadyKnown
    "knowntransaction",  # Besu, and geth until 2020
    "alreadyimported",  # Parity, OpenEthereum
)
WORDS_NONCE_USED = (
    "noncetoolow",  # geth and its forks, Besu
    "nonceistoolow",  # Parity, OpenEthereum
    "oldnonce",  # Nethermind
)
WORDS_UNDERPRICED = (
    "underpriced",  # geth and its forks, Besu: "replacement transaction underpriced", "transaction underpriced"
    "replacementnotallowed",  # Nethermind
    "feetoolowtocompete",  # Nethermind
    "feetoolow",  # Nethermind
    "gaspriceistoolow",  # Parity: "Transaction gas price is too low. There is another transaction with same nonce"
    "gaspricebelowconfiguredminimum",  # Besu
)
WORDS_RATE_LIMIT = ("ratelimit", "requestlimitreached", "toomanyrequests")


def normalize(text: str) -> str:
    """Return a text's letters and digits in lower case."""
    return "".join(each for each in text.lower() if each.isalnum())


def map_refusal(error: Any) -> EvmError:
    """Return our exception for a JSON-RPC error object."""
    if not isinstance(error, dict) or type(error.get("code")) is not int:
        return RpcMalformed(f"error without a code: {str(error)[:200]}")
    code, message = error["code"], str(error.get("message", ""))[:500]
    data = parse.revert_data(error.get("data"))
    words = normalize(message)
    is_failed_vm = code == CODE_VM_ERROR and normalize(str(error.get("data"))[:20]).startswith("revert")
    if code == CODE_REVERTED or "revert" in words or is_failed_vm:
        name, arguments = decode_revert(data)
        return CallReverted(code, message, data, name, arguments)
    if _has(words.replace("unknown", ""), WORDS_KNOWN):  # "unknown transaction type" is another thing
        return TransactionKnown(code, message)
    if _has(words, WORDS_NONCE_USED):
        return NonceUsed(code, message)
    if _has(words, WORDS_UNDERPRICED):
        return TransactionUnderpriced(code, message)
    if code in CODES_METHOD_MISSING or _has(words, WORDS_METHOD_MISSING):
        return MethodMissing(code, message)
    if code in CODES_RATE_LIMIT or _has(words, WORDS_RATE_LIMIT):
        return RpcUnavailable(f"rate limit: {message}")
    return RpcRefused(code, message, data)


def _has(words: str, known: tuple[str, ...]) -> bool:
    return any(each in words for each in known)
