"""kill -9 at every boundary, and at random: nothing is lost, nothing is paid twice, no nonce is left behind."""

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from abci_app.bridge.journal import Journal
from abci_app.evm.rpc import Rpc
from testnet.chains.anvil import use_interval_mining
from tests.kit.contracts.bridge_kit import Crossing, submit_as_stranger, wait_for
from tests.kit.contracts.gate_kit import ROOT
from tests.kit.evm.local_chains import use_automine

KILLED = -signal.SIGKILL
RELAYER_S = 60.0
"""A relayer that neither dies nor ends by then has lost its way; a busy machine needs a few seconds."""
SEED = 20261122
RANDOM_KILLS = 30
BATCHES = 12

BOUNDARIES = [
    ("record", "before"),  # planned
    ("record", "after"),  # recorded
    ("simulate_batch", "after"),
    ("simulate_entry", "after"),  # simulated
    ("sign", "before"),
    ("sign", "after"),  # signed, on disk
    ("send", "before"),
    ("send", "after"),  # sent
    ("receipt", "after"),  # mined, seen
    ("mined", "before"),
    ("mined", "after"),  # confirmed
    ("move_cursor", "before"),
    ("move_cursor", "after"),
]


class Nursery:
    """Starts relayers, and says how they ended."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.contracts.bridge_child"], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )

    def start(self, home: Path, *, once: bool = False, die_at: tuple[str, str, int] | None = None) -> int:
        """Start a relayer, return its PID."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"home": str(home), "once": once, "die_at": die_at}) + "\n")
        self._process.stdin.flush()
        self._home = home
        self._pid = int(self._read()["pid"])
        return self._pid

    def join(self) -> int:
        """Exit status of the relayer, negative for a signal."""
        return int(self._read()["status"])

    def run(self, home: Path, **terms: Any) -> int:
        self.start(home, **terms)
        return self.join()

    def _read(self) -> Any:
        stdout = self._process.stdout
        assert stdout is not None
        ready, _, _ = select.select([stdout], [], [], RELAYER_S)
        if not ready:
            os.kill(self._pid, signal.SIGKILL)
            raise AssertionError(f"a relayer did nothing for {RELAYER_S} s:\n{(self._home / 'relay.log').read_text()}")
        return json.loads(stdout.readline())

    def stop(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait(60)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    started = Nursery()
    yield started
    started.stop()


def use_blocks(rpc: Rpc, mode: str) -> None:
    """`automine`: what is sent is mined at once. `interval`: it waits in the pool for the next second's block."""
    if mode == "automine":
        use_automine(rpc)
    else:
        use_interval_mining(rpc, 1)


def require_clean(world: Crossing, transactions_max: int) -> None:
    """Every decision executed once; every nonce mined; the journal has nothing open."""
    assert [world.executions(offer) for offer in world.offers] == [1] * len(world.offers)
    mined, pending = world.nonces()
    assert mined == pending <= transactions_max
    home = world.home()
    journal = Journal.open(home.journal_path(world.place.domain), {})
    assert journal.open_nonces() == ()
    assert journal.next_nonce() == mined
    journal.close()


@pytest.mark.parametrize("mode", ["automine", "interval"])
def test_killed_at_every_boundary(world: Crossing, nursery: Nursery, mode: str) -> None:
    home = world.home().path
    use_blocks(world.scene.rpc, mode)
    try:
        for method, when in BOUNDARIES:
            world.decide(world.offer(world.scene.execution()), world.offer(world.scene.execution()))
            assert nursery.run(home, die_at=(method, when, 1)) == KILLED, (method, when)
        assert nursery.run(home, once=True) == 0
    finally:
        use_blocks(world.scene.rpc, "automine")
    require_clean(world, transactions_max=len(BOUNDARIES))


def test_killed_before_every_statement_of_the_journal(world: Crossing, nursery: Nursery) -> None:
    """Each relayer dies one statement later than the one before, until one lives to the end."""
    home = world.home().path
    world.decide(world.offer(world.scene.execution()))
    for count in range(1, 200):
        if nursery.run(home, once=True, die_at=("statement", "before", count)) != KILLED:
            break
        if count % 8 == 0:
            world.decide(world.offer(world.scene.execution()))
    assert count > 10
    assert nursery.run(home, once=True) == 0
    require_clean(world, transactions_max=len(world.heights))


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_when_somebody_else_was_faster(world: Crossing, nursery: Nursery, when: str) -> None:
    height = world.decide(world.offer(world.scene.execution()))
    submit_as_stranger(world, height)
    wait_for(lambda: world.executions(world.offers[0]), "the stranger's transaction")
    assert nursery.run(world.home().path, die_at=("settle", when, 1)) == KILLED
    assert nursery.run(world.home().path, once=True) == 0
    require_clean(world, transactions_max=0)


@pytest.mark.timeout(400)
def test_thirty_random_kills(world: Crossing, nursery: Nursery) -> None:
    """Seeded; batches keep coming while relayers come and go."""
    dice = random.Random(SEED)
    home = world.home().path
    use_blocks(world.scene.rpc, "interval")
    try:
        for kill in range(RANDOM_KILLS):
            if kill % 5 in (0, 2):
                world.decide(world.offer(world.scene.execution()), world.offer(world.scene.execution(2)))
            pid = nursery.start(home)
            time.sleep(dice.choice((0.02, 0.3, 1.2)) * dice.random())
            os.kill(pid, signal.SIGKILL)
            assert nursery.join() == KILLED
        assert nursery.run(home, once=True) == 0
    finally:
        use_blocks(world.scene.rpc, "automine")
    assert len(world.heights) == BATCHES
    print("seed", SEED, "transactions", world.nonces()[0], "for", BATCHES, "batches and", RANDOM_KILLS, "kills")
    require_clean(world, transactions_max=BATCHES + RANDOM_KILLS)
    assert world.nonces()[0] == BATCHES
