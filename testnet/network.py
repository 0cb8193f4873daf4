"""Up, down, stop, start: a local network of chains, validators, routers and one relayer, all under one home."""

import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from abci_app.evm.compile import load_own_artifact
from abci_app.evm.gate import deploy_gate, encode_creation, list_members
from abci_app.evm.rpc import Rpc
from abci_app.evm.wallet import Wallet
from abci_app.machine.codec import Address, DomainId, Hash
from abci_app.machine.genesis import order_members
from abci_app.machine.records import Member, ValidatorSet
from abci_app.node.config import Config, ObservedChain
from abci_app.node.home import init_home, load_home
from testnet import chains, cometbft, endpoints, parties
from testnet.connext import add_sequencers, default_params, hand_over_to_gate
from testnet.deployment import Deployment, dev_account, from_json, to_json
from testnet.genesis import ValidatorKeys, read_genesis
from testnet.layout import CHAIN_DOMAINS, Layout, NetworkError, NodePlace, load_layout, save_manifest
from testnet.processes import Identity, end, identify, is_running, load_identities, save_identity, spawn_known
from testnet.state_cache import start_deployed
from testnet.supervise import Pair, save_pair

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / "build" / "bin" / "cometbft"
BLOCK_SECONDS = 1
POLL_MS = 200
READY_S = 60.0
READY_HEIGHT = 3
EPOCH = 1

Progress = Callable[[str], None]


def up(home: Path, base_port: int | None, validators: int | None, progress: Progress) -> Layout:
    """Bring a network up, new or as it was left; return once ``endpoints.json`` is written. Raises NetworkError."""
    if (home / "manifest.json").exists():
        layout = load_layout(home)
        _refuse_other(layout, base_port, validators)
        _refuse_running(layout)
        _check_ports(layout)
        progress(f"resuming the network in {home}")
        with _undo(layout):
            _resume_chains(layout)
            _start_all(layout, progress)
        return layout
    layout = Layout(home, parties.make_manifest(base_port, validators))
    _check_ports(layout)
    if not ENGINE.exists():
        raise NetworkError(f"{ENGINE} is missing: run scripts/setup")
    with _undo(layout):
        try:
            _create(layout, progress)
        except BaseException:
            _end_all(layout)
            shutil.rmtree(layout.home, ignore_errors=True)
            raise
        _start_all(layout, progress)
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
    if name.startswith("chain"):
        _save_chain(layout, int(name.removeprefix("chain")))
    end([identity])


def start(home: Path, name: str) -> None:
    """Start one validator, router, relayer or chain that was stopped. Raises NetworkError where it runs."""
    layout = load_layout(home)
    identity = load_identities(layout.pids).get(_known(layout, name))
    if identity is not None and is_running(identity):
        raise NetworkError(f"{name} runs already")
    if name.startswith("chain"):
        _resume_chain(layout, int(name.removeprefix("chain")))
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
        *(f"chain{domain}" for domain in CHAIN_DOMAINS), *(node.name for node in layout.nodes()), "relayer",
        *(name for name, _ in layout.routers()),
    ]


