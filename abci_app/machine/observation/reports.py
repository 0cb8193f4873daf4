"""Tallies of segment reports; segments a block may carry (REP, SEG-4).

PrepareProposal, ProcessProposal and FinalizeBlock call the same functions over state and the block's own commit.
"""

from collections.abc import Sequence

from abci_app.machine.block_events import Alarm
from abci_app.machine.codes import Code, Rejected, require
from abci_app.machine.observation.extension import DomainReport
from abci_app.machine.observation.segments import ChainedSegment, chain_segments
from abci_app.machine.params import EXTENSION_SEGMENTS_MAX
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.codec import DomainId, Hash
from abci_app.machine.state.records import (
    ChainState,
    Domain,
    DomainStatus,
    Member,
    Report,
    Reports,
    ValidatorSet,
)
from abci_app.machine.state.view import StateDelta, StateReader

Tally = dict[int, dict[Hash, int]]
"""Segment number → digest → bitmap of the executing set's members that report it."""


# --- the tally -------------------------------------------------------------------------------------------------------


def count_reports(scope: Scope, extensions: Sequence[tuple[Member, tuple[DomainReport, ...]]]) -> None:
    """Record reports by domain for members of the executing set (REP-1)."""
    members = get_executing_members(scope.delta)
    places = {member.consensus_key: index for index, member in enumerate(members)}
    by_domain: dict[DomainId, list[tuple[int, DomainReport]]] = {}
    for voter, reports in extensions:
        place = places.get(voter.consensus_key)
        if place is None:
            continue
        for report in reports:
            by_domain.setdefault(report.domain, []).append((place, report))
    for domain_id in sorted(by_domain):
        domain = scope.delta.read(keys.domain(domain_id), Domain)
        if domain is not None and domain.status is not DomainStatus.HALTED:
            before = read_tally(scope.delta, domain)
            after = {number: dict(digests) for number, digests in before.items()}
            for place, report in by_domain[domain_id]:
                record_report(after, place, report)
            put_tally(scope, domain, before, after)
            alarm_if_quorum_unreachable(scope, domain, members, before, after)


def record_report(tally: Tally, place: int, report: DomainReport) -> None:
    """Add one member's report to ``tally``: a changed digest deletes what it reported for later segments (REP-1)."""
    bit = 1 << place
    for number, digest in enumerate(report.digests, start=report.first):
        if number not in tally:
            continue
        held = [known for known, members in sorted(tally[number].items()) if members & bit]
        if held and held != [digest]:
            for later in range(number, max(tally) + 1):
                tally[later] = {known: members & ~bit for known, members in sorted(tally[later].items())}
        tally[number][digest] = tally[number].get(digest, 0) | bit


def read_tally(state: StateReader, domain: Domain) -> Tally:
    """Return the recorded reports for segments c + 1 … c + 4 of a domain, where c is its cursor's."""
    tally: Tally = {}
    for number in range(domain.cursor.number + 1, domain.cursor.number + EXTENSION_SEGMENTS_MAX + 1):
        record = state.read(keys.reports(domain.domain, number), Reports)
        tally[number] = {report.digest: report.members for report in record.reports} if record else {}
    return tally


def put_tally(scope: Scope, domain: Domain, before: Tally, after: Tally) -> None:
    """Store the changed tallies of a domain."""
    for number in sorted(after):
        if after[number] == before[number]:
            continue
        kept = tuple(Report(digest, members) for digest, members in sorted(after[number].items()) if members)
        if kept:
            scope.delta.write(keys.reports(domain.domain, number), Reports(kept))
        else:
            scope.delta.delete(keys.reports(domain.domain, number))


def move_reports(delta: StateDelta, before: int, after: int) -> None:
    """Rewrite the reports of all domains from the order of one epoch's set to that of another (REP-1).

    Members are found by their consensus keys; reports of those that leave are deleted.
    """
    places = get_places(delta, after)
    moves = [(place, places[key]) for key, place in get_places(delta, before).items() if key in places]
    for _, domain in delta.scan(keys.domains(), Domain):
        for key, record in [*delta.scan(keys.domain_reports(domain.domain), Reports)]:
            moved = tuple(
                Report(report.digest, sum(1 << to for place, to in moves if report.members >> place & 1))
                for report in record.reports
            )
            kept = tuple(report for report in moved if report.members)
            if kept:
                delta.write(key, Reports(kept))
            else:
                delta.delete(key)


