"""Golden vectors: encoded logs of a Connext → canonical segments and running digests, byte for byte.

The file is the contract with any other implementation of docs/protocol.md section 5; a change of one byte of it splits
the network. Header and digest are checked with `struct` and `hashlib` too, not with the codec that made them.
"""

import json
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from abci_app.evm.types import Log
from abci_app.machine.observation.stream import EVENT_KINDS, compute_first_digest, decode_segment
from abci_app.machine.params import INDEX_WHOLE_BLOCK
from abci_app.machine.state.codec import Address, DomainId, Hash
from abci_app.machine.state.records import Cursor, Domain, DomainStatus
from abci_app.observer.log_projections import project
from abci_app.observer.segment_builder import build_segments

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "vectors/segment_vectors.json").read_text()
)
NAMES = [f"{stream['segment_blocks']}-{stream['idle_blocks']}" for stream in VECTORS["streams"]]
HEADER = ">IQ20sHIIQQI32sQH"


def read_logs() -> list[Log]:
    connext = bytes.fromhex(VECTORS["domain"]["connext"])
    return [
        Log(
            connext, tuple(bytes.fromhex(topic) for topic in entry["topics"]), bytes.fromhex(entry["data"]),
            entry["block"], block_info(entry["block"])[0], bytes.fromhex(entry["tx_hash"]), 0, entry["index"], False,
        )
        for entry in VECTORS["logs"]
    ]


def block_info(number: int) -> tuple[Hash, int]:
    block = VECTORS["blocks"][str(number)]
    return Hash(bytes.fromhex(block["hash"])), block["timestamp"]


def read_domain(grids: dict[str, int]) -> Domain:
    fields = VECTORS["domain"]
    start = fields["start_block"]
    block_hash, timestamp_s = block_info(start)

    def at(digest: Hash) -> Domain:
        return Domain(
            DomainId(fields["domain"]), fields["chain_id"], Address(bytes.fromhex(fields["connext"])),
            Address(bytes(20)), 0, 1, grids["segment_blocks"], grids["idle_blocks"],
            Cursor(0, start, INDEX_WHOLE_BLOCK, block_hash, timestamp_s, digest),
            0, 5, 9995, False, False, DomainStatus.OPEN, True,
        )

    return at(compute_first_digest(at(Hash(bytes(32)))))


@pytest.mark.parametrize("stream", VECTORS["streams"], ids=NAMES)
def test_logs_become_these_segments(stream: dict[str, Any]) -> None:
    domain = read_domain(stream)
    built = build_segments(domain, domain.cursor, project(read_logs()), VECTORS["final_block"], block_info, 100)
    assert domain.cursor.digest.hex() == stream["first_digest"]
    assert [
        {"raw": found.raw.hex(), "digest": found.after.digest.hex()} for found in built
    ] == stream["segments"]


@pytest.mark.parametrize("stream", VECTORS["streams"], ids=NAMES)
def test_digests_and_headers_without_the_codec(stream: dict[str, Any]) -> None:
    fields = VECTORS["domain"]
    connext = bytes.fromhex(fields["connext"])
    grids = (stream["segment_blocks"], stream["idle_blocks"])
    start_hash, start_s = block_info(fields["start_block"])
    constants = (fields["domain"], fields["chain_id"], connext, 1, *grids)
    first = struct.pack(HEADER, *constants, 0, fields["start_block"], 2**32 - 1, start_hash, start_s, 0)
    digest = sha256(b"consensus-routing/stream" + first).digest()
    assert digest.hex() == stream["first_digest"]
    for number, expected in enumerate(stream["segments"], 1):
        raw = bytes.fromhex(expected["raw"])
        digest = sha256(digest + raw).digest()
        assert digest.hex() == expected["digest"]
        header = struct.unpack(HEADER, raw[:struct.calcsize(HEADER)])
        assert header[:7] == (*constants, number)
        assert header[7] % grids[0] == 0 or header[7] % grids[1] == 0
        assert (Hash(header[9]), header[10]) == block_info(header[7])
        offset = struct.calcsize(HEADER)
        for _ in range(header[11]):
            length = struct.unpack(">QIHH", raw[offset:offset + 16])[3]
            offset += 16 + length
        assert offset == len(raw)


def test_every_kind_of_event_is_in_the_vectors() -> None:
    """So that none can change its bytes unseen; with both forms of callData and of router lists."""
    segments = [decode_segment(bytes.fromhex(found["raw"])) for found in VECTORS["streams"][0]["segments"]]
    events = [positioned.event for segment in segments for positioned in segment.events]
    assert {type(event) for event in events} == set(EVENT_KINDS.values())
    assert {event.call_data_hash is None for event in events if hasattr(event, "call_data_hash")} == {True, False}
    assert {event.routers.digest is None for event in events if hasattr(event, "routers")} == {True, False}
    assert any(event.relayer_fees for event in events if hasattr(event, "relayer_fees"))
