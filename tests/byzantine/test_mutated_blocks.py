"""Randomly corrupted blocks: four nodes with different views judge them alike, none fails, what passes has one outcome.

One process, simulated engine: hundreds of blocks a second instead of three, so that rare mixtures come up too.
"""

from pathlib import Path
from random import Random

import pytest

from abci_app.abci import messages as pb
from abci_app.machine.observation.extension import is_acceptable
from abci_app.machine.transactions.tx import encode_bundle
from tests.kit.byzantine.mutations import mutate
from tests.kit.machine.small_world import DESTINATION, ORIGIN, ROUTER_KEYS, valid_bid
from tests.kit.node.small_chain import Network, make_info, make_xcalled

HEIGHTS = 30
MUTATIONS = 12
"""Corrupted blocks a height, before the one that is committed."""
SEEDS = range(1)


class Play:
    """A network that lives: transfers are called, bid for, decided."""

    def __init__(self, path: Path, seed: int) -> None:
        self.chance = Random(seed)
        self.net = Network(path, powers=(1, 1, 1, 1))
        self.seen: list[bytes] = []
        self.bids: list[bytes] = []
        self.nonce = 0
        self.verdicts = {True: 0, False: 0}

    def live(self) -> None:
        """Something happens on the chains; not everybody sees it at once."""
        events = []
        for _ in range(self.chance.choice((0, 0, 1, 2))):
            xcalled = make_xcalled(make_info(self.nonce))
            self.nonce += 1
            events.append(xcalled)
            self.bids += [encode_bundle([valid_bid(xcalled.transfer_id, key)]) for key in ROUTER_KEYS[:2]]
        self.net.chains[ORIGIN].add(events)
        self.net.chains[DESTINATION].add()
        self.net.see(self.chance.sample(range(4), self.chance.choice((3, 4, 4))))

    def judge(self, block: list[bytes], proposer: int) -> bool:
        """Every node's verdict, which must be one; nothing raises, and what a vote would say stays canonical."""
        verdicts = {self.net.is_accepted(block, node, proposer) for node in range(4)}
        assert len(verdicts) == 1, block
        for validator in self.net.validators:
            request = pb.RequestExtendVote(**self.net.block_fields(block, proposer))
            assert is_acceptable(validator.app.extend_vote(request).vote_extension)
        (verdict,) = verdicts
        self.verdicts[verdict] += 1
        return verdict

    def step(self) -> None:
        """One height: corrupted blocks are judged; the last one that was taken is committed, else the honest one."""
        proposer = self.chance.randrange(4)
        mempool = self.chance.sample(self.bids, min(len(self.bids), 4))
        honest = self.net.prepare(proposer, mempool)
        assert self.judge(honest, proposer), "an honest block is always taken"
        corrupted = [mutate(self.chance, honest, self.seen) for _ in range(MUTATIONS)]
        taken = [block for block in corrupted if self.judge(block, proposer)]
        chosen = taken[-1] if taken and self.chance.random() < 0.5 else honest
        step = self.net.step(mempool, proposer, corrupt=lambda _: chosen)
        assert len(set(step.app_hashes)) == 1
        self.seen += [*honest, *chosen]
        del self.seen[:-200]


@pytest.mark.parametrize("seed", SEEDS)
def test_corrupted_blocks_are_judged_alike_and_end_alike(tmp_path: Path, seed: int) -> None:
    play = Play(tmp_path, seed)
    try:
        for _ in range(HEIGHTS):
            play.live()
            play.step()
        assert min(play.verdicts.values()) > HEIGHTS, play.verdicts
        assert play.net.committed.view.get(b"chain") is not None
    finally:
        play.net.close()
