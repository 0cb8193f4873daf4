"""PIDs in endpoints.json stay true: a supervisor renews its own two after each restart, and touches nothing else."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from abci_app.daemon.files import replace_file


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the lock of ``endpoints.json`` of a network's home."""
    with (home / ".endpoints.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def renew_pid(home: Path, validator: str, part: str, pid: int | None) -> None:
    """Set one PID of one validator, None once it ended, where the file is there: before that nobody reads it."""
    path = home / "endpoints.json"
    with locked(home):
        if not path.exists():
            return
        described = json.loads(path.read_text())
        for entry in described["validators"]:
            if entry["name"] == validator:
                entry["pids"][part] = pid
        replace_file(path, json.dumps(described, indent=1))
