"""Protobuf by hand: fields from their numbers, and parts that many ABCI messages share, in both forms."""

from typing import Any

from abci_app.abci import messages as pb
from abci_app.abci.framing import encode_uvarint


def number(field: int, value: int) -> bytes:
    """A varint field; negative numbers as ten bytes, as protobuf's int64."""
    return encode_uvarint(field << 3) + encode_uvarint(value % 2**64)


def data(field: int, value: bytes | str) -> bytes:
    """A length-delimited field: bytes, text or a message."""
    value = value.encode() if isinstance(value, str) else value
    return encode_uvarint(field << 3 | 2) + encode_uvarint(len(value)) + value


def fixed(field: int, value: int) -> bytes:
    """An sfixed64 field."""
    return encode_uvarint(field << 3 | 1) + value.to_bytes(8, "little", signed=True)


TIME = pb.Timestamp(seconds=1_700_000_000, nanos=5)
TIME_BYTES = number(1, 1_700_000_000) + number(2, 5)
VALIDATOR = pb.Validator(address=b"\xaa" * 20, power=7)
VALIDATOR_BYTES = data(1, b"\xaa" * 20) + number(3, 7)
VOTE = pb.VoteInfo(validator=VALIDATOR, block_id_flag=pb.BlockIDFlag.BLOCK_ID_FLAG_COMMIT)
COMMIT = pb.CommitInfo(round=2, votes=[VOTE])
COMMIT_BYTES = number(1, 2) + data(2, data(1, VALIDATOR_BYTES) + number(3, 2))
EXTENDED_VOTE = pb.ExtendedVoteInfo(
    validator=VALIDATOR, vote_extension=b"ext", extension_signature=b"sig", block_id_flag=3
)
EXTENDED_COMMIT = pb.ExtendedCommitInfo(round=1, votes=[EXTENDED_VOTE])
EXTENDED_COMMIT_BYTES = number(1, 1) + data(
    2, data(1, VALIDATOR_BYTES) + data(3, "ext") + data(4, "sig") + number(5, 3)
)
MISBEHAVIOR = pb.Misbehavior(
    type=pb.MisbehaviorType.LIGHT_CLIENT_ATTACK, validator=VALIDATOR, height=4, time=TIME, total_voting_power=10
)
MISBEHAVIOR_BYTES = number(1, 2) + data(2, VALIDATOR_BYTES) + number(3, 4) + data(4, TIME_BYTES) + number(5, 10)
UPDATE = pb.ValidatorUpdate(pub_key=pb.PublicKey(ed25519=b"\x01" * 32), power=3)
UPDATE_BYTES = data(1, data(1, b"\x01" * 32)) + number(2, 3)
EVENT = pb.Event(type="decided", attributes=[pb.EventAttribute(key="k", value="v", index=True)])
EVENT_BYTES = data(1, "decided") + data(2, data(1, "k") + data(2, "v") + number(3, 1))
RESULT: dict[str, Any] = {
    **{"code": 1, "data": b"d", "log": "l", "info": "i", "gas_wanted": -1, "gas_used": 9},
    **{"events": [EVENT], "codespace": "c"},
}
RESULT_BYTES = (
    number(1, 1) + data(2, "d") + data(3, "l") + data(4, "i") + number(5, -1) + number(6, 9) + data(7, EVENT_BYTES)
) + data(8, "c")
PARAMS = pb.ConsensusParams(
    block=pb.BlockParams(max_bytes=2_097_152, max_gas=-1),
    evidence=pb.EvidenceParams(max_age_num_blocks=5, max_age_duration=pb.Duration(seconds=6), max_bytes=7),
    validator=pb.ValidatorParams(pub_key_types=["ed25519"]),
    version=pb.VersionParams(app=8),
    abci=pb.ABCIParams(vote_extensions_enable_height=1),
)
PARAMS_BYTES = (
    data(1, number(1, 2_097_152) + number(2, -1)) + data(2, number(1, 5) + data(2, number(1, 6)) + number(3, 7))
    + data(3, data(1, "ed25519")) + data(4, number(1, 8)) + data(5, number(1, 1))
)
SNAPSHOT = pb.Snapshot(height=9, format=1, chunks=2, hash=b"h", metadata=b"m")
SNAPSHOT_BYTES = number(1, 9) + number(2, 1) + number(3, 2) + data(4, "h") + data(5, "m")
