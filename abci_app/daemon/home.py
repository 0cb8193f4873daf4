"""The folder of one process: made whole or refused, and held by one process at a time."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from abci_app.daemon.files import create_file, make_private_folder

LOCKS = Path("/proc/locks")


def create_home(path: Path, files: Mapping[Path, str], error: type[Exception]) -> None:
    """Make a folder with these files, in their order, all for their owner only. Raises ``error``.

    Nothing is changed where one of them is there already. The last file is the one without which it is no home.
    """
    for name in files:
        if (path / name).exists():
            raise error(f"{path / name} exists already")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in files.items():
            if name.parent != Path():
                make_private_folder(path / name.parent)
            create_file(path / name, text)
    except FileExistsError as failure:
        raise error(f"{failure.filename2 or failure.filename} exists already") from failure
    except OSError as failure:
        raise error(f"{failure.filename or path}: {failure.strerror or failure}") from failure


@contextmanager
def held(path: Path, program: str, error: type[Exception]) -> Iterator[None]:
    """Hold a home for this process. Raises ``error`` while another process of ``program`` holds it.

    The folder itself is locked: no file is made for it, and the kernel lets go when the process ends, however it does.
    """
    try:
        folder = lock_folder(path)
    except OSError as failure:
        raise error(f"{path}: {failure.strerror}") from failure
    if folder is None:
        raise error(f"{path} is in use by another {program}{_describe_holder(path)}")
    try:
        yield
    finally:
        os.close(folder)


def lock_folder(path: Path) -> int | None:
    """Return an open descriptor that holds a folder until it is closed; None while another one does. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(folder)
        return None
    except BaseException:
        os.close(folder)
        raise
    return folder


def find_holder(table: str, device: int, inode: int) -> int | None:
    """Return the PID that holds the lock of a file in the text of /proc/locks; None where the kernel names nobody.

    A line reads ``1: FLOCK  ADVISORY  WRITE 4711 fd:01:1835 0 EOF``. PID 0 is a process of another namespace.
    """
    name = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    for line in table.splitlines():
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[5] == name and words[4].isdecimal():
            return int(words[4]) or None
    return None


def _describe_holder(path: Path) -> str:
    try:
        status = path.stat()
        pid = find_holder(LOCKS.read_text(), status.st_dev, status.st_ino)
    except OSError:  # not Linux, or the folder went away: the refusal stands without it
        return ""
    return "" if pid is None else f" (PID {pid})"
