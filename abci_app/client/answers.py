"""Validation of nodes' answers: nodes are untrusted, so an answer is checked before its values are used.

Each function raises ValueError; the client then asks the next node. Whether an answer is *true* is another matter.
"""

from collections.abc import Sequence

from abci_app.machine.params import PATH_LENGTHS
from abci_app.machine.state.records import TransferStatus
from abci_app.pb import query_pb2, tx_service_pb2

AMOUNT_DIGITS_MAX = 78
"""Of a number below 2²⁵⁶."""
NUMBER_BITS_MAX = 62


def check_domains(answer: query_pb2.DomainsResponse) -> None:
    """Addresses and ids have their lengths."""
    for domain in answer.domains:
        _require(len(domain.connext) == len(domain.gate) == 20, f"domain {domain.domain}: an address has 20 bytes")
    for asset in answer.assets:
        _require(len(asset.canonical_id) == 32, "an asset's id has 32 bytes")
        _require(all(len(local.address) == 20 for local in asset.locals), "a token's address has 20 bytes")


def check_transfer(answer: query_pb2.TransferResponse, transfer_id: bytes) -> None:
    """It is the transfer asked for, with attempts where it must have one, and bids as bids are."""
    transfer = answer.transfer
    _require(transfer.transfer_id == transfer_id, "another transfer than was asked for")
    _check_head(transfer)
    is_assigned = transfer.status == TransferStatus.ASSIGNED.name
    _require(not is_assigned or len(transfer.attempts) > 0, "assigned without an attempt")
    for bid in answer.bids:
        _check_ascending(bid.path_lengths, "path lengths")
        _require(set(bid.path_lengths) <= set(PATH_LENGTHS), f"path lengths {list(bid.path_lengths)[:8]}")


def check_transfers(answer: query_pb2.TransfersResponse, from_acceptance: int, limit: int) -> None:
    """Check that at most ``limit`` transfers (0: any) ascend from the number asked for, and a next page after them."""
    numbers = [transfer.acceptance for transfer in answer.transfers]
    _require(not limit or len(numbers) <= limit, f"{len(numbers)} transfers, {limit} were asked for")
    _check_ascending(numbers, "acceptance numbers")
    _require(not numbers or numbers[0] >= from_acceptance, "transfers below the number asked for")
    following = answer.next_acceptance
    _require(not following or following > max(numbers, default=from_acceptance), "a next page that is no later one")
    for transfer in answer.transfers:
        _check_head(transfer)


def check_bids(answer: tx_service_pb2.SubmitBidsResponse) -> None:
    """One bid was submitted: one answer."""
    _require(len(answer.answers) == 1, f"{len(answer.answers)} answers to one bid")


def _check_head(transfer: query_pb2.Transfer) -> None:
    _require(len(transfer.transfer_id) == 32, "a transferId has 32 bytes")
    _require(transfer.status in TransferStatus.__members__, f"status {transfer.status[:40]!r}")
    amount = transfer.amount
    is_number = amount.isascii() and amount.isdecimal() and len(amount) <= AMOUNT_DIGITS_MAX
    _require(is_number, f"amount {amount[:80]!r}")
    _require(len(transfer.local) in (0, 20), "a token's address has 20 bytes")
    _require(len(transfer.origin_tx) in (0, 32), "a transaction's hash has 32 bytes")


def _check_ascending(numbers: Sequence[int], what: str) -> None:
    _require(all(one < other for one, other in zip(numbers, numbers[1:], strict=False)), f"{what} do not ascend")
    _require(not numbers or numbers[-1] >> NUMBER_BITS_MAX == 0, f"{what} beyond reason")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
