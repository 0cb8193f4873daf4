"""Execution payload of one leaf, with which a relayer calls the gate; given for attested leaves only.

Refusals: NOT_FOUND, NOT_ATTESTED, EXPIRED (nothing in the leaf can execute any more), NO_KEY (no attestation key here).
"""

from collections.abc import Callable

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core import batch_answers, builders
from abci_app.gateway.core.reads import Committed, QueryError
from abci_app.machine.connext import encode_transfer_info
from abci_app.machine.decisions import batches
from abci_app.machine.state import keys, records
from abci_app.machine.state.codec import Address
from abci_app.machine.state.view import StateDelta

SequencerSignature = Callable[[records.Decision], tuple[bytes, bytes] | None]
"""Decision → (sequencer address, 65-byte signature), None without a key."""


def find_batch(state: StateDelta, height: int) -> records.DecisionBatch:
    """Return the batch decided at ``height``. Raises QueryError(NOT_FOUND)."""
    batch = state.read(keys.batch(height), records.DecisionBatch)
    if batch is None:
        raise QueryError(AnswerCode.NOT_FOUND, f"no batch was decided at height {height}")
    return batch


def build_execution(
    committed: Committed, state: StateDelta, height: int, leaf_index: int, sign: SequencerSignature
) -> batch_answers.ExecutionAnswer:
    """Return one leaf with its proof, attestations, router signatures and this node's sequencer signatures."""
    batch = find_batch(state, height)
    if leaf_index >= len(batch.leaves):
        raise QueryError(AnswerCode.NOT_FOUND, f"batch {height} has {len(batch.leaves)} leaves")
    if not batch.attested_height:
        reason = f"batch {height} has {len(batch.signatures)} signatures, no quorum yet"
        raise QueryError(AnswerCode.NOT_ATTESTED, reason)
    leaf = batch.leaves[leaf_index]
    by_sequence = map_decisions(state, batch)
    decisions = [by_sequence[sequence] for sequence in leaf.sequences]
    domain = state.must(keys.domain(leaf.destination), records.Domain)
    if all(decision.valid_until_s < domain.cursor.timestamp_s for decision in decisions):
        raise QueryError(AnswerCode.EXPIRED, "every decision of this leaf is past its lease")
    siblings, path_bits = batches.prove_leaf(batch, by_sequence, leaf_index)
    members = state.must(keys.epoch(batch.epoch), records.ValidatorSet).members
    return batch_answers.ExecutionAnswer(
        height=committed.height, batch_height=batch.height, epoch=batch.epoch, root=batch.root,
        leaf=builders.build_leaf(state, batch, leaf), proof=tuple(siblings), path_bits=path_bits,
        attestations=builders.build_attestations(state, batch), total_power=sum(member.power for member in members),
        entries=tuple(
            build_entry(state, decision, sign if decision.valid_until_s >= domain.cursor.timestamp_s else None)
            for decision in decisions
        ),
    )


def map_decisions(state: StateDelta, batch: records.DecisionBatch) -> dict[int, records.Decision]:
    """Return all decisions of a batch by sequence. Raises QueryError(EXPIRED) where one is pruned."""
    found = {decision.sequence: decision for leaf in batch.leaves for decision in builders.list_decisions(state, leaf)}
    if len(found) < sum(len(leaf.sequences) for leaf in batch.leaves):
        raise QueryError(AnswerCode.EXPIRED, "decisions of this batch are pruned")
    return found


def build_entry(
    state: StateDelta, decision: records.Decision, sign: SequencerSignature | None
) -> batch_answers.ExecutionEntry:
    """Return one decision with its terms and signatures; one past its lease (``sign`` None) gets no sequencer's."""
    info = state.read(keys.transfer_info(decision.transfer_id), records.TransferInfo)
    if info is None:
        raise QueryError(AnswerCode.EXPIRED, f"transfer 0x{decision.transfer_id.hex()} is pruned")
    terms = encode_transfer_info(info)
    if decision.kind is records.DecisionKind.SLOW:
        return batch_answers.ExecutionEntry(builders.build_decision(decision), terms)
    signatures = tuple(find_signature(state, decision, router) for router in decision.routers)
    signed = (b"", b"") if sign is None else sign(decision)
    if signed is None:
        raise QueryError(AnswerCode.NO_KEY, "this node has no attestation key to sign as sequencer")
    return batch_answers.ExecutionEntry(builders.build_decision(decision), terms, signatures, *signed)


def find_signature(state: StateDelta, decision: records.Decision, router: bytes) -> bytes:
    """Return the router's own signature for the decided path length."""
    bid = state.read(keys.bid(decision.transfer_id, Address(router)), records.Bid)
    for signed in bid.signatures if bid else ():
        if signed.path_length == len(decision.routers):
            return signed.signature
    raise QueryError(AnswerCode.NOT_FOUND, f"no signature of 0x{router.hex()} for {len(decision.routers)} routers")
