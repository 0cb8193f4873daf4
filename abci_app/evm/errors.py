"""Exceptions of this package, and the mapping of third-party exceptions to them.

EvmError
├── RpcError                    about a call to an RPC endpoint
│   ├── RpcUnavailable          no answer: refused, reset, timed out, HTTP status, rate limit; may pass, is retried
│   ├── RpcMalformed            an answer that is not JSON-RPC, or whose values have the wrong shape; never retried
│   │   └── RpcTooLarge         an answer of more bytes than we take
│   ├── RpcNotFound             a well-formed answer `null`: no such block or transaction
│   └── RpcRefused              the endpoint's JSON-RPC error object, with code, message and data
│       ├── CallReverted        the EVM reverted: selector, name and arguments of the contract's error
│       ├── NonceUsed           "nonce too low": another transaction of this account has this nonce
│       ├── TransactionKnown    the endpoint has this very transaction already
│       ├── MethodMissing       the endpoint does not have the method that was asked for
│       └── TransactionUnderpriced  too little is offered: for the pool, or to replace another of this nonce
├── ChainMismatch               the endpoint serves another chain than configured
├── DeadlineExceeded            waiting for a receipt or a block took longer than the caller allowed
├── TransactionFailed           mined with status 0; carries the receipt and, where it can be had, the revert
├── DecodeFailed                bytes that are not what the ABI says: logs, return data
├── EncodeFailed                arguments that the ABI cannot take; an error of the caller
├── ArtifactInvalid             a contract artifact that is missing, not JSON, or has no linked bytecode
└── KeyInvalid                  not a private key
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import eth_abi.exceptions
import eth_keys.exceptions
import eth_utils.exceptions
import requests.exceptions
import rlp.exceptions  # type: ignore[import-untyped]
import urllib3.exceptions
import web3.exceptions

if TYPE_CHECKING:
    from abci_app.evm.types import Receipt


class EvmError(Exception):
    """Root of the exceptions that this package raises for external causes."""


class RpcError(EvmError):
    """A call to an RPC endpoint did not give a usable answer."""


class RpcUnavailable(RpcError):
    """The endpoint gave no answer in time, or answered that it is unavailable."""


class RpcMalformed(RpcError):
    """The endpoint's answer has the wrong shape."""


class RpcTooLarge(RpcMalformed):
    """The endpoint's answer exceeds the size limit; a smaller request may succeed."""


class RpcNotFound(RpcError):
    """The endpoint knows no such block or transaction."""


class RpcRefused(RpcError):
    """The endpoint answered with a JSON-RPC error object."""

    def __init__(self, code: int, message: str, data: bytes = b"") -> None:
        super().__init__(f"{message} (code {code})")
        self.code = code
        self.message = message
        self.data = data


class CallReverted(RpcRefused):
    """A simulated call or an estimate reverted.

    `selector` is the first four bytes of the revert data (empty without data), `name` the error's name where this
    package knows it (`Error` for a require text, `Panic` for the compiler's checks), `arguments` what it decodes to.
    """

    def __init__(self, code: int, message: str, data: bytes, name: str | None, args: tuple[Any, ...]) -> None:
        super().__init__(code, message, data)
        self.selector = data[:4]
        self.name = name
        self.arguments = args

    def __str__(self) -> str:
        if self.name is None:
            return f"reverted with {self.data.hex() or 'no data'}: {self.message}"
        return f"reverted: {self.name}({', '.join(_show(argument) for argument in self.arguments)})"


class NonceUsed(RpcRefused):
    """Another transaction of this account took this nonce."""


class TransactionKnown(RpcRefused):
    """The endpoint has this transaction already, which is as good as having sent it."""


class MethodMissing(RpcRefused):
    """The endpoint does not have, or does not serve, the method that was asked for."""


class TransactionUnderpriced(RpcRefused):
    """The pool wants more for a transaction, or for one that replaces another of the same nonce."""


class ChainMismatch(EvmError):
    """The endpoint's chain id is not the configured one."""

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(f"the endpoint serves chain id {actual}, configured is {expected}")
        self.expected = expected
        self.actual = actual


class DeadlineExceeded(EvmError):
    """The awaited result did not occur before the deadline."""


class TransactionFailed(EvmError):
    """A transaction was mined and reverted."""

    def __init__(self, receipt: "Receipt", reason: CallReverted | None) -> None:
        super().__init__(f"transaction {receipt.tx_hash.hex()} failed: {reason or 'no reason given'}")
        self.receipt = receipt
        self.reason = reason


class DecodeFailed(EvmError):
    """Bytes from a chain do not decode as their ABI says."""


class EncodeFailed(EvmError):
    """Arguments do not fit the ABI."""


class ArtifactInvalid(EvmError):
    """A contract artifact cannot be used."""


class KeyInvalid(EvmError):
    """The bytes are not a secp256k1 private key."""


_MALFORMED = (
    requests.exceptions.InvalidJSONError,
    requests.exceptions.ContentDecodingError,
    web3.exceptions.BadResponseFormat,
    web3.exceptions.BadFunctionCallOutput,
    web3.exceptions.LogTopicError,
    web3.exceptions.InvalidEventABI,
    urllib3.exceptions.DecodeError,
    UnicodeDecodeError,
    json.JSONDecodeError,
)
_NOT_FOUND = (web3.exceptions.BlockNotFound, web3.exceptions.TransactionNotFound)

FOREIGN: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], type[EvmError]], ...] = (
    (_MALFORMED, RpcMalformed),
    (_NOT_FOUND, RpcNotFound),
    ((eth_abi.exceptions.DecodingError,), DecodeFailed),
    (
        (
            eth_abi.exceptions.EncodingError,
            eth_abi.exceptions.ABITypeError,
            eth_abi.exceptions.ParseError,
            eth_abi.exceptions.PredicateMappingError,
        ),
        EncodeFailed,
    ),
    ((eth_keys.exceptions.BadSignature,), KeyInvalid),
    ((eth_utils.exceptions.ValidationError, rlp.exceptions.RLPException), EncodeFailed),
    # What is left of the HTTP stack and of web3 means that no answer came; OSError covers sockets and requests' root.
    (
        (
            web3.exceptions.Web3Exception,
            urllib3.exceptions.HTTPError,
            urllib3.exceptions.ProxySchemeUnsupported,
            http.client.HTTPException,
            OSError,
        ),
        RpcUnavailable,
    ),
)
"""Third-party class → exception of this package, first match wins. Tests map every exception class of the libraries."""


def map_foreign(error: BaseException) -> EvmError | None:
    """Return this package's exception for a third-party one, or None for a bug."""
    for classes, ours in FOREIGN:
        if isinstance(error, classes):
            return ours(f"{type(error).__name__}: {_text(error)}")
    return None


@contextmanager
def foreign_mapped() -> Iterator[None]:
    """Run third-party calls: raise their errors as EvmError and let bugs pass unchanged."""
    try:
        yield
    except EvmError:
        raise
    except Exception as error:
        ours = map_foreign(error)
        if ours is None:
            raise
        raise ours from error


def _text(error: BaseException) -> str:
    try:
        return str(error)[:300]
    except Exception:  # some libraries' exceptions cannot be shown before all their fields are set
        return "no text"


def _show(argument: Any) -> str:
    return "0x" + argument.hex() if isinstance(argument, bytes) else repr(argument)
