"""How tests are shared between workers: which stay together, which begin first, which are not measured."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.sharing import is_measured, rank_of, unit_of

ROOT = Path(__file__).resolve().parents[2]
WHOLE = "tests/process/whole/test_kills_of_a_network.py::test_a"
FAULTY = "tests/byzantine/test_byzantine_votes.py::test_b"
BLOCKS = "tests/property/test_machine_blocks.py::TestMachine::runTest"
GATE = "tests/contracts/gate/test_gate_gas.py::test_c[tests/process/x::y]"
UNIT = "tests/unit/abci/test_abci_server.py::test_d"
TIDY = "tests/test_tidy.py::test_e"


def test_a_folder_of_networks_is_one_unit_and_other_files_one_each() -> None:
    assert unit_of(WHOLE) == unit_of("tests/process/test_node_start.py::test_f[1]") != unit_of(FAULTY)
    assert len({unit_of(test) for test in (WHOLE, FAULTY, BLOCKS, GATE, UNIT, TIDY)}) == 6
    assert unit_of(UNIT) == unit_of("tests/unit/abci/test_abci_server.py::test_g[a::b]")
    assert unit_of(UNIT) != unit_of("tests/unit/abci/test_abci_sockets.py::test_d")


def test_the_longest_begin_first() -> None:
    tests = [TIDY, UNIT, GATE, BLOCKS, FAULTY, WHOLE]
    assert sorted(tests, key=rank_of) == [WHOLE, FAULTY, BLOCKS, GATE, UNIT, TIDY]


@pytest.mark.parametrize("test, measured", [
    (WHOLE, False), (FAULTY, False), (BLOCKS, False), (GATE, True), (UNIT, True), (TIDY, True),
])
def test_what_the_coverage_counts(test: str, measured: bool) -> None:
    assert is_measured(test) is measured


def test_two_workers_run_a_file_in_one_process(tmp_path: Path) -> None:
    """Each test writes its worker's process: those of a file agree, and both workers have something to do."""
    source = (
        "import os, pathlib, time\nimport pytest\n"
        "@pytest.mark.parametrize('at', range(4))\n"
        "def test_one(at):\n    time.sleep(0.1)\n"
        "    (pathlib.Path({folder!r}) / f'{name}-{{at}}').write_text(str(os.getpid()))\n"
    )
    folder = tmp_path / "tests" / "unit"
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / f"test_{name}.py").write_text(source.format(folder=str(tmp_path), name=name))
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-n", "2"]
    command += ["--dist", "loadscope", "--no-loadscope-reorder", "--rootdir", str(tmp_path), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert "8 passed" in done.stdout, done.stdout + done.stderr
    workers = {name: {(tmp_path / f"{name}-{at}").read_text() for at in range(4)} for name in ("a", "b")}
    assert len(workers["a"]) == len(workers["b"]) == 1 and workers["a"] != workers["b"]
