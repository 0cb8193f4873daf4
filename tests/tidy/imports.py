"""Import walls: who may import whom, inside the project and outside. ARCHITECTURE.md draws the same table."""

import ast
from dataclasses import dataclass
from pathlib import PurePosixPath

ANYTHING_OF_OURS = ("abci_app",)

MACHINE = "abci_app.machine"
MACHINE_ORDER = (
    ("codes",),
    ("state",),
    ("params", "connext", "block_events", "upgrades"),
    ("results",),
    ("scope",),
    ("observation",),
    ("ledger",),
    ("decisions",),
    ("assignment",),
    ("events",),
    ("transactions",),
    ("block_parts", "commit"),
    ("block",),
)
"""The state machine's folders and files from the bottom up: each may import the rows before its own.

``genesis`` is beside them: it makes the first state, needs no rule for it, and no rule needs it.
"""


def make_machine_walls() -> dict[str, tuple[str, ...]]:
    """The entries of WALLS for the parts of the machine; only transactions know protobuf messages."""
    walls: dict[str, tuple[str, ...]] = {}
    below: tuple[str, ...] = ()
    for row in MACHINE_ORDER:
        for part in row:
            walls[f"{MACHINE}.{part}"] = (*below, "abci_app.pb") if part == "transactions" else below
        below += tuple(f"{MACHINE}.{part}" for part in row)
    walls[f"{MACHINE}.genesis"] = (*walls[f"{MACHINE}.results"], f"{MACHINE}.observation")
    return walls


WALLS: dict[str, tuple[str, ...]] = {
    "abci_app.pb": (),
    "abci_app.abci": (),
    "abci_app.daemon": (),
    MACHINE: (),
    **make_machine_walls(),
    "abci_app.evm": ("abci_app.machine.state.records", "abci_app.machine.state.codec", "abci_app.machine.connext"),
    "abci_app.observer": ("abci_app.daemon", "abci_app.evm", "abci_app.machine"),
    "abci_app.node": (
        *("abci_app.abci", "abci_app.daemon", "abci_app.machine", "abci_app.observer", "abci_app.gateway.codes"),
    ),
    "abci_app.gateway": ("abci_app.node.view", "abci_app.machine", "abci_app.pb"),
    "abci_app.gateway.codes": (),
    "abci_app.gateway.core": ("abci_app.gateway.codes", "abci_app.node.view", "abci_app.machine"),
    "abci_app.client": ("abci_app.gateway.codes", "abci_app.machine", "abci_app.pb"),
    "abci_app.bridge": ("abci_app.client", "abci_app.daemon", "abci_app.evm", "abci_app.machine", "abci_app.pb"),
    "abci_app.router": (
        *("abci_app.client", "abci_app.daemon", "abci_app.evm", "abci_app.machine", "abci_app.pb"),
        "abci_app.gateway.codes",
    ),
    "abci_app.operator": ("abci_app.evm", "abci_app.machine", "abci_app.node.genesis"),
    "abci_app.cli": ANYTHING_OF_OURS,
    "abci_app.cli.testnet": (*ANYTHING_OF_OURS, "testnet"),
    "testnet": ANYTHING_OF_OURS,
    "bench": (*ANYTHING_OF_OURS, "testnet"),
    "examples": ("abci_app.abci",),
}
"""What a module may import besides what is within its own entry; the longest name that fits a module counts."""

LAZY = {"abci_app.cli.testnet": "testnet"}
"""Imports that must stand inside a function: the package is there in a checkout only, not in a wheel."""

