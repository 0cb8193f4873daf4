"""One user transaction of a block, by its kind: decoded, authenticated, executed; what is refused leaves no trace."""

from abci_app.machine.codes import Rejected
from abci_app.machine.results import TxResult
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.records import ChainState
from abci_app.machine.state.view import StateReader
from abci_app.machine.transactions.bids import (
    authenticate_bundle,
    authenticate_withdraw,
    process_bundle,
    process_withdraw,
)
from abci_app.machine.transactions.transfer_infos import process_transfer_info
from abci_app.machine.transactions.tx import BidBundle, Transaction, Withdraw, decode_tx


def process_tx(scope: Scope, raw: bytes) -> TxResult:
    """Apply one user transaction; a rejected one leaves no trace (ORD-5)."""
    scratch = scope.fork()
    try:
        transaction = decode_tx(raw)
        authenticate(scratch.delta, transaction)
        result = execute(scratch, transaction)
    except Rejected as rejection:
        return TxResult.refused(rejection)
    scope.delta.absorb(scratch.delta)
    return result


def authenticate(state: StateReader, transaction: Transaction) -> None:
    """Reject a transaction with a signature of another account; a TransferInfo needs none, its hash is its id."""
    if isinstance(transaction, BidBundle):
        authenticate_bundle(transaction)
    elif isinstance(transaction, Withdraw):
        authenticate_withdraw(state.must(keys.CHAIN, ChainState).chain_id, transaction)


def execute(scope: Scope, transaction: Transaction) -> TxResult:
    """Apply a transaction whose signatures are checked; ``Rejected`` may leave partial writes in the scope."""
    if isinstance(transaction, BidBundle):
        return process_bundle(scope, transaction)
    if isinstance(transaction, Withdraw):
        return process_withdraw(scope, transaction)
    return process_transfer_info(scope, transaction)
