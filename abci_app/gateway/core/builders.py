"""Conversion of state records to answers, one pure function for each kind of value."""

from collections.abc import Sequence

from abci_app.gateway.core import answers, batch_answers
from abci_app.machine.codes import Code
from abci_app.machine.decisions import batches
from abci_app.machine.state import keys, records
from abci_app.machine.state.view import StateDelta


def build_domain(state: StateDelta, domain: records.Domain, members: Sequence[records.Member]) -> answers.Domain:
    """Return a domain with the reports on record past its cursor."""
    return answers.Domain(
        domain=domain.domain, chain_id=domain.chain_id, connext=domain.connext, gate=domain.gate,
        finality_depth=domain.finality_depth, segment_blocks=domain.segment_blocks, idle_blocks=domain.idle_blocks,
        segment=domain.cursor.number, cursor_block=domain.cursor.block, cursor_index=domain.cursor.index,
        cursor_hash=domain.cursor.block_hash, cursor_timestamp_s=domain.cursor.timestamp_s,
        next_nonce=domain.next_nonce, max_routers=domain.max_routers, fee_numerator=domain.fee_numerator,
        connext_paused=domain.connext_paused, status=domain.status.name, eligible=domain.eligible,
        reports=tuple(
            build_reports(keys.parse_reports(key)[1], stored, members)
            for key, stored in state.scan(keys.domain_reports(domain.domain), records.Reports)
        ),
    )


def build_reports(number: int, stored: records.Reports, members: Sequence[records.Member]) -> answers.SegmentReports:
    """Return the reports on one segment, by digest."""
    return answers.SegmentReports(
        segment=number,
        reports=tuple(
            build_report(report.digest, [member for index, member in enumerate(members) if report.members >> index & 1])
            for report in stored.reports
        ),
    )


def build_report(digest: bytes, members: Sequence[records.Member]) -> answers.Report:
    """Return one digest with the validators that report it and their power."""
    return answers.Report(
        digest=digest, validators=tuple(member.attestation for member in members),
        power=sum(member.power for member in members),
    )


def build_lane(lane: records.Lane) -> answers.Lane:
    """Return a lane."""
    return answers.Lane(
        origin=lane.origin, destination=lane.destination, status=lane.status.name, ordered=lane.ordered,
        next_sequence=lane.next_sequence, held=lane.held,
    )


def build_asset(asset: records.Asset) -> answers.Asset:
    """Return an asset with its local tokens."""
    return answers.Asset(
        canonical_domain=asset.canonical_domain, canonical_id=asset.canonical_id,
        locals=tuple(
            answers.AssetLocal(domain=local.domain, address=local.address, decimals=local.decimals, listed=local.listed)
            for local in asset.locals
        ),
    )


def build_transfer(state: StateDelta, transfer: records.Transfer) -> answers.Transfer:
    """Return a transfer with its attempts."""
    return answers.Transfer(
        transfer_id=transfer.transfer_id, status=transfer.status.name, acceptance=transfer.acceptance,
        origin=transfer.origin, destination=transfer.destination, nonce=transfer.nonce,
        amount=transfer.amount, local=transfer.local, has_call_data=transfer.has_call_data,
        origin_tx=transfer.origin_tx, accepted_height=transfer.accepted_height,
        accepted_time_s=transfer.accepted_time_s,
        attempts=tuple(build_attempt(state, attempt) for attempt in transfer.attempts),
        executed_by=transfer.executed_by, executed_tx=transfer.executed_tx, reconciled_tx=transfer.reconciled_tx,
        finished_height=transfer.finished_height,
    )


def build_attempt(state: StateDelta, attempt: records.Attempt) -> answers.Attempt:
    """Return an attempt with how far its batch is attested."""
    decision = state.read(keys.decision(attempt.sequence), records.Decision)
    batch = state.read(keys.batch(attempt.decided_height), records.DecisionBatch)
    return answers.Attempt(
        number=attempt.number, kind=attempt.kind.name, sequence=attempt.sequence,
        lane_sequence=decision.lane_sequence if decision else 0, routers=attempt.routers, share=attempt.share,
        valid_until_s=attempt.valid_until_s, decided_height=attempt.decided_height, end=attempt.end.name,
        ended_height=attempt.ended_height, attested_height=batch.attested_height if batch else 0,
        signatures=len(batch.signatures) if batch else 0,
    )


