"""ABI codec: calldata, return values, events and errors by the fragments of `abi/*.json`.

Values: addresses are 20 bytes, `bytesN` and `bytes` are bytes, tuples are dicts by component name (a leading underscore
of a Solidity argument is dropped). Fragments are facts about deployed contracts; tests compare them with the artifacts.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from eth_abi.abi import encode as abi_encode
from eth_abi.codec import ABIDecoder
from eth_abi.decoding import ContextFramesBytesIO
from eth_abi.registry import registry
from eth_utils.crypto import keccak

from abci_app.evm.errors import DecodeFailed, EncodeFailed, foreign_mapped
from abci_app.evm.types import Address, Log

_STANDARD_ERRORS = (
    {"type": "error", "name": "Error", "inputs": [{"name": "text", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
)
"""What the Solidity compiler itself reverts with."""

READS_PER_BYTE = 4
"""No honest encoding has a byte read more often: once as data, twice as a pointer."""


@dataclass(frozen=True)
class Parameter:
    """One argument; `type` is canonical (`(uint32,bytes)[]`), `components` those of a tuple."""

    name: str
    type: str
    indexed: bool
    components: tuple["Parameter", ...]


@dataclass(frozen=True)
class Function:
    """A contract function."""

    name: str
    signature: str
    selector: bytes
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]

    def encode(self, *arguments: Any) -> bytes:
        """Return the calldata. Raises EncodeFailed."""
        return self.selector + encode_arguments([parameter.type for parameter in self.inputs], arguments)

    def decode(self, returned: bytes) -> tuple[Any, ...]:
        """Decode return values. Raises DecodeFailed."""
        return _decode(self.outputs, returned)

    def decode_input(self, calldata: bytes) -> dict[str, Any]:
        """Decode the arguments of calldata, by name. Raises DecodeFailed."""
        if calldata[:4] != self.selector:
            raise DecodeFailed(f"calldata is not of {self.signature}")
        values = _decode(self.inputs, calldata[4:])
        return {parameter.name: value for parameter, value in zip(self.inputs, values, strict=True)}


@dataclass(frozen=True)
class Event:
    """A contract event."""

    name: str
    signature: str
    topic0: bytes
    inputs: tuple[Parameter, ...]

    def decode(self, log: Log) -> dict[str, Any]:
        """Decode arguments by name; an indexed one of dynamic type is its hash. Raises DecodeFailed."""
        indexed = [parameter for parameter in self.inputs if parameter.indexed]
        plain = [parameter for parameter in self.inputs if not parameter.indexed]
        if log.topics[:1] != (self.topic0,) or len(log.topics) != 1 + len(indexed):
            raise DecodeFailed(f"log is not a {self.name} with {len(indexed)} indexed arguments")
        values = dict(zip((parameter.name for parameter in plain), _decode(plain, log.data), strict=True))
        for parameter, topic in zip(indexed, log.topics[1:], strict=True):
            values[parameter.name] = topic if _is_dynamic(parameter.type) else _decode([parameter], topic)[0]
        return {parameter.name: values[parameter.name] for parameter in self.inputs}


@dataclass(frozen=True)
class Error:
    """A custom error."""

    name: str
    signature: str
    selector: bytes
    inputs: tuple[Parameter, ...]


@dataclass(frozen=True)
class Interface:
    """The fragments of one contract, or of one family of contracts."""

    functions: Mapping[str, Function] = field(default_factory=dict)
    """By full signature, and by bare name where that is unambiguous."""
    events: Mapping[bytes, Event] = field(default_factory=dict)
    """By topic0."""
    errors: Mapping[bytes, Error] = field(default_factory=dict)
    """By selector."""

    def function(self, name: str) -> Function:
        """Return a function by name, or by signature where the name is overloaded. Raises EncodeFailed."""
        if name not in self.functions:
            raise EncodeFailed(f"no unambiguous function {name!r} in this interface")
        return self.functions[name]

    def encode(self, name: str, *arguments: Any) -> bytes:
        """Return the calldata of a function. Raises EncodeFailed."""
        return self.function(name).encode(*arguments)

    def event(self, name: str) -> Event:
        """Return an event by name. Raises EncodeFailed."""
        for event in self.events.values():
            if event.name == name:
                return event
        raise EncodeFailed(f"no event {name!r} in this interface")

    def decode_log(self, log: Log) -> tuple[str, dict[str, Any]]:
        """Decode a log to (event name, arguments by name). Raises DecodeFailed, also where the topic is unknown."""
        event = self.events.get(log.topics[0]) if log.topics else None
        if event is None:
            raise DecodeFailed(f"log {log.block_number}/{log.log_index} is no event of this interface")
        return event.name, event.decode(log)


def parse_interface(fragments: Iterable[Mapping[str, Any]]) -> Interface:
    """Parse a JSON ABI without the unused kinds (constructor, fallback)."""
    functions: dict[str, Function] = {}
    by_name: dict[str, list[Function]] = {}
    events: dict[bytes, Event] = {}
    errors: dict[bytes, Error] = {}
    for fragment in fragments:
        if fragment["type"] not in ("function", "event", "error"):
            continue
        inputs = tuple(_parameter(entry) for entry in fragment["inputs"])
        name = fragment["name"]
        signature = f"{name}({','.join(parameter.type for parameter in inputs)})"
        digest = keccak(signature.encode())
        if fragment["type"] == "function":
            outputs = tuple(_parameter(entry) for entry in fragment["outputs"])
            function = Function(name, signature, digest[:4], inputs, outputs)
            functions[signature] = function
            by_name.setdefault(name, []).append(function)
        elif fragment["type"] == "event":
            events[digest] = Event(name, signature, digest, inputs)
        else:
            errors[digest[:4]] = Error(name, signature, digest[:4], inputs)
    functions.update({name: same[0] for name, same in by_name.items() if len(same) == 1})
    return Interface(functions, events, errors)


@cache
def load_interface(name: str) -> Interface:
    """Load the interface of `abi/<name>.json`."""
    return parse_interface(json.loads((files("abci_app.evm") / "abi" / f"{name}.json").read_text()))


@cache
def known_errors() -> Mapping[bytes, Error]:
    """Return the errors of every fragment file of this package by selector."""
    errors = dict(parse_interface(_STANDARD_ERRORS).errors)
    for entry in sorted((files("abci_app.evm") / "abi").iterdir(), key=lambda found: found.name):
        if entry.name.endswith(".json"):
            errors.update(load_interface(entry.name.removesuffix(".json")).errors)
    return errors


def decode_revert(data: bytes) -> tuple[str | None, tuple[Any, ...]]:
    """Decode revert data to (name, arguments), unknown or invalid data to (None, ()). Never raises."""
    error = known_errors().get(data[:4])
    if error is None:
        return None, ()
    try:
        return error.name, _decode(error.inputs, data[4:])
    except DecodeFailed:
        return None, ()


def encode_arguments(types: Sequence[str], arguments: Sequence[Any]) -> bytes:
    """Return abi.encode of plain values (tuples as tuples, not dicts). Raises EncodeFailed."""
    if len(types) != len(arguments):
        raise EncodeFailed(f"{len(arguments)} arguments where {len(types)} are due")
    with foreign_mapped():
        try:
            return abi_encode(list(types), list(arguments))
        except (TypeError, ValueError) as error:
            raise EncodeFailed(str(error)[:300]) from error


class _BoundedStream(ContextFramesBytesIO):
    """Stream with a read budget: many ABI offsets to one place would expand a megabyte to gigabytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)  # type: ignore[no-untyped-call]
        self._left = READS_PER_BYTE * len(data)

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self._left -= len(found)
        if self._left < 0:
            raise DecodeFailed(f"pointers of {self.getbuffer().nbytes} bytes overlap")
        return found


