"""Child processes of a daemon: in a session of their own, killed by the kernel with whoever started them."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO

_DIES_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, kept across exec
if os.getppid() == int(sys.argv[1]):        # else the parent was gone before that
    os.execvp(sys.argv[2], sys.argv[2:])
"""
Output = IO[bytes] | int
"""A file, or subprocess.PIPE."""


def die_with_parent(command: Sequence[str]) -> list[str]:
    """Return the command of a child that the kernel kills when the thread that starts it ends, even by SIGKILL.

    The child asks for that itself, before it becomes ``command``. A preexec_fn would ask between fork and exec, where
    threads' locks and gRPC's pollers are copies that nobody serves: now and then the child hangs or aborts there.
    """
    return [sys.executable, "-I", "-S", "-c", _DIES_WITH_PARENT, str(os.getpid()), *command]


def start_child(
    command: Sequence[str], output: Output, errors: Output, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start ``command`` without input, out of reach of the terminal's Ctrl-C. Raises OSError."""
    return subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
        env={**os.environ, **(environment or {})}, start_new_session=True,
    )


def end_child(process: subprocess.Popen[bytes], grace_s: float) -> bool:
    """End a child by SIGTERM, after ``grace_s`` by SIGKILL; return whether it took the latter."""
    if process.poll() is not None:
        return False
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False
