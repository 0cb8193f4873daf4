"""Interface of a consensus engine as submission needs it; gateway/engine.py implements it for CometBFT."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Checked:
    """CheckTx's answer."""

    code: int
    log: str


class Engine(Protocol):
    """Interface of the consensus engine beside this node; safe to call from any thread."""

    def broadcast(self, tx: bytes, wait_checked: bool = True) -> Checked:
        """Hand ``tx`` to the mempool; return CheckTx's answer, or OK at once where nobody waits for it.

        Returns within seconds. Raises QueryError: MEMPOOL_FULL, ENGINE_UNAVAILABLE.
        """
