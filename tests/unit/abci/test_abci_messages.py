"""Messages against bytes put together by hand from CometBFT's field numbers, and the privacy of their pool."""

import subprocess
import sys
from typing import Any

import pytest

from abci_app.abci import messages as pb
from tests.kit.abci.wire import (
    COMMIT,
    COMMIT_BYTES,
    EVENT,
    EVENT_BYTES,
    EXTENDED_COMMIT,
    EXTENDED_COMMIT_BYTES,
    MISBEHAVIOR,
    MISBEHAVIOR_BYTES,
    PARAMS,
    PARAMS_BYTES,
    RESULT,
    RESULT_BYTES,
    SNAPSHOT,
    SNAPSHOT_BYTES,
    TIME,
    TIME_BYTES,
    UPDATE,
    UPDATE_BYTES,
    data,
    fixed,
    number,
)

REQUESTS: list[tuple[str, int, Any, bytes]] = [
    ("echo", 1, pb.RequestEcho(message="hi"), data(1, "hi")),
    ("flush", 2, pb.RequestFlush(), b""),
    (
        "info",
        3,
        pb.RequestInfo(version="0.38.25", block_version=11, p2p_version=8, abci_version="2.0.0"),
        data(1, "0.38.25") + number(2, 11) + number(3, 8) + data(4, "2.0.0"),
    ),
    (
        "init_chain",
        5,
        pb.RequestInitChain(
            time=TIME,
            chain_id="c",
            consensus_params=PARAMS,
            validators=[UPDATE],
            app_state_bytes=b"{}",
            initial_height=1,
        ),
        data(1, TIME_BYTES) + data(2, "c") + data(3, PARAMS_BYTES) + data(4, UPDATE_BYTES) + data(5, "{}")
        + number(6, 1),
    ),
    (
        "query",
        6,
        pb.RequestQuery(data=b"d", path="/p", height=3, prove=True),
        data(1, "d") + data(2, "/p") + number(3, 3) + number(4, 1),
    ),
    ("check_tx", 8, pb.RequestCheckTx(tx=b"t", type=pb.CheckTxType.RECHECK), data(1, "t") + number(2, 1)),
    ("commit", 11, pb.RequestCommit(), b""),
    ("list_snapshots", 12, pb.RequestListSnapshots(), b""),
    (
        "offer_snapshot",
        13,
        pb.RequestOfferSnapshot(snapshot=SNAPSHOT, app_hash=b"a"),
        data(1, SNAPSHOT_BYTES) + data(2, "a"),
    ),
    (
        "load_snapshot_chunk",
        14,
        pb.RequestLoadSnapshotChunk(height=9, format=1, chunk=1),
        number(1, 9) + number(2, 1) + number(3, 1),
    ),
    (
        "apply_snapshot_chunk",
        15,
        pb.RequestApplySnapshotChunk(index=1, chunk=b"c", sender="s"),
        number(1, 1) + data(2, "c") + data(3, "s"),
    ),
    (
        "prepare_proposal",
        16,
        pb.RequestPrepareProposal(
            max_tx_bytes=100, txs=[b"a", b""], local_last_commit=EXTENDED_COMMIT, misbehavior=[MISBEHAVIOR], height=5,
            time=TIME, next_validators_hash=b"n", proposer_address=b"p",
        ),
        number(1, 100) + data(2, "a") + data(2, "") + data(3, EXTENDED_COMMIT_BYTES) + data(4, MISBEHAVIOR_BYTES)
        + number(5, 5) + data(6, TIME_BYTES) + data(7, "n") + data(8, "p"),
    ),
    (
        "process_proposal",
        17,
        pb.RequestProcessProposal(
            txs=[b"a"], proposed_last_commit=COMMIT, misbehavior=[MISBEHAVIOR], hash=b"h", height=5, time=TIME,
            next_validators_hash=b"n", proposer_address=b"p",
        ),
        data(1, "a") + data(2, COMMIT_BYTES) + data(3, MISBEHAVIOR_BYTES) + data(4, "h") + number(5, 5)
        + data(6, TIME_BYTES) + data(7, "n") + data(8, "p"),
    ),
    (
        "extend_vote",
        18,
        pb.RequestExtendVote(
            hash=b"h", height=5, time=TIME, txs=[b"a"], proposed_last_commit=COMMIT, misbehavior=[MISBEHAVIOR],
            next_validators_hash=b"n", proposer_address=b"p",
        ),
        data(1, "h") + number(2, 5) + data(3, TIME_BYTES) + data(4, "a") + data(5, COMMIT_BYTES)
        + data(6, MISBEHAVIOR_BYTES) + data(7, "n") + data(8, "p"),
    ),
    (
        "verify_vote_extension",
        19,
        pb.RequestVerifyVoteExtension(hash=b"h", validator_address=b"v", height=5, vote_extension=b"e"),
        data(1, "h") + data(2, "v") + number(3, 5) + data(4, "e"),
    ),
    (
        "finalize_block",
        20,
        pb.RequestFinalizeBlock(
            txs=[b"a"], decided_last_commit=COMMIT, misbehavior=[MISBEHAVIOR], hash=b"h", height=5, time=TIME,
            next_validators_hash=b"n", proposer_address=b"p",
        ),
        data(1, "a") + data(2, COMMIT_BYTES) + data(3, MISBEHAVIOR_BYTES) + data(4, "h") + number(5, 5)
        + data(6, TIME_BYTES) + data(7, "n") + data(8, "p"),
    ),
    ("insert_tx", 21, pb.RequestInsertTx(tx=b"t"), data(1, "t")),
    ("reap_txs", 22, pb.RequestReapTxs(max_bytes=1, max_gas=2), number(1, 1) + number(2, 2)),
]
RESPONSES: list[tuple[str, int, Any, bytes]] = [
    ("exception", 1, pb.ResponseException(error="e"), data(1, "e")),
    ("echo", 2, pb.ResponseEcho(message="hi"), data(1, "hi")),
    ("flush", 3, pb.ResponseFlush(), b""),
    (
        "info",
        4,
        pb.ResponseInfo(data="d", version="v", app_version=1, last_block_height=9, last_block_app_hash=b"h"),
        data(1, "d") + data(2, "v") + number(3, 1) + number(4, 9) + data(5, "h"),
    ),
    (
        "init_chain",
        6,
        pb.ResponseInitChain(consensus_params=PARAMS, validators=[UPDATE], app_hash=b"h"),
        data(1, PARAMS_BYTES) + data(2, UPDATE_BYTES) + data(3, "h"),
    ),
    (
        "query",
        7,
        pb.ResponseQuery(
            code=1, log="l", info="i", index=2, key=b"k", value=b"v",
            proof_ops=pb.ProofOps(ops=[pb.ProofOp(type="t", key=b"k", data=b"d")]), height=3, codespace="c",
        ),
        number(1, 1) + data(3, "l") + data(4, "i") + number(5, 2) + data(6, "k") + data(7, "v")
        + data(8, data(1, data(1, "t") + data(2, "k") + data(3, "d"))) + number(9, 3) + data(10, "c"),
    ),
    ("check_tx", 9, pb.ResponseCheckTx(**RESULT), RESULT_BYTES),
    ("commit", 12, pb.ResponseCommit(retain_height=3), number(3, 3)),
    ("list_snapshots", 13, pb.ResponseListSnapshots(snapshots=[SNAPSHOT]), data(1, SNAPSHOT_BYTES)),
    ("offer_snapshot", 14, pb.ResponseOfferSnapshot(result=pb.ResponseOfferSnapshot.REJECT_SENDER), number(1, 5)),
    ("load_snapshot_chunk", 15, pb.ResponseLoadSnapshotChunk(chunk=b"c"), data(1, "c")),
    (
        "apply_snapshot_chunk",
        16,
        pb.ResponseApplySnapshotChunk(
            result=pb.ResponseApplySnapshotChunk.RETRY, refetch_chunks=[1, 2], reject_senders=["s"]
        ),
        number(1, 3) + data(2, b"\x01\x02") + data(3, "s"),
    ),
    ("prepare_proposal", 17, pb.ResponsePrepareProposal(txs=[b"a"]), data(1, "a")),
    ("process_proposal", 18, pb.ResponseProcessProposal(status=pb.ResponseProcessProposal.REJECT), number(1, 2)),
    ("extend_vote", 19, pb.ResponseExtendVote(vote_extension=b"e"), data(1, "e")),
    (
        "verify_vote_extension",
        20,
        pb.ResponseVerifyVoteExtension(status=pb.ResponseVerifyVoteExtension.ACCEPT),
        number(1, 1),
    ),
    (
        "finalize_block",
        21,
        pb.ResponseFinalizeBlock(
            events=[EVENT],
            tx_results=[pb.ExecTxResult(**RESULT)],
            validator_updates=[UPDATE], consensus_param_updates=PARAMS, app_hash=b"h",
        ),
        data(1, EVENT_BYTES) + data(2, RESULT_BYTES) + data(3, UPDATE_BYTES) + data(4, PARAMS_BYTES) + data(5, "h"),
    ),
    ("insert_tx", 22, pb.ResponseInsertTx(code=1), number(1, 1)),
    ("reap_txs", 23, pb.ResponseReapTxs(txs=[b"a"]), data(1, "a")),
]


@pytest.mark.parametrize("name, field, message, body", REQUESTS, ids=[row[0] for row in REQUESTS])
def test_a_request_of_hand_made_bytes_decodes(name: str, field: int, message: Any, body: bytes) -> None:
    request = pb.Request.FromString(data(field, body))
    assert request.WhichOneof("value") == name
    assert getattr(request, name) == message
    assert message.SerializeToString() == body


@pytest.mark.parametrize("name, field, message, body", RESPONSES, ids=[row[0] for row in RESPONSES])
def test_a_response_encodes_to_hand_made_bytes(name: str, field: int, message: Any, body: bytes) -> None:
    assert pb.Response(**{name: message}).SerializeToString() == data(field, body)


@pytest.mark.parametrize("envelope, rows", [(pb.Request, REQUESTS), (pb.Response, RESPONSES)])
def test_every_call_has_a_row_above(envelope: Any, rows: list[tuple[str, int, Any, bytes]]) -> None:
    assert [(field.name, field.number) for field in envelope.DESCRIPTOR.fields] == [(row[0], row[1]) for row in rows]


def test_sign_bytes_of_a_vote_extension() -> None:
    canonical = pb.CanonicalVoteExtension(extension=b"ext", height=5, round=1, chain_id="c")
    assert canonical.SerializeToString() == data(1, "ext") + fixed(2, 5) + fixed(3, 1) + data(4, "c")
    # Round 0 is left out, as every proto3 zero.
    assert pb.CanonicalVoteExtension(extension=b"ext", height=5, round=0, chain_id="c").SerializeToString() == (
        data(1, "ext") + fixed(2, 5) + data(4, "c")
    )


