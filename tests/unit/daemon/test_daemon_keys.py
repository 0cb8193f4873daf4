"""A key file is read where it is its owner's and whole; every other one is refused in one line that shows no key."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from abci_app.daemon.files import create_file
from abci_app.daemon.keys import KeyKind, load_key, render_key

PRIVATE = bytes(range(32))
ADDRESS = b"\xab" * 20


class Refused(Exception):
    """What the program of these tests raises."""


@dataclass
class Key:
    """A key whose address is what its last byte repeats."""

    private_key: bytes

    def __post_init__(self) -> None:
        if len(self.private_key) != 32:
            raise ValueError("not 32 bytes")

    @property
    def address(self) -> bytes:
        """The address."""
        return ADDRESS


KIND = KeyKind(Key, ValueError, Refused, missing=" is missing: no key", wrong="is no key file")
BARE = replace(KIND, is_bare_allowed=True)


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_what_is_rendered_is_loaded(tmp_path: Path) -> None:
    create_file(tmp_path / "key", render_key(PRIVATE, ADDRESS))
    for kind in (KIND, BARE):
        assert load_key(tmp_path / "key", kind).private_key == PRIVATE


@pytest.mark.parametrize("text", [PRIVATE.hex(), f" 0x{PRIVATE.hex()}\n", json.dumps({"private_key": PRIVATE.hex()})])
def test_a_bare_key_is_loaded_only_where_it_may_be(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "key", text)
    assert load_key(path, BARE).private_key == PRIVATE
    with pytest.raises(Refused, match="is no key file"):
        load_key(path, KIND)


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601])
def test_a_key_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "key", render_key(PRIVATE, ADDRESS), mode)
    with pytest.raises(Refused, match=rf"readable by others \(mode {mode:04o}\): run chmod 600"):
        load_key(path, KIND)


def test_a_missing_key_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"key is missing: no key$"):
        load_key(tmp_path / "key", KIND)
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.raises(Refused, match="Is a directory"):
        load_key(tmp_path / "folder", KIND)


@pytest.mark.parametrize("kind", [KIND, BARE])
@pytest.mark.parametrize(("text", "reason"), [
    ("", "is no key file"),
    ("{", "is no key file"),
    ("{}", "is no key file"),
    ("[]", "is no key file"),
    (render_key(PRIVATE, ADDRESS)[:60], "is no key file"),
    (json.dumps({"private_key": 7, "address": "0x" + ADDRESS.hex()}), "is no key file"),
    (json.dumps({"private_key": PRIVATE.hex() + "zz", "address": "0x" + ADDRESS.hex()}), "is no key file"),
    (json.dumps({"private_key": PRIVATE.hex(), "address": None}), "is no key file"),
    (render_key(PRIVATE[1:], ADDRESS), "is no key file: not 32 bytes"),
    (render_key(PRIVATE, b"\x11" * 20), "the private key is not that of address 0x1111"),
])
def test_what_is_no_key_is_refused_and_never_shown(
    tmp_path: Path, kind: KeyKind[Key], text: str, reason: str
) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        load_key(write(tmp_path / "key", text), kind)
    assert PRIVATE.hex()[2:20] not in str(refused.value) and "\n" not in str(refused.value)
