"""Proposals corrupted at random: no node raises, and what all accept executes without a refused injected transaction.

Every choice comes from one seeded generator; a failure names its height and try.
"""

import random
from pathlib import Path

from abci_app.abci import messages as pb
from abci_app.machine.block import apply_block
from abci_app.machine.codes import Code, Rejected
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.observation.extension import (
    INJECTED_COMMIT,
    CommitEntry,
    InjectedCommit,
    VoteFlag,
    decode_commit,
    encode_commit,
    is_acceptable,
)
from abci_app.machine.results import Block
from abci_app.machine.state.codec import Address
from abci_app.machine.transactions.tx import encode_bundle
from tests.kit.machine.small_world import ORIGIN, ROUTER_KEYS, valid_bid
from tests.kit.node.small_chain import GENESIS_TIME_S, Network, make_info, make_xcalled

HEIGHTS = 14
TRIES = 50
INJECTED_CODES = range(Code.COMMIT_MISSING, Code.GENESIS_INVALID)


def corrupt_bytes(dice: random.Random, raw: bytes) -> bytes:
    """Other bytes, mostly close to these."""
    if not raw:
        return dice.randbytes(3)
    at = dice.randrange(min(len(raw), dice.choice((8, 40, len(raw)))))
    return dice.choice((
        raw[:at], raw[:at] + dice.randbytes(1) + raw[at + 1:], raw[:at] + dice.randbytes(3) + raw[at:],
        raw[:at] + raw[at + 2:], raw + dice.randbytes(9),
    ))


def corrupt_commit(dice: random.Random, raw: bytes) -> bytes:
    """A commit with one entry pruned, flagged otherwise, signed otherwise, or another's."""
    try:
        commit = decode_commit(raw)
    except Rejected:
        return raw
    entries = list(commit.entries)
    place = dice.randrange(len(entries))
    entry = entries[place]
    entries[place] = dice.choice((
        CommitEntry(entry.flag, b"", b""), CommitEntry(VoteFlag.ABSENT, b"", b""), entries[0],
        CommitEntry(entry.flag, entry.extension, b"\1" * 64),
        CommitEntry(entry.flag, corrupt_bytes(dice, entry.extension), entry.signature),
    ))
    return encode_commit(InjectedCommit(dice.choice((commit.round, commit.round + 1)), tuple(entries)))


def corrupt(dice: random.Random, honest: list[bytes]) -> list[bytes]:
    """A block with one to three things changed."""
    block = list(honest)
    for _ in range(dice.randint(1, 3)):
        block = block or [b""]
        at = dice.randrange(len(block))
        match dice.randrange(7):
            case 0:
                block[at] = corrupt_bytes(dice, block[at])
            case 1:
                block.pop(at)
            case 2:
                block.insert(at, dice.choice(block))
            case 3:
                dice.shuffle(block)
            case 4:
                block.append(corrupt_bytes(dice, block[at]))
            case 5:
                block.insert(at, dice.choice((b"", b"\0", b"\0\1", b"\0\2", b"\0\3x", dice.randbytes(40))))
            case _:
                block[0] = corrupt_commit(dice, block[0]) if block[0].startswith(INJECTED_COMMIT) else block[0]
    return block


def check_corrupted(net: Network, block: list[bytes], node: int) -> bool:
    """Process, extend and execute a block; return whether it was accepted."""
    accepted = net.is_accepted(block, node)
    app = net.validators[node].app
    extension = app.extend_vote(pb.RequestExtendVote(**net.block_fields(block, 0))).vote_extension
    assert is_acceptable(extension)
    committed = net.committed
    given = Block(net.height + 1, GENESIS_TIME_S + net.height + 1, Address(bytes(20)), tuple(block))
    result = apply_block(committed.view, committed.tree, given)
    assert len(result.results) == len(block)
    if accepted:
        assert not [each.code for each in result.results if each.code in INJECTED_CODES]
    return accepted


def test_no_proposal_stops_a_node(tmp_path: Path) -> None:
    """COM-1 to COM-4, REP-4, BID-7, ORD-5: and what honest nodes propose among all this is accepted by all."""
    dice = random.Random(11)
    net = Network(tmp_path)
    pool: list[bytes] = []
    nonce = 0
    answers = {True: 0, False: 0}
    for height in range(HEIGHTS):
        for chain in net.chains.values():
            infos = []
            if chain.domain.domain == ORIGIN and dice.randrange(2):
                infos = [make_info(nonce + number) for number in range(dice.randint(1, 3))]
                nonce += len(infos)
            pool += [
                encode_bundle([valid_bid(compute_transfer_id(info), key) for key in ROUTER_KEYS]) for info in infos
            ]
            chain.add([make_xcalled(info) for info in infos])
        net.see()
        mempool = [dice.choice(pool) for _ in range(3)] if pool else []
        mempool += [corrupt_bytes(dice, tx) for tx in mempool] + [dice.randbytes(9), b"\0\2"]
        honest = net.prepare(dice.randrange(4), mempool)
        for number in range(TRIES):
            try:
                answers[check_corrupted(net, corrupt(dice, honest), dice.randrange(4))] += 1
            except Exception as error:
                raise AssertionError(f"height {height + 1}, try {number}") from error
        flags = {3: VoteFlag.ABSENT} if dice.randrange(4) == 0 else {}
        step = net.step(mempool, dice.randrange(4), flags, dice.choice((0, 0, 1)))
        assert all(step.accepted) and len(set(step.app_hashes)) == 1
    assert min(answers.values()) > 50
    net.close()
