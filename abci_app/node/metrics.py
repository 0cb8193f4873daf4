"""What a node counts about itself: by code, for logs and queries. One thread counts, any thread reads."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from abci_app.machine.codes import Code


@dataclass(slots=True)
class Metrics:
    """Counters since the start of the process."""

    blocks: int = 0
    proposals_prepared: int = 0
    proposals_accepted: int = 0
    proposals_refused: Counter[Code] = field(default_factory=Counter)
    extensions_made: int = 0
    extensions_refused: int = 0
    txs_checked: Counter[Code] = field(default_factory=Counter)
    txs_executed: Counter[Code] = field(default_factory=Counter)

    def counters(self) -> Mapping[str, int]:
        """Return every counter by a flat name, codes in it by theirs: ``proposals_refused_SEGMENT_NOT_AGREED``."""
        flat = {
            "blocks": self.blocks,
            "proposals_prepared": self.proposals_prepared,
            "proposals_accepted": self.proposals_accepted,
            "extensions_made": self.extensions_made,
            "extensions_refused": self.extensions_refused,
        }
        by_code = {
            "proposals_refused": self.proposals_refused,
            "txs_checked": self.txs_checked,
            "txs_executed": self.txs_executed,
        }
        for name, counter in by_code.items():
            for code, count in tuple(counter.items()):
                flat[f"{name}_{code.name}"] = count
        return flat
