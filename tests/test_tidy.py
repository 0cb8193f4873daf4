"""The project's own lint, run on every tracked file; and for each check, texts that it must refuse and must pass.

A new file counts as soon as it exists: files that git does not ignore are read, tracked or not.
"""

import ast
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tidy import imports, purity, shape, text

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ("abci_app/pb/", "abci_app/abci/pb/")
LOCKS = ("requirements.lock", "contracts/package-lock.json", "engine/go.sum", "LICENSE")
CODE = (".py", ".sol", ".proto", ".js", ".cjs", ".mjs", ".sh")

ALLOWED: dict[tuple[str, str], str] = {
    ("abci_app/machine/state/records.py", "lines"): "one list: split, the layout of the state stands in two places",
}
"""Problems we live with: file, a part of the message, and why. Each entry excuses one problem and must be needed."""

Check = Callable[[str, str], list[str]]


def tracked_files() -> dict[str, str]:
    """Every text file that belongs to the repository, by its path from the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
        text=True,
    ).stdout.split("\0")
    files = {}
    for name in sorted(set(filter(None, listed))):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in content:
            files[name] = content.decode()
    return files


FILES = tracked_files()
PYTHON = {path: source for path, source in FILES.items() if path.endswith(".py") and not path.startswith(GENERATED)}
PRODUCT = {path: source for path, source in PYTHON.items() if not path.startswith("tests/")}
PACKAGE = {path: source for path, source in PYTHON.items() if path.startswith("abci_app/")}
MACHINE = {path: source for path, source in PYTHON.items() if path.startswith("abci_app/machine/")}
KEY_READERS = {  # the store has a prefix of its own before each key
    path: source for path, source in PACKAGE.items()
    if path.startswith(("abci_app/machine/", "abci_app/gateway/", "abci_app/node/"))
    and not path.startswith(("abci_app/machine/state/", "abci_app/node/store.py", "abci_app/node/view.py"))
}
TESTS = {path: source for path, source in PYTHON.items() if path.startswith("tests/")}
WRITTEN = {path: content for path, content in FILES.items() if path not in LOCKS and not path.startswith(GENERATED)}
MARKDOWN = {path: content for path, content in FILES.items() if path.endswith(".md")}
PROGRAMS = {path: content for path, content in WRITTEN.items() if path.endswith(CODE) or path.startswith("scripts/")}


def without_allowed(problems: list[str], allowed: dict[tuple[str, str], str]) -> tuple[list[str], set[tuple[str, str]]]:
    """The problems that no entry excuses, and the entries that excused one."""
    used: set[tuple[str, str]] = set()
    remaining = []
    for problem in problems:
        fits = [entry for entry in allowed if problem.startswith(entry[0] + ":") and entry[1] in problem]
        if fits and fits[0] not in used:
            used.add(fits[0])
        else:
            remaining.append(problem)
    return remaining, used


CHECKS: list[tuple[str, Check, dict[str, str]]] = [
    ("import walls", imports.check_walls, PRODUCT),
    ("libraries behind their wall", imports.check_libraries, PRODUCT),
    ("no test tree imports another", imports.check_test_trees, TESTS),
    ("machine is pure", purity.check_purity, MACHINE),
    ("machine sorts sets", purity.check_sorted_sets, MACHINE),
    ("machine takes the scope", purity.check_scope, MACHINE),
    ("keys are parsed where they are made", purity.check_keys, KEY_READERS),
    ("no assert", purity.check_no_assert, PRODUCT),
    ("nothing between fork and exec", purity.check_no_preexec, PYTHON),
    ("verbs of the machine", shape.check_verbs, MACHINE),
    ("file length", shape.check_file_length, PRODUCT),
    ("function length", shape.check_function_length, PRODUCT),
    ("docstrings", shape.check_docstrings, PACKAGE),
    ("plain words", shape.check_words, PACKAGE),
    ("file names", lambda path, _: shape.check_file_name(path), PYTHON),
    ("no registry hosts", text.check_no_hosts, FILES),
    ("no machine paths", text.check_no_machine_paths, WRITTEN),
    ("nothing postponed", text.check_nothing_postponed, PROGRAMS),
    ("links", lambda path, markdown: text.check_links(path, markdown, FILES), MARKDOWN),
    ("no skipped tests", text.check_no_skips, TESTS),
]


@pytest.mark.parametrize(("check", "files"), [pytest.param(check, files, id=name) for name, check, files in CHECKS])
def test_the_tree_is_tidy(check: Check, files: dict[str, str]) -> None:
    assert files, "the check would look at nothing"
    problems, _ = without_allowed(problems_of(check, files), ALLOWED)
    assert not problems, "\n" + "\n".join(problems)


def problems_of(check: Check, files: dict[str, str]) -> list[str]:
    """What a check says about all the files."""
    return [problem for path, content in files.items() for problem in check(path, content)]


def test_the_balance_checker_of_the_demo_loads_nothing_of_the_machine() -> None:
    """Its expectations come from raw logs only, so a mistake of the machine cannot agree with itself."""
    checks = "testnet.audit.checks"
    loaded = imports.reachable(checks, PYTHON) if "testnet/audit/checks.py" in PYTHON else {}
    assert [name for name in loaded if imports.is_within(name, "abci_app.machine")] == []


def test_the_reading_order_of_the_machine_names_each_of_its_files_once() -> None:
    section = FILES["ARCHITECTURE.md"].split("## Reading the state machine")[1].split("\n## ")[0]
    named = [cell for line in section.splitlines() if line.startswith("| `") for cell in line.split("|")[1].split("`")]
    assert sorted(name for name in named if name.endswith(".py")) == sorted(
        path.rpartition("/")[2] for path in MACHINE if not path.endswith("__init__.py")
    )


def test_every_part_of_the_machine_has_its_place_in_the_order() -> None:
    parts = {path.split("/")[2].removesuffix(".py") for path in MACHINE} - {"__init__"}
    assert sorted([*(part for row in imports.MACHINE_ORDER for part in row), "genesis"]) == sorted(parts)


def test_the_order_of_the_machine_is_told() -> None:
    [told] = [line for line in FILES["ARCHITECTURE.md"].splitlines() if line.startswith("`codes` < ")]
    rows = [tuple(re.findall(r"`(\w+)`", row)) for row in told.split(" < ")]
    assert tuple(rows) == imports.MACHINE_ORDER


def test_every_package_has_a_wall() -> None:
    packages = {imports.module_of(path).split(".")[1] for path in PACKAGE if path.count("/") >= 2}
    assert packages <= {wall.split(".")[1] for wall in imports.WALLS if wall.startswith("abci_app.")}


def test_every_allowed_problem_still_exists() -> None:
    problems = [problem for _, check, files in CHECKS for problem in problems_of(check, files)]
    assert set(ALLOWED) - without_allowed(problems, ALLOWED)[1] == set()


def test_an_allowance_excuses_one_problem_of_one_file() -> None:
    problems = ["a.py:1: 500 lines", "a.py:9: f has 80 lines", "a.py:99: g has 80 lines", "b.py:1: f has 80 lines"]
    allowed = {("a.py", "has 80 lines"): "why", ("c.py", "lines"): "why"}
    assert without_allowed(problems, allowed) == ([problems[0], problems[2], problems[3]], {("a.py", "has 80 lines")})


# --- every check fires on what it is for, and only there -----------------------------------------------------------

REFUSED_IMPORTS = [
    ("abci_app/abci/server.py", "import abci_app.machine.block"),
    ("abci_app/abci/server.py", "from .. import machine"),
    ("abci_app/machine/transactions/tx.py", "from abci_app.node import store"),
    ("abci_app/machine/transactions/tx.py", "from abci_app.abci.pb import messages"),
    ("abci_app/machine/state/view.py", "from abci_app.machine.scope import Scope"),
    ("abci_app/machine/state/codec.py", "from abci_app.pb import tx_pb2"),
    ("abci_app/machine/params.py", "from abci_app.machine.connext import keccak"),
    ("abci_app/machine/scope.py", "from abci_app.machine import block"),
    ("abci_app/machine/observation/reports.py", "from abci_app.machine.decisions import batches"),
    ("abci_app/machine/ledger/liquidity.py", "from abci_app.machine.decisions.batches import is_live"),
    ("abci_app/machine/decisions/batches.py", "from abci_app.machine.assignment.holds import is_held"),
    ("abci_app/machine/assignment/auction.py", "from ..events import settlement"),
    ("abci_app/machine/events/acceptance.py", "def f():\n    from abci_app.machine.transactions import bids"),
    ("abci_app/machine/transactions/bids.py", "from abci_app.machine.block import apply_block"),
    ("abci_app/machine/commit.py", "from abci_app.machine.block_parts import split_block"),
    ("abci_app/machine/genesis/build.py", "from abci_app.machine.ledger.transfers import put_transfer"),
    ("abci_app/machine/block.py", "from abci_app.machine.genesis import build"),
    ("abci_app/evm/rpc.py", "from abci_app.machine import block"),
    ("abci_app/evm/rpc.py", "from abci_app.machine.codes import Rejected"),
    ("abci_app/observer/segment_builder.py", "from abci_app.node import app"),
    ("abci_app/node/app.py", "def start():\n    from abci_app.evm import rpc"),
    ("abci_app/gateway/query.py", "from abci_app.node import store"),
    ("abci_app/gateway/query.py", "from ..node.app import Node"),
    ("abci_app/gateway/codes.py", "from abci_app.machine import codes"),
    ("abci_app/gateway/codes.py", "from abci_app.gateway import server"),
    ("abci_app/gateway/core/bundler.py", "from abci_app.pb import tx_pb2"),
    ("abci_app/gateway/core/bundler.py", "from abci_app.gateway.query import refuse"),
    ("abci_app/gateway/core/questions.py", "from abci_app.pb import query_pb2"),
    ("abci_app/gateway/core/questions.py", "from abci_app.gateway.messages import fill_message"),
    ("abci_app/gateway/core/bundler.py", "from .. import engine"),
    ("abci_app/node/app.py", "from abci_app.gateway import server"),
    ("abci_app/bridge/plan.py", "from abci_app.observer import segments"),
    ("abci_app/router/agent.py", "from abci_app.gateway import server"),
    ("abci_app/cli/start.py", "def start():\n    import testnet.network.lifecycle"),
    ("abci_app/cli/testnet.py", "import testnet.network.lifecycle"),
    ("abci_app/new/thing.py", "from abci_app.machine import block"),
    ("abci_app/pb/extra.py", "import abci_app.machine"),
    ("examples/counter.py", "from abci_app.machine import block"),
]
PASSED_IMPORTS = [
    ("abci_app/abci/server.py", "from abci_app.abci import framing\nfrom . import messages\nimport asyncio"),
    ("abci_app/machine/transactions/tx.py", "from abci_app.pb import tx_pb2\nfrom abci_app.machine.codes import Code"),
    ("abci_app/machine/block.py", "from .transactions import dispatch\nfrom .commit import process_commit"),
    ("abci_app/machine/decisions/batches.py", "from ..ledger.transfers import get_transfer\nfrom . import merkle"),
    ("abci_app/machine/genesis/build.py", "from ..observation.stream import STREAM_VERSION\nfrom .. import connext"),
    ("abci_app/evm/gate.py", "from abci_app.machine.state.records import Leaf\nfrom abci_app.machine import connext"),
    ("abci_app/observer/watcher.py", "from abci_app.evm import rpc\nfrom abci_app.machine import codec"),
    ("abci_app/node/app.py", "from abci_app import __version__\nfrom abci_app.abci.application import Application"),
    ("abci_app/gateway/query.py", "from abci_app.node.view import View"),
    ("abci_app/node/signer.py", "from abci_app.gateway.codes import AnswerCode"),
    ("abci_app/gateway/core/bundler.py", "from abci_app.gateway.codes import AnswerCode\nfrom . import engine"),
    ("abci_app/gateway/tx.py", "from abci_app.gateway.core import submission\nfrom abci_app.pb import tx_pb2"),
    ("abci_app/client/connection.py", "from abci_app.gateway.codes import AnswerCode"),
    ("abci_app/cli/testnet.py", "def up():\n    from testnet import network"),
    ("testnet/demo/scenario.py", "from abci_app.evm import rpc\nfrom testnet import network"),
    ("examples/counter.py", "from abci_app.abci import Application"),
]


@pytest.mark.parametrize(("path", "source"), REFUSED_IMPORTS)
def test_walls_refuse(path: str, source: str) -> None:
    assert len(imports.check_walls(path, source)) == 1


@pytest.mark.parametrize(("path", "source"), PASSED_IMPORTS)
def test_walls_pass(path: str, source: str) -> None:
    assert imports.check_walls(path, source) == []


@pytest.mark.parametrize(
    ("path", "source", "refused"),
    [
        ("abci_app/machine/transactions/tx.py", "import time", 1),
        ("abci_app/machine/transactions/tx.py", "import random, os", 2),
        ("abci_app/machine/transactions/tx.py", "import logging", 1),
        ("abci_app/machine/transactions/tx.py", "from datetime import datetime", 1),
        ("abci_app/machine/transactions/tx.py", "import json", 1),
        ("abci_app/machine/transactions/tx.py", "from collections import OrderedDict", 1),
        ("abci_app/machine/transactions/tx.py", "def late():\n    import socket", 1),
        ("abci_app/machine/transactions/tx.py", "import hashlib, sha3\nfrom collections.abc import Sequence", 0),
        ("abci_app/machine/tx.py", "from google.protobuf.message import DecodeError\nfrom . import codes", 0),
        ("abci_app/evm/rpc.py", "from web3 import Web3\nfrom eth_abi import encode", 0),
        ("abci_app/observer/watcher.py", "from web3 import Web3", 1),
        ("testnet/connext/deploy.py", "from eth_account import Account", 1),
        ("abci_app/bridge/journal.py", "import plyvel", 1),
        ("abci_app/gateway/server.py", "import typer", 1),
        ("abci_app/gateway/core/submission.py", "import grpc", 1),
        ("abci_app/gateway/core/questions.py", "import grpc", 1),
        ("abci_app/gateway/engine.py", "def ask():\n    import grpc", 1),
        ("abci_app/node/run.py", "from grpc_health.v1 import health", 1),
        ("abci_app/gateway/server.py", "import grpc\nfrom grpc_health.v1 import health", 0),
        ("abci_app/client/connection.py", "import grpc", 0),
        ("abci_app/router/bidder.py", "import grpc", 1),
        ("abci_app/bridge/nodes.py", "import grpc", 1),
    ],
)
def test_libraries(path: str, source: str, refused: int) -> None:
    assert len(imports.check_libraries(path, source)) == refused


@pytest.mark.parametrize(
    ("path", "source", "refused"),
    [
        ("tests/unit/evm/test_evm_rpc.py", "from tests.kit.evm.endpoint import Endpoint", 0),
        ("tests/unit/machine/test_block.py", "from tests.vectors import make_block_vectors", 0),
        ("tests/vectors/make_block_vectors.py", "from tests.kit.machine.driver import Network\nimport json", 0),
        ("tests/test_tidy.py", "from tests.tidy import imports, purity", 0),
        ("tests/tidy/purity.py", "from tests.tidy.imports import imports_of\nfrom .text import check_links", 0),
        ("tests/kit/machine/driver.py", "from tests.kit.machine.small_world import CHAIN_ID", 0),
        ("tests/unit/observer/test_quorum.py", "from tests.unit.observer.test_endpoint_follower import A", 1),
        ("tests/unit/observer/test_verified_reads.py", "from .test_endpoint_follower import Setting, routine_chain", 2),
        ("tests/unit/observer/test_verified_reads.py", "from tests.unit.evm import helpers", 1),
        ("tests/property/test_transfer_model.py", "from tests.process import cometbft", 1),
        ("tests/process/whole/test_kills_of_a_network.py", "from tests.contracts.conftest import bridge", 1),
        ("tests/byzantine/conftest.py", "from tests.test_tidy import FILES", 1),
        ("tests/vectors/make_block_vectors.py", "def f():\n    from tests.unit.machine import parts", 1),
        ("tests/kit/machine/driver.py", "from tests.vectors import make_block_vectors", 1),
        ("tests/unit/abci/test_abci_server.py", "from tests.tidy import imports", 1),
    ],
)
def test_test_trees(path: str, source: str, refused: int) -> None:
    assert len(imports.check_test_trees(path, source)) == refused


def test_reachable_follows_imports_through_packages() -> None:
    sources = {
        "testnet/__init__.py": "",
        "testnet/audit/checks.py": "from abci_app.evm.rpc import Rpc",
        "abci_app/__init__.py": "",
        "abci_app/evm/__init__.py": "from abci_app.evm.connext import Connext",
        "abci_app/evm/rpc.py": "",
        "abci_app/evm/connext.py": "from abci_app.machine.state.records import TransferInfo",
        "abci_app/machine/__init__.py": "",
        "abci_app/machine/state/records.py": "",
    }
    assert "abci_app.machine.state.records" in imports.reachable("testnet.audit.checks", sources)
    sources["abci_app/evm/__init__.py"] = ""
    assert "abci_app.machine" not in imports.reachable("testnet.audit.checks", sources)


@pytest.mark.parametrize(
    "source",
    [
        "x = 0.5",
        "x = 1j",
        "x = a / b",
        "x /= 2",
        "x = float('1')",
        "x = hash(key)",
        "x = sorted(keys, key=id)",
        "print(x)",
        "open('x')",
        "eval('1')",
        "global x",
        "async def f(): pass",
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept:\n    pass",
    ],
)
def test_purity_refuses(source: str) -> None:
    assert len(purity.check_purity("x.py", source)) == 1


def test_purity_passes_integers_and_named_errors() -> None:
    source = "try:\n    x = a // b\nexcept ZeroDivisionError:\n    x = transfer.id\nx //= 2"
    assert purity.check_purity("x.py", source) == []


@pytest.mark.parametrize(
    ("path", "source", "refused"),
    [
        ("abci_app/machine/transactions/bids.py", "limit = state.must(keys.PARAMS, Params).bids_per_transfer", 1),
        ("abci_app/machine/block.py", "from ..state.keys import PARAMS\nx = state.read(PARAMS, Params)", 2),
        ("abci_app/machine/commit.py", "scope = Scope.open(delta, Block(height, 0, b'', ()))", 1),
        ("abci_app/machine/commit.py", "block = results.Block(height, 0, b'', ())", 1),
        ("abci_app/machine/scope.py", "params = delta.must(keys.PARAMS, Params)", 0),
        ("abci_app/machine/genesis/build.py", "records = {keys.PARAMS: genesis.params}", 0),
        ("abci_app/machine/block.py", "def apply_block(block: Block):\n    return scope.params, block.height", 0),
    ],
)
def test_rules_take_the_scope(path: str, source: str, refused: int) -> None:
    assert len(purity.check_scope(path, source)) == refused


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("number = int(key[-20:])", 1),
        ("for key, _ in state.scan(p, R):\n    _, time_s = key.split(b'/')", 1),
        ("for path, _ in list(scope.delta.scan(p, R)):\n    x = path.rpartition(b'/')[2]", 1),
        ("found = [at[6:] for at, record in state.scan(p, R) if at.find(b'/')]", 2),
        ("for key, record in state.scan(p, R):\n    time_s, _ = keys.parse_drop(key)\n    found[key] = record", 0),
        ("for key, record in state.scan(p, R):\n    path, x = record.path[2:], record.text.split('/')", 0),
    ],
)
def test_keys_are_not_taken_apart(source: str, refused: int) -> None:
    assert len(purity.check_keys("x.py", source)) == refused


def test_assert_is_refused() -> None:
    assert purity.check_no_assert("x.py", "assert x") != []
    assert purity.check_no_assert("x.py", "invariant(x)") == []


def test_python_between_fork_and_exec_is_refused() -> None:
    assert purity.check_no_preexec("x.py", "subprocess.Popen(command, preexec_fn=f)") != []
    assert purity.check_no_preexec("x.py", "subprocess.Popen(command, start_new_session=True)") == []


@pytest.mark.parametrize(
    "source",
    [
        "for x in {1, 2}: pass",
        "for x in set(xs): pass",
        "for x in frozenset(xs) | ys: pass",
        "for x in a.keys() & b.keys(): pass",
        "touched = set()\nfor x in touched: pass",
        "def f(xs: frozenset[int]):\n    for x in xs: pass",
        "def f(xs: AbstractSet[int]):\n    return list(xs)",
        "def f():\n    if y:\n        xs = {x for x in ys}\n    return [x for x in xs]",
        "def lanes() -> set[int]: ...\ndef f():\n    return tuple(lanes())",
        "class Delta:\n    touched: set[int]\n    def f(self):\n        return b''.join(self.touched)",
        "xs: set[int] = set()\ny = xs.pop()",
        "xs = set()\nys = [*xs]",
        "xs = set()\nys = {x: 1 for x in xs.union(zs)}",
        "xs = set()\ny = next(iter(xs))",
        "xs = set()\nys = list(x for x in xs)",
    ],
)
def test_a_set_in_its_own_order_is_refused(source: str) -> None:
    assert purity.check_sorted_sets("x.py", source) != []


@pytest.mark.parametrize(
    "source",
    [
        "for x in sorted({1, 2}): pass",
        "xs = set()\nys = sorted(x for x in xs)\nz = len(xs)\nw = x in xs",
        "def f(xs: frozenset[int]):\n    return {x + 1 for x in xs}",
        "def f(xs: frozenset[int]):\n    return any(x > 1 for x in xs)",
        "def f(xs: list[int]):\n    for x in xs: pass\ndef g(xs: set[int]):\n    return len(xs)",
        "for key in records.keys(): pass",
        "total = a | b\nfor x in range(total): pass",
    ],
)
def test_a_set_without_its_order_is_passed(source: str) -> None:
    assert purity.check_sorted_sets("x.py", source) == []


def test_no_folder_has_too_many_files() -> None:
    assert shape.check_folders(PYTHON) == []
    names = [f"abci_app/evm/{number}.py" for number in range(shape.FOLDER_FILES_MAX)]
    assert shape.check_folders([*names, "abci_app/evm/__init__.py", "abci_app/evm/abi/x.py"]) == []
    assert shape.check_folders([*names, "abci_app/evm/one_more.py"]) != []


def test_sizes() -> None:
    long_function = "def f():\n" + "    x = 1\n" * shape.FUNCTION_LINES_MAX
    assert shape.check_function_length("x.py", long_function) != []
    assert shape.check_function_length("x.py", long_function.removesuffix("    x = 1\n")) == []
    assert shape.check_file_length("x.py", "x = 1\n" * (shape.FILE_LINES_MAX + 1)) != []
    assert shape.check_file_length("x.py", "x = 1\n" * shape.FILE_LINES_MAX) == []


@pytest.mark.parametrize(
    ("path", "source", "refused"),
    [
        ("x.py", "SHUNNED_AFTER = 2", 1),
        ("x.py", "class SilenceObserver: pass", 1),
        ("x.py", "class RPCDoubt: pass", 1),
        ("x.py", "def knock(): pass", 1),
        ("x.py", "async def _walk_on(): pass", 1),
        ("x.py", "def f(spoilt: int, *, read_looker: int): pass", 2),
        ("x.py", "for said in (): pass", 1),
        ("x.py", "class C:\n    def f(self):\n        self._weak = 1", 1),
        ("abci_app/router/keeper.py", "x = 1", 1),
        ("x.py", "doorway = 1\nclass Sidewalk: pass\ndef f(weakness: int): pass", 0),
        ("x.py", "for node in ast.walk(tree): pass", 0),
        ("x.py", "text = 'nobody said so'", 0),
        ("abci_app/router/bid_reconciler.py", "below_quorum = denied_transfers = 1", 0),
    ],
)
def test_words_of_identifiers(path: str, source: str, refused: int) -> None:
    """What the tree itself declares is looked at; what a library calls its own is not."""
    assert len(shape.check_words(path, source)) == refused


LONG_BODY = "\n        x = 1" * shape.PLAIN_METHOD_LINES_MAX


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("x = 1", 1),
        ('"""M."""\ndef f(): pass', 1),
        ('"""M."""\nclass C: pass', 1),
        (f'"""M."""\nclass C:\n    """C."""\n    def f(self):{LONG_BODY}', 1),
        (f'"""M."""\nclass C(Base):\n    """C."""\n    def f(self):{LONG_BODY}', 0),
        ('"""M."""\nclass C:\n    """C."""\n    def f(self): return 1', 0),
        ('"""M."""\nclass C:\n    """C."""\n    def _f(self): pass\ndef _g(): pass', 0),
    ],
)
def test_docstrings(source: str, refused: int) -> None:
    assert len(shape.check_docstrings("x.py", source)) == refused


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("def compute_shares(state: StateView): ...", 1),
        ("def is_open(state: StateDelta): ...", 1),
        ("def get_router(state: StateDelta): ...", 1),
        ("def has_bid(state: StateView):\n    put_bid(state)", 1),
        ("def put_bid(state: StateDelta):\n    require(x, Code.OK)", 1),
        ("def put_bid(state: StateDelta):\n    raise Rejected(Code.OK)", 1),
        ("def compute_shares(bids: Sequence[Bid]): ...\ndef get_router(state: StateView): ...", 0),
        ("def put_bid(state: StateDelta):\n    state.set(1)\ndef process_bid(scope: Scope):\n    require(x)", 0),
    ],
)
def test_verbs(source: str, refused: int) -> None:
    assert len(shape.check_verbs("x.py", source)) == refused


def test_file_names() -> None:
    assert shape.check_file_name("abci_app/node/utils.py") != []
    assert shape.check_file_name("abci_app/node/store.py") == []


def test_hosts_paths_and_postponements() -> None:
    for host in ("registry.npm" + "js.org", "py" + "pi.org", "files.python" + "hosted.org", "proxy.go" + "lang.org"):
        assert text.check_no_hosts("x", f"https://{host}/x") != []
    assert text.check_no_hosts("x", "require golang.org/x/crypto v0.33.0") == []
    for path in ("/wo" + "rk/main", "cd /ro" + "ot/x", "/ho" + "me/me/x", "/tmp/ba" + "sh_jobs/x"):
        assert text.check_no_machine_paths("x", path) != []
    assert text.check_no_machine_paths("x", "docs/work/x $HOME/work/x https://example.org/home/x") == []
    assert text.check_nothing_postponed("x", "# TO" + "DO: later") != []
    assert text.check_nothing_postponed("x", "# the mastodon is done") == []


def test_links() -> None:
    files = ["README.md", "docs/adr/README.md", "docs/adr/0001-x.md"]
    for passed in ("[x](../../README.md)", "[x](0001-x.md#why) [y](..)", "[x](https://example.org) [y](#here)"):
        assert text.check_links("docs/adr/README.md", passed, files) == []
    for refused in ("[x](README)", "[x](../README.md)", "see [x](0001-x.md) and [y](0002-y.md)"):
        assert len(text.check_links("docs/adr/README.md", refused, files)) == 1


def test_skips() -> None:
    for source in ("pytest.skip('x')", "@pytest.mark.xfail\ndef test_x(): ...", "pytest.importorskip('x')"):
        assert text.check_no_skips("x.py", source) != []
    assert text.check_no_skips("x.py", "scanner.skip(3)") == []


def test_our_files_parse() -> None:
    for path, source in PYTHON.items():
        ast.parse(source, filename=path)
