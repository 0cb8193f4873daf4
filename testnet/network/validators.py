"""Validators as parts of a network: a supervisor each, which keeps application and CometBFT up."""

import sys
import time
from collections.abc import Callable

from testnet.network.layout import ENGINE, Layout, NetworkError, NodePlace
from testnet.processes import cometbft
from testnet.processes.logs import last_words
from testnet.processes.spawn import is_running, load_identities, spawn_known
from testnet.processes.supervise import PARTS, Pair, save_pair

READY_S, POLL_S = 60.0, 0.2


def begin_validator(layout: Layout, node: NodePlace) -> Callable[[], None]:
    """Start a validator's supervisor; return what waits until application and CometBFT run."""
    routerd = [sys.executable, "-m", "abci_app.cli.main"]
    save_pair(node.pair_file, Pair(
        name=node.name,
        application=[*routerd, "start", "--home", str(node.app_home.absolute())],
        engine=cometbft.start_command(ENGINE, node.engine_home.absolute()),
        application_log=str((layout.logs / f"{node.name}-app.jsonl").absolute()),
        engine_log=str((layout.logs / f"{node.name}-cometbft.jsonl").absolute()),
        abci=node.abci,
        pids=str(layout.pids.absolute()),
    ))
    command = [sys.executable, "-m", "testnet.processes.supervise", str(node.pair_file.absolute())]
    spawn_known(layout.pids, node.name, command, layout.logs / f"{node.name}-supervisor.jsonl")
    return lambda: _wait_pair(layout, node.name)


def _wait_pair(layout: Layout, name: str) -> None:
    """Wait until both of a pair run. Raises NetworkError when the supervisor ends, or after READY_S."""
    deadline = time.monotonic() + READY_S
    while True:
        found = load_identities(layout.pids)
        if all(f"{name}-{part}" in found and is_running(found[f"{name}-{part}"]) for part in PARTS):
            return
        running = is_running(found[name])
        if not running or time.monotonic() > deadline:
            words = last_words(layout.logs / f"{name}-{'app' if running else 'supervisor'}.jsonl")
            raise NetworkError(f"{name} {'is not ready' if running else 'ended'}; its last words: {words}")
        time.sleep(POLL_S)
