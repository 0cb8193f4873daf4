"""What no tracked file may say, whatever its language."""

import ast
import posixpath
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

# Each pattern is written so that it does not match itself.
HOSTS = re.compile(r"npmj[s]\.|pyp[i]\.org|pythonhoste[d]|proxy\.golan[g]|sum\.golan[g]|deb\.debia[n]|crate[s]\.io/")
MACHINE_PATHS = re.compile(r"(?<![\w.$}])/(?:wor[k]|roo[t]|hom[e]/\w+|User[s]/\w+)/|/tmp/bas[h]_jobs")
POSTPONED = re.compile(r"\b(?:TOD[O]|FIXM[E]|HAC[K])\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")
SKIPS = ("skip", "skipif", "xfail", "importorskip")


def check_no_hosts(path: str, text: str) -> list[str]:
    """Refuses the address of a package registry: which one is used is the business of the machine that installs."""
    return _matches(path, text, HOSTS, "the host of a package registry")


def check_no_machine_paths(path: str, text: str) -> list[str]:
    """Refuses an absolute path that exists on the author's machine only."""
    return _matches(path, text, MACHINE_PATHS, "a path of one machine")


def check_nothing_postponed(path: str, text: str) -> list[str]:
    """Refuses a note to do something later: it belongs in an issue."""
    return _matches(path, text, POSTPONED, "something postponed; open an issue instead")


def check_links(path: str, markdown: str, files: Iterable[str]) -> list[str]:
    """Refuses a relative link to a file or folder that is not in the repository."""
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    known = {*files, *folders}
    problems = []
    for number, line in enumerate(markdown.splitlines(), start=1):
        for target in LINK.findall(line):
            if not target.startswith(("#", "http://", "https://")):
                place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target.split("#")[0]))
                if place not in known:
                    problems.append(f"{path}:{number}: {target} does not exist")
    return problems


def check_no_skips(path: str, source: str) -> list[str]:
    """Refuses a test that is skipped or expected to fail: it would show nothing."""
    return [
        f"{path}:{node.lineno}: {node.attr}: a test runs or is deleted"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and node.attr in SKIPS
        and isinstance(node.value, ast.Name | ast.Attribute)
        and ast.unparse(node.value) in ("pytest", "pytest.mark", "mark", "unittest")
    ]


def _matches(path: str, text: str, pattern: re.Pattern[str], what: str) -> list[str]:
    lines = enumerate(text.splitlines(), start=1)
    return [f"{path}:{number}: {what}: {found.group()!r}" for number, line in lines if (found := pattern.search(line))]
