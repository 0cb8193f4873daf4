"""One user transaction of a block, by its kind: decoded, authenticated, executed; what is refused leaves no trace."""

from abci_app.machine.codes import Rejected
from abci_app.machine.results import Block, TxResult
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.records import EMPTY_ADDRESS, ChainState
from abci_app.machine.state.view import StateDelta, StateReader
from abci_app.machine.transactions.bids import (
    authenticate_bundle,
    authenticate_withdraw,
    process_bundle,
    process_withdraw,
)
from abci_app.machine.transactions.transfer_infos import process_transfer_info
from abci_app.machine.transactions.tx import BidBundle, Transaction, Withdraw, decode_tx


def process_tx(delta: StateDelta, raw: bytes, height: int, time_s: int) -> TxResult:
    """Apply one user transaction in the block of ``height``; a rejected one leaves no trace (ORD-5)."""
    scratch = delta.fork()
    try:
        transaction = decode_tx(raw)
        authenticate(scratch, transaction)
        result = execute(scratch, transaction, height, time_s)
    except Rejected as rejection:
        return TxResult.refused(rejection)
    delta.absorb(scratch)
    return result


def authenticate(state: StateReader, transaction: Transaction) -> None:
    """Reject a transaction with a signature of another account; a TransferInfo needs none, its hash is its id."""
    if isinstance(transaction, BidBundle):
        authenticate_bundle(transaction)
    elif isinstance(transaction, Withdraw):
        authenticate_withdraw(state.must(keys.CHAIN, ChainState).chain_id, transaction)


def execute(delta: StateDelta, transaction: Transaction, height: int, time_s: int) -> TxResult:
    """Apply a transaction whose signatures are checked; ``Rejected`` may leave partial writes in ``delta``."""
    if isinstance(transaction, BidBundle):
        return process_bundle(delta, transaction, height)
    if isinstance(transaction, Withdraw):
        return process_withdraw(delta, transaction, height)
    return process_transfer_info(Scope.open(delta, Block(height, time_s, EMPTY_ADDRESS, ())), transaction)
