"""Conversion of genesis records to and from JSON without unknown or missing fields (GEN-1).

Bytes are lower-case 0x-hex, integers are JSON integers or decimal strings (written as strings above 2⁵³ − 1, which
other readers of JSON would round). A field with a default may be left out.
"""

from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

from abci_app.machine.codes import Code, Rejected, unreachable
from abci_app.machine.state.codec import Address, DomainId, Hash, Signature, Uint

T = TypeVar("T")
EXACT_INT_MAX = (1 << 53) - 1
INT_BITS_MAX = 256
_BYTES = {Address: 20, Hash: 32, Signature: 65}
_HEX = frozenset("0123456789abcdef")


def from_json(cls: type[T], value: object, where: str) -> T:
    """Return the ``cls`` that ``value`` describes; ``Rejected(GENESIS_INVALID)`` naming the place where it does not."""
    return cast(T, _read(cls, value, where))


def to_json(value: Any) -> Any:
    """Return what ``from_json`` reads as ``value``: dicts, lists, strings, integers, booleans."""
    if is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int) and not isinstance(value, bool) and value > EXACT_INT_MAX:
        return str(value)
    return value


def refuse(where: str, what: str) -> Rejected:
    """Return the refusal of the genesis for what stands at ``where``."""
    return Rejected(Code.GENESIS_INVALID, f"{where}: {what}")


def _read(kind: Any, value: object, where: str) -> object:
    if is_dataclass(kind):
        return _read_record(cast(type, kind), value, where)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise refuse(where, "must be a list")
        return tuple(_read(get_args(kind)[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if kind in _BYTES:
        return _read_bytes(value, _BYTES[kind], where)
    if kind is DomainId:
        return _read_int(value, 32, where)
    if get_origin(kind) is Annotated:
        return _read_int(value, 8 * cast(Uint, get_args(kind)[1]).width, where)
    if kind is int:
        return _read_int(value, INT_BITS_MAX, where)
    if kind is bool:
        if not isinstance(value, bool):
            raise refuse(where, "must be true or false")
        return value
    unreachable(f"{where}: no JSON form of {kind}")


def _read_record(cls: type, value: object, where: str) -> object:
    if not isinstance(value, dict):
        raise refuse(where, "must be an object")
    known = {field.name: field.default is not MISSING for field in fields(cls)}
    unknown = sorted(str(name) for name in value if name not in known)
    if unknown:
        raise refuse(f"{where}.{unknown[0]}", "unknown name")
    missing = [name for name, has_default in known.items() if not has_default and name not in value]
    if missing:
        raise refuse(f"{where}.{missing[0]}", "missing")
    hints = get_type_hints(cls, include_extras=True)
    return cls(**{name: _read(hints[name], value[name], f"{where}.{name}") for name in known if name in value})


def _read_bytes(value: object, length: int, where: str) -> bytes:
    is_hex = isinstance(value, str) and value[:2] == "0x" and _HEX.issuperset(value[2:])
    if not isinstance(value, str) or not is_hex or len(value) != 2 + 2 * length:
        raise refuse(where, f"must be 0x and {2 * length} lower-case hexadecimal digits")
    return bytes.fromhex(value[2:])


def _read_int(value: object, bits: int, where: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 78:
        value = int(value) if value == "0" or value[0] != "0" else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << bits:
        raise refuse(where, f"must be an integer from 0 to 2^{bits} - 1, as a number or a decimal string")
    return value
