"""Vote extensions: pending batch signatures and segment digests of this validator (EXT-4).

Made of committed state, the own observation and the request only; what cannot be verified is left out. Never fails.
"""

import time
from collections.abc import Callable, Sequence

from abci_app.machine.block_parts import BlockParts, split_block
from abci_app.machine.codes import Rejected
from abci_app.machine.commit import process_commit
from abci_app.machine.decisions.batches import list_owed
from abci_app.machine.observation.extension import DomainReport, SignedBatch, decode_commit, encode_extension
from abci_app.machine.params import EXTENSION_BYTES_MAX, EXTENSION_SEGMENTS_MAX, EXTENSION_SIGNATURES_MAX
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address, DomainId, Hash
from abci_app.machine.state.records import ChainState, DomainStatus, Reports, ValidatorSet
from abci_app.machine.state.view import StateDelta, StateView
from abci_app.node.consensus.segment_proposal import follow, list_positions, rotate_domains
from abci_app.node.signer import Signer
from abci_app.observer.snapshot import Observation, ObservedSegment

BUDGET_S = 0.1
"""A third of the shortest precommit timeout in use; what does not fit goes into the next vote."""


def extend(
    view: StateView,
    height: int,
    txs: Sequence[bytes],
    observation: Observation,
    signer: Signer,
    clock: Callable[[], float] = time.monotonic,
) -> bytes:
    """Return this validator's extension at ``height`` for the block ``txs``; b"" where there is nothing to report."""
    deadline = clock() + BUDGET_S
    parts = split_block(txs)
    state = record_commit(StateDelta(view), parts)
    member = find_member(state, signer.address)
    if member is None:
        return b""
    signatures = sign_owed(state, signer, lambda: clock() > deadline)
    reports: dict[DomainId, DomainReport] = {}
    positions = list_positions(state, parts.segments)
    for domain in rotate_domains(state, height):
        observed = observation.domains.get(domain.domain)
        if observed is None or domain.status is DomainStatus.HALTED or clock() > deadline:
            continue
        position = positions[domain.domain]
        near = [each for each in observed.segments if each.number <= position.number + EXTENSION_SEGMENTS_MAX]
        report = choose_report(state, domain.domain, follow(position, near), member)
        if report is None:
            continue
        extended = {**reports, domain.domain: report}
        if len(encode(signatures, extended)) <= EXTENSION_BYTES_MAX:
            reports = extended
    return encode(signatures, reports)


def record_commit(state: StateDelta, parts: BlockParts) -> StateDelta:
    """Return the state with the block's own injected commit counted, so that nothing is sent twice.

    A commit that does not count (the block need not have been processed here) is passed over.
    """
    if parts.commit is None:
        return state
    scratch = state.fork()
    try:
        process_commit(Scope.open_next(scratch), decode_commit(parts.commit))
    except Rejected:
        return state
    return scratch


def find_member(state: StateDelta, attestation: Address) -> int | None:
    """Return this validator's index in the executing set; None where it is not a member."""
    chain = state.must(keys.CHAIN, ChainState)
    members = state.must(keys.epoch(chain.epoch_executing), ValidatorSet).members
    indexes = (index for index, member in enumerate(members) if member.attestation == attestation)
    return next(indexes, None)


def sign_owed(state: StateDelta, signer: Signer, is_late: Callable[[], bool]) -> tuple[SignedBatch, ...]:
    """Return this validator's missing signatures over committed batches, oldest first, by (height, epoch)."""
    signed: list[SignedBatch] = []
    for height, epoch, digest in list_owed(state, signer.address)[:EXTENSION_SIGNATURES_MAX]:
        if is_late():
            break
        signed.append(SignedBatch(height, epoch, signer.sign_batch(digest)))
    return tuple(sorted(signed, key=lambda each: (each.height, each.epoch)))


def choose_report(
    state: StateDelta, domain_id: DomainId, segments: Sequence[ObservedSegment], member: int
) -> DomainReport | None:
    """Return the digests to report: from the first that differs from the record of ``member`` on; None for none."""
    for index, segment in enumerate(segments):
        if recorded_digest(state, domain_id, segment.number, member) != segment.digest:
            rest = segments[index:]
            return DomainReport(domain_id, rest[0].number, tuple(each.digest for each in rest))
    return None


def recorded_digest(state: StateDelta, domain_id: DomainId, number: int, member: int) -> Hash | None:
    """Return the digest of a segment that is on record for a member."""
    record = state.read(keys.reports(domain_id, number), Reports)
    reports = record.reports if record is not None else ()
    return next((report.digest for report in reports if report.members >> member & 1), None)


def encode(signatures: tuple[SignedBatch, ...], reports: dict[DomainId, DomainReport]) -> bytes:
    """Return the extension's canonical bytes."""
    return encode_extension(signatures, tuple(reports[domain_id] for domain_id in sorted(reports)))
