"""Those who use the validators: routers and the relayer, each with a home, a key of its own and a process."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from abci_app.bridge.config import RelayChain, RelayConfig
from abci_app.bridge.home import init_home
from abci_app.bridge.leaves import GateTarget
from abci_app.evm.account import Account
from abci_app.evm.rpc import Rpc
from abci_app.machine.state.codec import Address, DomainId
from abci_app.router.config import RouterConfig, WatchedChain, save_home
from testnet.chains import anvil
from testnet.connext.deployment import Deployment, dev_account
from testnet.network.layout import CHAIN_DOMAINS, Layout, NetworkError
from testnet.processes.logs import error_file, last_words, read_from, read_size
from testnet.processes.spawn import Identity, is_running, spawn_known

RELAYER_ROLE = "bridge-relayer"
BALANCE_WEI = 10**21
RELAY_POLL_MS = 200
RELAYER_READY, ROUTER_READY = "relaying", "started"
"""What each logs once it has checked everything and begun."""
READY_S, POLL_S = 60.0, 0.05


def relayer_account() -> Account:
    """Return the account that pays for batches; a local development key."""
    return dev_account(RELAYER_ROLE)


def router_account(index: int) -> Account:
    """Return the account of a router; a local development key."""
    return dev_account(f"router-{index}")


def fund(layout: Layout, rpcs: Mapping[int, Rpc]) -> None:
    """Give gas money to the relayer and to the routers."""
    accounts = [relayer_account(), *(router_account(index) for index in range(layout.manifest.routers))]
    for rpc in rpcs.values():
        for account in accounts:
            anvil.set_balance(rpc, account.address, BALANCE_WEI)


def create(layout: Layout, deployment: Deployment, gates: Mapping[int, bytes]) -> None:
    """Make the homes of routers and relayer. Router i talks to node i first, the relayer to node 0."""
    nodes = [node.grpc for node in layout.nodes()]
    # The last validator is left alone, so that it can be stopped without anybody's missing it.
    spare = nodes[:-1] if len(nodes) > 3 else nodes
    watched = tuple(
        WatchedChain(
            domain, deployment.domain(domain).chain_id, anvil.rpc_url(layout.chain_port(domain)),
            connext=deployment.domain(domain).connext,
        )
        for domain in CHAIN_DOMAINS
    )
    for index, (_, home) in enumerate(layout.routers()):
        turned = spare[index % len(spare):] + spare[:index % len(spare)]
        save_home(home, RouterConfig(tuple(turned), watched), router_account(index))
    relayed = tuple(
        RelayChain(
            GateTarget(DomainId(chain.domain), chain.chain_id, Address(gates[chain.domain])), chain.rpc_url,
            poll_ms=RELAY_POLL_MS, confirm_blocks=1,
        )
        for chain in watched
    )
    init_home(layout.relayer, RelayConfig(layout.manifest.chain_id, tuple(spare), relayed), relayer_account())


def begin_party(layout: Layout, name: str) -> Callable[[], None]:
    """Start the relayer or a router; return what waits until it is at work."""
    log = layout.logs / f"{name}.jsonl"
    log_offset, error_offset = read_size(log), read_size(error_file(log))
    command, home, word = (
        ("relay", layout.relayer, RELAYER_READY) if name == "relayer"
        else ("router", dict(layout.routers())[name], ROUTER_READY)
    )
    routerd = [sys.executable, "-m", "abci_app.cli.main", command, "--home", str(home.absolute())]
    identity = spawn_known(layout.pids, name, routerd, log)
    return lambda: _wait_for_word(identity, log, log_offset, error_offset, word)


def _wait_for_word(identity: Identity, log: Path, log_offset: int, error_offset: int, word: str) -> None:
    """Wait until a process says in its log that it is ready. Raises NetworkError when it ends or takes too long."""
    deadline = time.monotonic() + READY_S
    while True:
        running = is_running(identity)
        if f'"event": "{word}"' in read_from(log, log_offset):
            return
        if not running or time.monotonic() > deadline:
            words = last_words(log, log_offset, error_offset)
            raise NetworkError(f"{identity.name} {'is not ready' if running else 'ended'}; its last words: {words}")
        time.sleep(POLL_S)
