"""Reading of ``app_state`` in CometBFT's genesis file, and the block size that the node needs there."""

import json
from typing import Any

from abci_app.machine.codes import Code, Rejected

BLOCK_BYTES_MIN = 256 * 1024
"""Room for the largest segment beside a pruned commit of 256 validators: without it whoever fills a segment, with 16
long calls in one block of a chain, would stop that domain for good."""


def parse_app_state(raw: bytes) -> dict[str, Any]:
    """Return the genesis file's ``app_state``; ``Rejected(GENESIS_INVALID)`` where it is no JSON object."""
    try:
        app_state = json.loads(raw, object_pairs_hook=make_object)
    except ValueError as error:
        raise Rejected(Code.GENESIS_INVALID, f"app_state is not JSON: {error}") from error
    if not isinstance(app_state, dict):
        raise Rejected(Code.GENESIS_INVALID, "app_state must be an object")
    return app_state


def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; one name twice is refused, for readers differ in which of the two they take (GEN-1)."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Rejected(Code.GENESIS_INVALID, f"app_state: one name twice among {', '.join(sorted(made))}")
    return made
