"""What the gateway needs of a consensus engine; gateway/engine.py is CometBFT's."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Checked:
    """CheckTx's answer."""

    code: int
    log: str


class Engine(Protocol):
    """The engine that this node runs beside, safe to call from any thread."""

    def broadcast(self, tx: bytes, wait_checked: bool = True) -> Checked:
        """Hand ``tx`` to the mempool; return CheckTx's answer, or OK at once where nobody waits for it.

        Returns within seconds. Raises QueryError: MEMPOOL_FULL, ENGINE_UNAVAILABLE.
        """
