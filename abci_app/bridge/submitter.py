"""Submission: record, simulate, sign and send one leaf's transaction, once.

A revert that means "somebody else was faster" is success. One that means "not with this payload" has a name; any
other revert means "not now": it is said in the log, and is tried again with growing pauses until the lease is over.
"""

import logging
from dataclasses import dataclass
from enum import Enum

from abci_app.bridge.chain import Chain
from abci_app.bridge.journal import Journal, SignedVariant
from abci_app.bridge.leaves import GateTarget, LeafKey
from abci_app.bridge.plan import BatchSubmission
from abci_app.evm.account import Account, Transaction
from abci_app.evm.errors import CallReverted, NonceUsed, RpcRefused
from abci_app.evm.types import Address, Fees

log = logging.getLogger(__name__)

PAYLOAD_REVERTS = frozenset({
    "LaneNotOpen", "LaneFloorNotZero", "NoEntries", "PathBitsSurplus", "EpochMismatch", "SignerUnknown",
    "SignaturesLength", "SignatureHighS", "SignatureInvalid", "QuorumMissing",
})
"""Errors of the gate that say the leaf, its proof or its signatures are not what a quorum of its set signed."""

BENIGN_REVERTS = frozenset({"BridgeFacet__execute_badFastLiquidityStatus", "BridgeFacet__execute_notReconciled"})
"""Errors of Connext for one transfer that was executed, or brought by the message layer, in the meantime: not ours any
more, or not yet. Its status at the next look says which."""


class SubmitOutcome(Enum):
    """Outcome of a submission."""

    SENT = "sent"
    """Its transaction is open."""
    WAIT = "wait"
    """Not now; ``reason`` says why."""
    REFUSED = "refused"
    """The gate does not take this payload."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """Result of one submission."""

    step: SubmitOutcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose nonces on which chain."""

    account: Account
    place: GateTarget

    @property
    def address(self) -> Address:
        return self.account.address


class Submitter:
    """Submits leaves on one chain. Used by one thread."""

    def __init__(self, chain: Chain, journal: Journal, sender: Sender, *, is_dry: bool = False) -> None:
        self._chain, self._journal, self._sender, self._is_dry = chain, journal, sender, is_dry
        self.handed: set[bytes] = set()
        """Hashes that this process has handed over; after a start nothing counts as handed over."""

    def submit(self, submission: BatchSubmission, nonce: int, fees: Fees, head_number: int) -> Submitted:
        """Take one submission through all steps. Raises EvmError where the chain does not answer."""
        self._journal.record(submission.key)
        refusal = self._simulate(submission)
        if refusal is not None:
            return refusal
        if self._is_dry:
            log.info("would-send", extra={**_ids(self._sender.place, submission), "gas": submission.gas})
            self._journal.settle(submission.key, "dry run")
            return Submitted(SubmitOutcome.SENT)
        variant = self._sign(submission, nonce, fees, head_number)
        self._journal.sign(variant)
        if self.hand_over(variant) is None:
            fields = {"tx": variant.hash, "nonce": nonce, "gas": submission.gas, "max_fee_wei": fees.max_fee_wei}
            log.info("sent", extra={**_ids(self._sender.place, submission), **fields})
        return Submitted(SubmitOutcome.SENT)

    def _simulate(self, submission: BatchSubmission) -> Submitted | None:
        """Return None where the gate takes the batch and Connext at least one of its transfers."""
        try:
            self._chain.simulate_batch(self._sender.address, submission.calldata, submission.gas)
        except CallReverted as reverted:
            is_payload = reverted.name in PAYLOAD_REVERTS
            return Submitted(SubmitOutcome.REFUSED if is_payload else SubmitOutcome.WAIT, f"executeBatch {reverted}")
        except RpcRefused as refused:  # of this call, not of the chain: other leaves go on
            return Submitted(SubmitOutcome.WAIT, f"executeBatch not simulated: {refused}")
        reasons = []
        for entry in submission.executable:
            try:
                self._chain.simulate_entry(entry.entry.args, entry.entry.gas_limit)
                return None
            except CallReverted as reverted:
                if reverted.name not in BENIGN_REVERTS:
                    reasons.append(f"transfer 0x{entry.transfer_id.hex()} {reverted}")
            except RpcRefused as refused:
                reasons.append(f"transfer 0x{entry.transfer_id.hex()} not simulated: {refused}")
        return Submitted(SubmitOutcome.WAIT, "; ".join(reasons[:3]) or "executed by somebody else just now")

    def _sign(self, submission: BatchSubmission, nonce: int, fees: Fees, head_number: int) -> SignedVariant:
        return sign_variant(
            self._sender, nonce=nonce, recipient=self._sender.place.gate, calldata=submission.calldata,
            gas=submission.gas, fees=fees, key=submission.key, valid_until_s=submission.valid_until_s,
            head_number=head_number,
        )

    def hand_over(self, variant: SignedVariant) -> RpcRefused | None:
        """Give a signed transaction to the endpoint; why it does not want it, None where it does.

        Raises EvmError where it does not answer: then nobody knows, and the next look finds out.
        """
        try:
            self._chain.send(variant.raw)
        except NonceUsed:
            pass  # mined in the meantime, ours or another: receipts will say
        except RpcRefused as refused:
            return refused
        self.handed.add(variant.hash)
        return None


def sign_variant(
    sender: Sender,
    *,
    nonce: int,
    recipient: Address,
    calldata: bytes,
    gas: int,
    fees: Fees,
    key: LeafKey | None,
    valid_until_s: int,
    head_number: int,
) -> SignedVariant:
    """Sign one transaction of a nonce."""
    signed = sender.account.sign_transaction(
        Transaction(sender.place.chain_id, nonce, recipient, calldata, gas, fees)
    )
    return SignedVariant(
        nonce, signed.hash, signed.raw, recipient, calldata, gas, fees, key, valid_until_s, head_number
    )


def _ids(place: GateTarget, submission: BatchSubmission) -> dict[str, object]:
    return {
        "domain": place.domain, "batch_height": submission.key.height, "leaf": submission.key.index,
        "transfer_ids": list(submission.transfer_ids),
    }
