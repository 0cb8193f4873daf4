"""endpoints.json: what programs outside need to use a network, and when it is ready to be used."""

import json
import time
from collections.abc import Mapping
from typing import Any

from abci_app.client.errors import ClientError
from abci_app.client.nodes import NodeClient
from abci_app.daemon.files import replace_file
from abci_app.evm.rpc import Rpc
from abci_app.machine.state.codec import Address
from testnet.chains import anvil
from testnet.connext.deployment import Deployment, dev_account, from_json
from testnet.network import parties
from testnet.network.layout import CHAIN_DOMAINS, Layout, NetworkError, NodePlace
from testnet.processes.logs import last_words
from testnet.processes.pids import locked
from testnet.processes.spawn import is_running, load_identities

POLL_S = 0.1


def save_gates(layout: Layout, gates: Mapping[int, Address]) -> None:
    """Remember the gates' addresses."""
    text = json.dumps({str(domain): "0x" + gate.hex() for domain, gate in gates.items()})
    replace_file(layout.home / "gates.json", text)


def load_gates(layout: Layout) -> dict[int, bytes]:
    """Return the addresses of the gates by domain. Raises NetworkError."""
    try:
        gates = json.loads((layout.home / "gates.json").read_text())
    except (OSError, ValueError) as error:
        raise NetworkError(f"{layout.home / 'gates.json'} is missing or damaged: {error}") from error
    return {int(domain): bytes.fromhex(gate[2:]) for domain, gate in gates.items()}


def refresh(layout: Layout) -> None:
    """Write ``endpoints.json`` anew, atomically."""
    with locked(layout.home):
        replace_file(layout.endpoints, json.dumps(_describe(layout), indent=1))


def renew(layout: Layout) -> None:
    """Write ``endpoints.json`` anew where it is there: a part more or less changes PIDs, not whether it is ready."""
    with locked(layout.home):
        if layout.endpoints.exists():
            replace_file(layout.endpoints, json.dumps(_describe(layout), indent=1))


def _describe(layout: Layout) -> dict[str, Any]:
    deployment, gates = from_json(layout.deployment.read_text()), load_gates(layout)
    found = {
        name: identity.pid for name, identity in load_identities(layout.pids).items() if is_running(identity)
    }
    nodes = list(layout.nodes())
    return {
        "chain_id": layout.manifest.chain_id,
        "chains": {str(domain): _describe_chain(layout, deployment, gates, domain) for domain in CHAIN_DOMAINS},
        "validators": [_describe_validator(node, found) for node in nodes],
        "routers": [
            {
                "name": name, "address": "0x" + parties.router_account(index).address.hex(),
                "grpc_node": nodes[index % len(nodes)].grpc, "pid": found.get(name), "home": str(home.absolute()),
            }
            for index, (name, home) in enumerate(layout.routers())
        ],
        "relayer": {"address": "0x" + parties.relayer_account().address.hex(), "pid": found.get("relayer")},
    }


def _describe_chain(
    layout: Layout, deployment: Deployment, gates: Mapping[int, bytes], domain: int
) -> dict[str, Any]:
    deployed = deployment.domain(domain)
    return {
        "chain_id": deployed.chain_id, "rpc_url": anvil.rpc_url(layout.chain_port(domain)),
        "connext": "0x" + deployed.connext.hex(), "gate": "0x" + gates[domain].hex(),
        "tokens": {symbol: "0x" + token.address.hex() for symbol, token in deployed.tokens.items()},
        "funded_keys": [
            "0x" + dev_account(f"user-{index}").private_key.hex() for index in range(deployment.users)
        ],
    }


def _describe_validator(node: NodePlace, found: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": node.name, "cometbft_rpc": node.rpc_url, "grpc": node.grpc, "abci": node.abci,
        "home": str(node.home.absolute()),
        "pids": {
            "supervisor": found.get(node.name), "app": found.get(f"{node.name}-app"),
            "cometbft": found.get(f"{node.name}-cometbft"),
        },
    }


def wait_ready(layout: Layout, height_min: int, deadline_s: float) -> None:
    """Wait until every node is at ``height_min`` and has all cursors within ``idle_blocks`` of the finalized heads."""
    deadline = time.monotonic() + deadline_s
    waiting = "no node answers yet"
    for node in layout.nodes():
        while True:
            waiting = _what_is_missing(layout, node, height_min)
            if not waiting:
                break
            if time.monotonic() > deadline:
                words = last_words(layout.logs / f"{node.name}-app.jsonl")
                raise NetworkError(f"{node.name} is not ready after {deadline_s:.0f} s: {waiting}; last words: {words}")
            time.sleep(POLL_S)


def _what_is_missing(layout: Layout, node: NodePlace, height_min: int) -> str:
    try:
        with NodeClient([node.grpc]) as client:
            status, domains = client.status(), client.domains().domains
    except ClientError as error:
        return f"gRPC: {error}"[:200]
    if status.height < height_min:
        return f"height {status.height}"
    for domain in domains:
        with Rpc(anvil.rpc_url(layout.chain_port(domain.domain))) as rpc:
            final = rpc.finalized().number
        if final - domain.cursor_block > domain.idle_blocks:
            return f"domain {domain.domain}: cursor at {domain.cursor_block}, finalized is {final}"
    return ""
