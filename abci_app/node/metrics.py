"""Counters of a node, by code and by name, for logs and queries.

The ABCI thread counts what is checked and proposed, a listener's thread what is committed; any thread reads.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from abci_app.machine.block_events import Alarm, EventKind
from abci_app.machine.codes import Code
from abci_app.machine.results import BlockEvent
from abci_app.node.view import BlockNotice, BlocksLost


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
    events: Counter[EventKind] = field(default_factory=Counter)
    """Of committed blocks and their transactions, by kind."""
    alarms: Counter[Alarm] = field(default_factory=Counter)

    def take(self, notice: BlockNotice) -> None:
        """Count a committed block; the dispatcher counts those that were lost."""
        if isinstance(notice, BlocksLost):
            return
        self.blocks += 1
        for result in notice.tx_results:
            self.txs_executed[result.code] += 1
        self.count_events(notice.events)

    def count_events(self, events: Iterable[BlockEvent]) -> None:
        """Count a committed block's events by kind, and its alarms by reason."""
        for event in events:
            self.events[event.kind] += 1
            if event.kind is EventKind.ALARM:
                self.alarms[Alarm(dict(event.attributes)["reason"])] += 1

    def counters(self) -> Mapping[str, int]:
        """Return every counter by a flat name, codes, events and alarms in it by theirs: ``alarms_NONCE_GAP``."""
        flat = {
            "blocks": self.blocks,
            "proposals_prepared": self.proposals_prepared,
            "proposals_accepted": self.proposals_accepted,
            "extensions_made": self.extensions_made,
            "extensions_refused": self.extensions_refused,
        }
        by_name: Mapping[str, Counter[Any]] = {
            "proposals_refused": self.proposals_refused,
            "txs_checked": self.txs_checked,
            "txs_executed": self.txs_executed,
            "events": self.events,
            "alarms": self.alarms,
        }
        for name, counter in by_name.items():
            for code, count in tuple(counter.items()):
                flat[f"{name}_{code.name}"] = count
        return flat
