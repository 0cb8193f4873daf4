"""Those who use the validators: routers and the relayer, each with a home, a key of its own and a process."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from abci_app.bridge.config import RelayChain, RelayConfig
from abci_app.bridge.home import init_home
from abci_app.bridge.leaves import Place
from abci_app.evm.account import Account
from abci_app.evm.rpc import Rpc
from abci_app.machine.codec import Address, DomainId
from abci_app.router.config import RouterConfig, WatchedChain, save_home
from testnet import chains
from testnet.deployment import Deployment, dev_account
from testnet.layout import CHAIN_DOMAINS, Layout, NetworkError
from testnet.processes import is_running, load_identities, spawn_known

RELAYER_ROLE = "bridge-relayer"
BALANCE_WEI = 10**21
RELAY_POLL_MS = 200
RELAYER_READY, ROUTER_READY = "relaying", "started"
"""What each logs once it has checked everything and begun."""
READY_S, POLL_S = 60.0, 0.05


def relayer_account() -> Account:
    """The account that pays for batches; a local development key."""
    return dev_account(RELAYER_ROLE)


def router_account(index: int) -> Account:
    """The account of a router; a local development key."""
    return dev_account(f"router-{index}")


def fund(layout: Layout, rpcs: Mapping[int, Rpc]) -> None:
    """Give gas money to the relayer and to the routers."""
    accounts = [relayer_account(), *(router_account(index) for index in range(layout.manifest.routers))]
    for rpc in rpcs.values():
        for account in accounts:
            chains.set_balance(rpc, account.address, BALANCE_WEI)


def create(layout: Layout, deployment: Deployment, gates: Mapping[int, bytes]) -> None:
    """Make the homes of routers and relayer. Router i talks to node i first, the relayer to node 0."""
    nodes = [node.grpc for node in layout.nodes()]
    # The last validator is left alone, so that it can be stopped without anybody's missing it.
    spare = nodes[:-1] if len(nodes) > 3 else nodes
    watched = tuple(
        WatchedChain(
            domain, deployment.domain(domain).chain_id, chains.rpc_url(layout.chain_port(domain)),
            connext=deployment.domain(domain).connext,
        )
        for domain in CHAIN_DOMAINS
    )
    for index, (_, home) in enumerate(layout.routers()):
        turned = spare[index % len(spare):] + spare[:index % len(spare)]
        save_home(home, RouterConfig(tuple(turned), watched), router_account(index))
    relayed = tuple(
        RelayChain(
            Place(DomainId(chain.domain), chain.chain_id, Address(gates[chain.domain])), chain.rpc_url,
            poll_ms=RELAY_POLL_MS, confirm_blocks=1,
        )
        for chain in watched
    )
    init_home(layout.relayer, RelayConfig(layout.manifest.chain_id, tuple(spare), relayed), relayer_account())


def start_router(layout: Layout, name: str) -> None:
    """Start one router and wait until it watches."""
    wait_for_word(layout, name, begin_router(layout, name), ROUTER_READY)


def start_relayer(layout: Layout) -> None:
    """Start the relayer and wait until it follows."""
    wait_for_word(layout, "relayer", begin_relayer(layout), RELAYER_READY)


def start_all(layout: Layout) -> None:
    """Start relayer and routers at the same time."""
    starts = {"relayer": (begin_relayer(layout), RELAYER_READY)}
    for name, _ in layout.routers():
        starts[name] = (begin_router(layout, name), ROUTER_READY)
    for name, (offset, word) in starts.items():
        wait_for_word(layout, name, offset, word)


def begin_router(layout: Layout, name: str) -> int:
    """Start a router; return where its log stood."""
    return _start(layout, name, "router", dict(layout.routers())[name])


def begin_relayer(layout: Layout) -> int:
    """Start the relayer; return where its log stood."""
    return _start(layout, "relayer", "relay", layout.relayer)


def _start(layout: Layout, name: str, command: str, home: Path) -> int:
    log = _log(layout, name)
    offset = log.stat().st_size if log.exists() else 0
    routerd = [sys.executable, "-m", "abci_app.cli.main", command, "--home", str(home.absolute())]
    spawn_known(layout.pids, name, routerd, log)
    return offset


def wait_for_word(layout: Layout, name: str, offset: int, word: str) -> None:
    """Wait until a process says in its log that it is ready. Raises NetworkError when it ends or takes too long."""
    identity = load_identities(layout.pids)[name]
    deadline = time.monotonic() + READY_S
    while True:
        running = is_running(identity)
        with _log(layout, name).open("rb") as log:
            log.seek(offset)
            said = log.read().decode(errors="replace")
        if f'"event": "{word}"' in said:
            return
        if not running or time.monotonic() > deadline:
            last = said.strip().splitlines()[-1:] or ["nothing"]
            raise NetworkError(f"{name} {'is not ready' if running else 'ended'}; its last words: {last[0][:300]}")
        time.sleep(POLL_S)


def _log(layout: Layout, name: str) -> Path:
    return layout.logs / f"{name}.jsonl"
