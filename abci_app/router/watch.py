"""One origin chain, watched for XCalled at its finality: a bounded step, transfers out."""

from collections.abc import Callable
from dataclasses import dataclass

from abci_app.evm.connext_events import TOPICS, decode_event
from abci_app.evm.errors import DecodeFailed
from abci_app.evm.rpc import Rpc
from abci_app.machine.codec import TransferId
from abci_app.machine.records import TransferInfo
from abci_app.router.config import WatchedChain
from abci_app.router.ledger import Ledger

RANGE_BLOCKS = 500
"""Blocks of one step: public endpoints refuse longer ranges of logs."""


@dataclass(frozen=True, slots=True)
class SeenTransfer:
    """An order on an origin chain, final there."""

    transfer_id: TransferId
    info: TransferInfo


class ChainWatch:
    """Reads one chain from the block after the ledger's cursor; on a first start from the final head.

    What lies before is the sweep's: whatever is still undecided there, the network knows.
    """

    def __init__(
        self, chain: WatchedChain, get_rpc: Callable[[], Rpc], get_connext: Callable[[int], bytes], ledger: Ledger
    ) -> None:
        self._chain, self._ledger = chain, ledger
        self._get_rpc, self._get_connext = get_rpc, get_connext

    def step(self, take: Callable[[SeenTransfer], None]) -> bool:
        """Look at up to RANGE_BLOCKS new final blocks; tell whether there are more. Raises EvmError, LedgerFailed.

        A block counts as looked at once ``take`` has returned for all its transfers.
        """
        rpc = self._get_rpc()
        final = self._final_block(rpc)
        cursor = self._ledger.load_cursor(self._chain.domain)
        if cursor is None:
            self._ledger.save_cursor(self._chain.domain, final)
            return False
        last = min(final, cursor + RANGE_BLOCKS)
        if last <= cursor:
            return False
        for log in rpc.logs(self._get_connext(self._chain.domain), cursor + 1, last, [TOPICS["XCalled"]]):
            try:
                info = decode_event(log).arguments["params"]
            except DecodeFailed:
                continue  # not an order this router understands; the network will say what it makes of it
            take(SeenTransfer(TransferId(log.topics[1]), info))
        self._ledger.save_cursor(self._chain.domain, last)
        return last < final

    def _final_block(self, rpc: Rpc) -> int:
        if self._chain.confirmations:
            return max(0, rpc.block_number() - self._chain.confirmations)
        return rpc.finalized().number
