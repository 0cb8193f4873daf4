"""The short starters, run on a copy where the set-up, the tools and the interpreter are stubs that log their calls."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUB = """#!/bin/sh
echo "${0#"$PWD"/} $*" | sed 's|^\\./||' >>calls
case "$0" in *"/$FAILS") exit 1 ;; esac
"""
EVERYTHING = "--numprocesses 2 --dist loadscope --no-loadscope-reorder --durations 10 --cov --cov-report term"
STUBS = ["scripts/setup", "scripts/lint", "scripts/proto", ".venv/bin/python", ".venv/bin/routerd"]
STUBS += ["scripts/check-commits"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for path in ["scripts/test", "scripts/demo", ".ci/run"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    for path in STUBS:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(STUB)
        (tmp_path / path).chmod(0o755)
    return tmp_path


def run(checkout: Path, script: str, *arguments: str, fails: str = "nothing") -> tuple[int, list[str]]:
    """Exit status and the calls that the script made, from a foreign working directory."""
    status = subprocess.run(
        [checkout / script, *arguments],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "FAILS": fails},
        capture_output=True,
        timeout=60,
        check=False,
    ).returncode
    return status, [line.strip() for line in (checkout / "calls").read_text().splitlines()]


@pytest.mark.parametrize(("script", "before"), [("scripts/test", []), (".ci/run", ["scripts/check-commits"])])
def test_without_arguments_everything_runs_in_order_and_pytest_comes_last(
    checkout: Path, script: str, before: list[str]
) -> None:
    calls = ["scripts/setup", "scripts/lint", "scripts/proto --check", f".venv/bin/python -m pytest {EVERYTHING}"]
    assert run(checkout, script) == (0, [*before, *calls])


def test_a_refused_commit_ends_the_run_of_ci(checkout: Path) -> None:
    status, calls = run(checkout, ".ci/run", fails="scripts/check-commits")
    assert status != 0 and len(calls) == 1


def test_arguments_go_to_pytest_and_skip_the_static_checks(checkout: Path) -> None:
    assert run(checkout, "scripts/test", "-k", "a name", "tests/unit") == (
        0,
        ["scripts/setup", ".venv/bin/python -m pytest -k a name tests/unit"],
    )


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_first_failure_ends_the_run(checkout: Path, index: int) -> None:
    fails = ["scripts/setup", "scripts/lint", "scripts/proto"][index]
    status, calls = run(checkout, "scripts/test", fails=fails)
    assert status != 0
    assert len(calls) == index + 1


def test_a_failing_test_is_a_failing_run(checkout: Path) -> None:
    assert run(checkout, "scripts/test", fails="bin/python")[0] != 0


def test_demo_sets_up_and_passes_its_flags_on(checkout: Path) -> None:
    assert run(checkout, "scripts/demo", "--keep") == (0, ["scripts/setup", ".venv/bin/routerd testnet demo --keep"])
    assert run(checkout, "scripts/demo", fails="bin/routerd")[0] != 0
