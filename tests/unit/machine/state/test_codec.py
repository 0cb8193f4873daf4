"""Canonical bytes of each type (COD-1), and bytes that no value encodes to (COD-2)."""

from dataclasses import dataclass
from enum import IntEnum

import pytest

from abci_app.machine.state.codec import (
    U8,
    U16,
    U32,
    U64,
    Address,
    DomainId,
    Hash,
    Malformed,
    Signature,
    TransferId,
    decode,
    encode,
)


class Colour(IntEnum):
    RED = 1
    BLUE = 7


@dataclass(frozen=True)
class Small:
    value: U8


@dataclass(frozen=True)
class Word16:
    value: U16


@dataclass(frozen=True)
class Word32:
    value: U32


@dataclass(frozen=True)
class Word64:
    value: U64


@dataclass(frozen=True)
class Number:
    value: int


@dataclass(frozen=True)
class Flag:
    value: bool


@dataclass(frozen=True)
class Blob:
    value: bytes


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Painted:
    value: Colour


@dataclass(frozen=True)
class Maybe:
    value: U16 | None


@dataclass(frozen=True)
class Many:
    value: tuple[U16, ...]


@dataclass(frozen=True)
class Nested:
    first: Small
    rest: tuple[Maybe, ...]
    last: Flag


@dataclass(frozen=True)
class Ids:
    domain: DomainId
    address: Address
    hash: Hash
    transfer: TransferId
    signature: Signature


@dataclass(frozen=True)
class Nothing:
    pass


IDS = Ids(DomainId(1), Address(b"\2" * 20), Hash(b"\3" * 32), TransferId(b"\4" * 32), Signature(b"\5" * 65))


@pytest.mark.parametrize("value, raw", [
    (Small(0), "00"), (Small(255), "ff"), (Word16(258), "0102"), (Word32(1), "00000001"), (Word64(2**64 - 1), "ff" * 8),
    (Number(0), "00"), (Number(1), "0101"), (Number(255), "01ff"), (Number(256), "020100"),
    (Number(2**2039), "ff80" + "00" * 254),
    (Flag(False), "00"), (Flag(True), "01"),
    (Blob(b""), "00000000"), (Blob(b"abc"), "00000003616263"),
    (Text(""), "0000"), (Text("é"), "0002c3a9"),
    (Painted(Colour.BLUE), "07"),
    (Maybe(None), "00"), (Maybe(5), "010005"),
    (Many(()), "0000"), (Many((1, 2)), "000200010002"),
    (Nested(Small(9), (Maybe(None), Maybe(1)), Flag(True)), "09" "0002" "00" "010001" "01"),
    (IDS, "00000001" + "02" * 20 + "03" * 32 + "04" * 32 + "05" * 65),
    (Nothing(), ""),
])
def test_cod_1_each_type_has_its_pinned_bytes(value: object, raw: str) -> None:
    """COD-1: the table in codec.py, byte for byte, and back."""
    assert encode(value).hex() == raw
    assert decode(type(value), bytes.fromhex(raw)) == value


@pytest.mark.parametrize("cls, raw", [
    (Small, ""), (Small, "0000"), (Word16, "01"), (Word64, "00" * 7), (Word64, "00" * 9),
    (Number, ""), (Number, "01"), (Number, "0100"), (Number, "020001"), (Number, "0101ff"), (Number, "ff" + "01" * 254),
    (Flag, "02"), (Flag, "ff"), (Flag, ""),
    (Blob, "00000001"), (Blob, "0000"), (Blob, "0000000061"), (Blob, "ffffffff61"),
    (Text, "0001"), (Text, "0001ff"), (Text, "0002c328"), (Text, "0003eda080"), (Text, "0002c080"),
    (Painted, "00"), (Painted, "02"), (Painted, ""),
    (Maybe, ""), (Maybe, "02"), (Maybe, "0100"), (Maybe, "000005"), (Maybe, "020005"),
    (Many, "00"), (Many, "0001"), (Many, "000100"), (Many, "00000001"), (Many, "ffff0001"),
    (Nested, "09000200010001"), (Ids, "00"), (Nothing, "00"),
])
def test_cod_2_refuses_what_no_value_encodes_to(cls: type, raw: str) -> None:
    """COD-2: short input, trailing bytes, leading zeros, unknown members, other flags, bad UTF-8."""
    with pytest.raises(Malformed):
        decode(cls, bytes.fromhex(raw))


@pytest.mark.parametrize("value", [
    Small(256), Small(-1), Word16(65536), Word64(2**64), Number(-1), Number(2**2040), Text("x" * 65536),
    Many((65536,)), Many((0,) * 65536), Painted(Colour.RED + 1),  # type: ignore[arg-type]
    Ids(DomainId(2**32), IDS.address, IDS.hash, IDS.transfer, IDS.signature),
    Ids(DomainId(1), Address(b"\2" * 19), IDS.hash, IDS.transfer, IDS.signature),
    Ids(DomainId(1), IDS.address, IDS.hash, IDS.transfer, Signature(b"")),
])
def test_cod_1_refuses_a_value_out_of_its_range(value: object) -> None:
    """COD-1: a value that its type does not hold is a bug and raises; nothing is cut or wrapped."""
    with pytest.raises((ValueError, OverflowError)):
        encode(value)
