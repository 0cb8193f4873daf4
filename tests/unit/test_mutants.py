"""The tool that tries changes of the code says of each whether its tests noticed it."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.kit.mutants.run import LIST, ROOT, Mutant, load_mutants, main, try_mutants

TESTS = """
from product import add

def test_sum() -> None:
    assert add(2, 3) == 5
"""
LISTED = """
[[mutant]]
name = "difference"
file = "product.py"
old = "a + b"
new = "a - b"
tests = ["test_product.py"]

[[mutant]]
name = "other-order"
file = "product.py"
old = "a + b"
new = "b + a"
tests = ["test_product.py"]

[[mutant]]
name = "gone"
file = "product.py"
old = "a * b"
new = "a / b"
tests = ["test_product.py"]
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout of one function and one test."""
    (tmp_path / "product.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "test_product.py").write_text(TESTS)
    (tmp_path / "list.toml").write_text(LISTED)
    (tmp_path / ".gitignore").write_text("build/\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def change(old: str, new: str, *tests: str) -> Mutant:
    return Mutant("one", "product.py", old, new, tests or ("test_product.py",))


@pytest.mark.parametrize(("mutant", "verdict"), [
    (change("a + b", "a - b"), "caught"),
    (change("a + b", "b + a"), "lived"),
    (change("a * b", "a / b"), "stale"),
    (change("a", "b"), "stale"),
    (change("a + b", "a - b", "test_nothing.py"), "broken"),
    (change("a + b", "a +"), "broken"),
    (Mutant("one", "nothing.py", "a", "b", ("test_product.py",)), "stale"),
], ids=["noticed", "unnoticed", "not there", "more than once", "no such test", "no program", "no such file"])
def test_each_change_gets_its_verdict(tree: Path, mutant: Mutant, verdict: str) -> None:
    before = (tree / "product.py").read_text()
    assert [one.verdict for one in try_mutants(tree, [mutant])] == [verdict]
    assert (tree / "product.py").read_text() == before


def test_tests_that_fail_anyway_notice_nothing(tree: Path) -> None:
    (tree / "test_product.py").write_text(TESTS.replace("5", "6"))
    assert [one.verdict for one in try_mutants(tree, [change("a + b", "a - b")])] == ["broken"]


def test_tests_that_hang_have_noticed(tree: Path) -> None:
    endless = change("return a + b", "while True: pass")
    assert [one.verdict for one in try_mutants(tree, [endless], timeout_s=8.0)] == ["caught"]


def test_what_is_not_caught_fails_the_run(tree: Path, tmp_path: Path) -> None:
    listed, told = tree / "list.toml", tmp_path / "verdicts.json"
    assert main(["--json", str(told)], tree, listed) == 1
    verdicts = {one["name"]: one["verdict"] for one in json.loads(told.read_text())}
    assert verdicts == {"difference": "caught", "other-order": "lived", "gone": "stale"}
    assert main(["--only", "difference"], tree, listed) == 0
    assert main(["--only", "gone"], tree, listed) == 1
    with pytest.raises(SystemExit):
        main(["--only", "nothing"], tree, listed)
    assert (tree / "product.py").read_text().endswith("return a + b\n"), "only the copy is changed"


def test_every_listed_change_can_be_made() -> None:
    """The code has moved on where this fails: write the old text anew, or delete the entry with its reason gone."""
    mutants = load_mutants(LIST)
    assert len({one.name for one in mutants}) == len(mutants)
    for one in mutants:
        assert (ROOT / one.file).read_text().count(one.old) == 1, one.name
        assert one.new != one.old
        for test in one.tests:
            assert (ROOT / test.split("::")[0]).is_file(), f"{one.name}: {test}"
