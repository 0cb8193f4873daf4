"""Storage keys: functions in one place, zero-padded so that byte order is counting order (docs/protocol.md section 3).

A function in the plural returns the prefix under which its singular's keys lie; it must stay their prefix.
"""

from abci_app.machine.state.codec import Address, DomainId, Hash, TransferId

CHAIN = b"chain"
"""ChainState."""
PARAMS = b"params"
"""Params."""


def epoch(number: int) -> bytes:
    """ValidatorSet of an epoch."""
    return b"epoch/%010d" % number


def domain(domain_id: DomainId) -> bytes:
    """Domain by its id."""
    return b"domain/%010d" % domain_id


def domains() -> bytes:
    """Prefix of ``domain``."""
    return b"domain/"


def lane(origin: DomainId, destination: DomainId) -> bytes:
    """Lane by its domains."""
    return b"lane/%010d/%010d" % (origin, destination)


def lanes() -> bytes:
    """Prefix of ``lane``."""
    return b"lane/"


def asset(canonical_domain: DomainId, canonical_id: Hash) -> bytes:
    """Asset by its canonical domain and id."""
    return b"asset/%010d/%s" % (canonical_domain, canonical_id.hex().encode())


def assets() -> bytes:
    """Prefix of ``asset``."""
    return b"asset/"


def router(domain_id: DomainId, address: Address) -> bytes:
    """Router on one domain; absent: not approved, eligible, no faults. Written by the first rule that changes it."""
    return b"router/%010d/%s" % (domain_id, address.hex().encode())


def routers(domain_id: DomainId) -> bytes:
    """Prefix of ``router`` on one domain."""
    return b"router/%010d/" % domain_id


def liquidity(domain_id: DomainId, local: Address, address: Address) -> bytes:
    """Liquidity of a router in a local asset; absent: nothing. Written once there is something."""
    return b"liquidity/%010d/%s/%s" % (domain_id, local.hex().encode(), address.hex().encode())


def queue(domain_id: DomainId, local: Address) -> bytes:
    """Queue of one (destination, local asset); absent: 0. Written by its first assignment."""
    return b"queue/%010d/%s" % (domain_id, local.hex().encode())


def queue_tag(domain_id: DomainId, local: Address, address: Address) -> bytes:
    """QueueTag of a router in a queue; absent: finish 0, weight 1. Written when it first wins there."""
    return b"queue_tag/%010d/%s/%s" % (domain_id, local.hex().encode(), address.hex().encode())


def transfer(transfer_id: TransferId) -> bytes:
    """Transfer."""
    return b"transfer/%s" % transfer_id.hex().encode()


def transfers() -> bytes:
    """Prefix of ``transfer``."""
    return b"transfer/"


def transfer_info(transfer_id: TransferId) -> bytes:
    """TransferInfo of a transfer; absent while known by hash only."""
    return b"transfer_info/%s" % transfer_id.hex().encode()


def bid(transfer_id: TransferId, address: Address) -> bytes:
    """Bid of a router for a transfer, a withdraw without a bid included."""
    return b"bid/%s/%s" % (transfer_id.hex().encode(), address.hex().encode())


def bids(transfer_id: TransferId) -> bytes:
    """Prefix of ``bid`` for one transfer."""
    return b"bid/%s/" % transfer_id.hex().encode()


def auction(transfer_id: TransferId, attempt: int) -> bytes:
    """Auction of an attempt: why its routers won, or why nobody is feasible."""
    return b"auction/%s/%03d" % (transfer_id.hex().encode(), attempt)


def auctions(transfer_id: TransferId) -> bytes:
    """Prefix of ``auction`` for one transfer."""
    return b"auction/%s/" % transfer_id.hex().encode()


def decision(sequence: int) -> bytes:
    """Decision by global sequence."""
    return b"decision/%020d" % sequence


def decisions() -> bytes:
    """Prefix of ``decision``."""
    return b"decision/"


def batch(height: int) -> bytes:
    """DecisionBatch by height."""
    return b"batch/%020d" % height


def batches() -> bytes:
    """Prefix of ``batch``."""
    return b"batch/"


def unattested(height: int) -> bytes:
    """HeightEntry of a batch by its height: it lacks its quorum and was live at the last check (LSE-6)."""
    return b"unattested/%020d" % height


def unattested_batches() -> bytes:
    """Prefix of ``unattested``."""
    return b"unattested/"


def reports(domain_id: DomainId, number: int) -> bytes:
    """Reports for one segment, while there are any."""
    return b"reports/%010d/%020d" % (domain_id, number)


def domain_reports(domain_id: DomainId) -> bytes:
    """Prefix of ``reports`` of one domain."""
    return b"reports/%010d/" % domain_id


def open_transfer(origin: DomainId, destination: DomainId, acceptance: int) -> bytes:
    """Reference of an undecided transfer (ACCEPTED or WAITING) of a lane, in acceptance order."""
    return b"open/%010d/%010d/%020d" % (origin, destination, acceptance)


def open_transfers(origin: DomainId, destination: DomainId) -> bytes:
    """Prefix of ``open_transfer`` of one lane."""
    return b"open/%010d/%010d/" % (origin, destination)


def lease(destination: DomainId, valid_until_s: int, acceptance: int) -> bytes:
    """Reference of a transfer whose attempt has not ended, by that attempt's ``valid_until_s``."""
    return b"lease/%010d/%020d/%020d" % (destination, valid_until_s, acceptance)


def leases(destination: DomainId) -> bytes:
    """Prefix of ``lease`` for one destination."""
    return b"lease/%010d/" % destination


def slow_due(origin: DomainId, destination: DomainId, time_s: int, acceptance: int) -> bytes:
    """Reference of a RECONCILED transfer of a lane whose ``slow_next_s`` is not 0, by it."""
    return b"slow_due/%010d/%010d/%020d/%020d" % (origin, destination, time_s, acceptance)


def slow_dues(origin: DomainId, destination: DomainId) -> bytes:
    """Prefix of ``slow_due`` of one lane."""
    return b"slow_due/%010d/%010d/" % (origin, destination)


def drop(time_s: int, acceptance: int) -> bytes:
    """Reference of a SLOW or RECONCILED transfer, by ``drop_after_s``."""
    return b"drop/%020d/%020d" % (time_s, acceptance)


def drops() -> bytes:
    """Prefix of ``drop``."""
    return b"drop/"


def finished(height: int, acceptance: int) -> bytes:
    """Reference of a COMPLETED transfer, by ``finished_height``."""
    return b"finished/%020d/%020d" % (height, acceptance)


def finished_transfers() -> bytes:
    """Prefix of ``finished``."""
    return b"finished/"


def stub(transfer_id: TransferId) -> bytes:
    """Stub of a transfer that is not accepted yet."""
    return b"stub/%s" % transfer_id.hex().encode()


def stub_expiry(time_s: int, transfer_id: TransferId) -> bytes:
    """HeightEntry of a stub by ``expires_s``; the height is that of the stub's last event."""
    return b"stub_expiry/%020d/%s" % (time_s, transfer_id.hex().encode())


def stub_expiries() -> bytes:
    """Prefix of ``stub_expiry``."""
    return b"stub_expiry/"


def tombstone(transfer_id: TransferId) -> bytes:
    """Tombstone of a transfer that had a decision and is gone."""
    return b"tombstone/%s" % transfer_id.hex().encode()
