"""How answers are shown: tables that fit 80 columns for people, every field for programs. No colours in a pipe."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from rich.text import Text

from abci_app.cli.failure import Failure

WIDTH_MIN = 80
EXACT_DIGITS = 14
"""Amounts with more digits are shown rounded; ``--json`` has them all."""


def print_json(message: Message) -> None:
    """Print a message as one JSON object."""
    print(json.dumps(to_json(message)))


def to_json(message: Message) -> dict[str, Any]:
    """Return every field of a message by its name in the .proto file, unset ones too; bytes as 0x hex."""
    shown: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            shown[field.name] = [_json_value(field, item) for item in value]
        else:
            shown[field.name] = _json_value(field, value)
    return shown


def _json_value(field: Any, value: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return to_json(value)
    return show_hex(value) if isinstance(value, bytes) else value


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print one name and value a line."""
    for name, value in fields:
        print(f"{name:<13} {value}".rstrip())


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under a title; nothing but the title's line where there are none. Numbers stand to the right."""
    listed = [[str(cell) for cell in row] for row in rows]
    print(f"\n{title}" if listed else f"\n{title}: none")
    if not listed:
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    for at, name in enumerate(columns):
        numbers = all(row[at].replace(".", "").replace("e+", "").isdecimal() or row[at] in ("", "-") for row in listed)
        table.add_column(Text(name, style="dim"), justify="right" if numbers else "left", overflow="fold")
    for row in listed:
        table.add_row(*map(Text, row))
    console = Console(highlight=False, soft_wrap=False)
    console.width = max(console.width, WIDTH_MIN)
    console.print(table)


def show_hex(data: bytes) -> str:
    """Return bytes as 0x hex; nothing as an empty string."""
    return "0x" + data.hex() if data else ""


def show_short(data: bytes) -> str:
    """Return enough of a hash or address to tell it from others: 13 characters."""
    return f"0x{data.hex()[:6]}…{data.hex()[-4:]}" if data else "-"


def show_amount(digits: str | int) -> str:
    """Return an amount, rounded where it has more than EXACT_DIGITS digits."""
    text = str(digits)
    return text if len(text) <= EXACT_DIGITS else f"{Decimal(text):.6e}"


def show_time(time_s: int) -> str:
    """Return Unix seconds as UTC."""
    if not time_s:
        return "-"
    try:
        return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(time_s)


def parse_hex(text: str, length: int, name: str) -> bytes:
    """Return ``length`` bytes from hex with or without 0x. Raises Failure."""
    try:
        data = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise Failure(f"{name} {text[:80]!r} is not hex") from error
    if len(data) != length:
        raise Failure(f"{name} {text[:80]!r} has {len(data)} bytes, must be {length}")
    return data
