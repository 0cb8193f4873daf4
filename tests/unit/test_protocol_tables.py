"""docs/protocol.md holds what the code holds: its tables are fresh, each stands there once, and staleness shows."""

import re

import pytest

from tests.kit.docs.protocol_tables import DRAWN, PAGE, PLACE, fill


def test_the_page_is_fresh() -> None:
    """COD-1: after a change of the code, ``python -m tests.kit.docs.protocol_tables`` makes the tables anew."""
    page = PAGE.read_text()
    stale = [
        found[2] for found, fresh in zip(PLACE.finditer(page), PLACE.finditer(fill(page)), strict=True)
        if found[0] != fresh[0]
    ]
    assert not stale, f"run python -m tests.kit.docs.protocol_tables: {', '.join(stale)}"


def test_every_table_stands_once() -> None:
    assert sorted(name for _, name in PLACE.findall(PAGE.read_text())) == sorted(DRAWN)


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_a_changed_table_shows(name: str) -> None:
    page = PAGE.read_text()
    corrupted = re.sub(rf"(<!-- table: {name} -->\n.*?)e", r"\1x", page, count=1, flags=re.DOTALL)
    assert corrupted != page and fill(corrupted) == fill(page)
