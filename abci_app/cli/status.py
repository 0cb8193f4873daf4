"""``routerd status``: what a running node says of itself."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from abci_app.cli.failure import Failure
from abci_app.cli.nodes import connected
from abci_app.node.home import load_home


def register(app: typer.Typer, summary: str) -> None:
    """Add the command."""
    app.command("status", help=summary)(show_status)


def show_status(
    home: Annotated[Path | None, typer.Option(help="The node's home.")] = None,
    node: Annotated[str, typer.Option(help="host:port of its gRPC, instead of a home.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print chain, height, validators and counters."""
    if (home is None) == (not node):
        raise Failure("name the node: either --home or --node")
    address = node or (load_home(home).config.grpc_address if home is not None else "")
    status = ask(address)
    if as_json:
        print(json.dumps(status))
        return
    counters, validators = status.pop("counters"), status.pop("validators")
    for name, value in status.items():
        print(f"{name:<20} {value}")
    for validator in validators:
        print(f"{'validator':<20} {validator['attestation']}  power {validator['power']}")
    for name, value in counters.items():
        print(f"{name:<44} {value}")


def ask(address: str) -> dict[str, Any]:
    """Return the answer of the node at ``address`` as JSON values."""
    with connected([address]) as client:
        answer = client.status()
    return {
        "chain_id": answer.chain_id, "height": answer.height, "time_s": answer.time_s,
        "app_hash": answer.app_hash.hex(), "epoch": answer.epoch, "attestation": f"0x{answer.attestation.hex()}",
        "next_sequence": answer.next_sequence, "unattested_batches": answer.unattested_batches,
        "validators": [
            {
                "consensus_key": each.consensus_key.hex(), "attestation": f"0x{each.attestation.hex()}",
                "power": each.power,
            }
            for each in answer.validators
        ],
        "counters": {counter.name: counter.value for counter in answer.counters},
    }
