"""Check of a deployed gate: code, constructor arguments, and the calls that Connext's owner still has to make."""

from dataclasses import dataclass

from abci_app.evm.artifacts.deploy import load_shipped_artifact, matches_deployed_code
from abci_app.evm.connext import Connext, encode_admin
from abci_app.evm.errors import EvmError
from abci_app.evm.gate import Gate
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import Address, EvmBlock
from abci_app.operator.chain_checks import require_connext, require_described_gate, require_gate
from abci_app.operator.description import DescribedChain, Description
from abci_app.operator.errors import Cause, OperatorError

GATE_CONTRACT = "ConsensusGate"


@dataclass(frozen=True, slots=True)
class AdminCall:
    """One call of Connext that its owner, or an account with its Admin role, must make."""

    function: str
    account: Address
    calldata: bytes
    is_done: bool
    """Whether Connext has it already."""


@dataclass(frozen=True, slots=True)
class CheckedGate:
    """A gate that is the described one, and what Connext says of it at one block."""

    chain: DescribedChain
    block: int
    owner: Address
    """Of Connext."""
    epoch: int
    expires_at_s: int
    """Until when the first validator set counts, in Unix seconds."""
    admin_calls: tuple[AdminCall, ...]

    @property
    def is_ready(self) -> bool:
        """Whether no call is left to make."""
        return all(call.is_done for call in self.admin_calls)


def check_gate(
    chain_id: str, described: Description, chain: DescribedChain, rpc: Rpc, block: EvmBlock | None = None
) -> CheckedGate:
    """Return what the described gate amounts to, at the last block or at ``block``. Raises OperatorError."""
    here = f"domain {chain.domain}"
    connext = Connext(rpc, chain.connext)
    try:
        at = rpc.block("latest") if block is None else block
        require_chain_with_code(chain, connext, at)
        require_described_gate(chain)
        _require_code(here, rpc.code(chain.gate, at.number))
        require_gate(chain_id, described, chain, connext, at)
        installed = Gate(rpc, chain.gate).validator_set(at.number)
        if installed.expires_at_s <= at.timestamp_s:
            raise OperatorError(Cause.GATE_MISMATCH, f"{here}: the gate's validator set is out of date")
        return CheckedGate(
            chain, at.number, connext.owner(at.number), installed.epoch, installed.expires_at_s,
            _list_admin_calls(described, chain, connext, at),
        )
    except EvmError as error:
        raise OperatorError(Cause.CHAIN_UNREADABLE, f"{here}: {error}") from error


def require_approvals(checked: CheckedGate) -> None:
    """Refuse a gate whose calls Connext does not take, or not for all validators. Raises OperatorError."""
    missing = [call for call in checked.admin_calls if not call.is_done]
    if missing:
        reason = (
            f"domain {checked.chain.domain}: {len(missing)} of {len(checked.admin_calls)} calls of Connext's owner are "
            f"to be made, first {missing[0].function}(0x{missing[0].account.hex()})"
        )
        raise OperatorError(Cause.APPROVAL_MISSING, reason)


def require_chain_with_code(chain: DescribedChain, connext: Connext, block: EvmBlock) -> None:
    """Refuse another chain, and a Connext that is not there. Raises OperatorError, EvmError."""
    here = f"domain {chain.domain}"
    if (found := connext.rpc.chain_id()) != chain.chain_id:
        raise OperatorError(Cause.CHAIN_MISMATCH, f"{here}: the endpoint serves chain {found}, not {chain.chain_id}")
    if not connext.rpc.code(chain.connext, block.number):
        raise OperatorError(Cause.CODE_MISSING, f"{here}: there is no contract at connext, 0x{chain.connext.hex()}")
    require_connext(chain, connext, block)


def _require_code(here: str, code: bytes) -> None:
    if not code:
        raise OperatorError(Cause.CODE_MISSING, f"{here}: there is no contract at the gate's address")
    if not matches_deployed_code(load_shipped_artifact(GATE_CONTRACT), code):
        raise OperatorError(Cause.CODE_DIFFERS, f"{here}: the gate's code is not that of this version")


def _list_admin_calls(
    described: Description, chain: DescribedChain, connext: Connext, block: EvmBlock
) -> tuple[AdminCall, ...]:
    """List the approvals that a gate needs: itself as relayer, every validator as sequencer."""
    gate = Address(chain.gate)
    calls = [AdminCall(
        "addRelayer", gate, encode_admin("addRelayer", gate), connext.is_relayer_approved(gate, block.number)
    )]
    for validator in described.validators:
        account = Address(validator.attestation)
        done = connext.is_sequencer_approved(account, block.number)
        calls.append(AdminCall("addSequencer", account, encode_admin("addSequencer", account), done))
    return tuple(calls)