MACHINE_IMPORTS = (
    *("__future__", "bisect", "collections.abc", "dataclasses", "enum", "functools.cache", "functools.lru_cache"),
    *("heapq", "types", "typing"),
    *("hashlib", "struct"),
    *("coincurve", "sha3", "google.protobuf"),
    *("abci_app.machine", "abci_app.pb"),
)
"""All that the state machine may import: nothing here knows the time, a file, a socket or a random number."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    "web3": ("abci_app.evm",),
    "eth_": ("abci_app.evm",),
    "hexbytes": ("abci_app.evm",),
    "plyvel": ("abci_app.node",),
    "pydantic": ("abci_app.daemon",),
    "typer": ("abci_app.cli",),
    "grpc": (
        *("abci_app.gateway.server", "abci_app.gateway.query", "abci_app.gateway.tx", "abci_app.pb"),
        *("abci_app.client", "proto"),
    ),
    "rich": ("abci_app.cli", "testnet", "bench"),
}
"""Libraries that stay behind one wall, by the start of their name."""

SHARED = ("tests.kit", "tests.vectors")
"""What tests of every tree may import."""

SHARED_BY_TESTS = {"kit": ("tests.kit",), "vectors": SHARED, "tidy": ("tests.tidy",), "tests": (*SHARED, "tests.tidy")}
"""The same for the trees that may import less or more: by the folder below tests."""


@dataclass(frozen=True)
class Import:
    """One imported name, absolute and dotted as far as the statement tells."""

    name: str
    line: int
    lazy: bool


def module_of(path: str) -> str:
    """The dotted name of a file given relative to the root of the repository."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: str, source: str) -> list[Import]:
    """Every import in a file; `from a import b` counts as a.b, relative ones are made absolute."""
    tree = ast.parse(source)
    lazy = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    package = PurePosixPath(path).parent.parts
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, id(node) in lazy) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base = (*base, *(node.module or "").split(".")) if node.module else base
            for alias in node.names:
                name = ".".join(base if alias.name == "*" else (*base, alias.name))
                found.append(Import(name, node.lineno, id(node) in lazy))
    return found


def check_walls(path: str, source: str) -> list[str]:
    """Refuses an import between our own packages that WALLS does not allow."""
    module = module_of(path)
    wall = max((name for name in WALLS if is_within(module, name)), key=len, default=None)
    own = wall or (".".join(module.split(".")[:2]) if module.startswith("abci_app.") else module.split(".")[0])
    problems = []
    for found in imports_of(path, source):
        if not (is_within(found.name, "abci_app") or is_within(found.name, "testnet")):
            continue
        if found.name in ("abci_app", "abci_app.__version__") or is_within(found.name, own):
            continue
        if wall is None:
            problems.append(f"{path}:{found.line}: {module} has no entry in WALLS and imports {found.name}")
        elif not any(is_within(found.name, allowed) for allowed in WALLS[wall]):
            problems.append(f"{path}:{found.line}: {wall} may not import {found.name}")
        elif not found.lazy and is_within(found.name, LAZY.get(wall, "-")):
            problems.append(f"{path}:{found.line}: {found.name} must be imported inside a function")
    return problems


def check_libraries(path: str, source: str) -> list[str]:
    """Refuses a library outside the packages that may know it, and anything unlisted in the state machine."""
    module = module_of(path)
    problems = []
    for found in imports_of(path, source):
        for start, homes in ONLY_IN.items():
            if found.name.startswith(start) and not any(is_within(module, home) for home in homes):
                problems.append(f"{path}:{found.line}: {found.name} may be imported by {', '.join(homes)} only")
        if is_within(module, "abci_app.machine") and not any(is_within(found.name, name) for name in MACHINE_IMPORTS):
            problems.append(f"{path}:{found.line}: the state machine may not import {found.name}")
    return problems


def check_test_trees(path: str, source: str) -> list[str]:
    """Refuses an import from one tree of tests into another: what two files share stands in tests/kit.

    The makers of tests/vectors may be imported as well, a test module by nobody.
    """
    problems = []
    for found in imports_of(path, source):
        parts = found.name.split(".")
        if parts[0] != "tests":
            continue
        if any(part.startswith("test_") for part in parts):
            problems.append(f"{path}:{found.line}: {found.name} is a test module: put what is shared in tests/kit")
        elif not any(is_within(found.name, shared) for shared in SHARED_BY_TESTS.get(tree_of(path), SHARED)):
            problems.append(f"{path}:{found.line}: {found.name} is of another tree: put what is shared in tests/kit")
    return problems


def tree_of(path: str) -> str:
    """The folder below tests that a file is in; tests itself for a file beside these folders."""
    parts = PurePosixPath(path).parts
    return parts[1] if len(parts) > 2 else "tests"


def reachable(start: str, sources: dict[str, str]) -> dict[str, str]:
    """Modules of ours that an import of `start` loads, each with the one that imports it; keys of sources are paths."""
    modules = {module_of(path): path for path in sources}
    importer = {start: start}
    queue = [start]
    while queue:
        module = queue.pop()
        for found in imports_of(modules[module], sources[modules[module]]):
            parts = found.name.split(".")
            for end in range(1, len(parts) + 1):
                loaded = ".".join(parts[:end])
                if loaded in modules and loaded not in importer:
                    importer[loaded] = module
                    queue.append(loaded)
    return importer


def is_within(name: str, package: str) -> bool:
    """Whether a dotted name is the package or something in it."""
    return name == package or name.startswith(package + ".")
