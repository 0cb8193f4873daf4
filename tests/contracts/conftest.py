"""Fixtures of tests against real contracts: `bridge` is two chains with Connext, fresh for every test."""

from collections.abc import Iterator

import pytest

from tests.chains import Bridge, running_bridge, taken_back


@pytest.fixture(scope="session")
def session_bridge() -> Iterator[Bridge]:
    """The chains of the whole session; tests take `bridge`."""
    with running_bridge() as bridge:
        yield bridge


@pytest.fixture
def bridge(session_bridge: Bridge) -> Iterator[Bridge]:
    """The chains as the deployment left them, under automine."""
    with taken_back(session_bridge):
        yield session_bridge
