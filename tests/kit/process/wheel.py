"""The package as an operator has it: a wheel of the tracked files, installed outside the checkout, run as commands."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.kit.process.cometbft import binary
from tests.kit.process.processes import ROOT

COMMAND_TIMEOUT_S = 120.0


def run(*command: str, cwd: Path) -> str:
    """Run a command; return its output. A status other than 0 fails with all that it said."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False,
        env=clean_environment(),
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what would lead Python back to the checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV", "VIRTUAL_ENV"))}
    return kept | more


def build_wheel(folder: Path) -> Path:
    """Build the wheel from a copy of the tracked files, without the network."""
    source = folder / "source"
    tracked = run("git", "ls-files", "abci_app", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", cwd=ROOT)
    for name in tracked.split():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index",
        "--no-build-isolation", "--wheel-dir", str(folder), str(source), cwd=folder,
    )
    [wheel] = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """Install a wheel into a new environment; return the environment's programs.

    What the wheel needs is the checkout's, as a plain path: the checkout itself does not come with it.
    """
    environment = folder / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", str(environment), cwd=folder)
    python = environment / "bin" / "python"
    run(
        sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--no-index", str(wheel), cwd=folder,
    )
    [packages] = environment.glob("lib/python*/site-packages")
    [libraries] = Path(sys.prefix).glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(f"{libraries}\n")
    return environment / "bin"


class Operator:
    """A folder outside the checkout, and the installed commands."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs

    def routerd(self, *arguments: str) -> str:
        """Run one command of the installed ``routerd``; return its output."""
        return run(str(self.programs / "routerd"), *arguments, cwd=self.folder)

    def ask(self, *arguments: str) -> dict[str, Any]:
        """Run one command with ``--json``."""
        answer: dict[str, Any] = json.loads(self.routerd(*arguments, "--json"))
        return answer

    def refused(self, *arguments: str) -> str:
        """Run one command that must end with 1; return its line on standard error."""
        done = subprocess.run(
            [str(self.programs / "routerd"), *arguments], cwd=self.folder, capture_output=True, text=True,
            timeout=COMMAND_TIMEOUT_S, check=False, env=clean_environment(),
        )
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done
        return done.stderr

    def cometbft(self, *arguments: str) -> str:
        """Run one command of CometBFT; return its output."""
        return run(str(binary()), *arguments, cwd=self.folder)

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write one of the files that the page describes."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode)
        path.write_text(text)