def build_bid(bid: records.Bid) -> answers.StandingBid:
    """Return a bid without its signatures: those leave only in an execution payload."""
    return answers.StandingBid(
        router=bid.router, path_lengths=tuple(signed.path_length for signed in bid.signatures),
        withdrawn=bid.withdrawn, height=bid.height,
    )


def build_auction(auction: records.Auction, recorded: bool, reason: str) -> answers.AuctionAnswer:
    """Return an auction with every input of the rule."""
    return answers.AuctionAnswer(
        height=auction.height, transfer_id=auction.transfer_id, attempt=auction.attempt, recorded=recorded,
        amount=auction.amount, max_routers=auction.max_routers, path_length=auction.path_length,
        share=auction.share, virtual_before=auction.virtual_before, virtual_after=auction.virtual_after,
        candidates=tuple(build_candidate(candidate) for candidate in auction.candidates),
        winners=tuple(answers.Winner(router=charge.router, charge=charge.amount) for charge in auction.winners),
        reason=reason,
    )


def build_candidate(candidate: records.Candidate) -> answers.Candidate:
    """Return one bidder with every input of the auction about it."""
    return answers.Candidate(
        router=candidate.router, path_lengths=candidate.path_lengths, approved=candidate.approved,
        eligible=candidate.eligible, cool_down_until=candidate.cool_down_until, withdrawn=candidate.withdrawn,
        balance=candidate.balance, reserved=candidate.reserved, finish=candidate.finish,
        weight=candidate.weight, code=candidate.code, code_name=Code(candidate.code).name,
    )


def build_decision(decision: records.Decision) -> batch_answers.Decision:
    """Return a decision."""
    return batch_answers.Decision(
        sequence=decision.sequence, height=decision.height, origin=decision.origin, destination=decision.destination,
        lane_sequence=decision.lane_sequence, transfer_id=decision.transfer_id, attempt=decision.attempt,
        kind=decision.kind.name, routers=decision.routers, valid_until_s=decision.valid_until_s,
        gas_limit=decision.gas_limit,
    )


def build_leaf(state: StateDelta, batch: records.DecisionBatch, leaf: records.Leaf) -> batch_answers.Leaf:
    """Return a leaf with its hash, which is empty once a decision of it is pruned."""
    decisions = list_decisions(state, leaf)
    complete = len(decisions) == len(leaf.sequences)
    return batch_answers.Leaf(
        destination=leaf.destination, chain_id=leaf.chain_id, gate=leaf.gate, lane=leaf.lane,
        lane_floor=leaf.lane_floor, sequences=leaf.sequences,
        hash=batches.hash_leaf(leaf, batch.height, decisions) if complete else b"",
    )


def build_batch(state: StateDelta, batch: records.DecisionBatch, chain_id: str) -> batch_answers.Batch:
    """Return a batch with its leaves and the signatures on record."""
    return batch_answers.Batch(
        height=batch.height, epoch=batch.epoch, root=batch.root, digest=batches.compute_digest(chain_id, batch),
        leaves=tuple(build_leaf(state, batch, leaf) for leaf in batch.leaves), attested_height=batch.attested_height,
        attestations=build_attestations(state, batch),
    )


def build_attestations(state: StateDelta, batch: records.DecisionBatch) -> tuple[batch_answers.Attestation, ...]:
    """Return the signatures of a batch by attestation address, ascending: the gate's order (BAT-6)."""
    members = state.must(keys.epoch(batch.epoch), records.ValidatorSet).members
    return tuple(sorted(
        (
            batch_answers.Attestation(
                attestation=members[signed.member].attestation, power=members[signed.member].power,
                signature=signed.signature,
            )
            for signed in batch.signatures
        ),
        key=lambda attestation: attestation.attestation,
    ))


def list_decisions(state: StateDelta, leaf: records.Leaf) -> list[records.Decision]:
    """Return the decisions of a leaf that are not pruned, in its order."""
    found = (state.read(keys.decision(sequence), records.Decision) for sequence in leaf.sequences)
    return [decision for decision in found if decision is not None]
