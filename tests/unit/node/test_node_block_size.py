"""How many transactions and signatures a block may hold (COM-4): so many that work is bounded, whatever is in them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from abci_app.abci import tx_bytes_in_block
from abci_app.machine.codes import Code
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.genesis.checks import MEMBERS_MAX
from abci_app.machine.observation.extension import (
    INJECTED_SEGMENT,
    CommitEntry,
    InjectedCommit,
    VoteFlag,
    encode_commit,
)
from abci_app.machine.observation.stream import encode_segment
from abci_app.machine.params import (
    BLOCK_SIGNATURES_MAX,
    BLOCK_TXS_MAX,
    BUNDLE_BIDS_MAX,
    PATH_LENGTHS,
    SEGMENT_BYTES_MAX,
)
from abci_app.machine.state.codec import Address, TransferId
from abci_app.machine.state.records import PathSignature
from abci_app.machine.transactions.tx import SubmittedBid, Withdraw, encode_bundle, encode_withdraw
from abci_app.node.genesis import BLOCK_BYTES_MIN
from tests.kit.machine.small_world import ORIGIN, valid_bid
from tests.kit.node.small_chain import Network, make_info, make_xcalled

CRUMB = b"\xff"


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path)
    made.step()
    yield made
    made.close()


def test_a_block_of_that_many_is_taken(net: Network) -> None:
    """COM-4: the injected commit counts as one."""
    block = [*net.prepare(0), *[CRUMB] * (BLOCK_TXS_MAX - 1)]
    assert len(block) == BLOCK_TXS_MAX
    assert [net.is_accepted(block, node) for node in range(4)] == [True] * 4


def test_one_more_is_refused(net: Network) -> None:
    """COM-4, and it is said why."""
    block = [*net.prepare(0), *[CRUMB] * BLOCK_TXS_MAX]
    assert [net.is_accepted(block, node) for node in range(4)] == [False] * 4
    for validator in net.validators:
        assert validator.app.metrics.proposals_refused == {Code.BLOCK_TOO_MANY_TXS: 1}


def test_an_honest_proposer_stops_there(net: Network) -> None:
    """COM-4: whatever the mempool holds."""
    signature = valid_bid(TransferId(bytes(32))).signatures[0].signature
    withdraws = [
        encode_withdraw(Withdraw(TransferId(index.to_bytes(32, "big")), b"\x01" * 20, signature))  # type: ignore[arg-type]
        for index in range(BLOCK_TXS_MAX + 10)
    ]
    block = net.prepare(0, withdraws, max_tx_bytes=4_000_000)
    assert len(block) == BLOCK_TXS_MAX and block[1:] == withdraws[:BLOCK_TXS_MAX - 1]
    assert net.is_accepted(block, 1)


# --- signatures -----------------------------------------------------------------------------------------------------

INFO = make_info(0)
SIGNATURE = valid_bid(TransferId(bytes(32))).signatures[0].signature


@pytest.fixture
def known(net: Network) -> Network:
    """The network, its chain with one accepted transfer."""
    net.chains[ORIGIN].add([make_xcalled(INFO)])
    net.see()
    net.step()
    net.step()
    return net


def fill(signatures: int) -> list[bytes]:
    """Bundles for the accepted transfer, as full as can be, with this many signatures in all; none is right."""
    bundles: list[bytes] = []
    full = tuple(PathSignature(length, SIGNATURE) for length in PATH_LENGTHS)
    while signatures:
        bids: list[SubmittedBid] = []
        while signatures and len(bids) < BUNDLE_BIDS_MAX:
            router = Address((len(bundles) * BUNDLE_BIDS_MAX + len(bids)).to_bytes(20, "big"))
            bids.append(SubmittedBid(compute_transfer_id(INFO), router, full[:signatures]))
            signatures -= len(bids[-1].signatures)
        bundles.append(encode_bundle(bids))
    return bundles


def test_a_block_of_that_many_signatures_is_taken(known: Network) -> None:
    """COM-4: a withdraw's counts like a bid's."""
    withdraw = encode_withdraw(Withdraw(compute_transfer_id(INFO), Address(b"\x01" * 20), SIGNATURE))
    block = [*known.prepare(0), *fill(BLOCK_SIGNATURES_MAX - 1), withdraw]
    assert [known.is_accepted(block, node) for node in range(4)] == [True] * 4


def test_one_signature_more_is_refused(known: Network) -> None:
    """COM-4, and it is said why."""
    block = [*known.prepare(0), *fill(BLOCK_SIGNATURES_MAX), *fill(1)]
    assert [known.is_accepted(block, node) for node in range(4)] == [False] * 4
    for validator in known.validators:
        assert validator.app.metrics.proposals_refused == {Code.BLOCK_TOO_MANY_SIGNATURES: 1}


def test_an_honest_proposer_stops_at_so_many_signatures(known: Network) -> None:
    """COM-4: in the mempool's order, and the rest comes in a later block."""
    waiting = fill(BLOCK_SIGNATURES_MAX + 500)
    block = known.prepare(0, waiting, max_tx_bytes=4_000_000)
    taken = block[1:]
    assert taken == waiting[:len(taken)] and len(taken) == len(waiting) - 3
    assert known.is_accepted(block, 1)
    assert not known.is_accepted([*block, waiting[len(taken)]], 1)


# --- bytes ----------------------------------------------------------------------------------------------------------


def test_the_smallest_blocks_allowed_hold_the_largest_segment(net: Network) -> None:
    """GEN-2: beside a pruned commit of as many validators as there may be, and what CometBFT keeps for itself."""
    header = len(encode_segment(net.chains[ORIGIN].next_segment([])[0]))
    segment = INJECTED_SEGMENT + bytes(header + SEGMENT_BYTES_MAX)
    pruned = InjectedCommit(0, (CommitEntry(VoteFlag.COMMIT, b"", b""),) * MEMBERS_MAX)
    own = tx_bytes_in_block(segment) + tx_bytes_in_block(encode_commit(pruned))
    engine = 11 + 626 + 94 + 109 * MEMBERS_MAX  # its MaxOverheadForBlock, MaxHeaderBytes, MaxCommitBytes
    assert own + engine <= BLOCK_BYTES_MIN
