"""Key files: JSON with ``private_key`` and ``address``, readable by their owner only. No message shows a key."""

import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Keyed(Protocol):
    """Whatever is made of a private key: it knows its address."""

    @property
    def address(self) -> bytes:
        """Return the key's address, 20 bytes."""


KeyT = TypeVar("KeyT", bound=Keyed)


@dataclass(frozen=True)
class KeyKind(Generic[KeyT]):
    """What one program makes of its key, and how it refuses a file."""

    make: Callable[[bytes], KeyT]
    unusable: type[Exception]
    """What ``make`` raises for bytes that are no private key."""
    error: type[Exception]
    """What a refusal is raised as."""
    missing: str
    """Follows the path of a file that is not there."""
    wrong: str
    """Follows the path of a file that holds something else."""
    is_bare_allowed: bool = False
    """Whether the address may be missing, or the file be the key's hex alone."""


def load_key(path: Path, kind: KeyKind[KeyT]) -> KeyT:
    """Read a key that only its owner can read. Raises ``kind.error``."""
    try:
        mode = path.stat().st_mode
        if mode & OTHERS:
            raise kind.error(f"{path} is readable by others (mode {mode & 0o777:04o}): run chmod 600 {path}")
        private_key, address = parse_key(path.read_text(), kind.is_bare_allowed)
    except FileNotFoundError as error:
        raise kind.error(f"{path}{kind.missing}") from error
    except OSError as error:
        raise kind.error(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        raise kind.error(f"{path} {kind.wrong}") from None  # the cause's text may hold a part of the key
    try:
        key = kind.make(private_key)
    except kind.unusable as error:
        raise kind.error(f"{path} {kind.wrong}: {error}") from error
    if address is not None and key.address != address:
        raise kind.error(f"{path}: the private key is not that of address 0x{address.hex()}")
    return key


def parse_key(text: str, is_bare_allowed: bool) -> tuple[bytes, bytes | None]:
    """Return private key and address of a key file's text. Raises ValueError, KeyError, TypeError, AttributeError."""
    if is_bare_allowed and not text.lstrip().startswith("{"):
        return _parse_hex(text.strip()), None
    fields = json.loads(text)
    if is_bare_allowed and "address" not in fields:
        return _parse_hex(fields["private_key"]), None
    return _parse_hex(fields["private_key"]), _parse_hex(fields["address"])


def render_key(private_key: bytes, address: bytes) -> str:
    """Return the text of a key file."""
    return json.dumps({"address": f"0x{address.hex()}", "private_key": f"0x{private_key.hex()}"}, indent=2) + "\n"


def _parse_hex(text: str) -> bytes:
    return bytes.fromhex(text.lower().removeprefix("0x"))
