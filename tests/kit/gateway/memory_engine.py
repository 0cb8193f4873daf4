"""An engine without a network: the mempool of a FakeNode, called directly."""

import threading
from dataclasses import dataclass, field

from abci_app.gateway.core.engine import Checked
from tests.kit.gateway.gateway_kit import FakeNode


@dataclass
class MemoryEngine:
    """The gateway's Engine over ``node``; ``fault`` set: every call raises it."""

    node: FakeNode
    fault: Exception | None = None
    broadcasts: list[bytes] = field(default_factory=list)
    hang: threading.Event | None = None
    """Calls do not return before it is set."""
    calls: int = 0

    def broadcast(self, tx: bytes, wait_checked: bool = True) -> Checked:
        """Let the node check ``tx``; what passes is in its mempool."""
        self.calls += 1
        if self.hang is not None:
            self.hang.wait(30)
        if self.fault is not None:
            raise self.fault
        self.broadcasts.append(tx)
        checked = self.node.check(tx)
        return Checked(int(checked.code), checked.log) if wait_checked else Checked(0, "")
