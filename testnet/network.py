"""Up, down, stop, start: a local network of chains, validators, routers and one relayer, all under one home."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from abci_app.evm.rpc import Rpc
from testnet import chains, cometbft, endpoints, parties
from testnet.creation import Say, create
from testnet.deployment import Deployment, from_json
from testnet.layout import ENGINE, ROOT, Layout, NetworkError, NodePlace, load_layout, make_manifest
from testnet.ports import is_port_free
from testnet.processes import Identity, end, identify, is_running, load_identities, save_identity, spawn_known
from testnet.supervise import Pair, save_pair

READY_S = 60.0
READY_HEIGHT = 3


def up(home: Path, base_port: int | None, validators: int | None, say: Say) -> Layout:
    """Bring a network up, new or as it was left; return once ``endpoints.json`` is written. Raises NetworkError."""
    if (home / "manifest.json").exists():
        layout = load_layout(home)
        _refuse_other(layout, base_port, validators)
        _refuse_running(layout)
        _check_ports(layout)
        say(f"resuming the network in {home}")
        with _undo(layout):
            _resume_chains(layout)
            _start_all(layout, say)
        return layout
    layout = Layout(home, make_manifest(base_port, validators))
    _check_ports(layout)
    if not ENGINE.exists():
        raise NetworkError(f"{ENGINE} is missing: run scripts/setup")
    with _undo(layout):
        try:
            create(layout, say)
        except BaseException:
            _end_all(layout)
            shutil.rmtree(layout.home, ignore_errors=True)
            raise
        _start_all(layout, say)
    return layout


def down(home: Path) -> list[str]:
    """End every process of the network, chains last and saved; return the names of those that ran."""
    layout = load_layout(home)
    running = [identity for identity in load_identities(layout.pids).values() if is_running(identity)]
    _end_all(layout)
    layout.endpoints.unlink(missing_ok=True)
    return [identity.name for identity in running]


def clear(home: Path) -> None:
    """Remove a network that does not run, if there is one. Raises NetworkError where it runs."""
    if (home / "manifest.json").exists():
        _refuse_running(load_layout(home))
        shutil.rmtree(home)


def stop(home: Path, name: str) -> None:
    """End one validator, router, relayer or chain. Raises NetworkError where it does not run."""
    layout = load_layout(home)
    identity = load_identities(layout.pids).get(_known(layout, name))
    if identity is None or not is_running(identity):
        raise NetworkError(f"{name} does not run")
    if name in layout.chains():
        _save_chain(layout, layout.chains()[name])
    end([identity])


def start(home: Path, name: str) -> None:
    """Start one validator, router, relayer or chain that was stopped. Raises NetworkError where it runs."""
    layout = load_layout(home)
    identity = load_identities(layout.pids).get(_known(layout, name))
    if identity is not None and is_running(identity):
        raise NetworkError(f"{name} runs already")
    if name in layout.chains():
        _resume_chain(layout, name)
    elif name == "relayer":
        parties.start_relayer(layout)
    elif name.startswith("router"):
        parties.start_router(layout, name)
    else:
        _start_validator(layout, next(node for node in layout.nodes() if node.name == name))
    endpoints.refresh(layout)


def names(layout: Layout) -> list[str]:
    """Names of all parts, in the order in which they start."""
    return [
        *layout.chains(), *(node.name for node in layout.nodes()), "relayer",
        *(name for name, _ in layout.routers()),
    ]


def load_deployment(layout: Layout) -> Deployment:
    """Return the Connext deployment of a network. Raises NetworkError."""
    try:
        return from_json(layout.deployment.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NetworkError(f"{layout.deployment} is missing or damaged: {error}") from error


# -- starting and ending ----------------------------------------------------------------------------------------------


def _start_all(layout: Layout, say: Say) -> None:
    say(f"validators: {layout.manifest.validators} pairs of application and CometBFT")
    for node in layout.nodes():
        _start_validator(layout, node)
    endpoints.wait_ready(layout, READY_HEIGHT, READY_S)
    say("relayer and routers")
    parties.start_all(layout)
    endpoints.refresh(layout)


def _start_validator(layout: Layout, node: NodePlace) -> None:
    routerd = [sys.executable, "-m", "abci_app.cli.main"]
    save_pair(node.pair_file, Pair(
        name=node.name,
        application=[*routerd, "start", "--home", str(node.app_home.absolute())],
        engine=cometbft.start_command(ENGINE, node.engine_home.absolute()),
        application_log=str((layout.logs / f"{node.name}-app.jsonl").absolute()),
        engine_log=str((layout.logs / f"{node.name}-cometbft.jsonl").absolute()),
        abci=node.abci,
        pids=str(layout.pids.absolute()),
    ))
    command = [sys.executable, "-m", "testnet.supervise", str(node.pair_file.absolute())]
    spawn_known(layout.pids, node.name, command, layout.logs / f"{node.name}-supervisor.jsonl")


def _resume_chains(layout: Layout) -> None:
    for name in layout.chains():
        _resume_chain(layout, name)


def _resume_chain(layout: Layout, name: str) -> None:
    """Start a chain from its saved state; refuse where it did not end in order and so lost blocks."""
    domain = layout.chains()[name]
    head_file = layout.chain_head(domain)
    if not head_file.exists() or not layout.chain_state(domain).exists():
        raise NetworkError(f"chain {domain} lost blocks: it did not stop in order; remove {layout.home}")
    chain_id = load_deployment(layout).domain(domain).chain_id
    config = chains.ChainConfig(
        chain_id, layout.chain_port(domain), layout.logs / f"chain-{domain}.log", layout.chain_state(domain)
    )
    anvil = chains.start_anvil(
        chains.find_anvil(ROOT), config, lambda pid: save_identity(layout.pids, identify(name, pid))
    )
    found, saved = anvil.rpc.block("latest"), head_file.read_text().split()
    if [str(found.number), found.hash.hex()] != saved:
        anvil.stop()
        raise NetworkError(f"chain {domain} lost blocks: head {found.number} is not {saved[0]}; remove {layout.home}")
    head_file.unlink()
    chains.use_interval_mining(anvil.rpc, chains.BLOCK_SECONDS)
    anvil.rpc.close()


def _save_chain(layout: Layout, domain: int) -> None:
    """Stop mining, save state and head. A chain that does not answer is left as it is."""
    with Rpc(chains.rpc_url(layout.chain_port(domain))) as rpc:
        rpc.request("evm_setIntervalMining", [0])
        chains.save_state(rpc.url, layout.chain_state(domain))
        head = rpc.block("latest")
        layout.chain_head(domain).write_text(f"{head.number} {head.hash.hex()}")


def _end_all(layout: Layout) -> None:
    """Parties and validators first, so that nobody misses a chain; then chains, saved."""
    found = load_identities(layout.pids)
    # A supervisor ends its own children; those whose supervisor was killed are ended here.
    children = [identity for name, identity in found.items() if name.endswith(("-app", "-cometbft"))]
    anvils = [identity for name, identity in found.items() if name in layout.chains() and is_running(identity)]
    end(identity for identity in found.values() if identity not in children and identity not in anvils)
    end(children)
    for identity in anvils:
        try:
            _save_chain(layout, layout.chains()[identity.name])
        except Exception as error:  # whatever ails the chain, it must end; `up` will say that it lost blocks
            print(f"{identity.name}: not saved: {error}", file=sys.stderr)
    end(anvils)


@contextmanager
def _undo(layout: Layout) -> Iterator[None]:
    """End what was started when bringing up fails or is interrupted."""
    try:
        yield
    except BaseException:
        _end_all(layout)
        raise


# -- refusals ---------------------------------------------------------------------------------------------------------


def _refuse_other(layout: Layout, base_port: int | None, validators: int | None) -> None:
    for name, asked, has in (
        ("--base-port", base_port, layout.manifest.base_port), ("--validators", validators, layout.manifest.validators)
    ):
        if asked is not None and asked != has:
            raise NetworkError(f"the network in {layout.home} has {name} {has}, not {asked}")


def _refuse_running(layout: Layout) -> None:
    running: list[Identity] = [found for found in load_identities(layout.pids).values() if is_running(found)]
    if running:
        raise NetworkError(f"the network in {layout.home} runs already ({len(running)} processes)")


def _check_ports(layout: Layout) -> None:
    for port in layout.ports():
        if not is_port_free(port):
            raise NetworkError(f"port {port} is in use; choose another --base-port")


def _known(layout: Layout, name: str) -> str:
    if name not in names(layout):
        raise NetworkError(f"no {name!r} here; there are {', '.join(names(layout))}")
    return name
