"""docs/operating.md with the installed package alone: keys, gates, genesis, a validator, a relayer, a router.

Connext is on the chains before, as on real ones; what its owner does is exactly what `routerd gate deploy` printed.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from abci_app.evm.connext import encode_xcall
from abci_app.evm.types import Address, to_hex
from abci_app.evm.wallet import Wallet
from testnet.chains.anvil import Anvil, set_balance, use_interval_mining
from testnet.chains.state_cache import start_deployed
from testnet.connext.deploy import default_params
from testnet.connext.deployment import Deployment, dev_account
from testnet.connext.supply import TOKEN, UNLIMITED
from tests.kit.process.cometbft import binary
from tests.kit.process.processes import ROOT, Process, free_ports, wait_until
from tests.kit.process.wheel import Operator, build_wheel, clean_environment, install

CHAIN_ID = "routing-wheel-1"
HUB, SPOKE = 1111, 2222
GAS_MONEY_WEI = 10**18
AMOUNT = 5_000_000
STEP_TIMEOUT_S = 60.0
Chains = tuple[dict[int, Anvil], Deployment]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def chains(stack: ExitStack, tmp_path: Path) -> Chains:
    """Two chains with Connext, which mine on demand as long as the network is set up."""
    ports = free_ports(2)
    made, deployment = start_deployed(
        ROOT, default_params(1), dict(zip((HUB, SPOKE), ports, strict=True)), tmp_path / "chains"
    )
    for chain in made.values():
        stack.callback(chain.stop)
    return made, deployment


@pytest.fixture
def operator(stack: ExitStack) -> Operator:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="routing-")))
    return Operator(folder, install(build_wheel(folder), folder))


def make_keys(operator: Operator, chains: Chains, grpc: str, engine_rpc: str) -> dict[str, str]:
    """Steps 1 and 2: homes and keys of the one validator; return its entry of the genesis."""
    operator.cometbft("init", "validator", "--home", "engine")
    urls = [argument for domain, chain in chains[0].items() for argument in ("--chain", f"{domain}={chain.url}")]
    operator.routerd(
        "init", "--home", "node", "--chain-id", CHAIN_ID, "--grpc", grpc, "--cometbft-rpc", f"http://{engine_rpc}",
        *urls,
    )
    consensus_key = operator.cometbft("show-validator", "--home", "engine").strip()
    shown: dict[str, str] = operator.ask("keys", "show", "--home", "node", "--consensus-key", consensus_key)
    return shown


def write_description(operator: Operator, chains: Chains, validator: dict[str, str], gates: dict[int, str]) -> None:
    """Write network.toml, with the gates that there are."""
    deployment = chains[1]
    lines = [f'chain_id = "{CHAIN_ID}"', f"routers = {json.dumps([to_hex(one) for one in deployment.routers])}"]
    for domain, chain in chains[0].items():
        lines += [
            "[[chains]]", f'rpc_url = "{chain.url}"', f"domain = {domain}", f"chain_id = {chain.config.chain_id}",
            f'connext = "{to_hex(deployment.domain(domain).connext)}"', "segment_blocks = 1", "idle_blocks = 2",
            *([f'gate = "{gates[domain]}"'] if domain in gates else []),
        ]
    for token in deployment.hub.tokens.values():
        lines += [
            "[[assets]]", f"canonical_domain = {token.canonical_domain}",
            f'canonical_id = "{to_hex(token.canonical_id)}"',
        ]
    lines += ["[[validators]]", "power = 1", *(f'{name} = "{value}"' for name, value in validator.items())]
    operator.write("network.toml", "\n".join(lines) + "\n")


def deploy_gates(operator: Operator, chains: Chains, validator: dict[str, str]) -> dict[int, str]:
    """Step 3: the gates, and the owner's calls as they are printed."""
    write_description(operator, chains, validator, {})
    deployer = operator.routerd("keys", "new", "--out", "deployer.json").strip()
    arguments = ("gate", "deploy", "--config", "network.toml", "--key", "deployer.json", "--domain")
    assert "FUNDS_TOO_LOW" in operator.refused(*arguments, str(HUB))
    made = {}
    for domain, chain in chains[0].items():
        set_balance(chain.rpc, Address(bytes.fromhex(deployer[2:])), GAS_MONEY_WEI)
        made[domain] = operator.ask(*arguments, str(domain))
    gates = {domain: one["gate"] for domain, one in made.items()}
    write_description(operator, chains, validator, gates)
    for domain, chain in chains[0].items():
        owner = Wallet(chain.rpc, dev_account("owner"))
        for call in made[domain]["admin_calls"]:
            owner.transact(Address(bytes.fromhex(call["to"][2:])), bytes.fromhex(call["calldata"][2:]))
    assert all(one["ready"] for one in operator.ask("gate", "check", "--config", "network.toml")["gates"])
    return gates


def make_genesis(operator: Operator) -> None:
    """Step 4, once the chains call the owner's transactions final."""
    template = "engine/config/genesis.json"
    operator.routerd("genesis", "build", "--config", "network.toml", "--out", "app-state.json")
    operator.routerd(
        "genesis", "assemble", "app-state.json", "--cometbft-genesis", template, "--chain-id", CHAIN_ID,
        "--out", "genesis.json",
    )
    operator.routerd("genesis", "check", "app-state.json", "--cometbft-genesis", "genesis.json")
    shutil.copy(operator.folder / "genesis.json", operator.folder / template)


