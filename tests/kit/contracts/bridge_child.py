"""Relayers to kill: a process that starts them one after the other, each in a fork of its own.

Imports are done once, so that thirty relayers start in thirty moments. Orders come as JSON lines on standard input:
{"home": …, "once": …, "die_at": [method, "before" | "after", count] | null}. Answers: {"pid": …}, then {"status": …}.
"""

import ctypes
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from abci_app.bridge.chain import EvmChain
from abci_app.bridge.home import load_home, locked
from abci_app.bridge.journal import Journal
from abci_app.bridge.runner import ChainRelay, Options


class Death:
    """When a relayer dies: at the n-th call of a method, before or after it did its work."""

    method: str | None = None
    when = "after"
    count = 0

    @classmethod
    def call(cls, name: str, method: Any, *arguments: Any, **named: Any) -> Any:
        """Call a method, and die if it is time."""
        is_due = name == cls.method
        if is_due:
            cls.count -= 1
        if is_due and cls.count == 0 and cls.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = method(*arguments, **named)
        if is_due and name == "receipt" and answer is None:
            cls.count += 1  # nothing is mined yet: that was no step
        elif is_due and cls.count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


class DyingJournal(Journal):
    """A journal whose owner may die before or after any write."""

    def record(self, *arguments: Any) -> None:
        Death.call("record", super().record, *arguments)

    def sign(self, *arguments: Any) -> None:
        Death.call("sign", super().sign, *arguments)

    def mined(self, *arguments: Any) -> None:
        Death.call("mined", super().mined, *arguments)

    def settle(self, *arguments: Any) -> None:
        Death.call("settle", super().settle, *arguments)

    def move_cursor(self, *arguments: Any) -> None:
        Death.call("move_cursor", super().move_cursor, *arguments)


class StatementJournal(Journal):
    """A journal whose owner may die before any single SQL statement, also inside a transaction."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        connection.set_trace_callback(lambda _: Death.call("statement", lambda: None))


class DyingChain(EvmChain):
    """A chain whose user may die after any call."""

    def simulate_batch(self, *arguments: Any) -> None:
        Death.call("simulate_batch", super().simulate_batch, *arguments)

    def simulate_entry(self, *arguments: Any) -> None:
        Death.call("simulate_entry", super().simulate_entry, *arguments)

    def send(self, *arguments: Any) -> Any:
        return Death.call("send", super().send, *arguments)

    def receipt(self, *arguments: Any) -> Any:
        return Death.call("receipt", super().receipt, *arguments)


def relay(order: dict[str, Any]) -> None:
    """Be a relayer until killed, or until all is settled."""
    if order["die_at"]:
        Death.method, Death.when, Death.count = order["die_at"]
    home = load_home(Path(order["home"]))
    log = logging.StreamHandler((home.path / "relay.log").open("a"))
    log.setFormatter(logging.Formatter("%(process)d %(message)s %(reason)s", defaults={"reason": ""}))
    logging.basicConfig(level=logging.INFO, handlers=[log])
    [config] = home.config.chains
    journal = StatementJournal if Death.method == "statement" else DyingJournal
    with (
        locked(home.path),
        ChainRelay(
            home, config, Options(is_once=order["once"]), DyingChain(config.rpc_url, config.place), journal
        ) as chain,
    ):
        chain.run(threading.Event())


def die_with_parent() -> None:
    """Have the kernel end this process with the one that started it: a test that fails leaves nobody behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> None:
    """Obey."""
    die_with_parent()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            die_with_parent()
            status = 1
            try:
                relay(json.loads(line))
                status = 0
            finally:
                os._exit(status)
        print(json.dumps({"pid": pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