def get_places(state: StateReader, epoch: int) -> dict[bytes, int]:
    """Return the members' places in an epoch's set, by consensus key."""
    members = state.must(keys.epoch(epoch), ValidatorSet).members
    return {member.consensus_key: place for place, member in enumerate(members)}


def alarm_if_quorum_unreachable(
    scope: Scope, domain: Domain, members: Sequence[Member], before: Tally, after: Tally
) -> None:
    """Raise an alarm when a segment's reports change and no digest can still exceed two thirds (REP-3)."""
    total = compute_power(members, -1)
    for number in sorted(after):
        if after[number] == before[number] or not after[number]:
            continue
        powers = [compute_power(members, bits) for _, bits in sorted(after[number].items())]
        if 3 * (total - sum(powers) + max(powers)) <= 2 * total:
            scope.alarm(Alarm.QUORUM_UNREACHABLE, domain=domain.domain, segment=number)


# --- agreement ------------------------------------------------------------------------------------------------------


def compute_agreed(state: StateReader, domain_id: DomainId) -> dict[int, Hash]:
    """Return the agreed digest by number, for agreed segments past the domain's cursor (REP-2).

    ``state``: after the block's injected commit was counted. Nothing is agreed on a halted or unknown domain.
    """
    domain = state.read(keys.domain(domain_id), Domain)
    if domain is None or domain.status is DomainStatus.HALTED:
        return {}
    return compute_agreement(get_executing_members(state), read_tally(state, domain))


def compute_agreement(members: Sequence[Member], tally: Tally) -> dict[int, Hash]:
    """Return the digest of each segment number reported by > 2/3 of the power, counting gapless reporters only."""
    total = compute_power(members, -1)
    agreed: dict[int, Hash] = {}
    gapless = -1
    for number in sorted(tally):
        reporters = 0
        for digest, bits in sorted(tally[number].items()):
            reporters |= bits
            if 3 * compute_power(members, bits & gapless) > 2 * total:
                agreed[number] = digest
        gapless &= reporters
    return agreed


def compute_power(members: Sequence[Member], bits: int) -> int:
    """Return the power of the members whose bits are set; -1 sets them all."""
    return sum(member.power for index, member in enumerate(members) if bits >> index & 1)


def get_executing_members(state: StateReader) -> tuple[Member, ...]:
    """Return the members of the set that executes the block, V(H)."""
    chain = state.must(keys.CHAIN, ChainState)
    return state.must(keys.epoch(chain.epoch_executing), ValidatorSet).members


# --- a block's segments ---------------------------------------------------------------------------------------------


def check_segments(scope: Scope, raws: Sequence[bytes]) -> None:
    """Refuse a block's segments (canonical bytes, in block order) unless all fit and are agreed (SEG-3, REP-4).

    ``scope``: after the block's injected commit was counted. ``Rejected`` with SEGMENTS_TOO_LARGE or a SEGMENT_* code.
    """
    list_agreed_segments(scope, raws)


def list_agreed_segments(scope: Scope, raws: Sequence[bytes]) -> tuple[ChainedSegment, ...]:
    """Return the block's segments decoded and chained; ``Rejected`` like ``check_segments``.

    The last one of each domain must be agreed; the running digest binds those before it.
    """
    limit = scope.params.segments_bytes
    if sum(map(len, raws)) > limit:
        raise Rejected(Code.SEGMENTS_TOO_LARGE, f"{sum(map(len, raws))} bytes, at most {limit}")
    domains = {domain.domain: domain for _, domain in scope.delta.scan(keys.domains(), Domain)}
    chained = chain_segments(domains, raws)
    last = {each.segment.domain: each.after for each in chained}
    for domain_id in sorted(last):
        agreed = require(
            compute_agreed(scope.delta, domain_id).get(last[domain_id].number), Code.SEGMENT_NOT_AGREED,
            f"number {last[domain_id].number} of domain {domain_id}",
        )
        if agreed != last[domain_id].digest:
            raise Rejected(Code.SEGMENT_DIGEST_MISMATCH, f"number {last[domain_id].number} of domain {domain_id}")
    return chained
