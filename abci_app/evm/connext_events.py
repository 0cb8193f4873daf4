"""Decoder of the Connext diamond's logs."""

from dataclasses import dataclass
from typing import Any

from abci_app.evm.connext import CONNEXT, execute_args_from_args, transfer_info_from_args
from abci_app.evm.types import Log

EVENT_NAMES = {topic0: event.name for topic0, event in CONNEXT.events.items()}
"""topic0 → name of every event of the diamond that this package decodes."""

TOPICS = {name: topic0 for topic0, name in EVENT_NAMES.items()}
"""Name → topic0; no name of the diamond's events is overloaded."""


@dataclass(frozen=True, slots=True)
class ConnextEvent:
    """A decoded log. `arguments` by the names of the Solidity source (camelCase), with a TransferInfo for `params` and
    ExecuteArgs for `args`; `log` is where it stood."""

    name: str
    arguments: dict[str, Any]
    log: Log


def decode_event(log: Log) -> ConnextEvent:
    """Decode a log. Raises DecodeFailed where its topic0 is unknown or its bytes do not fit."""
    name, arguments = CONNEXT.decode_log(log)
    if name == "XCalled":
        arguments["params"] = transfer_info_from_args(arguments["params"])
    elif name == "Executed":
        arguments["args"] = execute_args_from_args(arguments["args"])
    return ConnextEvent(name, arguments, log)
