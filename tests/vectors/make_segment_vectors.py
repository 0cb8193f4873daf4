"""Writes segment_vectors.json: `python -m tests.vectors.make_segment_vectors`. Only for a new stream version."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from abci_app.evm.types import Log
from abci_app.machine.observation.stream import compute_first_digest
from abci_app.machine.params import INDEX_WHOLE_BLOCK
from abci_app.machine.state.codec import Address, DomainId, Hash
from abci_app.machine.state.records import Cursor, Domain, DomainStatus
from abci_app.observer.log_projections import project
from abci_app.observer.segment_builder import build_segments
from tests.kit.observer.event_table import EVENTS, executed, fees
from tests.kit.observer.fake_chain import address, encode_log, xcalled

ABOUT = (
    "Logs of one Connext and the canonical segments they become under three pairs of grids: docs/protocol.md "
    "section 5, stream version 1. Byte strings are hex."
)
DOMAIN, CHAIN_ID = DomainId(6648936), 1
CONNEXT = Address(bytes.fromhex("8898b472c54c31894e3b9bb83cea802a5d0e63c6"))
START, FINAL = 100, 140
GRIDS = ((1, 2), (2, 12), (8, 120))


def block_info(number: int) -> tuple[Hash, int]:
    return Hash(sha256(b"vector block %d" % number).digest()), 1_700_000_000 + 12 * (number - START)


def make_logs() -> list[Log]:
    """Every event there is, each form of callData and of router lists, folded and later fees."""
    rows: list[Log] = []

    def add(block: int, tx: int, name: str, arguments: dict[str, Any]) -> None:
        index = 3 + 2 * sum(row.block_number == block for row in rows)
        log = encode_log(name, arguments, block=block, index=index, tx=tx, contract=CONNEXT)
        rows.append(replace(log, block_hash=block_info(block)[0]))

    first, long, last = xcalled(0, b"\x01\x02\x03"), xcalled(1, b"\xab" * 8193), xcalled(2)
    add(101, 0, *fees(first[1]["transferId"], 10**15, bytes(20)))
    add(101, 0, *fees(first[1]["transferId"], 5, address(30)))
    add(101, 0, *first)
    add(101, 1, *fees(first[1]["transferId"], 7, bytes(20)))
    add(102, 0, *long)
    others = [(name, arguments) for name, arguments, _ in EVENTS if name != "XCalled"]
    for place, (name, arguments) in enumerate(others):
        add(103 + place // 9, place, name, arguments)
    add(110, 0, "Executed", executed(tuple(address(number) for number in range(17))))
    add(118, 0, *last)
    return rows


def make_stream(logs: list[Log], segment_blocks: int, idle_blocks: int) -> dict[str, Any]:
    """First digest, segments and running digests under one pair of grids."""
    cursor = Cursor(0, START, INDEX_WHOLE_BLOCK, *block_info(START), Hash(bytes(32)))
    domain = Domain(
        DOMAIN, CHAIN_ID, CONNEXT, Address(bytes(20)), 0, 1, segment_blocks, idle_blocks, cursor, 0, 5, 9995, False,
        False, DomainStatus.OPEN, True,
    )
    domain = replace(domain, cursor=replace(cursor, digest=compute_first_digest(domain)))
    built = build_segments(domain, domain.cursor, project(logs), FINAL, block_info, 100)
    return {
        "segment_blocks": segment_blocks, "idle_blocks": idle_blocks, "first_digest": domain.cursor.digest.hex(),
        "segments": [{"raw": found.raw.hex(), "digest": found.after.digest.hex()} for found in built],
    }


def make_document() -> dict[str, Any]:
    """The whole file."""
    logs = make_logs()
    blocks = {number: block_info(number) for number in range(START, FINAL + 1)}
    return {
        "about": ABOUT,
        "domain": {"domain": DOMAIN, "chain_id": CHAIN_ID, "connext": CONNEXT.hex(), "start_block": START},
        "final_block": FINAL,
        "blocks": {str(number): {"hash": found[0].hex(), "timestamp": found[1]} for number, found in blocks.items()},
        "logs": [
            {
                "block": log.block_number, "index": log.log_index, "tx_hash": log.tx_hash.hex(),
                "topics": [topic.hex() for topic in log.topics], "data": log.data.hex(),
            }
            for log in logs
        ],
        "streams": [make_stream(logs, *grids) for grids in GRIDS],
    }


if __name__ == "__main__":
    target = Path(__file__).with_name("segment_vectors.json")
    target.write_text(json.dumps(make_document(), indent=1) + "\n")
