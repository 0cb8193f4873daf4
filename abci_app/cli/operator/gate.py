"""``routerd gate deploy`` and ``check``: the gate of each chain, and what Connext's owner must do for it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from abci_app.cli.failure import Failure
from abci_app.cli.tables import print_fields, show_time
from abci_app.daemon.keys import KeyKind, load_key
from abci_app.evm.account import Account
from abci_app.evm.errors import KeyInvalid
from abci_app.evm.rpc import Rpc
from abci_app.operator.description import DescribedChain, DescribedNetwork, by_domain, load_network
from abci_app.operator.errors import Cause, OperatorError
from abci_app.operator.gate_check import AdminCall, CheckedGate, check_gate, require_approvals
from abci_app.operator.gate_deploy import MINED_S, DeployedGate, deploy_gate

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
KEY_KIND = KeyKind(
    Account, KeyInvalid, KeyInvalid, missing=" is missing", wrong="is not a key file", is_bare_allowed=True
)
Description = Annotated[
    Path, typer.Option("--config", help="Description of the network: TOML, or JSON where the name ends so."),
]


def register(app: typer.Typer, summary: str) -> None:
    """Add the group."""
    group = typer.Typer(help=summary)
    group.callback()(lambda: None)
    group.command("deploy")(deploy)
    group.command("check")(check)
    app.add_typer(group, name="gate")


def deploy(
    config: Description,
    domain: Annotated[int, typer.Option(help="Domain of the chain; the description has no gate for it yet.")],
    key: Annotated[Path, typer.Option(help="Key file of the account that pays; it has no rights afterwards.")],
    deadline_s: Annotated[float, typer.Option(min=1, help="Seconds to wait for the transaction.")] = MINED_S,
    as_json: AsJson = False,
) -> None:
    """Deploy a chain's ConsensusGate, check it, and print the calls that Connext's owner must make."""
    try:
        network = load_network(config)
        chain = find_chain(network, domain)
        deployer = load_deployer(key)
        with Rpc(by_domain(network)[domain]) as rpc:
            deployed = deploy_gate(network.chain_id, network.description, chain, rpc, deployer, deadline_s)
    except OperatorError as error:
        raise Failure(str(error)) from error
    if as_json:
        print(json.dumps(gate_to_json(deployed.checked) | _transaction(deployed)))
        return
    show(deployed.checked, [("transaction", f"0x{deployed.tx_hash.hex()}, {deployed.gas_used} gas")])


def check(
    config: Description,
    domain: Annotated[int | None, typer.Option(help="Only the chain of this domain.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check each gate's code, constructor arguments and approvals; ends with 1 while a call of the owner is missing."""
    try:
        network = load_network(config)
        chains = network.description.chains if domain is None else (find_chain(network, domain),)
        checked = [check_one(network, chain) for chain in chains]
    except OperatorError as error:
        raise Failure(str(error)) from error
    if as_json:
        print(json.dumps({"gates": [gate_to_json(one) for one in checked]}))
    else:
        for one in checked:
            show(one, [])
    try:
        for one in checked:
            require_approvals(one)
    except OperatorError as error:
        raise Failure(str(error)) from error


def check_one(network: DescribedNetwork, chain: DescribedChain) -> CheckedGate:
    """Check the gate of one chain at its endpoint. Raises OperatorError."""
    with Rpc(by_domain(network)[chain.domain]) as rpc:
        return check_gate(network.chain_id, network.description, chain, rpc)


def find_chain(network: DescribedNetwork, domain: int) -> DescribedChain:
    """Return the described chain of a domain. Raises OperatorError."""
    for chain in network.description.chains:
        if chain.domain == domain:
            return chain
    raise OperatorError(Cause.DESCRIPTION_INVALID, f"no chain has domain {domain}")


def load_deployer(path: Path) -> Account:
    """Read a key file of the form of a relayer's or a router's. Raises OperatorError."""
    try:
        return load_key(path, KEY_KIND)
    except KeyInvalid as error:
        raise OperatorError(Cause.KEY_INVALID, str(error)) from error


def gate_to_json(checked: CheckedGate) -> dict[str, Any]:
    """Return all that was found of a gate, for programs."""
    return {
        "domain": checked.chain.domain, "chain_id": checked.chain.chain_id, "block": checked.block,
        "gate": f"0x{checked.chain.gate.hex()}", "connext": f"0x{checked.chain.connext.hex()}",
        "owner": f"0x{checked.owner.hex()}", "epoch": checked.epoch, "expires_at_s": checked.expires_at_s,
        "ready": checked.is_ready,
        "admin_calls": [
            {
                "to": f"0x{checked.chain.connext.hex()}", "function": call.function,
                "account": f"0x{call.account.hex()}", "calldata": f"0x{call.calldata.hex()}", "done": call.is_done,
            }
            for call in checked.admin_calls
        ],
    }


def _transaction(deployed: DeployedGate) -> dict[str, Any]:
    return {"transaction": f"0x{deployed.tx_hash.hex()}", "gas_used": deployed.gas_used}


def show(checked: CheckedGate, more: Sequence[tuple[str, object]]) -> None:
    """Print a gate and the calls, each with its calldata on the next line."""
    done = sum(call.is_done for call in checked.admin_calls)
    print_fields((
        ("domain", f"{checked.chain.domain}, chain {checked.chain.chain_id}, block {checked.block}"),
        ("gate", f"0x{checked.chain.gate.hex()}"), *more,
        ("epoch", f"{checked.epoch}, until {show_time(checked.expires_at_s)} UTC"),
        ("connext", f"0x{checked.chain.connext.hex()}"), ("its owner", f"0x{checked.owner.hex()}"),
        ("its calls", f"{done} of {len(checked.admin_calls)} done"),
    ))
    for call in checked.admin_calls:
        _show_call(call)


def _show_call(call: AdminCall) -> None:
    print(f"{'done' if call.is_done else 'to do':<13} {call.function}(0x{call.account.hex()})")
    if not call.is_done:
        print(f"{'':<13} 0x{call.calldata.hex()}")
