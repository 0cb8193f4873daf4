"""A local network's supervisor of one validator: the product's, with logs in files and PIDs that others can look up.

``python -m testnet.processes.supervise PAIR.json`` runs it.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from abci_app.daemon.log import logging_to
from abci_app.daemon.supervise import Part, Supervisor
from testnet.processes.pids import renew_pid
from testnet.processes.spawn import identify, save_identity, spawn

PARTS = APPLICATION, ENGINE = "app", "cometbft"
CHILD_GRACE_S = 2.5
"""For each of the two children between SIGTERM and SIGKILL; both fit into the network's own grace."""


@dataclass(frozen=True)
class Pair:
    """What one supervisor keeps up. Commands are argument lists."""

    name: str
    application: list[str]
    engine: list[str]
    application_log: str
    engine_log: str
    abci: str
    """Address at which the application serves: unix:///path or tcp://host:port."""
    pids: str
    """Folder in which the children's identities are saved, as ``<name>-app`` and ``<name>-cometbft``."""


def save_pair(path: Path, pair: Pair) -> None:
    """Write a pair's file."""
    path.write_text(json.dumps(asdict(pair), indent=1))


def load_pair(path: Path) -> Pair:
    """Read a pair's file. Raises OSError, ValueError, TypeError."""
    return Pair(**json.loads(path.read_text()))


def supervise(pair: Pair) -> Supervisor:
    """Return the supervisor of a pair. A port that is still taken at the first start is free a moment later."""
    pids = Path(pair.pids)

    def changed(part: str, pid: int | None) -> None:
        if pid is not None:
            save_identity(pids, identify(f"{pair.name}-{part}", pid))
        renew_pid(pids.parent, pair.name, part, pid)

    return Supervisor(
        Part(APPLICATION, _starter(pair.application, pair.application_log)),
        Part(ENGINE, _starter(pair.engine, pair.engine_log)),
        pair.abci, changed=changed, grace_s=CHILD_GRACE_S, is_refusal_final=False,
    )


def _starter(command: Sequence[str], log: str) -> Callable[[], subprocess.Popen[bytes]]:
    return lambda: spawn(command, Path(log), dies_with_parent=True)


def main(arguments: list[str]) -> int:
    """Supervise the pair named on the command line until SIGTERM, SIGINT or SIGHUP."""
    pair = load_pair(Path(arguments[0]))
    supervisor = supervise(pair)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.stopping.set())
    try:
        with logging_to(None, "info", OSError):
            supervisor.run()
    finally:
        for part in (*PARTS, "supervisor"):
            renew_pid(Path(pair.pids).parent, pair.name, part, None)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
