"""Output of several programs on one terminal or journal: each line begins with the name of who wrote it."""

import subprocess
import threading
from collections.abc import Sequence
from typing import IO

from abci_app.daemon.child import die_with_parent, start_child

LINE_BYTES_MAX = 1 << 20
"""A longer line is passed on in pieces, each with the name."""
LAST_CHARACTERS = 300
DRAIN_S = 2.0
"""For what an ended program left in its pipes; a grandchild that still holds them open is not waited for."""


class PrefixedOutput:
    """The two streams that programs share, and what each of them said last."""

    def __init__(self, output: IO[bytes], errors: IO[bytes]) -> None:
        self._output, self._errors = output, errors
        self._lock = threading.Lock()
        self._last: dict[tuple[str, bool], str] = {}
        self._pumps: dict[str, list[threading.Thread]] = {}

    def start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program that ends with this thread, its output and errors passed on. Raises OSError."""
        process = start_child(die_with_parent(command), subprocess.PIPE, subprocess.PIPE)
        self._pumps[name] = [
            threading.Thread(target=self._pump, args=(name, source, is_error), daemon=True)
            for source, is_error in ((process.stdout, False), (process.stderr, True))
        ]
        for pump in self._pumps[name]:
            pump.start()
        return process

    def write(self, name: str, line: str) -> None:
        """Write a line of one's own."""
        self._pass_on(name, line.encode(), self._output)

    def drain(self) -> None:
        """Wait until what the ended programs wrote is passed on."""
        for pumps in self._pumps.values():
            for pump in pumps:
                pump.join(DRAIN_S)

    def last_words(self, name: str) -> str:
        """Return the last line that a program wrote to its errors, else to its output, else "nothing"."""
        with self._lock:
            return self._last.get((name, True)) or self._last.get((name, False)) or "nothing"

    def _pump(self, name: str, source: IO[bytes], is_error: bool) -> None:
        """Pass on until the program's end; where nobody reads any more, read all the same: it must not stand still."""
        with source:
            while line := source.readline(LINE_BYTES_MAX):
                words = line.decode(errors="replace").strip()[:LAST_CHARACTERS]
                if words:
                    with self._lock:
                        self._last[name, is_error] = words
                self._pass_on(name, line.rstrip(b"\n"), self._errors if is_error else self._output)

    def _pass_on(self, name: str, line: bytes, to: IO[bytes]) -> None:
        try:
            with self._lock:
                to.write(name.encode() + b" | " + line + b"\n")
                to.flush()
        except (OSError, ValueError):  # a pipe without a reader; a stream that is closed
            pass
