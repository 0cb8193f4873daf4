"""A state with one accepted transfer, and a valid bid for it."""

from dataclasses import replace
from typing import Any

from abci_app.machine.params import Params
from abci_app.machine.state.codec import Signature, TransferId
from abci_app.machine.state.records import PathSignature
from abci_app.machine.state.view import MemoryState
from abci_app.machine.transactions.tx import SubmittedBid
from tests.kit.machine.small_world import first_state, put_transfer_record, valid_bid, valid_transfer

ID = valid_transfer().transfer_id
UNKNOWN = TransferId(b"\xee" * 32)
HEIGHT, TIME_S = 7, 1_700_000_200


def world(params: Params | None = None, **changes: Any) -> MemoryState:
    """A state with one accepted transfer, changed."""
    state = first_state(params)
    put_transfer_record(state, **changes)
    return state


def with_signature(bid: SubmittedBid, signature: bytes) -> SubmittedBid:
    """Put one signature in place of a bid's own."""
    return replace(bid, signatures=(PathSignature(bid.signatures[0].path_length, Signature(signature)),))


GOOD = valid_bid(ID)
RAW = GOOD.signatures[0].signature
