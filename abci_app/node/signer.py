"""The attestation key: signs committed batches and, once a batch is attested, releases sequencer signatures.

Both are EVM signatures that hold in every round and for ever, so nothing that is not committed is ever signed.
"""

import coincurve

from abci_app.gateway.codes import AnswerCode
from abci_app.machine.connext import compute_address, compute_sequencer_digest, sign_digest
from abci_app.machine.genesis.build import compute_possession_digest
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Hash, Signature
from abci_app.machine.state.records import ChainState, Decision, DecisionBatch, DecisionKind, Domain, ValidatorSet
from abci_app.machine.state.view import StateDelta, StateView
from abci_app.node.errors import SignatureRefused

KEY_BYTES = 32


class Signer:
    """A validator's secp256k1 key. Its bytes appear in no repr and no log."""

    def __init__(self, private_key: bytes) -> None:
        """Check the private key. Raises ValueError for bytes that are none."""
        if len(private_key) != KEY_BYTES:
            raise ValueError(f"a private key has {KEY_BYTES} bytes, not {len(private_key)}")
        self._private_key = private_key
        try:
            public_key = coincurve.PrivateKey(private_key).public_key
        except ValueError as error:
            raise ValueError("the private key is out of range") from error
        self.address = compute_address(public_key.format(compressed=False))
        """Attestation address, and address of the sequencer signatures."""

    def __repr__(self) -> str:
        return f"Signer(0x{self.address.hex()})"

    def export_private_key(self) -> bytes:
        """Return the key's 32 bytes, for its file."""
        return self._private_key

    def sign_batch(self, digest: Hash) -> Signature:
        """Return the signature over the digest of a *committed* batch (BAT-4)."""
        return sign_digest(self._private_key, digest)

    def prove_possession(self, chain_id: str, consensus_key: bytes) -> Signature:
        """Return the proof of possession for genesis: the key's signature over chain and validator (GEN-2)."""
        return sign_digest(self._private_key, compute_possession_digest(chain_id, consensus_key))

    def sequencer_signature(self, view: StateView, decision: Decision) -> Signature:
        """Return Connext's sequencer signature for a committed decision that may still be executed.

        Raises SignatureRefused: NO_KEY where this key belongs to no validator of the executing set, NOT_FOUND for what
        was never decided so, ARGUMENT_INVALID for a slow decision (Connext asks for none), NOT_ATTESTED or EXPIRED
        (LSE-2).
        """
        state = StateDelta(view)
        chain = state.must(keys.CHAIN, ChainState)
        members = state.must(keys.epoch(chain.epoch_executing), ValidatorSet).members
        known = any(member.attestation == self.address for member in members)
        _require(known, AnswerCode.NO_KEY, "this node's key is no validator's")
        stored = state.read(keys.decision(decision.sequence), Decision)
        _require(stored == decision, AnswerCode.NOT_FOUND, f"decision {decision.sequence} is another one, or none")
        _require(decision.kind is DecisionKind.FAST, AnswerCode.ARGUMENT_INVALID, "a slow decision has no sequencer")
        batch = state.must(keys.batch(decision.height), DecisionBatch)
        _require(batch.attested_height > 0, AnswerCode.NOT_ATTESTED, f"batch {batch.height} has no quorum yet")
        cursor = state.must(keys.domain(decision.destination), Domain).cursor
        if cursor.timestamp_s > decision.valid_until_s:
            reason = f"valid until {decision.valid_until_s}, the chain is at {cursor.timestamp_s}"
            raise SignatureRefused(AnswerCode.EXPIRED, reason)

        return sign_digest(self._private_key, compute_sequencer_digest(decision.transfer_id, decision.routers))


def _require(condition: bool, code: AnswerCode, reason: str) -> None:
    if not condition:
        raise SignatureRefused(code, reason)
