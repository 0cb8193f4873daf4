"""Shares tests between the workers of `./scripts/test` as tests/kit/sharing.py says; alone, pytest keeps its order."""

from typing import TYPE_CHECKING

import pytest

from tests.kit.sharing import is_measured, rank_of, unit_of

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave folders out of the coverage; in a worker, put the longest units first."""
    for item in items:
        if not is_measured(item.nodeid):
            item.add_marker("no_cover")
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadScopeScheduling | None":
    """Share by unit under `--dist loadscope`; any other way stays as it is."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Units(LoadScopeScheduling):
        """Our units instead of one for each file and class."""

        def _split_scope(self, nodeid: str) -> str:
            return unit_of(nodeid)

    return Units(config, log)
