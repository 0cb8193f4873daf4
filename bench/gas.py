"""Gas per transfer of executeBatch on the real Connext diamond, beside what it replaces.

Setting: a root over four destinations (a proof of two), four validators of equal power of which three sign, one router,
a recipient that holds the token already. Gate, multicall and the trusted key run from one saved state in one run, so
that figures compare. `direct` is one trusted key sending `execute` itself; `multicall` a contract that trusts one key;
`floor` what Connext's own frame takes for one further transfer, which no caller can save.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abci_app.evm.artifacts.compile import load_own_artifact
from abci_app.evm.connext import CONNEXT, ExecuteArgs, encode_admin, encode_execute, execute_args_tuple
from abci_app.evm.gate import deploy_gate, encode_creation, encode_execute_batch, list_members
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Address, Receipt, to_hex
from abci_app.evm.wallet import Wallet
from bench.quorum import Plan, attest, make_quorum, make_transfer, sign_execution
from bench.report import Row, add_json_option, make_row, publish
from testnet.chains.anvil import ChainConfig, find_anvil, save_state, start_anvil
from testnet.chains.state_cache import start_deployed
from testnet.connext.connext_contracts import CHAIN_IDS, HUB_DOMAIN, SPOKE_DOMAIN
from testnet.connext.deploy import default_params
from testnet.connext.deployment import DomainDeployment, dev_account
from testnet.connext.supply import user_address
from testnet.processes.ports import find_free_port

ROOT = Path(__file__).resolve().parents[1]
SIZES = (1, 8, 32)
TARGETS = {1: 232_000, 8: 145_000, 32: 136_000}
"""Gas per transfer, plain ABI."""

LOCK_REFUND = 2_800
"""EIP-3529's refund for a slot that is put back: Connext's own lock, once a transfer."""

GAS_LIMIT = 350_000
SIGNERS = (0, 1, 2)


@dataclass(frozen=True)
class Scene:
    """What stands on the chain: the saved state to start from, and the contracts in it."""

    state_file: Path
    connext: Address
    gate: Address
    multicall: Address
    executions: tuple[ExecuteArgs, ...]
    valid_until_s: int


QUORUM = make_quorum("consensus-routing-bench", (1, 1, 1, 1))
SEQUENCER = QUORUM.validators[0].account


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench-gas", description="Gas per transfer through the gate.")
    add_json_option(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gas-") as folder:
        return publish(measure(Path(folder)), options.json)


def measure(folder: Path) -> list[Row]:
    """Return all rows of the table."""
    scene = _prepare(folder)
    direct = {size: _run_direct(scene, folder, size) for size in SIZES}
    multicall, floor = {}, 0
    for size in SIZES:
        multicall[size], floor = _run_multicall(scene, folder, size)
    gate = {size: _run_gate(scene, folder, size) for size in SIZES}
    rows = [make_row("floor: a further transfer inside Connext", floor, "gas", "trace of the largest multicall")]
    for size in SIZES:
        rows += [
            make_row(f"direct, trusted key, {size}", direct[size], "gas/transfer"),
            make_row(f"multicall, trusted key, {size}", multicall[size], "gas/transfer"),
            make_row(
                f"gate, 3 of 4, {size}", gate[size], "gas/transfer",
                f"direct {direct[size]}, multicall {multicall[size]}, floor {floor}", TARGETS[size],
            ),
        ]
    return rows


# -- the scene --------------------------------------------------------------------------------------------------------


def _prepare(folder: Path) -> Scene:
    """Deploy gate and multicall beside the cached Connext, approve both and the trusted key, save the chain."""
    ports = {domain: find_free_port() for domain in CHAIN_IDS}
    chains, deployment = start_deployed(ROOT, default_params(), ports, folder)
    try:
        rpc, deployed = chains[SPOKE_DOMAIN].rpc, deployment.domain(SPOKE_DOMAIN)
        owner = Wallet(rpc, dev_account("owner"))
        now_s = rpc.block().timestamp_s
        creation = encode_creation(
            load_own_artifact(ROOT, "ConsensusGate"),
            connext=deployed.connext,
            chain_id=QUORUM.chain_id,
            epoch=QUORUM.epoch,
            members=list_members(QUORUM.validator_set()),
            set_time_s=now_s,
        )
        gate = deploy_gate(owner, creation)
        artifact = load_own_artifact(ROOT, "TrustedMulticall")
        multicall = owner.transact(None, artifact.creation_code(deployed.connext)).contract_address
        if multicall is None:
            raise RuntimeError("no multicall was created")
        for name, account in (("addRelayer", gate), ("addRelayer", multicall), ("addRelayer", owner.address)):
            owner.transact(deployed.connext, encode_admin(name, account))
        owner.transact(deployed.connext, encode_admin("addSequencer", SEQUENCER.address))
        state_file = folder / "scene.json"
        save_state(rpc.url, state_file)
    finally:
        for chain in chains.values():
            chain.stop()
    return Scene(state_file, deployed.connext, gate, multicall, _executions(deployed), now_s + 365 * 24 * 3600)


def _executions(deployed: DomainDeployment) -> tuple[ExecuteArgs, ...]:
    token, router = deployed.tokens["USDC"], dev_account("router-0")
    transfers = [
        make_transfer(
            token,
            origin=HUB_DOMAIN,
            destination=SPOKE_DOMAIN,
            to=user_address(0),
            amount=10 * token.unit,
            nonce=1_000 + index,
        )
        for index in range(max(SIZES))
    ]
    return tuple(sign_execution(info, [router], SEQUENCER) for info in transfers)


# -- one measurement each, on a fresh process with the saved state -----------------------------------------------------


def _run_direct(scene: Scene, folder: Path, size: int) -> int:
    calls = [encode_execute(args) for args in scene.executions[:size]]
    receipts, _ = _transact(scene, folder, size, [(scene.connext, call) for call in calls])
    return sum(receipt.gas_used for receipt in receipts) // size


def _run_multicall(scene: Scene, folder: Path, size: int) -> tuple[int, int]:
    """Return the gas per transfer, and what Connext's frame of the last transfer took."""
    interface = load_own_artifact(ROOT, "TrustedMulticall").interface
    calldata = interface.encode("executeAll", [execute_args_tuple(args) for args in scene.executions[:size]])
    receipts, frames = _transact(scene, folder, size, [(scene.multicall, calldata)])
    last = [frame for frame in frames if frame["to"] == to_hex(scene.connext)][-1]
    return receipts[0].gas_used // size, int(last["gasUsed"], 16) - LOCK_REFUND