def test_header_and_commit_fields() -> None:
    block_id = pb.BlockID(hash=b"h", part_set_header=pb.PartSetHeader(total=1, hash=b"p"))
    block_id_bytes = data(1, "h") + data(2, number(1, 1) + data(2, "p"))
    names = ["last_commit_hash", "data_hash", "validators_hash", "next_validators_hash", "consensus_hash", "app_hash"]
    names += ["last_results_hash", "evidence_hash", "proposer_address"]
    header = pb.Header(
        version=pb.ConsensusVersion(block=11, app=1),
        chain_id="c",
        height=2,
        time=TIME,
        last_block_id=block_id,
        **{name: name.encode() for name in names},
    )
    expected = data(1, number(1, 11) + number(2, 1)) + data(2, "c") + number(3, 2) + data(4, TIME_BYTES)
    expected += data(5, block_id_bytes) + b"".join(data(field, name) for field, name in enumerate(names, 6))
    assert header.SerializeToString() == expected
    signature = pb.CommitSig(block_id_flag=2, validator_address=b"v", timestamp=TIME, signature=b"s")
    commit = pb.Commit(height=1, round=1, block_id=block_id, signatures=[signature])
    signature_bytes = number(1, 2) + data(2, "v") + data(3, TIME_BYTES) + data(4, "s")
    expected = number(1, 1) + number(2, 1) + data(3, block_id_bytes) + data(4, signature_bytes)
    assert commit.SerializeToString() == expected


def test_a_validators_leaf() -> None:
    leaf = pb.SimpleValidator(pub_key=pb.PublicKey(ed25519=b"\x01" * 32), voting_power=5)
    assert leaf.SerializeToString() == data(1, data(1, b"\x01" * 32)) + number(2, 5)


def test_a_wrong_type_or_name_is_refused_at_once() -> None:
    with pytest.raises(TypeError):
        pb.RequestCheckTx(tx="text")  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        pb.RequestCheckTx(transaction=b"t")  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        pb.ResponseFinalizeBlock().app_hsah = b"h"  # type: ignore[attr-defined]


CLASH = """
from google.protobuf import descriptor_pb2, descriptor_pool
def foreign():
    file = descriptor_pb2.FileDescriptorProto(name="tendermint/abci/types.proto", package="tendermint.abci")
    file.message_type.add(name="RequestInfo").field.add(name="other", number=1, type=13, label=1)
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
def ours():
    from abci_app.abci import messages
    assert messages.RequestInfo(version="v").SerializeToString() == bytes.fromhex("0a0176")
    assert messages.RequestInsertTx(tx=b"t").SerializeToString() == bytes.fromhex("0a0174")
for step in ({order}):
    step()
ours()
assert descriptor_pool.Default().FindMessageTypeByName("tendermint.abci.RequestInfo").fields[0].name == "other"
"""


@pytest.mark.parametrize("order", ["foreign, ours", "ours, foreign"])
def test_another_packages_tendermint_protos_neither_clash_nor_replace_ours(order: str) -> None:
    """Some packages register an older tendermint/abci/types.proto in the process's default pool."""
    done = subprocess.run(
        [sys.executable, "-c", CLASH.replace("{order}", order)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
