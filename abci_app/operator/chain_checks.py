"""What must hold on a chain before a network can use it: the chain, its Connext and its gate are those described."""

from abci_app.evm.connext import Connext
from abci_app.evm.gate import Gate
from abci_app.evm.types import EvmBlock
from abci_app.machine.decisions.batches import compute_domain_separator
from abci_app.machine.genesis.build import FIRST_EPOCH
from abci_app.operator.description import NO_GATE, DescribedChain, Description
from abci_app.operator.errors import Cause, OperatorError


def require_connext(chain: DescribedChain, connext: Connext, block: EvmBlock) -> None:
    """Refuse another chain and another Connext than those described. Raises OperatorError, EvmError."""
    here = f"domain {chain.domain}"
    if (found := connext.rpc.chain_id()) != chain.chain_id:
        raise OperatorError(Cause.CHAIN_MISMATCH, f"{here}: the endpoint serves chain {found}, not {chain.chain_id}")
    if (domain := connext.domain(block.number)) != chain.domain:
        raise OperatorError(Cause.DOMAIN_MISMATCH, f"{here}: Connext's domain is {domain}")


def require_described_gate(chain: DescribedChain) -> None:
    """Refuse a chain that is described without a gate. Raises OperatorError."""
    if chain.gate == NO_GATE:
        reason = f"domain {chain.domain}: gate: missing, routerd gate deploy makes one"
        raise OperatorError(Cause.DESCRIPTION_INVALID, reason)


def require_gate(
    chain_id: str, described: Description, chain: DescribedChain, connext: Connext, block: EvmBlock
) -> None:
    """Refuse a gate of another network, Connext or validator set. Raises OperatorError, EvmError."""
    here, tag = f"domain {chain.domain}", block.number
    require_described_gate(chain)
    gate = Gate(connext.rpc, chain.gate)
    if (served := gate.connext(tag)) != chain.connext:
        raise OperatorError(Cause.GATE_MISMATCH, f"{here}: the gate serves another Connext, 0x{served.hex()}")
    if gate.domain_separator(tag) != compute_domain_separator(chain_id):
        raise OperatorError(Cause.GATE_MISMATCH, f"{here}: the gate's salt is not that of network {chain_id!r}")
    installed = gate.validator_set(tag)
    if installed.epoch != FIRST_EPOCH:
        raise OperatorError(Cause.GATE_MISMATCH, f"{here}: the gate is at epoch {installed.epoch}, not {FIRST_EPOCH}")
    members = sorted((bytes(each.attestation), each.power) for each in described.validators)
    if [(bytes(member.address), member.power) for member in installed.members] != members:
        raise OperatorError(Cause.GATE_MISMATCH, f"{here}: the gate's validators or powers are others")
