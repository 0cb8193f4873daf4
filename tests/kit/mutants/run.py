"""Changes of the code that a test must notice: each is made in a copy of the tree, where its tests must then fail.

    python -m tests.kit.mutants.run [--only NAME] [--json FILE]

A mutant is *caught* where its tests fail or hang, *lived* where they pass, *stale* where its old text does not stand in
the file exactly once, and *broken* where its tests do not pass without it or cannot be run.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[3]
LIST = Path(__file__).with_name("list.toml")
TESTS_S = 300.0
"""For the named tests of one mutant; those of the gate deploy contracts first."""
LINKED = ("contracts/node_modules", "build/bin", "build/cache")
"""What tests need and git does not hold; a copy uses the original."""
PASSED, FAILED = 0, 1
"""Of pytest's exit codes; all others say that tests could not be run."""
VERDICTS = {PASSED: "lived", FAILED: "caught", None: "caught"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change, and the tests that notice it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant."""

    name: str
    file: str
    verdict: str


def load_mutants(path: Path) -> list[Mutant]:
    """Return the mutants of a list, in its order. Raises KeyError, TypeError for another form."""
    entries = tomllib.loads(path.read_text())["mutant"]
    return [Mutant(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def copy_tree(root: Path, copy: Path) -> None:
    """Make ``copy`` the tree of ``root`` as it is now, without what git ignores."""
    shutil.rmtree(copy, ignore_errors=True)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (root / name).is_file():  # not one that is deleted, yet not committed
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name)
    for name in LINKED:
        if (root / name).is_dir():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).symlink_to(root / name)


def run_tests(tree: Path, tests: Sequence[str], timeout_s: float) -> int | None:
    """Return pytest's exit code; None where it had to be killed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    # Two changes of the same second and size would share their bytecode.
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        command, cwd=tree, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def try_mutants(tree: Path, mutants: Sequence[Mutant], timeout_s: float = TESTS_S) -> list[Verdict]:
    """Return what becomes of each mutant in the copy ``tree``, which is left as it was."""
    sound: dict[tuple[str, ...], bool] = {}
    found = []
    for mutant in mutants:
        if mutant.tests not in sound:
            sound[mutant.tests] = run_tests(tree, mutant.tests, timeout_s) == PASSED
        found.append(Verdict(mutant.name, mutant.file, try_one(tree, mutant, sound[mutant.tests], timeout_s)))
        print(f"[mutants] {mutant.name}: {found[-1].verdict}", file=sys.stderr, flush=True)
    return found


def try_one(tree: Path, mutant: Mutant, is_sound: bool, timeout_s: float) -> str:
    """Return the verdict of one mutant; ``is_sound`` says whether its tests pass without it."""
    path = tree / mutant.file
    text = path.read_text() if path.is_file() else ""
    if text.count(mutant.old) != 1:
        return "stale"
    if not is_sound:
        return "broken"
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        return VERDICTS.get(run_tests(tree, mutant.tests, timeout_s), "broken")
    finally:
        path.write_text(text)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT, listed: Path = LIST) -> int:
    """Try the listed mutants, print a table; return 0 where all are caught, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="scripts/mutants", description="Do tests notice these changes of the code?")
    parser.add_argument("--only", metavar="NAME", help="mutants whose names begin like this")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the verdicts to a file as well")
    options = parser.parse_args(arguments)
    mutants = [one for one in load_mutants(listed) if one.name.startswith(options.only or "")]
    if not mutants:
        parser.error(f"no mutant is called {options.only}")
    copy = root / "build" / "mutants"
    copy_tree(root, copy)
    verdicts = try_mutants(copy, mutants)
    table = Table()
    for column in ("mutant", "file", "verdict"):
        table.add_column(column, overflow="fold")
    for one in verdicts:
        table.add_row(one.name, one.file, one.verdict)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in verdicts], indent=1) + "\n")
    return 0 if all(one.verdict == "caught" for one in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
