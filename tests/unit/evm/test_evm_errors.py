"""Nothing foreign leaves the EVM client: every exception class of the libraries under it is mapped."""

import http.client
import inspect
import json
from types import ModuleType

import eth_abi.exceptions
import eth_keys.exceptions
import eth_utils.exceptions
import pytest
import requests.exceptions
import rlp.exceptions  # type: ignore[import-untyped]
import urllib3.exceptions
import web3.exceptions

from abci_app.evm.errors import (
    DecodeFailed,
    EncodeFailed,
    EvmError,
    RpcMalformed,
    RpcNotFound,
    RpcUnavailable,
    foreign_mapped,
    map_foreign,
)

LIBRARIES = (
    http.client,
    requests.exceptions,
    urllib3.exceptions,
    web3.exceptions,
    eth_abi.exceptions,
    eth_utils.exceptions,
    eth_keys.exceptions,
    rlp.exceptions,
)


def exception_classes(module: ModuleType) -> list[type[BaseException]]:
    found = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, BaseException)]
    package = module.__name__.split(".")[0]
    return [kind for kind in found if kind.__module__.startswith(package) and not issubclass(kind, Warning)]


def make(kind: type[BaseException]) -> BaseException:
    """An instance whose constructor's arguments do not matter: only its class is looked at."""
    error = kind.__new__(kind)
    error.args = ("details",)
    return error


@pytest.mark.parametrize("module", LIBRARIES, ids=lambda module: module.__name__)
def test_no_exception_of_a_library_is_unmapped(module: ModuleType) -> None:
    classes = exception_classes(module)
    assert classes
    unmapped = [kind.__name__ for kind in classes if map_foreign(make(kind)) is None]
    assert unmapped == []


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        (requests.exceptions.ConnectTimeout("t"), RpcUnavailable),
        (requests.exceptions.ReadTimeout("t"), RpcUnavailable),
        (requests.exceptions.ConnectionError("c"), RpcUnavailable),
        (requests.exceptions.ChunkedEncodingError("c"), RpcUnavailable),
        (ConnectionResetError("r"), RpcUnavailable),
        (TimeoutError("t"), RpcUnavailable),
        (urllib3.exceptions.ProtocolError("p"), RpcUnavailable),
        (urllib3.exceptions.DecodeError("gzip"), RpcMalformed),
        (requests.exceptions.InvalidJSONError("j"), RpcMalformed),
        (json.JSONDecodeError("j", "x", 0), RpcMalformed),
        (web3.exceptions.BadResponseFormat("b"), RpcMalformed),
        (web3.exceptions.BlockNotFound("b"), RpcNotFound),
        (web3.exceptions.TimeExhausted("t"), RpcUnavailable),
        (eth_abi.exceptions.InsufficientDataBytes("d"), DecodeFailed),
        (eth_abi.exceptions.ValueOutOfBounds("v"), EncodeFailed),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value.__name__,
)
def test_each_kind_has_its_own_meaning(foreign: BaseException, ours: type[EvmError]) -> None:
    assert type(map_foreign(foreign)) is ours


def test_the_block_maps_and_keeps_the_cause() -> None:
    cause = ConnectionResetError("peer")
    with pytest.raises(RpcUnavailable, match="ConnectionResetError: peer") as caught, foreign_mapped():
        raise cause
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize("bug", [KeyError("x"), AttributeError("x"), ZeroDivisionError()])
def test_a_bug_passes_as_it_is(bug: Exception) -> None:
    assert map_foreign(bug) is None
    with pytest.raises(type(bug)), foreign_mapped():
        raise bug


def test_an_error_of_ours_passes_unchanged() -> None:
    error = RpcNotFound("no block")
    with pytest.raises(RpcNotFound) as caught, foreign_mapped():
        raise error
    assert caught.value is error
