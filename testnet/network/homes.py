"""Whose folder a home is: one command at a time works in it, and only what a network made is ever removed again."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from abci_app.daemon.home import lock_folder
from testnet.hints import show
from testnet.network.layout import Layout, NetworkError, load_layout

LOCK_S = 10.0
"""How long a command waits for another one on the same home; starting a part takes a second."""
POLL_S = 0.1
ENTRIES = (
    "endpoints.json", ".endpoints.lock", "gates.json", "deployment.json", "nodes", "routers", "relayer", "chains",
    "logs", "pids", "manifest.json",
)
"""All that a network makes in its home. The manifest goes last: while it is there, the rest is known to be ours."""


@contextmanager
def locked(home: Path, make: bool = False) -> Iterator[None]:
    """Hold the lock of a home. ``make``: make the folder, and remove it again should it be empty at the end.

    The folder itself is locked, so no file is left, and a killed command's lock is gone. Raises NetworkError, OSError.
    """
    if home.exists() and not home.is_dir():
        raise NetworkError(f"{show(home)} is no folder: choose another --home")
    made = [path for path in (home, *home.parents) if not path.exists()] if make else []
    if make:
        home.mkdir(parents=True, exist_ok=True)
    elif not home.is_dir():
        load_layout(home)  # says that there is none
    try:
        descriptor = _lock(home)
        try:
            yield
        finally:
            os.close(descriptor)
    finally:
        with suppress(OSError):  # not empty: a network, or somebody else's
            for path in made:
                path.rmdir()


def find_network(home: Path) -> Layout | None:
    """Return the network in a home, finished or not; None where the folder is empty. Raises NetworkError."""
    if (home / "manifest.json").exists():
        return load_layout(home)
    if any(home.iterdir()):
        raise NetworkError(f"{show(home)} is not empty and holds no network: choose another --home")
    return None


def remove_network(home: Path) -> None:
    """Remove what a network made in its home; anything else stays, as does the folder."""
    for name in ENTRIES:
        path = home / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _lock(home: Path) -> int:
    """Return an open descriptor that holds the lock of a folder. Raises NetworkError when another keeps it."""
    deadline = time.monotonic() + LOCK_S
    while True:
        descriptor = lock_folder(home)
        if descriptor is not None:
            if _is_same(descriptor, home):  # else it was removed and made again meanwhile
                return descriptor
            os.close(descriptor)
        if time.monotonic() > deadline:
            raise NetworkError(f"another command works on {show(home)}: try again when it is done")
        time.sleep(POLL_S)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