def _run_gate(scene: Scene, folder: Path, size: int) -> int:
    plan = Plan(
        chain_id=CHAIN_IDS[SPOKE_DOMAIN],
        gate=scene.gate,
        executions=scene.executions[:size],
        valid_until_s=scene.valid_until_s,
        gas_limits=(GAS_LIMIT,) * size,
        position=1,
        leaves=4,
    )
    calldata = encode_execute_batch(attest(QUORUM, plan, SIGNERS), skip_executed=False)
    receipts, _ = _transact(scene, folder, size, [(scene.gate, calldata)])
    return receipts[0].gas_used // size


def _transact(
    scene: Scene, folder: Path, size: int, calls: Sequence[tuple[Address, bytes]]
) -> tuple[list[Receipt], list[dict[str, Any]]]:
    """Return the receipts of the owner's transactions, which execute `size` transfers, and the calls of the last."""
    config = ChainConfig(CHAIN_IDS[SPOKE_DOMAIN], find_free_port(), folder / "anvil.log", scene.state_file)
    with start_anvil(find_anvil(ROOT), config) as chain:
        wallet = Wallet(chain.rpc, dev_account("owner"))
        receipts = [wallet.transact(to, data) for to, data in calls]
        executed = CONNEXT.event("Executed").topic0
        done = sum(log.topics[0] == executed for receipt in receipts for log in receipt.logs)
        if done != size:
            raise RuntimeError(f"{done} of {size} transfers were executed")
        return receipts, _trace(chain.rpc, receipts[-1])


def _trace(rpc: Rpc, receipt: Receipt) -> list[dict[str, Any]]:
    traced = rpc.request("debug_traceTransaction", [to_hex(receipt.tx_hash), {"tracer": "callTracer"}])
    calls: list[dict[str, Any]] = traced.get("calls", [])
    return calls


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