def start(operator: Operator, stack: ExitStack, name: str, *arguments: str, **environment: str) -> Process:
    """Start one of the long-running commands in the operator's folder."""
    settings = [f"{key}={value}" for key, value in clean_environment(**environment).items()]
    command = ["env", "-i", "-C", str(operator.folder), *settings, str(operator.programs / "routerd"), *arguments]
    process = Process(name, command, operator.folder / f"{name}.log").stopped_by(stack)
    process.start()
    return process


def start_relayer(
    operator: Operator, stack: ExitStack, chains: Chains, gates: dict[int, str], grpc: str
) -> Process:
    """Step 6."""
    address = operator.routerd("keys", "new", "--out", "relayer/keys/relayer.json").strip()
    lines = [f'chain_id = "{CHAIN_ID}"', f'nodes = ["{grpc}"]']
    for domain, chain in chains[0].items():
        set_balance(chain.rpc, Address(bytes.fromhex(address[2:])), GAS_MONEY_WEI)
        lines += [
            "[[chains]]", f"domain = {domain}", f"chain_id = {chain.config.chain_id}", f'rpc_url = "{chain.url}"',
            f'gate = "{gates[domain]}"',
        ]
    operator.write("relayer/config.toml", "\n".join(lines) + "\n")
    return start(operator, stack, "relay", "relay", "--home", "relayer")


def start_router(operator: Operator, stack: ExitStack, chains: Chains, grpc: str) -> Process:
    """Step 7, with a router that Connext knows."""
    account = dev_account("router-0")
    operator.write("router.key", account.private_key.hex(), 0o600)
    given = [
        argument for domain, chain in chains[0].items() for argument in (
            "--chain", f"{domain},{chain.config.chain_id},{chain.url},0,{to_hex(chains[1].domain(domain).connext)}",
        )
    ]
    printed = operator.routerd("router", "init", "--home", "router", "--node", grpc, "--key-file", "router.key", *given)
    assert printed.strip() == to_hex(account.address)
    return start(operator, stack, "router", "router", "--home", "router")


def send_transfer(chains: Chains) -> None:
    """A user's transfer from the hub to the spoke."""
    rpc, here = chains[0][HUB].rpc, chains[1].domain(HUB)
    user, token = Wallet(rpc, dev_account("user-0")), here.tokens["USDC"]
    user.transact(token.address, TOKEN.encode("approve", here.connext, UNLIMITED))
    user.transact(here.connext, encode_xcall(
        destination_domain=SPOKE, to=user.address, asset=token.address, delegate=user.address, amount=AMOUNT,
        slippage_bps=100, call_data=b"",
    ))


def list_statuses(operator: Operator, grpc: str) -> list[str]:
    """Status of every transfer, as a node's answer has it."""
    return [one["status"] for one in operator.ask("query", "transfers", "--node", grpc)["transfers"]]


def test_the_installed_package_sets_up_and_runs_a_network(
    operator: Operator, chains: Chains, stack: ExitStack
) -> None:
    assert "testnet" in operator.refused("testnet", "up"), "a wheel has no testnet"
    grpc, engine_rpc, engine_p2p = (f"127.0.0.1:{port}" for port in free_ports(3))
    validator = make_keys(operator, chains, grpc, engine_rpc)
    gates = deploy_gates(operator, chains, validator)
    for chain in chains[0].values():
        use_interval_mining(chain.rpc, 1)
    final = {domain: chain.rpc.block_number() for domain, chain in chains[0].items()}
    for domain, chain in chains[0].items():
        wait_until(
            lambda chain=chain, domain=domain: chain.rpc.block("finalized").number >= final[domain],  # type: ignore[misc]
            STEP_TIMEOUT_S, f"the owner's calls on {domain} do not become final",
        )
    make_genesis(operator)

    pair = start(
        operator, stack, "supervise", "supervise", "--home", "node", "--engine-home", "engine", "--cometbft",
        str(binary()), CMT_RPC_LADDR=f"tcp://{engine_rpc}", CMT_P2P_LADDR=f"tcp://{engine_p2p}",
        CMT_CONSENSUS_TIMEOUT_COMMIT="300ms",
    )
    wait_until(lambda: "committed" in pair.tail(10_000), STEP_TIMEOUT_S, "no block", pair)
    relayer = start_relayer(operator, stack, chains, gates, grpc)
    router = start_router(operator, stack, chains, grpc)
    wait_until(lambda: '"relaying"' in relayer.tail(), STEP_TIMEOUT_S, "the relayer does not start", relayer)
    wait_until(lambda: '"started"' in router.tail(), STEP_TIMEOUT_S, "the router does not start", router)
    send_transfer(chains)
    wait_until(
        lambda: list_statuses(operator, grpc) == ["EXECUTED"],
        STEP_TIMEOUT_S, "the transfer is not executed", pair, relayer, router,
    )
    status = operator.ask("query", "status", "--node", grpc)
    assert status["chain_id"] == CHAIN_ID and int(status["height"]) > 2

    assert [process.stop() for process in (router, relayer, pair)] == [0, 0, 0]
    assert not [line for line in pair.log.read_text().splitlines() if '"level": "error"' in line]
