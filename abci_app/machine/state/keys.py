"""Storage keys: functions in one place, zero-padded so that byte order is counting order (docs/protocol.md section 3).

A function in the plural returns the prefix under which its singular's keys lie; it must stay their prefix. Where rules
or queries need what a key says, ``parse_`` and its name returns the arguments again; nothing else takes a key apart.
"""

from collections.abc import Iterator

from abci_app.machine.codes import unreachable
from abci_app.machine.state.codec import Address, DomainId, Hash, TransferId

CHAIN = b"chain"
"""ChainState."""
PARAMS = b"params"
"""Params."""

DIGITS = 20  # of all numbers but domain ids, epochs and attempts
NUMBER_MAX = 10**DIGITS - 1


def epoch(number: int) -> bytes:
    """Return the key of the ValidatorSet of an epoch."""
    return b"epoch/%010d" % number


def domain(domain_id: DomainId) -> bytes:
    """Return the key of the Domain by its id."""
    return b"domain/%010d" % domain_id


def domains() -> bytes:
    """Return the prefix of ``domain``."""
    return b"domain/"


def lane(origin: DomainId, destination: DomainId) -> bytes:
    """Return the key of the Lane by its domains."""
    return b"lane/%010d/%010d" % (origin, destination)


def lanes() -> bytes:
    """Return the prefix of ``lane``."""
    return b"lane/"


def asset(canonical_domain: DomainId, canonical_id: Hash) -> bytes:
    """Return the key of the Asset by its canonical domain and id."""
    return b"asset/%010d/%s" % (canonical_domain, canonical_id.hex().encode())


def assets() -> bytes:
    """Return the prefix of ``asset``."""
    return b"asset/"


def router(domain_id: DomainId, address: Address) -> bytes:
    """Return the key of the Router on one domain; absent: not approved, eligible, no faults.

    Written by the first rule that changes it.
    """
    return b"router/%010d/%s" % (domain_id, address.hex().encode())


def routers(domain_id: DomainId) -> bytes:
    """Return the prefix of ``router`` on one domain."""
    return b"router/%010d/" % domain_id


def liquidity(domain_id: DomainId, local: Address, address: Address) -> bytes:
    """Return the key of the Liquidity of a router in a local asset; absent: nothing.

    Written once there is something.
    """
    return b"liquidity/%010d/%s/%s" % (domain_id, local.hex().encode(), address.hex().encode())


def queue(domain_id: DomainId, local: Address) -> bytes:
    """Return the key of the Queue of one (destination, local asset); absent: 0. Written by its first assignment."""
    return b"queue/%010d/%s" % (domain_id, local.hex().encode())


def queue_tag(domain_id: DomainId, local: Address, address: Address) -> bytes:
    """Return the key of the QueueTag of a router in a queue; absent: finish 0, weight 1.

    Written when it first wins there.
    """
    return b"queue_tag/%010d/%s/%s" % (domain_id, local.hex().encode(), address.hex().encode())


def transfer(transfer_id: TransferId) -> bytes:
    """Return the key of the Transfer."""
    return b"transfer/%s" % transfer_id.hex().encode()


def parse_transfer(key: bytes) -> TransferId:
    """Return the transfer of a ``transfer`` key."""
    return TransferId(_parse_hex(_split(key, b"transfer", 64)[0]))


def transfers() -> bytes:
    """Return the prefix of ``transfer``."""
    return b"transfer/"


def transfer_info(transfer_id: TransferId) -> bytes:
    """Return the key of the TransferInfo of a transfer; absent while known by hash only."""
    return b"transfer_info/%s" % transfer_id.hex().encode()


def bid(transfer_id: TransferId, address: Address) -> bytes:
    """Return the key of the Bid of a router for a transfer, a withdraw without a bid included."""
    return b"bid/%s/%s" % (transfer_id.hex().encode(), address.hex().encode())


def bids(transfer_id: TransferId) -> bytes:
    """Return the prefix of ``bid`` for one transfer."""
    return b"bid/%s/" % transfer_id.hex().encode()


def auction(transfer_id: TransferId, attempt: int) -> bytes:
    """Return the key of the Auction of an attempt: why its routers won, or why nobody is feasible."""
    return b"auction/%s/%03d" % (transfer_id.hex().encode(), attempt)


