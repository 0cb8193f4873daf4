"""The chains of a network from one run to the next: saved when they stop in order, refused when they lost blocks."""

from abci_app.evm.rpc import Rpc
from testnet.chains import anvil
from testnet.connext.deployment import Deployment, from_json
from testnet.hints import routerd, show
from testnet.network.layout import ROOT, Layout, NetworkError
from testnet.processes.spawn import identify, is_running, load_identities, save_identity


def load_deployment(layout: Layout) -> Deployment:
    """Return the Connext deployment of a network. Raises NetworkError."""
    try:
        return from_json(layout.deployment.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NetworkError(f"{layout.deployment} is missing or damaged: {error}") from error


def refuse_lost(layout: Layout, name: str) -> None:
    """Raise NetworkError where a chain that does not run did not end in order: its last blocks are nowhere."""
    domain = layout.chains()[name]
    if not layout.chain_head(domain).exists() or not layout.chain_state(domain).exists():
        raise _lost(layout, f"chain {domain} lost blocks: it did not end in order")


def refuse_down(layout: Layout) -> None:
    """Raise NetworkError where a chain does not run."""
    found = load_identities(layout.pids)
    for name in layout.chains():
        if name not in found or not is_running(found[name]):
            raise NetworkError(f"{name} does not run; {routerd('testnet', 'up', '--home', layout.home)} starts it")


def resume_chain(layout: Layout, name: str) -> None:
    """Start a chain from its saved state. Raises NetworkError where that is not all of it, ChainFailed, EvmError."""
    refuse_lost(layout, name)
    domain = layout.chains()[name]
    config = anvil.ChainConfig(
        load_deployment(layout).domain(domain).chain_id, layout.chain_port(domain),
        layout.logs / f"chain-{domain}.log", layout.chain_state(domain),
    )
    chain = anvil.start_anvil(
        anvil.find_anvil(ROOT), config, lambda pid: save_identity(layout.pids, identify(name, pid))
    )
    found, saved = chain.rpc.block("latest"), layout.chain_head(domain).read_text().split()
    if [str(found.number), found.hash.hex()] != saved:
        chain.stop()
        raise _lost(layout, f"chain {domain} lost blocks: its head is {found.number}, not {saved[0]}")
    chain.rpc.close()
    go_on(layout, name)


def go_on(layout: Layout, name: str) -> None:
    """Let a running chain make blocks; from here on what was saved is not all of it. Harmless where it does already."""
    domain = layout.chains()[name]
    layout.chain_head(domain).unlink(missing_ok=True)
    with Rpc(anvil.rpc_url(layout.chain_port(domain))) as rpc:
        anvil.use_interval_mining(rpc, anvil.BLOCK_SECONDS)


def save_chain(layout: Layout, name: str) -> None:
    """Stop mining, save state and head. A chain that does not answer is left as it is. Raises EvmError, ChainFailed."""
    domain = layout.chains()[name]
    with Rpc(anvil.rpc_url(layout.chain_port(domain))) as rpc:
        rpc.request("evm_setIntervalMining", [0])
        anvil.save_state(rpc.url, layout.chain_state(domain))
        head = rpc.block("latest")
        layout.chain_head(domain).write_text(f"{head.number} {head.hash.hex()}")


def _lost(layout: Layout, what: str) -> NetworkError:
    down = routerd("testnet", "down", "--home", layout.home)
    return NetworkError(f"{what}; start over: {down}, then remove {show(layout.home)}")
