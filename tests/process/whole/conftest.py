"""One whole network for all tests that leave it as they found it."""

from collections.abc import Iterator

import pytest

from tests.kit.process.local_network import LocalNetwork, running_network


@pytest.fixture(scope="package")
def network() -> Iterator[LocalNetwork]:
    """Started by the first test that asks for it."""
    with running_network() as made:
        yield made
