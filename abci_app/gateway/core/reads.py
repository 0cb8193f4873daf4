"""Interfaces of a node that the gateway reads, and the errors of its answers."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from abci_app.gateway.codes import AnswerCode
from abci_app.machine.codes import Code
from abci_app.machine.state.codec import TransferId
from abci_app.machine.state.records import Decision
from abci_app.machine.state.view import StateView
from abci_app.node.view import BlockNotice, BlocksLost

__all__ = ["BlockNotice", "BlocksLost", "Committed", "NodeReads", "QueryError"]


class Committed(Protocol):
    """One committed height; what it answers never changes."""

    @property
    def height(self) -> int:
        """Height, 0 after InitChain."""

    @property
    def app_hash(self) -> bytes:
        """Root of the state at ``height``."""

    @property
    def view(self) -> StateView:
        """The state at ``height``."""

    def list_accepted(self, start: int) -> Iterator[TransferId]:
        """Yield the ids of transfers whose acceptance number is at least ``start``, ascending."""


class NodeReads(Protocol):
    """Read access to a node, safe to call from any thread."""

    @property
    def attestation(self) -> bytes:
        """Address of the attestation key; empty without one."""

    def committed(self) -> Committed | None:
        """Return the newest committed height; None before InitChain."""

    def counters(self) -> Mapping[str, int]:
        """Return the node's own counters."""

    def sequencer_signature(self, decision: Decision) -> tuple[bytes, bytes] | None:
        """Return (sequencer address, signature) for a decision that is attested and not expired; None without a key."""

    def has_seen(self, transfer_id: TransferId) -> bool:
        """Tell whether the node's own observer saw a transfer: bids for it may come before its acceptance (BID-6)."""

    def subscribe(self, name: str, listener: Callable[[BlockNotice], None]) -> None:
        """Call ``listener`` for every later commit, by height ascending, in a thread of its own.

        ``committed`` is at the block's height or above when it is called. One that falls behind is told of the blocks
        that it lost. Before the node's start only.
        """


class QueryError(Exception):
    """Refusal of a query or a submission, with the code that the client gets."""

    def __init__(self, code: Code | AnswerCode, reason: str) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason
