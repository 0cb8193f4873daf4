"""Execution context of one block: state overlay, header, parameters and emitted events."""

from dataclasses import dataclass, field
from enum import IntEnum

from abci_app.machine.block_events import Alarm, EventKind
from abci_app.machine.params import Params
from abci_app.machine.results import Block, BlockEvent
from abci_app.machine.state import keys
from abci_app.machine.state.view import StateDelta

U64_MAX = (1 << 64) - 1
"""Ceiling of stored counters and times: what an event would push beyond stays there."""


@dataclass(slots=True)
class Scope:
    """Execution context of a block, or a fork of it for one transaction."""

    delta: StateDelta
    block: Block
    params: Params
    events: list[BlockEvent] = field(default_factory=list)

    @classmethod
    def open(cls, delta: StateDelta, block: Block) -> "Scope":
        """Return the scope of ``block`` over ``delta``."""
        return cls(delta, block, delta.must(keys.PARAMS, Params))

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
