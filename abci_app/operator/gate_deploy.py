"""Deployment of a gate: everything is checked before the one transaction that costs money, and the result after it."""

from dataclasses import dataclass, replace

from abci_app.evm.account import Account
from abci_app.evm.artifacts.deploy import load_shipped_artifact
from abci_app.evm.connext import Connext
from abci_app.evm.errors import CallReverted, DeadlineExceeded, EvmError, TransactionFailed
from abci_app.evm.gate import TRANSACTION_GAS_MAX, GateMember, encode_creation
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Fees, Receipt
from abci_app.evm.wallet import Wallet
from abci_app.machine.codes import Rejected
from abci_app.machine.connext import recover_address
from abci_app.machine.genesis.build import FIRST_EPOCH, compute_possession_digest
from abci_app.machine.state.codec import Address
from abci_app.operator.description import NO_GATE, DescribedChain, Description
from abci_app.operator.errors import Cause, OperatorError
from abci_app.operator.gate_check import GATE_CONTRACT, CheckedGate, check_gate, require_chain_with_code

MINED_S = 180.0
"""How long the transaction may take: 15 blocks of the slowest chain in use."""
GAS_MARGIN_PERCENT = 20
"""Above the estimate, since the chain goes on between the two."""


@dataclass(frozen=True, slots=True)
class DeployedGate:
    """A gate that was just made, checked in the block that made it."""

    checked: CheckedGate
    tx_hash: bytes
    gas_used: int


def deploy_gate(
    chain_id: str, described: Description, chain: DescribedChain, rpc: Rpc, deployer: Account,
    deadline_s: float = MINED_S,
) -> DeployedGate:
    """Deploy the gate of one chain for the described validators and check it. Raises OperatorError."""
    here = f"domain {chain.domain}"
    if chain.gate != NO_GATE:
        raise OperatorError(Cause.GATE_DEPLOYED, f"{here}: the description has a gate: routerd gate check checks it")
    _require_proofs(chain_id, described)
    try:
        creation = _make_creation(chain_id, described, chain, rpc)
        gas, fees = _require_funds(here, rpc, deployer, creation)
        receipt = _send(here, Wallet(rpc, deployer, chain_id=chain.chain_id, fees=fees), creation, gas, deadline_s)
        block = rpc.block(receipt.block_number)
    except EvmError as error:
        raise OperatorError(Cause.CHAIN_UNREADABLE, f"{here}: {error}") from error
    if receipt.contract_address is None:
        reason = f"{here}: transaction 0x{receipt.tx_hash.hex()} made no contract"
        raise OperatorError(Cause.TRANSACTION_FAILED, reason)
    made = replace(chain, gate=Address(receipt.contract_address))
    return DeployedGate(check_gate(chain_id, described, made, rpc, block), receipt.tx_hash, receipt.gas_used)


def _require_proofs(chain_id: str, described: Description) -> None:
    """Refuse an attestation address whose key nobody has shown to hold: its signatures would never come."""
    for index, each in enumerate(described.validators):
        where = f"validators[{index}].proof"
        try:
            signer = recover_address(compute_possession_digest(chain_id, each.consensus_key), each.proof)
        except Rejected as rejection:
            raise OperatorError(Cause.DESCRIPTION_INVALID, f"{where}: {rejection}") from rejection
        if signer != each.attestation:
            raise OperatorError(Cause.DESCRIPTION_INVALID, f"{where}: not made by attestation for {chain_id!r}")


def _make_creation(chain_id: str, described: Description, chain: DescribedChain, rpc: Rpc) -> bytes:
    """Return the creating transaction's data, for a chain and a Connext that are those described."""
    block = rpc.block("latest")
    require_chain_with_code(chain, Connext(rpc, chain.connext), block)
    members = sorted(
        (GateMember(each.attestation, each.power) for each in described.validators), key=lambda member: member.address
    )
    return encode_creation(
        load_shipped_artifact(GATE_CONTRACT), connext=chain.connext, chain_id=chain_id, epoch=FIRST_EPOCH,
        members=members, set_time_s=block.timestamp_s,
    )


def _require_funds(here: str, rpc: Rpc, deployer: Account, creation: bytes) -> tuple[int, Fees]:
    """Return the gas limit and fees of the transaction, which the deployer can pay and the constructor accepts."""
    balance_wei = rpc.balance(deployer.address)
    if balance_wei == 0:
        raise OperatorError(Cause.FUNDS_TOO_LOW, f"{here}: 0x{deployer.address.hex()} has nothing to pay gas with")
    try:
        estimate = rpc.estimate_gas(None, creation, sender=deployer.address)
    except CallReverted as reverted:
        raise OperatorError(Cause.CREATION_REFUSED, f"{here}: {reverted}") from reverted
    gas = min(TRANSACTION_GAS_MAX, estimate * (100 + GAS_MARGIN_PERCENT) // 100)
    fees = rpc.fees()
    needed_wei = gas * fees.max_fee_wei
    if balance_wei < needed_wei:
        reason = f"{here}: 0x{deployer.address.hex()} has {balance_wei} wei, the transaction may cost {needed_wei}"
        raise OperatorError(Cause.FUNDS_TOO_LOW, reason)
    return gas, fees


def _send(here: str, wallet: Wallet, creation: bytes, gas: int, deadline_s: float) -> Receipt:
    tx_hash = wallet.send(None, creation, gas=gas)
    try:
        return wallet.confirm(tx_hash, deadline_s)
    except TransactionFailed as error:
        raise OperatorError(Cause.TRANSACTION_FAILED, f"{here}: {error}") from error
    except EvmError as error:
        waited = f"after {deadline_s:g} s" if isinstance(error, DeadlineExceeded) else f"({error})"
        reason = f"{here}: transaction 0x{tx_hash.hex()} is not known to be mined {waited}: look before deploying again"
        raise OperatorError(Cause.TRANSACTION_PENDING, reason) from error
