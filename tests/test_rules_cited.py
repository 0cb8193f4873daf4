"""Every rule of docs/protocol.md is cited where it is kept and where it is tested; a failure lists what is missing.

``rules_shown.py`` names for each rule a test that shows it taking and one that shows it refusing. A citation is the id,
alone or in a range ("LSE-2 … LSE-5", "ORD-1 to ORD-5").
"""

import ast
import re
from pathlib import Path

import pytest

from tests.kit.docs.rules_shown import SHOWN

ROOT = Path(__file__).resolve().parents[1]
RULE_ROW = re.compile(r"^\| ([A-Z]{2,3}-\d+) \|", re.MULTILINE)
RANGE = re.compile(r"\b([A-Z]{2,3})-(\d+)(?:,)? ?(?:…|to|-|and) ?(?:\1-)(\d+)\b")
SINGLE = re.compile(r"\b([A-Z]{2,3}-\d+)\b")
CODE = ("abci_app/**/*.py", "contracts/*.sol", "contracts/*/*.sol")
TESTS = ("tests/**/*.py", "contracts/test/**/*.sol")


def list_rules() -> list[str]:
    """Ids of the rules, in the order of the page."""
    return RULE_ROW.findall((ROOT / "docs/protocol.md").read_text())


def find_citations(patterns: tuple[str, ...]) -> dict[str, list[str]]:
    """Rule id → files that cite it."""
    cited: dict[str, list[str]] = {}
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            listing = name in ("tests/test_rules_cited.py", "tests/kit/docs/rules_shown.py")
            if not listing and not name.startswith("contracts/node_modules/") and (
                pattern not in CODE or not name.startswith("contracts/test/")
            ):
                for rule in list_cited(path.read_text()):
                    cited.setdefault(rule, []).append(name)
    return cited


def list_cited(text: str) -> set[str]:
    """Ids that a text cites, ranges filled in."""
    found = set(SINGLE.findall(text))
    for family, first, last in RANGE.findall(text):
        found |= {f"{family}-{number}" for number in range(int(first), int(last) + 1)}
    return found


@pytest.mark.parametrize("where, patterns", [("code", CODE), ("tests", TESTS)], ids=["code", "tests"])
def test_every_rule_is_cited(where: str, patterns: tuple[str, ...]) -> None:
    cited = find_citations(patterns)
    missing = [rule for rule in list_rules() if rule not in cited]
    assert not missing, f"rules that no {where} cites: {', '.join(missing)}"


def test_every_rule_is_shown_taking_and_refusing() -> None:
    assert sorted(SHOWN) == sorted(list_rules())


@pytest.mark.parametrize("rule", sorted(SHOWN))
def test_what_shows_a_rule_is_there_and_cites_it(rule: str) -> None:
    for place in SHOWN[rule]:
        path, _, name = place.partition("::")
        text = (ROOT / path).read_text()
        names = {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
        assert name in names, place
        assert rule in list_cited(text), place


def test_no_citation_of_a_rule_that_is_not_there() -> None:
    """A rule that was renamed or dropped leaves no stale ids behind."""
    rules = list_rules()
    families = {rule.split("-")[0] for rule in rules}
    cited = {**find_citations(CODE), **find_citations(TESTS)}
    stale = {
        rule: files for rule, files in sorted(cited.items()) if rule.split("-")[0] in families and rule not in rules
    }
    assert not stale


def test_ids_are_unique_and_found() -> None:
    rules = list_rules()
    assert len(rules) == len(set(rules)) > 60
    assert {"ORD-1", "BAT-6", "GEN-3"} <= set(rules)


@pytest.mark.parametrize("text, rules", [
    ("a ORD-1, b", {"ORD-1"}),
    ("LSE-2 … LSE-4", {"LSE-2", "LSE-3", "LSE-4"}),
    ("LIQ-1 to LIQ-3 and FLT-1", {"LIQ-1", "LIQ-2", "LIQ-3", "FLT-1"}),
    ("ORD-1 … LSE-3", {"ORD-1", "LSE-3"}),
    ("EIP-712X FOO-1x", set()),
])
def test_what_counts_as_a_citation(text: str, rules: set[str]) -> None:
    assert {rule for rule in list_cited(text) if not rule.startswith("EIP")} == rules
