"""`routerd gate deploy` and `check` on real chains with the real Connext: what comes out, and every refusal."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from abci_app.cli import main as cli
from abci_app.evm.account import Account
from abci_app.evm.artifacts.compile import load_own_artifact
from abci_app.evm.artifacts.deploy import load_shipped_artifact
from abci_app.evm.gate import Gate, GateMember, deploy_gate, encode_creation
from abci_app.evm.types import to_hex
from abci_app.machine.decisions.batches import compute_domain_separator
from abci_app.machine.genesis.json_form import to_json
from testnet.chains.anvil import rpc_url
from testnet.connext.deployment import dev_account
from testnet.network.genesis import describe
from tests.kit.evm.local_chains import HUB, ROOT, SPOKE, Bridge
from tests.kit.machine.small_world import CHAIN_ID, POWERS, valid_validator

VALIDATORS = [valid_validator(number) for number in range(len(POWERS))]
POOR = Account(b"\x77" * 32)
Capture = pytest.CaptureFixture[str]


@dataclass
class Operator:
    """An operator's folder: the description of the network and the deployer's key file."""

    folder: Path
    capsys: Capture
    bridge: Bridge
    description: dict[str, Any]

    def run(self, command: str, *arguments: str) -> tuple[int, str, str]:
        """Run one command of the group on the description as it is now."""
        config = self.folder / "network.json"
        config.write_text(json.dumps(self.description))
        status = cli.run(("gate", command, "--config", str(config), *arguments))
        captured = self.capsys.readouterr()
        return status, captured.out, captured.err

    def deploy(self, *more: str, domain: int = HUB, key: Path | None = None) -> tuple[int, str, str]:
        return self.run("deploy", "--domain", str(domain), "--key", str(key or self.write_key(OWNER)), *more)

    def write_key(self, account: Account) -> Path:
        path = self.folder / f"{account.address.hex()}.json"
        key = {"address": to_hex(account.address), "private_key": to_hex(account.private_key)}
        path.touch(mode=0o600)
        path.write_text(json.dumps(key))
        return path

    def chain(self, domain: int = HUB) -> dict[str, Any]:
        [found] = [chain for chain in self.description["chains"] if chain["domain"] == domain]
        return found


OWNER = dev_account("user-4")
"""Who pays: nobody whom Connext knows."""


@pytest.fixture
def operator(bridge: Bridge, tmp_path: Path, capsys: Capture) -> Operator:
    description = to_json(describe(bridge.deployment, {}, VALIDATORS)) | {"chain_id": CHAIN_ID}
    for chain in description["chains"]:
        del chain["gate"]
        chain["rpc_url"] = rpc_url(bridge.deployment.domain(chain["domain"]).rpc_port)
    return Operator(tmp_path, capsys, bridge, description)


def counts(bridge: Bridge) -> list[int]:
    """Transactions of the payer, on both chains."""
    return [rpc.transaction_count(OWNER.address) for rpc in bridge.rpcs.values()]


def test_deploy_makes_the_described_gate_and_check_follows_the_owners_calls(operator: Operator) -> None:
    bridge = operator.bridge
    for domain in (HUB, SPOKE):
        status, out, err = operator.deploy("--json", domain=domain)
        assert (status, err) == (0, "")
        printed = json.loads(out)
        operator.chain(domain)["gate"] = printed["gate"]
        gate = Gate(bridge.rpc(domain), bytes.fromhex(printed["gate"][2:]))
        assert gate.connext() == bridge.connext(domain).address
        assert gate.domain_separator() == compute_domain_separator(CHAIN_ID)
        assert sorted((m.address, m.power) for m in gate.validator_set().members) == sorted(
            (bytes(each.attestation), each.power) for each in VALIDATORS
        )
        assert printed["owner"] == to_hex(dev_account("owner").address) and printed["ready"] is False
        receipt = bridge.rpc(domain).receipt(bytes.fromhex(printed["transaction"][2:]))
        assert receipt is not None and receipt.gas_used == printed["gas_used"]

    calls = printed["admin_calls"]
    assert [(call["function"], call["account"], call["done"]) for call in calls] == [
        ("addRelayer", printed["gate"], False),
        *(("addSequencer", to_hex(each.attestation), False) for each in VALIDATORS),
    ]
    status, out, err = operator.run("check", "--domain", str(SPOKE))
    assert status == 1 and err.startswith("routerd: APPROVAL_MISSING: ") and f"0 of {len(calls)} done" in out
    assert all(call["calldata"] in out for call in calls) and f"addRelayer({printed['gate']})" in out
    for made, call in enumerate(calls, 1):  # exactly what was printed is what the owner sends
        bridge.wallet(SPOKE, "owner").transact(bytes.fromhex(call["to"][2:]), bytes.fromhex(call["calldata"][2:]))
        status, out, err = operator.run("check", "--domain", str(SPOKE), "--json")
        assert (status, err.count("APPROVAL_MISSING")) == ((0, 0) if made == len(calls) else (1, 1)), err
        [found] = json.loads(out)["gates"]
        assert sum(one["done"] for one in found["admin_calls"]) == made
        assert found["ready"] is (made == len(calls))
    assert bridge.connext(SPOKE).is_relayer_approved(gate.address)
    ready = {one["domain"]: one["ready"] for one in json.loads(operator.run("check", "--json")[1])["gates"]}
    assert ready == {HUB: False, SPOKE: True}


def test_deploy_for_people_names_the_transaction_and_the_calls(operator: Operator) -> None:
    status, out, err = operator.deploy()
    assert (status, err) == (0, "")
    assert "transaction   0x" in out and out.count("to do") == 1 + len(VALIDATORS)


def take_a_token_for_connext(operator: Operator) -> None:
    operator.chain()["connext"] = to_hex(operator.bridge.token(HUB, "USDC").address)


DEPLOY_FAULTS = {
    "another chain": (lambda one: one.chain().update(chain_id=5), "CHAIN_MISMATCH"),
    "no connext there": (lambda one: one.chain().update(connext=to_hex(POOR.address)), "CODE_MISSING"),
    "a token for connext": (take_a_token_for_connext, "CHAIN_UNREADABLE"),
    "nobody answers": (lambda one: one.chain().update(rpc_url="http://127.0.0.1:9"), "CHAIN_UNREADABLE"),
    "a gate already": (lambda one: one.chain().update(gate=to_hex(POOR.address)), "GATE_DEPLOYED"),
    "proof for another network": (lambda one: one.description.update(chain_id="another-1"), "DESCRIPTION_INVALID"),
    "no validators": (lambda one: one.description.update(validators=[]), "CREATION_REFUSED"),
    "no power": (lambda one: one.description["validators"][0].update(power=0), "CREATION_REFUSED"),
    "no such domain": (lambda one: one.chain().update(domain=3333), "DESCRIPTION_INVALID"),
}


@pytest.mark.parametrize("fault", DEPLOY_FAULTS)
def test_deploy_refuses_and_sends_nothing(operator: Operator, fault: str) -> None:
    corrupt, code = DEPLOY_FAULTS[fault]
    before = counts(operator.bridge)
    corrupt(operator)
    status, out, err = operator.deploy()
    assert (status, out, err.count("\n")) == (1, "", 1) and err.startswith(f"routerd: {code}: "), err
    assert counts(operator.bridge) == before


def test_deploy_refuses_another_domains_connext(operator: Operator) -> None:
    hub = operator.chain()
    hub["domain"], operator.description["chains"] = 3333, [hub]
    status, _, err = operator.deploy(domain=3333)
    assert status == 1 and err.startswith("routerd: DOMAIN_MISMATCH: ")


def test_deploy_refuses_an_account_that_cannot_pay(operator: Operator) -> None:
    for balance_wei in (0, 10**12):
        operator.bridge.rpc(HUB).request("anvil_setBalance", [to_hex(POOR.address), hex(balance_wei)])
        status, out, err = operator.deploy(key=operator.write_key(POOR))
        assert (status, out, err.count("\n")) == (1, "", 1) and err.startswith("routerd: FUNDS_TOO_LOW: "), err
    assert operator.bridge.rpc(HUB).transaction_count(POOR.address) == 0


def test_deploy_refuses_a_key_file_that_is_missing_open_or_wrong(operator: Operator) -> None:
    before = counts(operator.bridge)
    open_to_all, broken = operator.write_key(POOR), operator.folder / "broken.json"
    open_to_all.chmod(0o644)
    broken.touch(mode=0o600)
    broken.write_text("{")
    for key in (operator.folder / "none.json", open_to_all, broken):
        status, out, err = operator.deploy(key=key)
        assert (status, out, err.count("\n")) == (1, "", 1) and err.startswith("routerd: KEY_INVALID: "), err
    assert counts(operator.bridge) == before


def test_deploy_says_which_transaction_to_look_for_when_none_is_mined(operator: Operator) -> None:
    rpc = operator.bridge.rpc(HUB)
    rpc.request("evm_setAutomine", [False])
    try:
        status, out, err = operator.deploy("--deadline-s", "1")
    finally:
        rpc.request("evm_setAutomine", [True])
        rpc.request("anvil_dropAllTransactions", [])
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("routerd: TRANSACTION_PENDING: ") and "transaction 0x" in err


def make_gate(bridge: Bridge, **changes: Any) -> bytes:
    """Deploy a gate as the description says it, but for the changes; its set begins now, however old the state is."""
    bridge.rpc(HUB).request("evm_mine", [])
    members = sorted((GateMember(each.attestation, each.power) for each in VALIDATORS), key=lambda one: one.address)
    fields = {
        "connext": bridge.connext(HUB).address, "chain_id": CHAIN_ID, "epoch": 1, "members": members,
        "set_time_s": bridge.rpc(HUB).block("latest").timestamp_s,
    }
    return deploy_gate(
        bridge.wallet(HUB, "user-4"), encode_creation(load_own_artifact(ROOT, "ConsensusGate"), **(fields | changes))
    )


LAST = GateMember(b"\xff" * 20, 1)

CHECK_FAULTS = {
    "nothing there": (lambda bridge: POOR.address, "CODE_MISSING"),
    "a token for a gate": (lambda bridge: bridge.token(HUB, "USDC").address, "CODE_DIFFERS"),
    "another network's": (lambda bridge: make_gate(bridge, chain_id="another-1"), "GATE_MISMATCH"),
    "another connext's": (
        lambda bridge: make_gate(bridge, connext=bridge.token(HUB, "USDC").address), "GATE_MISMATCH",
    ),
    "a later epoch's": (lambda bridge: make_gate(bridge, epoch=2), "GATE_MISMATCH"),
    "other validators'": (lambda bridge: make_gate(bridge, members=[LAST]), "GATE_MISMATCH"),
}


@pytest.mark.parametrize("fault", CHECK_FAULTS)
def test_check_refuses_another_gate(operator: Operator, fault: str) -> None:
    make, code = CHECK_FAULTS[fault]
    operator.chain()["gate"] = to_hex(make(operator.bridge))
    status, out, err = operator.run("check", "--domain", str(HUB))
    assert (status, out, err.count("\n")) == (1, "", 1) and err.startswith(f"routerd: {code}: "), err


def test_check_refuses_code_that_differs_in_one_byte(operator: Operator) -> None:
    rpc, artifact = operator.bridge.rpc(HUB), load_shipped_artifact("ConsensusGate")
    gate = make_gate(operator.bridge)
    operator.chain()["gate"] = to_hex(gate)
    assert artifact.immutables is not None
    code = rpc.code(gate)
    a_zero = next(place for place, byte in enumerate(artifact.deployed_bytecode) if not byte)
    second_place_of_connext = artifact.immutables[0][1][0] + 31
    for place in (a_zero, second_place_of_connext, len(code) - 1):
        changed = code[:place] + bytes([code[place] ^ 1]) + code[place + 1 :]
        rpc.request("anvil_setCode", [to_hex(gate), to_hex(changed)])
        status, out, err = operator.run("check", "--domain", str(HUB))
        assert (status, out) == (1, "") and err.startswith("routerd: CODE_DIFFERS: "), place
    rpc.request("anvil_setCode", [to_hex(gate), to_hex(code)])
    assert "APPROVAL_MISSING" in operator.run("check", "--domain", str(HUB))[2]


def test_check_refuses_a_set_that_is_over_and_accepts_it_before(operator: Operator) -> None:
    rpc = operator.bridge.rpc(HUB)
    operator.chain()["gate"] = to_hex(make_gate(operator.bridge, set_lifetime_s=1000))
    assert "APPROVAL_MISSING" in operator.run("check", "--domain", str(HUB))[2]
    rpc.request("evm_increaseTime", [2000])
    rpc.request("evm_mine", [])
    status, _, err = operator.run("check", "--domain", str(HUB))
    assert status == 1 and err.startswith("routerd: GATE_MISMATCH: ")


def test_check_and_build_want_a_gate_in_the_description(operator: Operator) -> None:
    assert operator.run("check", "--domain", str(HUB))[2].startswith("routerd: DESCRIPTION_INVALID: ")
    config, out = operator.folder / "network.json", operator.folder / "app-state.json"
    assert cli.run(("genesis", "build", "--config", str(config), "--out", str(out))) == 1
    assert "routerd gate deploy" in operator.capsys.readouterr().err and not out.exists()


def test_check_refuses_another_chain_and_silence(operator: Operator) -> None:
    operator.chain()["gate"] = to_hex(make_gate(operator.bridge))
    operator.chain()["chain_id"] = 5
    assert operator.run("check")[2].startswith("routerd: CHAIN_MISMATCH: ")
    operator.chain()["rpc_url"] = "http://127.0.0.1:9"
    assert operator.run("check")[2].startswith("routerd: CHAIN_UNREADABLE: ")


def test_the_shipped_code_needs_no_compiler(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    status, out, err = operator.deploy("--json")
    assert (status, err) == (0, "") and operator.bridge.rpc(HUB).code(bytes.fromhex(json.loads(out)["gate"][2:]))
