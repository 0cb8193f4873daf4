"""Canonical encoding of records, events, segments and extensions (docs/protocol.md section 2).

A frozen dataclass *is* its layout: fields in order, each by its type. Decoding accepts exactly what encoding
produces, so equal values have equal bytes and unequal bytes have unequal values.

=====================  ==================================================================
type                   bytes
=====================  ==================================================================
``U8 … U64``           big-endian, fixed width
``int``                u8 length, then minimal big-endian (0 has length 0); non-negative
``bool``               one byte, 0 or 1
``bytes``              u32 length, then the bytes
``str``                u16 length, then UTF-8
``Address``, ``Hash``… exactly 20, 32, 65 … bytes
``IntEnum``            one byte, a defined member
``T | None``           0, or 1 then T
``tuple[T, ...]``      u16 count, then each T
dataclass              its fields in order
=====================  ==================================================================
"""

import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache
from struct import Struct
from typing import Annotated, Any, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints

R = TypeVar("R")


class Malformed(ValueError):
    """Bytes that no value encodes to."""


class Fixed:
    """Marks a byte string of exactly ``length`` bytes."""

    def __init__(self, length: int) -> None:
        self.length = length


class Uint:
    """Marks a big-endian unsigned integer of ``width`` bytes."""

    def __init__(self, width: int) -> None:
        self.width = width


U8 = Annotated[int, Uint(1)]
U16 = Annotated[int, Uint(2)]
U32 = Annotated[int, Uint(4)]
U64 = Annotated[int, Uint(8)]

DomainId = NewType("DomainId", int)
"""uint32 id of a chain inside the bridge; not the EVM chain id."""
TransferId = NewType("TransferId", bytes)
"""keccak256 of the ABI-encoded TransferInfo, 32 bytes."""
Address = NewType("Address", bytes)
"""EVM address, 20 bytes."""
Hash = NewType("Hash", bytes)
"""Any 32-byte hash."""
Signature = NewType("Signature", bytes)
"""secp256k1: r (32) ‖ s (32, low) ‖ v (27 or 28)."""

_NEWTYPES: dict[object, object] = {
    DomainId: Uint(4),
    TransferId: Fixed(32),
    Address: Fixed(20),
    Hash: Fixed(32),
    Signature: Fixed(65),
}

Writer = Callable[[bytearray, Any], None]
Reader = Callable[[bytes, int], tuple[Any, int]]


def encode(record: Any) -> bytes:
    """Return the canonical bytes of a record (COD-1). A value out of its type's range is a bug and raises."""
    out = bytearray()
    _codec(cast(Any, type(record)))[0](out, record)
    return bytes(out)


def decode(cls: type[R], raw: bytes) -> R:
    """Return the ``cls`` that ``raw`` encodes; ``Malformed`` for all else, trailing bytes included (COD-2)."""
    value, end = _codec(cast(Any, cls))[1](raw, 0)
    if end != len(raw):
        raise Malformed(f"{len(raw) - end} bytes after {cls.__name__}")
    return cast(R, value)


@cache
def _codec(kind: Any) -> tuple[Writer, Reader]:
    """Build writer and reader of one type, once."""
    if kind in _NEWTYPES:
        return _marker_codec(_NEWTYPES[kind])
    origin = get_origin(kind)
    if origin is Annotated:
        return _marker_codec(get_args(kind)[1])
    if origin is tuple:
        return _tuple_codec(get_args(kind)[0])
    if origin is Union or origin is types.UnionType:
        return _optional_codec(next(arg for arg in get_args(kind) if arg is not type(None)))
    if is_dataclass(kind):
        return _record_codec(cast(type, kind))
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        return _enum_codec(kind)
    simple: dict[Any, tuple[Writer, Reader]] = {
        int: (_write_int, _read_int), bool: (_write_bool, _read_bool),
        bytes: (_write_bytes, _read_bytes), str: (_write_str, _read_str),
    }
    return simple[kind]


def _take(raw: bytes, start: int, length: int) -> tuple[bytes, int]:
    end = start + length
    if end > len(raw):
        raise Malformed(f"cut short: {length} bytes wanted at {start}, {len(raw) - start} there")
    return raw[start:end], end


def _marker_codec(marker: object) -> tuple[Writer, Reader]:
    """Return the codec of a field that stands alone, outside a record."""
    if isinstance(marker, Uint):
        width = marker.width

        def write_uint(out: bytearray, value: int) -> None:
            out += value.to_bytes(width, "big")

        def read_uint(raw: bytes, start: int) -> tuple[int, int]:
            piece, end = _take(raw, start, width)
            return int.from_bytes(piece, "big"), end

        return write_uint, read_uint
    length = cast(Fixed, marker).length

    def write_fixed(out: bytearray, value: bytes) -> None:
        if len(value) != length:
            raise ValueError(f"{len(value)} bytes, must be {length}")
        out += value

    def read_fixed(raw: bytes, start: int) -> tuple[bytes, int]:
        return _take(raw, start, length)

    return write_fixed, read_fixed


def _write_int(out: bytearray, value: int) -> None:
    width = (value.bit_length() + 7) // 8
    out.append(width)
    out += value.to_bytes(width, "big")


def _read_int(raw: bytes, start: int) -> tuple[int, int]:
    begin = start + 1
    end = begin + raw[start] if start < len(raw) else begin
    if end > len(raw):
        raise Malformed(f"integer cut short at {start}")
    if end > begin and not raw[begin]:
        raise Malformed("integer with a leading zero byte")
    return int.from_bytes(raw[begin:end], "big"), end


def _write_bool(out: bytearray, value: bool) -> None:
    out.append(1 if value else 0)