class _BoundedDecoder(ABIDecoder):
    stream_class = _BoundedStream


_decoder = _BoundedDecoder(registry)


def _decode(parameters: Sequence[Parameter], data: bytes) -> tuple[Any, ...]:
    with foreign_mapped():
        try:
            values = _decoder.decode([parameter.type for parameter in parameters], data)
        except (TypeError, ValueError, OverflowError) as error:
            raise DecodeFailed(f"{type(error).__name__}: {str(error)[:300]}") from error
    return tuple(_convert(parameter, value) for parameter, value in zip(parameters, values, strict=True))


def _convert(parameter: Parameter, value: Any) -> Any:
    """Convert eth_abi's values to ours: addresses as bytes, tuples as dicts."""
    if parameter.type.endswith("]"):
        inner = Parameter("", parameter.type[: parameter.type.rindex("[")], False, parameter.components)
        return tuple(_convert(inner, item) for item in value)
    if parameter.type == "address":
        return Address(bytes.fromhex(value[2:]))
    if parameter.components:
        return {part.name: _convert(part, item) for part, item in zip(parameter.components, value, strict=True)}
    return value


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    components = tuple(_parameter(component) for component in entry.get("components", ()))
    kind: str = entry["type"]
    if kind.startswith("tuple"):
        kind = f"({','.join(component.type for component in components)}){kind.removeprefix('tuple')}"
    return Parameter(entry["name"].lstrip("_"), kind, entry.get("indexed", False), components)


def _is_dynamic(kind: str) -> bool:
    return kind in ("bytes", "string") or kind.endswith("]") or kind.startswith("(")
