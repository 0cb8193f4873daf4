"""Files that are there whole and on disk, or not at all: a crash at any point leaves the old content, or none."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE_MODE, PRIVATE_FOLDER_MODE = 0o600, 0o700
PUBLIC_MODE = 0o666
"""Before the umask."""


def create_file(path: Path, text: str) -> None:
    """Make a file of mode 0600; never over another one. Raises FileExistsError, OSError."""
    with written_beside(path, text, PRIVATE_MODE) as scratch:
        os.link(scratch, path)


def replace_file(path: Path, text: str) -> None:
    """Put ``text`` in the place of a file, or make it: a reader sees the old or the new. Raises OSError."""
    with written_beside(path, text, PUBLIC_MODE) as scratch:
        os.replace(scratch, path)


@contextmanager
def written_beside(path: Path, text: str, mode: int) -> Iterator[Path]:
    """Write ``text``, synced, under a name beside ``path`` for the block to put in place; sync the folder after it."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield scratch
        sync_folder(path.parent)
    finally:
        with suppress(FileNotFoundError):  # renamed
            scratch.unlink()


def sync_folder(path: Path) -> None:
    """Write a folder's names to disk: without it a power cut may forget a file that is there. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner may enter, with its parents; one that is there becomes so. Raises OSError."""
    path.mkdir(mode=PRIVATE_FOLDER_MODE, parents=True, exist_ok=True)
    path.chmod(PRIVATE_FOLDER_MODE)