def _read_bool(raw: bytes, start: int) -> tuple[bool, int]:
    piece, end = _take(raw, start, 1)
    if piece[0] > 1:
        raise Malformed(f"{piece[0]} is no bool")
    return piece[0] == 1, end


def _write_bytes(out: bytearray, value: bytes) -> None:
    out += len(value).to_bytes(4, "big")
    out += value


def _read_bytes(raw: bytes, start: int) -> tuple[bytes, int]:
    length, start = _take(raw, start, 4)
    return _take(raw, start, int.from_bytes(length, "big"))


def _write_str(out: bytearray, value: str) -> None:
    data = value.encode()
    out += len(data).to_bytes(2, "big")
    out += data


def _read_str(raw: bytes, start: int) -> tuple[str, int]:
    length, start = _take(raw, start, 2)
    data, end = _take(raw, start, int.from_bytes(length, "big"))
    try:
        return data.decode(), end
    except UnicodeDecodeError as error:
        raise Malformed("text that is not UTF-8") from error


def _tuple_codec(item: Any) -> tuple[Writer, Reader]:
    write_item, read_item = _codec(item)

    def write(out: bytearray, values: tuple[Any, ...]) -> None:
        out += len(values).to_bytes(2, "big")
        for value in values:
            write_item(out, value)

    def read(raw: bytes, start: int) -> tuple[tuple[Any, ...], int]:
        piece, start = _take(raw, start, 2)
        if piece == b"\0\0":
            return (), start
        values = []
        for _ in range(int.from_bytes(piece, "big")):
            value, start = read_item(raw, start)
            values.append(value)
        return tuple(values), start

    return write, read


def _optional_codec(item: Any) -> tuple[Writer, Reader]:
    write_item, read_item = _codec(item)

    def write(out: bytearray, value: Any) -> None:
        out.append(0 if value is None else 1)
        if value is not None:
            write_item(out, value)

    def read(raw: bytes, start: int) -> tuple[Any, int]:
        there, start = _read_bool(raw, start)
        return read_item(raw, start) if there else (None, start)

    return write, read


def _enum_codec(kind: type[IntEnum]) -> tuple[Writer, Reader]:
    def write(out: bytearray, value: int) -> None:
        out.append(kind(value))

    def read(raw: bytes, start: int) -> tuple[IntEnum, int]:
        piece, end = _take(raw, start, 1)
        try:
            return kind(piece[0]), end
        except ValueError as error:
            raise Malformed(f"{piece[0]} is no {kind.__name__}") from error

    return write, read


def _record_codec(cls: type) -> tuple[Writer, Reader]:
    hints = get_type_hints(cls, include_extras=True)
    kinds = [(field.name, hints[field.name]) for field in fields(cls)]
    writers = [(name, _codec(kind)[0]) for name, kind in kinds]
    readers = _make_readers([kind for _, kind in kinds])

    def write(out: bytearray, record: object) -> None:
        for name, write_field in writers:
            write_field(out, getattr(record, name))

    def read(raw: bytes, start: int) -> tuple[object, int]:
        values: list[Any] = []
        for read_run, read_field in readers:
            if read_run is not None:
                start = read_run(raw, start, values)
            elif read_field is not None:
                value, start = read_field(raw, start)
                values.append(value)
        return cls(*values), start

    return write, read


RunReader = Callable[[bytes, int, list[Any]], int]
"""Appends the values of a run of fields to a list and returns where the run ends."""


def _make_readers(kinds: list[Any]) -> list[tuple[RunReader | None, Reader | None]]:
    """Return what reads a record's fields: one reader for each run of fixed-width fields, one for each other field."""
    readers: list[tuple[RunReader | None, Reader | None]] = []
    run: list[Any] = []
    for kind in kinds:
        if _layout_of(kind) is not None:
            run.append(kind)
            continue
        if run:
            readers.append((_make_run_reader(run), None))
            run = []
        readers.append((None, _codec(kind)[1]))
    return [*readers, (_make_run_reader(run), None)] if run else readers


def _layout_of(kind: Any) -> str | None:
    """Return the struct format of a fixed-width type; None for a type whose width varies."""
    marker = _NEWTYPES.get(kind) or (get_args(kind)[1] if get_origin(kind) is Annotated else None)
    if isinstance(marker, Uint):
        return {1: "B", 2: "H", 4: "I", 8: "Q"}[marker.width]
    if isinstance(marker, Fixed):
        return f"{marker.length}s"
    is_byte = kind is bool or (isinstance(kind, type) and issubclass(kind, IntEnum))
    return "B" if is_byte else None


def _make_run_reader(kinds: list[Any]) -> RunReader:
    """Return one reader for consecutive fields of fixed width: big-endian, nothing between them."""
    layout = Struct(">" + "".join(_layout_of(kind) or "" for kind in kinds))
    size, unpack = layout.size, layout.unpack_from
    tables: list[tuple[int, dict[int, Any]]] = []
    for place, kind in enumerate(kinds, start=-len(kinds)):
        if kind is bool:
            tables.append((place, {0: False, 1: True}))
        elif isinstance(kind, type) and issubclass(kind, IntEnum):
            tables.append((place, {int(member): member for member in kind}))

    def read(raw: bytes, start: int, values: list[Any]) -> int:
        end = start + size
        if end > len(raw):
            raise Malformed(f"cut short: {size} bytes wanted at {start}, {len(raw) - start} there")
        values += unpack(raw, start)
        for place, table in tables:
            if values[place] not in table:
                raise Malformed(f"{values[place]} is none of {sorted(table)}")
            values[place] = table[values[place]]
        return end

    return read