def auctions(transfer_id: TransferId) -> bytes:
    """Return the prefix of ``auction`` for one transfer."""
    return b"auction/%s/" % transfer_id.hex().encode()


def decision(sequence: int) -> bytes:
    """Return the key of the Decision by global sequence."""
    return b"decision/%020d" % sequence


def parse_decision(key: bytes) -> int:
    """Return the sequence of a ``decision`` key."""
    return _parse_numbers(key, b"decision", DIGITS)[0]


def decisions() -> bytes:
    """Return the prefix of ``decision``."""
    return b"decision/"


def batch(height: int) -> bytes:
    """Return the key of the DecisionBatch by height."""
    return b"batch/%020d" % height


def parse_batch(key: bytes) -> int:
    """Return the height of a ``batch`` key."""
    return _parse_numbers(key, b"batch", DIGITS)[0]


def batches() -> bytes:
    """Return the prefix of ``batch``."""
    return b"batch/"


def unattested(height: int) -> bytes:
    """Return the key of the HeightEntry of a batch by its height: it lacks its quorum and was live at the last check
    (LSE-6).
    """
    return b"unattested/%020d" % height


def unattested_batches() -> bytes:
    """Return the prefix of ``unattested``."""
    return b"unattested/"


def reports(domain_id: DomainId, number: int) -> bytes:
    """Return the key of the Reports for one segment, while there are any."""
    return b"reports/%010d/%020d" % (domain_id, number)


def parse_reports(key: bytes) -> tuple[DomainId, int]:
    """Return the domain and number of a ``reports`` key."""
    domain_id, number = _parse_numbers(key, b"reports", 10, DIGITS)
    return DomainId(domain_id), number


def domain_reports(domain_id: DomainId) -> bytes:
    """Return the prefix of ``reports`` of one domain."""
    return b"reports/%010d/" % domain_id


def open_transfer(origin: DomainId, destination: DomainId, acceptance: int) -> bytes:
    """Return the key of the Reference of an undecided transfer (ACCEPTED or WAITING) of a lane, in acceptance order."""
    return b"open/%010d/%010d/%020d" % (origin, destination, acceptance)


def parse_open_transfer(key: bytes) -> tuple[DomainId, DomainId, int]:
    """Return the origin, destination and acceptance number of an ``open_transfer`` key."""
    origin, destination, acceptance = _parse_numbers(key, b"open", 10, 10, DIGITS)
    return DomainId(origin), DomainId(destination), acceptance


def open_transfers(origin: DomainId, destination: DomainId) -> bytes:
    """Return the prefix of ``open_transfer`` of one lane."""
    return b"open/%010d/%010d/" % (origin, destination)


def lease(destination: DomainId, valid_until_s: int, acceptance: int) -> bytes:
    """Return the key of the Reference of a transfer whose attempt has not ended, by the attempt's ``valid_until_s``."""
    return b"lease/%010d/%020d/%020d" % (destination, valid_until_s, acceptance)


def parse_lease(key: bytes) -> tuple[DomainId, int, int]:
    """Return the destination, ``valid_until_s`` and acceptance number of a ``lease`` key."""
    destination, valid_until_s, acceptance = _parse_numbers(key, b"lease", 10, DIGITS, DIGITS)
    return DomainId(destination), valid_until_s, acceptance


def leases(destination: DomainId) -> bytes:
    """Return the prefix of ``lease`` for one destination."""
    return b"lease/%010d/" % destination


def slow_due(origin: DomainId, destination: DomainId, time_s: int, acceptance: int) -> bytes:
    """Return the key of the Reference of a RECONCILED transfer of a lane whose ``slow_next_s`` is not 0, by it."""
    return b"slow_due/%010d/%010d/%020d/%020d" % (origin, destination, time_s, acceptance)


def parse_slow_due(key: bytes) -> tuple[DomainId, DomainId, int, int]:
    """Return the origin, destination, time in seconds and acceptance number of a ``slow_due`` key."""
    origin, destination, time_s, acceptance = _parse_numbers(key, b"slow_due", 10, 10, DIGITS, DIGITS)
    return DomainId(origin), DomainId(destination), time_s, acceptance


