"""Fixtures of tests against real contracts, each over chains that the next test finds as they were.

`bridge`: two chains with Connext, of the session. `scene`: a gate before it, of the module. `world`: a relayer as well.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.contracts.bridge_kit import Crossing, Lines, crossing, listening
from tests.kit.contracts.gate_kit import Scene, open_scene, untouched
from tests.kit.evm.local_chains import Bridge, running_bridge, taken_back


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


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The chains of one module; tests take `scene` or `world`."""
    with open_scene(tmp_path_factory.mktemp("scene")) as scene:
        yield scene


@pytest.fixture
def scene(opened: Scene) -> Iterator[Scene]:
    """A gate before the real Connext, as it was deployed."""
    with untouched(opened):
        yield opened


@pytest.fixture
def world(opened: Scene, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Crossing]:
    """A relayer's surroundings, with a consensus network of the test's own."""
    with untouched(opened), crossing(opened, tmp_path, request.node.name.encode()) as ready:
        yield ready


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What the relayer logs."""
    with listening() as collected:
        yield collected
