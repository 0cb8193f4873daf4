"""Configuration in TOML, read by pydantic: a refusal names the file, the line, the key and what is allowed."""

import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from pydantic import Field as Field

CONFIG_FILE = "config.toml"
LOG_LEVELS = ("debug", "info", "warning", "error")
HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\"' -]+?)\s*\]")
NAME = re.compile(r"\s*([\w.\"'-]+)\s*=")
KINDS = {"string_type": "str", "int_type": "int", "list_type": "list", "model_type": "a table"}
"""What must stand there, by pydantic's name of the error."""
Location = tuple[str | int, ...]
"""Path to a value: names of tables and keys, and places in arrays."""
FormT = TypeVar("FormT", bound="Table")
ConfigT = TypeVar("ConfigT")


class Table(BaseModel, extra="forbid", strict=True):
    """Names and types of one table: no other name is allowed, and no value is converted into another type."""


class LogTable(Table):
    """The table ``[log]`` of every process."""

    level: str = "info"
    file: str = ""


class Invalid(Exception):
    """A value that is out of its range; the text begins with its key."""


def require(holds: object, otherwise: str) -> None:
    """Raise Invalid unless ``holds``; ``otherwise`` begins with the key."""
    if not holds:
        raise Invalid(otherwise)


@contextmanager
def refused_as(error: type[Exception]) -> Iterator[None]:
    """Turn Invalid into ``error``, for values that stand in no file yet."""
    try:
        yield
    except Invalid as failure:
        raise error(f"{CONFIG_FILE}: {failure}") from failure


def read_toml(
    text: str, form: type[FormT], make: Callable[[FormT], ConfigT], error: type[Exception], file: str = CONFIG_FILE
) -> ConfigT:
    """Return what ``make`` makes of a text of this form. Raises ``error`` in one line for the first mistake.

    ``make`` raises Invalid. No value is shown but where ``make`` shows it: a URL may hold a secret.
    """
    try:
        return make(form.model_validate(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as failure:
        raise error(f"{file}: {failure}") from failure
    except ValidationError as failure:
        first = min(failure.errors(include_url=False), key=lambda one: one["type"] != "missing")
        location = tuple(first["loc"])
        reason = _explain(first["type"], location, first["input"], form)
        raise error(f"{file}:{find_line(text, location)}: {reason}") from None  # its text shows values
    except Invalid as failure:
        location = _parse_key(str(failure).split()[0].rstrip(":"))
        raise error(f"{file}:{find_line(text, location)}: {failure}") from failure


def load_toml(
    path: Path, form: type[FormT], make: Callable[[FormT], ConfigT], error: type[Exception], hint: str = ""
) -> ConfigT:
    """Read a file as ``read_toml`` does. Raises ``error``; where there is no file, with ``hint``."""
    try:
        text = path.read_text()
    except FileNotFoundError as failure:
        raise error(f"{path} is missing{hint}") from failure
    except (OSError, UnicodeDecodeError) as failure:
        raise error(f"{path} cannot be read: {failure}") from failure
    return read_toml(text, form, make, error, str(path))


def find_line(text: str, location: Location) -> int:
    """Return the line of a key, or of the innermost table around it that is there; else the first line.

    Tables and keys are found at the beginning of lines, so a name inside a text of several lines may mislead it.
    """
    lines: dict[Location, int] = {(): 1}
    table: Location = ()
    sizes: dict[Location, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if (header := HEADER.match(line)) is not None:
            table = _split(header[2])
            if header[1] == "[[":
                sizes[table] = sizes.get(table, -1) + 1
                lines.setdefault(table, number)
                table = (*table, sizes[table])
            lines.setdefault(table, number)
        elif (name := NAME.match(line)) is not None:
            lines.setdefault((*table, *_split(name[1])), number)
    return next(lines[location[:size]] for size in range(len(location), -1, -1) if location[:size] in lines)


def is_endpoint(text: str, port_min: int = 1) -> bool:
    """Tell whether ``text`` is host:port."""
    try:
        parts = urlsplit(f"//{text}")
        port = -1 if parts.port is None else parts.port
        return bool(parts.hostname) and port >= port_min and not parts.path and parts.username is None
    except ValueError:
        return False


def is_http_url(text: str) -> bool:
    """Tell whether ``text`` is a URL of a host over HTTP."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _explain(kind: str, location: Location, value: object, form: type[Table]) -> str:
    """Return the mistake at a location in words: its key, and what is allowed instead."""
    key = _render_key(location)
    if kind == "extra_forbidden":
        return f"unknown name {key}; allowed are {', '.join(sorted(_find_form(form, location[:-1]).model_fields))}"
    if kind == "missing":
        allowed = _find_form(form, location[:-1]).model_fields[str(location[-1])].annotation
        return f"{key} is missing, must be {getattr(get_origin(allowed) or allowed, '__name__', allowed)}"
    wanted, found = KINDS.get(kind, kind), type(value).__name__
    if kind == "string_type" and isinstance(location[-1], int):
        return f"{_render_key(location[:-1])} must be a list of strings, entry {location[-1]} is {found}"
    return f"{key} must be {wanted}, is {found}"


def _find_form(form: type[Table], location: Location) -> type[Table]:
    for step in location:
        if isinstance(step, str):
            kind: Any = form.model_fields[step].annotation
            form = get_args(kind)[0] if get_origin(kind) is list else kind
    return form


def _render_key(location: Location) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")


def _parse_key(key: str) -> Location:
    return tuple(int(step) if step.isdecimal() else step for step in re.findall(r"[^.\[\]]+", key))


def _split(name: str) -> tuple[str, ...]:
    return tuple(part.strip(" \"'") for part in name.split("."))
