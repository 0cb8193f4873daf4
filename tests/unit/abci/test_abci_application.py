"""The base class's answers are safe ones."""

import pytest

from abci_app.abci import Application, tx_bytes_in_block, txs_within
from abci_app.abci import messages as pb

APP = Application()


def test_defaults_accept_what_others_decided_and_abort_what_they_cannot_do() -> None:
    assert APP.info(pb.RequestInfo()).last_block_height == 0
    assert APP.check_tx(pb.RequestCheckTx(tx=b"t")).code == 0
    assert APP.init_chain(pb.RequestInitChain()) == pb.ResponseInitChain()
    assert APP.process_proposal(pb.RequestProcessProposal()).status == pb.ResponseProcessProposal.ACCEPT
    assert APP.extend_vote(pb.RequestExtendVote()).vote_extension == b""
    verified = APP.verify_vote_extension(pb.RequestVerifyVoteExtension())
    assert verified.status == pb.ResponseVerifyVoteExtension.ACCEPT
    assert not APP.list_snapshots(pb.RequestListSnapshots()).snapshots
    assert APP.offer_snapshot(pb.RequestOfferSnapshot()).result == pb.ResponseOfferSnapshot.ABORT
    assert APP.apply_snapshot_chunk(pb.RequestApplySnapshotChunk()).result == pb.ResponseApplySnapshotChunk.ABORT
    assert APP.load_snapshot_chunk(pb.RequestLoadSnapshotChunk()).chunk == b""
    assert not APP.reap_txs(pb.RequestReapTxs()).txs


def test_finalize_block_has_one_result_a_transaction() -> None:
    """CometBFT panics on any other number."""
    assert len(APP.finalize_block(pb.RequestFinalizeBlock(txs=[b"a", b"b", b"c"])).tx_results) == 3


@pytest.mark.parametrize(
    "txs, bytes_max, taken",
    [
        ([], 0, 0),
        ([b"a" * 10], 11, 0),  # 10 bytes, one of length, one of tag
        ([b"a" * 10], 12, 1),
        ([b"a" * 127], 129, 1),
        ([b"a" * 128], 130, 0),  # from here the length takes two bytes
        ([b"a" * 128], 131, 1),
        ([b"a" * 10, b"b" * 10, b"c" * 10], 35, 2),
        ([b"a" * 10, b"b" * 100, b"c"], 50, 1),  # a prefix: what does not fit ends it
        ([b"", b""], 4, 2),
        ([b"a"], -1, 0),
    ],
)
def test_prepare_proposal_stays_within_the_engines_count(txs: list[bytes], bytes_max: int, taken: int) -> None:
    response = APP.prepare_proposal(pb.RequestPrepareProposal(txs=txs, max_tx_bytes=bytes_max))
    assert list(response.txs) == txs[:taken]
    assert list(response.txs) == txs_within(txs, bytes_max)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384])
def test_the_count_is_that_of_the_encoded_block(size: int) -> None:
    """The engine counts a transaction as a repeated bytes field of its block's data."""
    assert tx_bytes_in_block(bytes(size)) == pb.ResponsePrepareProposal(txs=[bytes(size)]).ByteSize()
