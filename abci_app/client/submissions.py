"""What a router signs and submits, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from abci_app.machine.connext import compute_bid_digest, sign_digest
from abci_app.machine.state.codec import Address, Signature, TransferId
from abci_app.machine.transactions.bids import compute_withdraw_digest
from abci_app.machine.transactions.tx import Withdraw, encode_withdraw
from abci_app.pb import tx_service_pb2


class Wait(IntEnum):
    """What a submission waits for."""

    NONE = tx_service_pb2.WAIT_NONE
    CHECKED = tx_service_pb2.WAIT_CHECKED
    COMMITTED = tx_service_pb2.WAIT_COMMITTED


@dataclass(frozen=True, slots=True)
class SubmissionAnswer:
    """What became of a submission; ``height`` is 0 unless it was waited for and committed."""

    code: int
    code_name: str
    reason: str
    height: int


def sign_bid(private_key: bytes, transfer_id: TransferId, path_lengths: Sequence[int]) -> tuple[Signature, ...]:
    """Return Connext's router signatures, one per path length."""
    return tuple(sign_digest(private_key, compute_bid_digest(transfer_id, length)) for length in path_lengths)


def make_withdraw(private_key: bytes, router: Address, chain_id: str, transfer_id: TransferId) -> bytes:
    """Return the transaction that takes a router's bid back for all future attempts of a transfer."""
    signature = sign_digest(private_key, compute_withdraw_digest(chain_id, transfer_id))
    return encode_withdraw(Withdraw(transfer_id, router, signature))
