"""Execution context of the rules: state overlay, height, block time, parameters and emitted events."""

from dataclasses import dataclass, field
from enum import IntEnum

from abci_app.machine.block_events import Alarm, EventKind
from abci_app.machine.params import Params
from abci_app.machine.results import BlockEvent
from abci_app.machine.state import keys
from abci_app.machine.state.records import ChainState
from abci_app.machine.state.view import StateDelta

U64_MAX = (1 << 64) - 1
"""Ceiling of stored counters and times: what an event would push beyond stays there."""


@dataclass(slots=True)
class Scope:
    """Execution context of a block or of one of its transactions, or of the block that would come next."""

    delta: StateDelta
    height: int
    time_s: int
    """Block time, rounded down to seconds."""
    app_version: int
    """Version of the rules: what a rule that changes at a height asks (ORD-6)."""
    params: Params
    events: list[BlockEvent] = field(default_factory=list)

    @classmethod
    def open(cls, delta: StateDelta, height: int, time_s: int) -> "Scope":
        """Return the scope of the block of ``height`` and ``time_s`` over ``delta``."""
        app_version = delta.must(keys.CHAIN, ChainState).app_version
        return cls(delta, height, time_s, app_version, delta.must(keys.PARAMS, Params))

    @classmethod
    def open_next(cls, delta: StateDelta) -> "Scope":
        """Return the scope of the block after the one that ``delta`` is at, with that one's time.

        For callers that have no block: CheckTx, proposals, vote extensions and queries.
        """
        chain = delta.must(keys.CHAIN, ChainState)
        return cls.open(delta, chain.height + 1, chain.time_s)

    def fork(self) -> "Scope":
        """Return a scope over a fork of the state, without events: forget it to undo, absorb its delta to keep."""
        return Scope(self.delta.fork(), self.height, self.time_s, self.app_version, self.params)

    def for_tx(self) -> "Scope":
        """Return a scope over the same state that collects the events of one transaction."""
        return Scope(self.delta, self.height, self.time_s, self.app_version, self.params)

    def emit(self, kind: EventKind, **attributes: bytes | int | str | tuple[bytes, ...]) -> None:
        """Emit a block event with its attributes in the order given."""
        named = tuple((name, _show(value)) for name, value in attributes.items())
        self.events.append(BlockEvent(kind, named))

    def alarm(self, reason: Alarm, **attributes: bytes | int | str | tuple[bytes, ...]) -> None:
        """Emit an event of kind ``alarm`` for operators; execution goes on (ORD-5)."""
        self.emit(EventKind.ALARM, reason=reason, **attributes)


def _show(value: bytes | int | str | tuple[bytes, ...]) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return ",".join(item.hex() for item in value)
    if isinstance(value, IntEnum):
        return value.name.lower()
    return str(value)
