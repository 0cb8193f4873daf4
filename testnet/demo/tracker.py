"""Transfers as an outside client sees them: polled over gRPC and from the chains, never from the processes' insides."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from abci_app.client.errors import ClientError
from abci_app.client.nodes import NodeClient
from abci_app.evm.connext_events import TOPICS
from abci_app.evm.rpc import Rpc
from abci_app.pb import query_pb2
from testnet.connext.deployment import Deployment
from testnet.demo.traffic import SentTransfer

DONE = "COMPLETED"


@dataclass
class Progress:
    """One transfer's walk with the moments at which this client first saw each step (wall clock, seconds)."""

    sent: SentTransfer
    status: str = "on origin"
    lane_sequence: int = 0
    routers: tuple[bytes, ...] = ()
    signatures: int = 0
    reports: int = 0
    attempts: int = 0
    accepted_height: int = 0
    decided_height: int = 0
    """Of the newest attempt, like ``attested_height``."""
    attested_height: int = 0
    gas: int = 0
    """Gas of the execution, its part of the batch's transaction."""
    executed_block: int = 0
    """Of the destination; 0 until its transaction is seen there."""
    executed_after_s: int = 0
    """By the blocks' own times, once somebody asked the chains (testnet/chains/block_times.py)."""
    seen_s: dict[str, float] = field(default_factory=dict)
    """Step (accepted, decided, attested, executed, completed) → first seen."""

    def mark(self, step: str) -> bool:
        """Note the first time of a step; tell whether it was."""
        if step in self.seen_s:
            return False
        self.seen_s[step] = time.time()
        return True


class Tracker:
    """Follows transfers through one or more nodes; fails over when one is away."""

    def __init__(self, nodes: Iterable[str], deployment: Deployment, rpcs: Mapping[int, Rpc]) -> None:
        self._client = NodeClient(tuple(nodes))
        self._deployment, self._rpcs = deployment, rpcs
        self.transfers: dict[bytes, Progress] = {}

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def add(self, sent: SentTransfer) -> Progress:
        """Follow a transfer."""
        return self.transfers.setdefault(sent.transfer_id, Progress(sent))

    def poll(self) -> list[tuple[Progress, str]]:
        """Ask once for every unfinished transfer; return the steps seen for the first time, in order."""
        news: list[tuple[Progress, str]] = []
        for progress in self.transfers.values():
            if progress.status != DONE:
                news += self._poll_one(progress)
        return news

    def _poll_one(self, progress: Progress) -> list[tuple[Progress, str]]:
        answer = self._ask(progress.sent.transfer_id)
        if answer is None:
            progress.reports = self._count_reports(progress.sent)
            return []
        transfer = answer.transfer
        progress.status, progress.attempts = transfer.status, len(transfer.attempts)
        progress.accepted_height = transfer.accepted_height
        steps = ["accepted"]
        if transfer.attempts:
            last = transfer.attempts[-1]
            progress.lane_sequence, progress.routers = last.lane_sequence, tuple(last.routers)
            progress.signatures = last.signatures
            progress.decided_height, progress.attested_height = last.decided_height, last.attested_height
            steps.append("decided")
            if last.attested_height:
                steps.append("attested")
        if transfer.executed_tx.strip(b"\0"):
            if not progress.executed_block:
                self._read_execution(progress, transfer.destination, transfer.executed_tx)
            if progress.executed_block:
                progress.routers = tuple(transfer.executed_by)
                steps.append("executed")
        if transfer.status == DONE:
            steps.append("completed")
        return [(progress, step) for step in steps if progress.mark(step)]

    def _ask(self, transfer_id: bytes) -> query_pb2.TransferResponse | None:
        """Return the newest answer of the node that answered last, or of another one; None where none has one."""
        try:
            return self._client.transfer(transfer_id)
        except ClientError:
            return None

    def ask_auction(self, transfer_id: bytes) -> query_pb2.AuctionResponse | None:
        """Return why the newest attempt's routers won; None where no node says."""
        try:
            return self._client.auction(transfer_id)
        except ClientError:
            return None

    def _count_reports(self, sent: SentTransfer) -> int:
        """Count validators that reported the origin's newest segment: the transfer is in it, or to come."""
        try:
            domains = self._client.domains().domains
        except ClientError:
            return 0
        for domain in domains:
            if domain.domain == sent.order.origin and domain.reports:
                return max(len(report.validators) for report in domain.reports[-1].reports)
        return 0

    def _read_execution(self, progress: Progress, domain: int, tx_hash: bytes) -> None:
        """Note block and gas of the transaction; the transfers that it executed share the gas."""
        receipt = self._rpcs[domain].receipt(tx_hash)
        if receipt is not None:
            executed = sum(1 for log in receipt.logs if log.topics and log.topics[0] == TOPICS["Executed"])
            progress.gas, progress.executed_block = receipt.gas_used // max(1, executed), receipt.block_number
