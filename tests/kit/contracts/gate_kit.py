"""A gate in front of the real Connext diamond, and validators of powers 1, 2, 3, 4 who sign what a test wants."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from abci_app.evm.artifacts.compile import load_own_artifact
from abci_app.evm.codec import Interface, load_interface
from abci_app.evm.connext import Connext, DestinationStatus, ExecuteArgs
from abci_app.evm.errors import CallReverted, DeadlineExceeded
from abci_app.evm.gate import (
    BatchOutcome,
    Gate,
    GateBatch,
    deploy_gate,
    encode_creation,
    encode_execute_batch,
    list_members,
    parse_outcome,
)
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Address, Receipt
from abci_app.evm.wallet import GAS_MAX, Wallet
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.state.records import TransferInfo
from bench.quorum import Plan, Quorum, attest, make_quorum, make_transfer, sign_execution
from testnet.chains.anvil import Anvil
from testnet.chains.state_cache import start_deployed
from testnet.connext.connext_contracts import CHAIN_IDS, HUB_DOMAIN, SPOKE_DOMAIN
from testnet.connext.deploy import add_sequencers, default_params, hand_over_to_gate
from testnet.connext.deployment import Deployment, dev_account
from testnet.connext.supply import user_address
from testnet.processes.ports import find_free_port

ROOT = Path(__file__).resolve().parents[3]
AUTOMINE_S = 10.0
ERC20 = load_interface("erc20")
POWERS = (1, 2, 3, 4)
ENOUGH = (1, 2, 3)
"""Indexes of validators whose powers 2 + 3 + 4 are more than two thirds of 10."""
GAS_LIMIT = 600_000
LEASE_S = 24 * 3600
ROUTERS = 4


@dataclass
class Scene:
    """Both chains; the gate under test stands on the spoke, the hub is where transfers come from."""

    chains: dict[int, Anvil]
    deployment: Deployment
    quorum: Quorum
    gates: dict[int, Address]
    nonces: Iterator[int] = field(default_factory=lambda: count(1_000))

    @property
    def rpc(self) -> Rpc:
        return self.chains[SPOKE_DOMAIN].rpc

    @property
    def gate(self) -> Address:
        return self.gates[SPOKE_DOMAIN]

    @property
    def connext(self) -> Connext:
        return Connext(self.rpc, self.deployment.domain(SPOKE_DOMAIN).connext)

    def wallet(self, role: str, domain: int = SPOKE_DOMAIN) -> Wallet:
        return Wallet(self.chains[domain].rpc, dev_account(role))

    def now_s(self) -> int:
        return self.rpc.block().timestamp_s

    # -- what is decided ------------------------------------------------------------------------------------------

    def transfer(self, **changes: Any) -> TransferInfo:
        """Ten units to user 1, with a nonce of its own."""
        token = self.deployment.domain(SPOKE_DOMAIN).tokens["USDC"]
        terms = {"to": user_address(1), "amount": 10 * token.unit, "nonce": next(self.nonces)} | changes
        return make_transfer(token, origin=HUB_DOMAIN, destination=SPOKE_DOMAIN, **terms)

    def execution(self, routers: int = 1, **changes: Any) -> ExecuteArgs:
        """A transfer that so many routers serve, signed by them and by a validator as sequencer."""
        accounts = [dev_account(f"router-{index}") for index in range(routers)]
        return sign_execution(self.transfer(**changes), accounts, self.quorum.validators[0].account)

    def decide(
        self,
        *executions: ExecuteArgs,
        signers: Sequence[int] = ENOUGH,
        gas_limits: Sequence[int] | None = None,
        valid_until_s: int | None = None,
        quorum: Quorum | None = None,
        **changes: Any,
    ) -> GateBatch:
        """A leaf that is the second of three, signed by the validators given."""
        terms: dict[str, Any] = {
            "chain_id": CHAIN_IDS[SPOKE_DOMAIN],
            "gate": self.gate,
            "executions": executions,
            "valid_until_s": self.now_s() + LEASE_S if valid_until_s is None else valid_until_s,
            "gas_limits": tuple(gas_limits or [GAS_LIMIT] * len(executions)),
            "position": 1,
            "leaves": 3,
        }
        return attest(quorum or self.quorum, Plan(**(terms | changes)), signers)

    # -- what comes of it -----------------------------------------------------------------------------------------

    def send(self, batch: GateBatch, *, skip_executed: bool = False, gas: int = GAS_MAX) -> Receipt:
        """Submit as a stranger; the receipt may say failure."""
        stranger = self.wallet("user-5")
        tx_hash = stranger.send(self.gate, encode_execute_batch(batch, skip_executed=skip_executed), gas=gas)
        try:
            return self.rpc.wait_receipt(tx_hash, AUTOMINE_S, poll_s=0.01)
        except DeadlineExceeded:  # anvil's automine can miss a transaction that comes right after a revert of its state
            self.rpc.request("evm_mine", [])
            return self.rpc.wait_receipt(tx_hash, poll_s=0.01)

    def submit(self, batch: GateBatch, *, skip_executed: bool = False, gas: int = GAS_MAX) -> BatchOutcome:
        """Submit as a stranger; what the gate says of it."""
        receipt = self.send(batch, skip_executed=skip_executed, gas=gas)
        assert receipt.status == 1
        outcome = parse_outcome(receipt, self.gate)
        assert outcome is not None
        return outcome

    def refusal(self, batch: GateBatch, *, skip_executed: bool = False, gas: int = GAS_MAX) -> tuple[Any, ...]:
        """(name, arguments …) of the error with which the gate refuses."""
        calldata = encode_execute_batch(batch, skip_executed=skip_executed)
        return refusal_of(self.rpc, self.gate, calldata, gas)

    def status(self, args: ExecuteArgs) -> DestinationStatus:
        return self.connext.transfer_status(compute_transfer_id(args.params))

    def balance(self, account: bytes, symbol: str = "USDC") -> int:
        token = self.deployment.domain(SPOKE_DOMAIN).tokens[symbol].address
        function = ERC20.function("balanceOf")
        return int(function.decode(self.rpc.call(token, function.encode(account)))[0])

    def create(self, name: str, *arguments: Any) -> Address:
        """One of the test contracts."""
        created = self.wallet("user-4").transact(None, load_own_artifact(ROOT, name).creation_code(*arguments))
        assert created.contract_address is not None
        return created.contract_address

    def interface(self, name: str) -> Interface:
        """Interface of a test contract."""
        return load_own_artifact(ROOT, name).interface

    def read(self, name: str, address: Address, function: str) -> Any:
        """A view function of a test contract."""
        fragment = self.interface(name).function(function)
        return fragment.decode(self.rpc.call(address, fragment.encode()))[0]


def refusal_of(rpc: Rpc, to: Address, calldata: bytes, gas: int = GAS_MAX) -> tuple[Any, ...]:
    """(name, arguments …) of the error that a call from a stranger reverts with."""
    with pytest.raises(CallReverted) as refused:
        rpc.call(to, calldata, sender=user_address(5), gas=gas)
    return (refused.value.name, *refused.value.arguments)


@contextmanager
def open_scene(folder: Path) -> Iterator[Scene]:
    """Chains from the cached deployment, a gate on each as the only relayer, validators as sequencers."""
    ports = {domain: find_free_port() for domain in CHAIN_IDS}
    chains, deployment = start_deployed(ROOT, default_params(ROUTERS), ports, folder)
    try:
        quorum = make_quorum("consensus-routing-test", POWERS)
        rpcs = {domain: chain.rpc for domain, chain in chains.items()}
        scene = Scene(chains, deployment, quorum, {})
        for domain in chains:
            scene.gates[domain] = deploy_gate(scene.wallet("owner", domain), creation_of(scene, domain))
        add_sequencers(ROOT, deployment, rpcs, [validator.account.address for validator in quorum.validators])
        hand_over_to_gate(ROOT, deployment, rpcs, scene.gates)
        yield scene
    finally:
        for chain in chains.values():
            chain.stop()


def creation_of(scene: Scene, domain: int = SPOKE_DOMAIN, **changes: Any) -> bytes:
    """Creating transaction of the scene's gate, with changes."""
    fields = {
        "connext": scene.deployment.domain(domain).connext,
        "chain_id": scene.quorum.chain_id,
        "epoch": scene.quorum.epoch,
        "members": list_members(scene.quorum.validator_set()),
        "set_time_s": scene.chains[domain].rpc.block().timestamp_s,
    }
    return encode_creation(load_own_artifact(ROOT, "ConsensusGate"), **(fields | changes))


@contextmanager
def untouched(scene: Scene) -> Iterator[Scene]:
    """Whatever happens inside is undone on both chains."""
    marks = {domain: chain.rpc.request("evm_snapshot", []) for domain, chain in scene.chains.items()}
    yield scene
    for domain, mark in marks.items():
        assert scene.chains[domain].rpc.request("evm_revert", [mark]) is True


def members_by_bit(quorum: Quorum) -> list[int]:
    """Power of each member as the gate numbers them."""
    return [member.power for member in list_members(quorum.validator_set())]


def gate_of(scene: Scene) -> Gate:
    """Reads of the gate under test."""
    return Gate(scene.rpc, scene.gate)
