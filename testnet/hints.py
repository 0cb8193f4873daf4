"""Commands for people, in a form that works where they are typed: a virtual environment need not be activated."""

import os
import shlex
import shutil
import sys
from pathlib import Path

CALLED_FROM = "ROUTERD_CALLED_FROM"
"""Set by scripts that change the folder before they call routerd: where their caller stands."""


def routerd(*arguments: str | Path) -> str:
    """Return ``routerd ARGUMENTS`` as the caller can type it: by its name where PATH finds it, else by its path."""
    program = Path(sys.executable).with_name("routerd")
    if not program.exists():
        return shlex.join(["python", "-m", "abci_app.cli.main", *map(show, arguments)])
    found = shutil.which("routerd")
    is_on_path = found is not None and Path(found).resolve() == program.resolve()
    return shlex.join(["routerd" if is_on_path else show(program), *map(show, arguments)])


def show(argument: str | Path) -> str:
    """Return a path as the caller can type it, relative where it is below; anything else as it is."""
    if isinstance(argument, str):
        return argument
    absolute = argument.absolute()
    folder = Path(os.environ.get(CALLED_FROM) or Path.cwd())
    return str(absolute.relative_to(folder)) if absolute.is_relative_to(folder) else str(absolute)
