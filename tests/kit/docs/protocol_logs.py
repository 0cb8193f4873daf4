"""Which logs of Connext a stream holds, and what their projections take of them, from the observer's own code."""

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

from abci_app.evm.codec import Parameter
from abci_app.evm.connext import CONNEXT
from abci_app.evm.connext_events import TOPICS
from abci_app.observer.log_projections import OLD_FEES_TOPIC, PROJECTIONS

SOURCES = {
    "XCalled": "transferId, nonce, params, keccak of params.callData if that is longer than 8 KiB, its length, asset, "
               "amount, local, the folded fees, the log's transaction",
    "Executed": "transferId, args.params.originDomain, args.params.canonicalDomain, args.params.canonicalId, "
                "args.params.bridgedAmt, args.routers, args.sequencer, local, asset, amount, caller, "
                "the log's transaction",
    "Reconciled": "transferId, originDomain, local, routers, amount, the log's transaction",
    "DiamondCut": "keccak of the log's data",
}
"""Projections that do more than take arguments of the log as they are."""


def list_logs() -> list[tuple[str, str, str, str]]:
    """Return declaration, topic0, projection and the arguments that fill its fields, of every log on the list."""
    rows: list[tuple[str, str, str, str]] = []
    log = SimpleNamespace(data=b"", tx_hash=bytes(32))
    for name, project in PROJECTIONS.items():
        declared = ", ".join(_declare(each) for each in CONNEXT.events[TOPICS[name]].inputs)
        if name in SOURCES:
            made, source = name, SOURCES[name]
        else:
            event = project(_Arguments(), log)  # type: ignore[arg-type]
            made, values = type(event).__name__, [str(getattr(event, field.name)) for field in fields(event)]
            source = ", ".join(value.lower() if value in ("True", "False") else value for value in values)
        rows.append((f"{name}({declared})", f"`{TOPICS[name].hex()}`", made, source))
    old = "TransferRelayerFeesIncreased(bytes32 indexed transferId, uint256 increase, address caller)"
    rows.append((old, f"`{OLD_FEES_TOPIC.hex()}`", "RelayerFeesIncreased", "transferId, the zero address, increase"))
    return rows


class _Arguments(dict[str, Any]):
    """Arguments of a log whose values are their names."""

    def __missing__(self, name: str) -> str:
        return name


def _declare(argument: Parameter) -> str:
    parts = f"({', '.join(map(_declare, argument.components))})"
    inner = parts + argument.type.rpartition(")")[2] if argument.components else argument.type
    return f"{inner}{' indexed' if argument.indexed else ''} {argument.name}"
