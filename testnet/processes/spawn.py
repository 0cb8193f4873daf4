"""Processes of a local network: started with a log each, known by PID and start time, ended by nobody else.

A PID alone may be somebody else's by tomorrow; with the kernel's start time beside it, it is ours or gone.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from abci_app.daemon.child import die_with_parent, start_child
from abci_app.daemon.files import replace_file
from testnet.processes.logs import error_file

TERM_GRACE_S = 6.0
"""Between SIGTERM and SIGKILL: with KILL_GRACE_S below the ten seconds within which nothing may be left."""
KILL_GRACE_S = 2.0


@dataclass(frozen=True)
class Identity:
    """A process that was started by us: name, PID, and the kernel's start time of that PID in clock ticks."""

    name: str
    pid: int
    started_ticks: int


_STARTED: list[subprocess.Popen[bytes]] = []
"""Kept, because Python complains of a child that is forgotten while it runs; ours outlive us on purpose."""


class _Deferral:
    """Whether an interruption has to wait, and which one does. Touched by the main thread and its signal handlers."""

    depth = 0
    pending: BaseException | None = None


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back ``interrupt`` until the block ends: no process may be started and then forgotten."""
    _Deferral.depth += 1
    try:
        yield
    finally:
        _Deferral.depth -= 1
        pending = _Deferral.pending
        if pending is not None and not _Deferral.depth:
            _Deferral.pending = None
            raise pending


def interrupt(interruption: BaseException) -> None:
    """Raise, now or when the block that must not be interrupted ends. For signal handlers."""
    if _Deferral.depth:
        _Deferral.pending = interruption
    else:
        raise interruption


def spawn_known(folder: Path, name: str, command: Sequence[str], log_file: Path) -> Identity:
    """Start a process and save its identity in ``folder``, both or neither. Raises OSError."""
    with uninterrupted():
        process = spawn(command, log_file)
        _STARTED.append(process)
        identity = identify(name, process.pid)
        save_identity(folder, identity)
    return identity


def spawn(
    command: Sequence[str],
    log_file: Path,
    environment: Mapping[str, str] | None = None,
    dies_with_parent: bool = False,
) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own, output appended to ``log_file``, errors beside it. Raises OSError.

    ``dies_with_parent``: the kernel kills it when the thread that called this ends, even by SIGKILL.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as log, error_file(log_file).open("ab") as errors:
        return start_child(die_with_parent(command) if dies_with_parent else command, log, errors, environment)


def start_ticks(pid: int) -> int | None:
    """Start time of a living process in clock ticks since boot; None for one that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def identify(name: str, pid: int) -> Identity:
    """Return the identity of a process just started; 0 ticks for one that is gone already, which matches nothing."""
    return Identity(name, pid, start_ticks(pid) or 0)


def is_running(identity: Identity) -> bool:
    """Tell whether exactly this process still runs."""
    return identity.started_ticks != 0 and start_ticks(identity.pid) == identity.started_ticks


def save_identity(folder: Path, identity: Identity) -> None:
    """Write ``<folder>/<name>.json`` atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{identity.name}.json", json.dumps(asdict(identity)))


def load_identities(folder: Path) -> dict[str, Identity]:
    """Return all identities saved in ``folder``, by name; a file that is cut short counts as none."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = Identity(**json.loads(path.read_text()))
        except (ValueError, TypeError, FileNotFoundError):
            continue
    return found


def end(identities: Iterable[Identity], term_grace_s: float = TERM_GRACE_S) -> list[Identity]:
    """End processes: SIGTERM to all, SIGKILL to what is left. Returns what survived even that (never, in practice)."""
    left = [identity for identity in identities if is_running(identity)]
    for number, grace_s in ((signal.SIGTERM, term_grace_s), (signal.SIGKILL, KILL_GRACE_S)):
        for identity in left:
            _send(identity, number)
        deadline = time.monotonic() + grace_s
        while left and time.monotonic() < deadline:
            time.sleep(0.02)
            left = [identity for identity in left if is_running(identity)]
    _STARTED[:] = [process for process in _STARTED if process.poll() is None]
    return left


def _send(identity: Identity, number: int) -> None:
    try:
        if is_running(identity):
            os.kill(identity.pid, number)
    except ProcessLookupError:
        pass
