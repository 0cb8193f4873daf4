"""One network for all tests of this folder; its last validator is the faulty one."""

from collections.abc import Iterator

import pytest

from tests.kit.byzantine.faulty_network import FaultyNetwork
from tests.kit.process.local_network import running_network


@pytest.fixture(scope="package")
def network() -> Iterator[FaultyNetwork]:
    with running_network() as made:
        yield FaultyNetwork(made)
