"""scripts/check-commits, run in a repository of the test's own: long subjects after the fixed commit are refused."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FITS, LONG = "tests: " + "x" * 65, "tests: " + "x" * 66


def git(repository: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(repository), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def commit(repository: Path, subject: str) -> str:
    git(repository, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", f"{subject}\n\n{'y' * 90}")
    return git(repository, "rev-parse", "HEAD")


def check(repository: Path, start: str) -> tuple[int, str]:
    script = repository / "scripts/check-commits"
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "START": start}
    done = subprocess.run([script], cwd="/", env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/check-commits", tmp_path / "scripts")
    commit(tmp_path, LONG)
    return tmp_path


def test_subjects_that_fit_pass_and_what_stands_before_the_start_is_not_looked_at(repository: Path) -> None:
    start = commit(repository, LONG)
    assert check(repository, start) == (0, "")
    commit(repository, FITS)
    assert check(repository, start) == (0, "")


def test_a_long_subject_after_the_start_is_refused(repository: Path) -> None:
    start = commit(repository, FITS)
    bad = commit(repository, LONG)
    commit(repository, FITS)
    status, printed = check(repository, start)
    assert status != 0
    assert bad[:7] in printed and "73 characters, at most 72" in printed and printed.count("\n") == 1


def test_without_the_start_all_there_are_count(repository: Path) -> None:
    unknown = "1" * 40
    status, printed = check(repository, unknown)
    assert status != 0 and printed.count("\n") == 1
    git(repository, "checkout", "--quiet", "--orphan", "other")
    commit(repository, FITS)
    assert check(repository, unknown) == (0, "")