def slow_dues(origin: DomainId, destination: DomainId) -> bytes:
    """Return the prefix of ``slow_due`` of one lane."""
    return b"slow_due/%010d/%010d/" % (origin, destination)


def drop(time_s: int, acceptance: int) -> bytes:
    """Return the key of the Reference of a SLOW or RECONCILED transfer, by ``drop_after_s``."""
    return b"drop/%020d/%020d" % (time_s, acceptance)


def parse_drop(key: bytes) -> tuple[int, int]:
    """Return the time in seconds and acceptance number of a ``drop`` key."""
    time_s, acceptance = _parse_numbers(key, b"drop", DIGITS, DIGITS)
    return time_s, acceptance


def drops() -> bytes:
    """Return the prefix of ``drop``."""
    return b"drop/"


def finished(height: int, acceptance: int) -> bytes:
    """Return the key of the Reference of a COMPLETED transfer, by ``finished_height``."""
    return b"finished/%020d/%020d" % (height, acceptance)


def parse_finished(key: bytes) -> tuple[int, int]:
    """Return the height and acceptance number of a ``finished`` key."""
    height, acceptance = _parse_numbers(key, b"finished", DIGITS, DIGITS)
    return height, acceptance


def finished_transfers() -> bytes:
    """Return the prefix of ``finished``."""
    return b"finished/"


def stub(transfer_id: TransferId) -> bytes:
    """Return the key of the Stub of a transfer that is not accepted yet."""
    return b"stub/%s" % transfer_id.hex().encode()


def stub_expiry(time_s: int, transfer_id: TransferId) -> bytes:
    """Return the key of the HeightEntry of a stub by ``expires_s``; the height is that of the stub's last event."""
    return b"stub_expiry/%020d/%s" % (time_s, transfer_id.hex().encode())


def parse_stub_expiry(key: bytes) -> tuple[int, TransferId]:
    """Return the time in seconds and the transfer of a ``stub_expiry`` key."""
    time_s, transfer_id = _split(key, b"stub_expiry", DIGITS, 64)
    if not time_s.isdigit():
        unreachable(f"{key!r}: no number where one must be")
    return int(time_s), TransferId(_parse_hex(transfer_id))


def stub_expiries() -> bytes:
    """Return the prefix of ``stub_expiry``."""
    return b"stub_expiry/"


def tombstone(transfer_id: TransferId) -> bytes:
    """Return the key of the Tombstone of a transfer that had a decision and is gone."""
    return b"tombstone/%s" % transfer_id.hex().encode()


# --- ranges and parts -----------------------------------------------------------------------------------------------


def list_range(prefix: bytes, start: int, end: int) -> Iterator[bytes]:
    """Yield longer prefixes, ascending, such that the keys under them, ``prefix`` and then a number of 20 digits, are
    exactly those with a number ≥ ``start``; those of which every number is above ``end`` are left out.

    A number is itself, or differs first at one digit, where it is greater: 20 × 9 prefixes at most.
    """
    if not 0 <= start <= end <= NUMBER_MAX:
        return
    digits = b"%020d" % start
    yield prefix + digits
    for at in reversed(range(DIGITS)):
        for digit in range(int(digits[at:at + 1]) + 1, 10):
            part = digits[:at] + b"%d" % digit
            if int(part.ljust(DIGITS, b"0")) > end:
                break
            yield prefix + part


def _split(key: bytes, name: bytes, *widths: int) -> list[bytes]:
    """Return the parts of a key after its name; another name, or parts of other widths, is a bug."""
    first, *parts = key.split(b"/")
    if first != name or tuple(map(len, parts)) != widths:
        unreachable(f"{key!r} is no {name.decode()} key")
    return parts


def _parse_numbers(key: bytes, name: bytes, *digits: int) -> list[int]:
    parts = _split(key, name, *digits)
    if not b"".join(parts).isdigit():  # int() would take a sign, a space or an underscore
        unreachable(f"{key!r}: no number where one must be")
    return list(map(int, parts))


def _parse_hex(part: bytes) -> bytes:
    if part.strip(b"0123456789abcdef"):  # fromhex() would take capitals and spaces
        unreachable(f"{part!r} is no lower-case hex")
    return bytes.fromhex(part.decode())