def load_deployment(layout: Layout) -> Deployment:
    """Return the Connext deployment of a network. Raises NetworkError."""
    try:
        return from_json(layout.deployment.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NetworkError(f"{layout.deployment} is missing or damaged: {error}") from error


# -- a new network ----------------------------------------------------------------------------------------------------


def _create(layout: Layout, progress: Progress) -> None:
    """Keys → chains → Connext → gates → genesis, each on disk before the next."""
    progress("keys: validators")
    nodes = list(layout.nodes())
    for node in nodes:
        cometbft.init_home(ENGINE, node.engine_home)
        init_home(node.app_home, _node_config(layout, node))
    keys = [_read_keys(layout, node) for node in nodes]
    progress("chains: two EVM chains with the complete Connext")
    for folder in (layout.logs, layout.pids, layout.home / "chains"):
        folder.mkdir(parents=True, exist_ok=True)
    ports = {domain: layout.chain_port(domain) for domain in CHAIN_DOMAINS}
    anvils, deployment = start_deployed(
        ROOT, default_params(layout.manifest.routers), ports, layout.logs,
        register=lambda domain, pid: save_identity(layout.pids, identify(f"chain{domain}", pid)),
    )
    rpcs = {domain: anvil.rpc for domain, anvil in anvils.items()}
    progress("gates: the validators' quorum becomes the only relayer")
    add_sequencers(ROOT, deployment, rpcs, [key.attestation for key in keys])
    gates = {domain: _deploy_gate(layout, deployment, rpc, domain, keys) for domain, rpc in rpcs.items()}
    hand_over_to_gate(ROOT, deployment, rpcs, gates)
    parties.fund(layout, rpcs)
    layout.deployment.write_text(to_json(deployment))
    progress("genesis: balances, approvals and positions as the chains have them")
    app_state = read_genesis(deployment, rpcs, gates, keys)
    endpoints.save_gates(layout, gates)
    cometbft.create_network(
        ENGINE,
        [cometbft.Node(node.name, node.engine_home, node.abci, node.rpc_port, node.p2p_port, node.metrics_port)
         for node in nodes],
        cometbft.Genesis(layout.manifest.chain_id, app_state=app_state),
        {},
    )
    parties.create(layout, deployment, gates)
    for rpc in rpcs.values():
        chains.use_interval_mining(rpc, BLOCK_SECONDS)
        rpc.close()
    save_manifest(layout.home, layout.manifest)


def _node_config(layout: Layout, node: NodePlace) -> Config:
    return Config(
        chain_id=layout.manifest.chain_id, abci_address=node.abci, grpc_address=node.grpc,
        cometbft_rpc_url=node.rpc_url, poll_ms=POLL_MS,
        chains=tuple(
            ObservedChain(DomainId(domain), (chains.rpc_url(layout.chain_port(domain)),), 1)
            for domain in CHAIN_DOMAINS
        ),
    )


def _read_keys(layout: Layout, node: NodePlace) -> ValidatorKeys:
    public_key = cometbft.consensus_key(node.engine_home).public_key
    signer = load_home(node.app_home).signer
    proof = signer.prove_possession(layout.manifest.chain_id, public_key)
    return ValidatorKeys(public_key, 1, signer.address, proof)


def _deploy_gate(
    layout: Layout, deployment: Deployment, rpc: Rpc, domain: int, keys: list[ValidatorKeys]
) -> Address:
    members = order_members(Member(Hash(key.consensus_key), key.power, Address(key.attestation)) for key in keys)
    creation = encode_creation(
        load_own_artifact(ROOT, "ConsensusGate"), connext=deployment.domain(domain).connext,
        chain_id=layout.manifest.chain_id, epoch=EPOCH, members=list_members(ValidatorSet(EPOCH, members)),
        set_time_s=rpc.block("latest").timestamp_s,
    )
    return Address(deploy_gate(Wallet(rpc, dev_account("owner")), creation))


# -- starting and ending ----------------------------------------------------------------------------------------------


def _start_all(layout: Layout, progress: Progress) -> None:
    progress(f"validators: {layout.manifest.validators} pairs of application and CometBFT")
    for node in layout.nodes():
        _start_validator(layout, node)
    endpoints.wait_ready(layout, READY_HEIGHT, READY_S)
    progress("relayer and routers")
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
    for domain in CHAIN_DOMAINS:
        _resume_chain(layout, domain)


def _resume_chain(layout: Layout, domain: int) -> None:
    """Start a chain from its saved state; refuse where it did not end in order and so lost blocks."""
    head_file = layout.chain_head(domain)
    if not head_file.exists() or not layout.chain_state(domain).exists():
        raise NetworkError(f"chain {domain} lost blocks: it did not stop in order; remove {layout.home}")
    chain_id = load_deployment(layout).domain(domain).chain_id
    config = chains.ChainConfig(
        chain_id, layout.chain_port(domain), layout.logs / f"chain-{domain}.log", layout.chain_state(domain)
    )
    anvil = chains.start_anvil(
        chains.find_anvil(ROOT), config, lambda pid: save_identity(layout.pids, identify(f"chain{domain}", pid))
    )
    found, saved = anvil.rpc.block("latest"), head_file.read_text().split()
    if [str(found.number), found.hash.hex()] != saved:
        anvil.stop()
        raise NetworkError(f"chain {domain} lost blocks: head {found.number} is not {saved[0]}; remove {layout.home}")
    head_file.unlink()
    chains.use_interval_mining(anvil.rpc, BLOCK_SECONDS)
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
    parts = [identity for name, identity in found.items() if identity not in children and not name.startswith("chain")]
    end(parts)
    end(children)
    anvils = [identity for name, identity in found.items() if name.startswith("chain") and is_running(identity)]
    for identity in anvils:
        try:
            _save_chain(layout, int(identity.name.removeprefix("chain")))
        except Exception as error:  # whatever ails the chain, it must end; `up` will say that it lost blocks
            print(f"chain {identity.name}: not saved: {error}", file=sys.stderr)
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
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise NetworkError(f"port {port} is in use; choose another --base-port") from error


def _known(layout: Layout, name: str) -> str:
    if name not in names(layout):
        raise NetworkError(f"no {name!r} here; there are {', '.join(names(layout))}")
    return name

