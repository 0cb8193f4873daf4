"""Tallies of batch signatures: a batch is attested by more than two thirds of its epoch's power (EXT-3, BAT-5)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from abci_app.machine.block_events import EventKind
from abci_app.machine.codes import Rejected
from abci_app.machine.connext import recover_address
from abci_app.machine.decisions.batches import compute_digest
from abci_app.machine.observation.extension import SignedBatch
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Hash
from abci_app.machine.state.records import BatchSignature, ChainState, DecisionBatch, Member, ValidatorSet


def count_signatures(scope: Scope, extensions: Sequence[tuple[Member, tuple[SignedBatch, ...]]]) -> None:
    """Record batch signatures, the first valid one per member (BAT-5)."""
    by_height: dict[int, list[tuple[Member, SignedBatch]]] = {}
    for voter, signatures in extensions:
        for signed in signatures:
            by_height.setdefault(signed.height, []).append((voter, signed))
    chain_id = scope.delta.must(keys.CHAIN, ChainState).chain_id
    for height in sorted(by_height):
        batch = scope.delta.read(keys.batch(height), DecisionBatch)
        if batch is None or batch.attested_height:
            continue
        members = scope.delta.must(keys.epoch(batch.epoch), ValidatorSet).members
        places = {member.consensus_key: index for index, member in enumerate(members)}
        digest = compute_digest(chain_id, batch)
        known = {signature.member: signature for signature in batch.signatures}
        for voter, signed in by_height[height]:
            place = places.get(voter.consensus_key)
            if place is not None and place not in known and signed.epoch == batch.epoch and is_signed_by(
                members[place], digest, signed
            ):
                known[place] = BatchSignature(place, signed.signature)
        if len(known) > len(batch.signatures):
            put_signatures(scope, batch, known)


def is_signed_by(member: Member, digest: Hash, signed: SignedBatch) -> bool:
    """Tell whether the signature is the member's; a wrong one counts as none (EXT-3)."""
    try:
        return recover_address(digest, signed.signature) == member.attestation
    except Rejected:
        return False


def put_signatures(scope: Scope, batch: DecisionBatch, signatures: Mapping[int, BatchSignature]) -> None:
    """Store a batch's signatures by member; it is attested once their power exceeds two thirds (BAT-5)."""
    members = scope.delta.must(keys.epoch(batch.epoch), ValidatorSet).members
    signed = sum(members[member].power for member in sorted(signatures))
    quorum = 3 * signed > 2 * sum(member.power for member in members)
    ordered = tuple(signatures[member] for member in sorted(signatures))
    height = scope.height if quorum else 0
    scope.delta.write(keys.batch(batch.height), replace(batch, signatures=ordered, attested_height=height))
    if quorum:
        scope.delta.delete(keys.unattested(batch.height))
        scope.emit(EventKind.ATTESTED, height=batch.height, epoch=batch.epoch, signatures=len(ordered))
