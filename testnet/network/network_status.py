"""What runs of a local network, and how far it is."""

from pathlib import Path

from abci_app.client.errors import ClientError
from abci_app.client.nodes import NodeClient
from abci_app.evm.errors import EvmError
from abci_app.evm.rpc import Rpc
from testnet.chains import anvil
from testnet.network.layout import Layout, load_finished
from testnet.processes.spawn import is_running, load_identities

CALL_S = 2.0


def read(home: Path) -> list[dict[str, object]]:
    """Return one row a part: name, running, pid, at (height or head, in words). Raises NetworkError."""
    layout = load_finished(home)
    found = load_identities(layout.pids)
    at = {**_read_nodes(layout), **_read_chains(layout)}
    rows: list[dict[str, object]] = []
    for name in layout.names():
        identity = found.get(name)
        running = identity is not None and is_running(identity)
        rows.append({
            "name": name, "running": running, "pid": identity.pid if identity is not None and running else None,
            "at": at.get(name, "") if running else "",
        })
    return rows


def _read_nodes(layout: Layout) -> dict[str, str]:
    at = {}
    for node in layout.nodes():
        try:
            with NodeClient([node.grpc]) as client:
                status, domains = client.status(), client.domains().domains
        except ClientError as error:
            at[node.name] = f"gRPC: {error}"[:100]
            continue
        cursors = ", ".join(f"{domain.domain} to block {domain.cursor_block}" for domain in domains)
        at[node.name] = f"height {status.height}; {cursors}"
    return at


def _read_chains(layout: Layout) -> dict[str, str]:
    at = {}
    for name, domain in layout.chains().items():
        with Rpc(anvil.rpc_url(layout.chain_port(domain)), timeout_s=CALL_S, retry_delays_s=()) as rpc:
            try:
                at[name] = f"block {rpc.block_number()}"
            except EvmError as error:
                at[name] = str(error)[:100]
    return at
