"""The relayer against the real gate and the real Connext: what it brings there, and what it leaves alone."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from abci_app.bridge.runner import Options, Relay
from abci_app.evm.connext import DestinationStatus
from tests.contracts.bridge_kit import Crossing, Lines, crossing, listening, relaying, wait_for
from tests.contracts.gate_kit import Scene, open_scene, untouched


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with open_scene(tmp_path_factory.mktemp("scene")) as scene:
        yield scene


@pytest.fixture
def world(opened: Scene, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Crossing]:
    with untouched(opened), crossing(opened, tmp_path, request.node.name.encode()) as ready:
        yield ready


@pytest.fixture
def lines() -> Iterator[Lines]:
    with listening() as collected:
        yield collected


def test_every_attested_decision_is_executed_once_with_one_transaction_a_batch(world: Crossing, lines: Lines) -> None:
    world.decide(world.offer(world.scene.execution()), world.offer(world.scene.execution(2)))
    with relaying(world.home()):
        wait_for(lambda: all(world.executions(offer) for offer in world.offers), "the first batch")
        for _ in range(3):
            world.decide(world.offer(world.scene.execution()))
        wait_for(lambda: all(world.executions(offer) for offer in world.offers), "three more")
        wait_for(lambda: len(lines.named("confirmed")) == 4, "four lines")
    assert [world.executions(offer) for offer in world.offers] == [1] * 5
    assert world.nonces() == (4, 4)
    confirmed = lines.named("confirmed")
    assert [(one["batch_height"], one["executed"], one["entries"], one["failed"]) for one in confirmed] == [
        (height, executed, executed, []) for height, executed in zip(world.heights, (2, 1, 1, 1), strict=True)
    ]


def test_a_new_batch_is_sent_within_moments(world: Crossing, lines: Lines) -> None:
    with relaying(world.home()):
        world.decide(world.offer(world.scene.execution()))
        wait_for(lambda: lines.named("confirmed"), "the first, which warms up")
        delays_s = []
        for count in range(2, 7):
            offer = world.offer(world.scene.execution())
            started_s = time.time()
            world.decide(offer)
            wait_for(lambda count=count: len(lines.named("sent")) == count, "sent")  # type: ignore[misc]
            delays_s.append(lines.named("sent")[-1]["created"] - started_s)
    print("attested to sent, seconds:", [round(delay_s, 3) for delay_s in delays_s])
    assert sorted(delays_s)[2] < 2.0  # far above what is seen: a busy machine must not fail this
