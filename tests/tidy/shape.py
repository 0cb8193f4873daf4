"""How the code is cut and named: sizes, docstrings, verbs, file names."""

import ast
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
"""The aim is 300 lines a file; beyond these figures something has two purposes."""

FOLDER_FILES_MAX = 16
"""Of one folder, the package's own file left out; more are several subjects."""

PLAIN_METHOD_LINES_MAX = 6
"""A public method up to this length may do without a docstring: its name and types say all there is."""

EMPTY_NAMES = ("common", "helper", "helpers", "misc", "stuff", "util", "utils")
"""File names that say nothing about what is inside."""

REFUSED_WORDS = (
    "door", "doors", "doubt", "doubts", "hopeless", "keeper", "knock", "knocks", "looker", "penny", "said", "shunned",
    "silence", "spoil", "spoilt", "walk", "walks", "weak",
)
"""Word parts of identifiers that describe a picture instead of the thing; docs/glossary.md has the terms."""
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Function = ast.FunctionDef | ast.AsyncFunctionDef


def check_file_length(path: str, source: str) -> list[str]:
    """Refuses a file with too many lines."""
    lines = len(source.splitlines())
    return [f"{path}:1: {lines} lines, at most {FILE_LINES_MAX}"] if lines > FILE_LINES_MAX else []


def check_folders(paths: Iterable[str]) -> list[str]:
    """Refuses a folder with too many files of code."""
    counts = Counter(
        str(PurePosixPath(path).parent) for path in paths if PurePosixPath(path).name != "__init__.py"
    )
    return [
        f"{folder}: {count} files, at most {FOLDER_FILES_MAX}"
        for folder, count in sorted(counts.items()) if count > FOLDER_FILES_MAX
    ]


def check_function_length(path: str, source: str) -> list[str]:
    """Refuses a function with too many lines, its docstring and inner functions included."""
    problems = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            lines = line_count(node)
            if lines > FUNCTION_LINES_MAX:
                problems.append(f"{path}:{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}")
    return problems


def check_docstrings(path: str, source: str) -> list[str]:
    """Refuses a public module, class, function or longer method without a docstring; an override inherits one."""
    tree = ast.parse(source)
    problems = [] if ast.get_docstring(tree) else [f"{path}:1: the module has no docstring"]
    plain_classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.bases]
    owners: list[ast.Module | ast.ClassDef] = [tree, *plain_classes]
    for owner in owners:
        for node in owner.body:
            if not isinstance(node, Documented) or node.name.startswith("_") or ast.get_docstring(node):
                continue
            if owner is tree or line_count(node) > PLAIN_METHOD_LINES_MAX:
                problems.append(f"{path}:{node.lineno}: {node.name} has no docstring")
    return problems


def check_file_name(path: str) -> list[str]:
    """Refuses a file whose name would suit any content."""
    return [f"{path}:1: a name that says nothing"] if PurePosixPath(path).stem in EMPTY_NAMES else []


def check_words(path: str, source: str) -> list[str]:
    """Refuses an identifier with a word that is a picture, in snake_case, CamelCase or a file name."""
    names = [(1, PurePosixPath(path).stem)]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Documented):
            names.append((node.lineno, node.name))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append((node.lineno, node.id))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.append((node.lineno, node.attr))
        elif isinstance(node, ast.arg):
            names.append((node.lineno, node.arg))
    return [
        f"{path}:{line}: {name}: {word.lower()!r} is a picture; name the thing (docs/glossary.md)"
        for line, name in names
        for word in WORD.findall(name)
        if word.lower() in REFUSED_WORDS
    ]


def check_verbs(path: str, source: str) -> list[str]:
    """In the state machine the verb says what a function may touch.

    compute_* sees no state; is_*, has_* and get_* read it and do not write; put_* writes and cannot fail.
    """
    problems = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, Function):
            continue
        verb = node.name.lstrip("_").split("_")[0]
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        types = " ".join(ast.unparse(argument.annotation) for argument in arguments if argument.annotation)
        called = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
        calls = {function.id for function in called if isinstance(function, ast.Name)}
        where = f"{path}:{node.lineno}: {node.name}"
        if verb == "compute" and ("StateView" in types or "StateDelta" in types):
            problems.append(f"{where} is given state: compute_* may not look at it")
        if verb in ("is", "has", "get") and "StateDelta" in types:
            problems.append(f"{where} is given a StateDelta: {verb}_* only reads")
        if verb in ("is", "has", "get", "compute") and any(call.startswith(("put_", "delete_")) for call in calls):
            problems.append(f"{where} writes: {verb}_* may not")
        if verb == "put" and ("require" in calls or "Rejected" in calls):
            problems.append(f"{where} rejects: put_* writes after the checks and cannot fail")
    return problems


def line_count(node: Documented) -> int:
    """Lines from the `def` or `class` to the last one; decorators are not counted."""
    return (node.end_lineno or node.lineno) - node.lineno + 1
