"""Result codes, and the exceptions for rejected input and broken invariants (docs/protocol.md section 8).

``Rejected`` is expected and leaves no trace; ``InvariantBroken`` is a bug and stops the node.
"""

from enum import IntEnum
from typing import NoReturn, TypeVar

T = TypeVar("T")


class Code(IntEnum):
    """Result code of a transaction, an auction candidate or a proposal.

    Append only: never renumber, never reuse. A family begins at a multiple of ten; 15 was never used and stays free,
    60 to 69 belong to the gateway (abci_app/gateway/codes.py).

    CometBFT hashes the code of each transaction into the next header, so a number is part of the protocol.
    """

    # Success.
    OK = 0  # success

    # Form of a transaction.
    TX_TOO_LARGE = 10  # longer than 96 KiB (TX-1)
    TX_MALFORMED = 11  # not a transaction, or a field of another length (TX-1, BID-1, TX-2)
    TX_NOT_CANONICAL = 12  # not the one encoding of what it holds (TX-1, TX-2)
    TX_EMPTY = 13  # no body, or a bundle without bids (TX-1, BID-1)
    TX_INJECTED_KIND = 14  # begins with a zero byte, as only what proposers inject does (TX-1)
    BUNDLE_TOO_LARGE = 16  # more than 64 bids (BID-1)
    BUNDLE_UNSORTED = 17  # bids that do not ascend strictly by transfer and router (BID-1)

    # Signatures and path lengths.
    SIGNATURE_LENGTH = 20  # not 65 bytes (BID-2)
    SIGNATURE_HIGH_S = 21  # s in the upper half (BID-2)
    SIGNATURE_V = 22  # v neither 27 nor 28 (BID-2)
    SIGNATURE_UNRECOVERABLE = 23  # no key recovers from it (BID-2)
    SIGNATURE_WRONG_SIGNER = 24  # made by another key than the router's (BID-2, BID-5)
    PATH_LENGTH_INVALID = 25  # none, or one that is not 1, 2 or 4 (BID-1)
    PATH_LENGTHS_UNSORTED = 26  # path lengths that do not ascend strictly (BID-1)
    PATH_LENGTH_ABOVE_MAX = 27  # longer than Connext takes on the destination (BID-3)

    # What the state says of the transfer.
    TRANSFER_UNKNOWN = 30  # no such transfer in the state (BID-3, BID-5, BID-6, TX-2)
    TRANSFER_FINISHED = 31  # paid out: EXECUTED or COMPLETED (BID-3, BID-5, TX-2)
    TRANSFER_SLOW = 32  # SLOW or RECONCILED: no router is needed any more (BID-3)
    TRANSFER_INFO_MISMATCH = 33  # contradicts what is on record (TX-2)
    TRANSFER_INFO_KNOWN = 34  # nothing to add (TX-2)
    TRANSFER_INFO_TOO_LARGE = 35  # callData longer than 64 KiB (TX-2)

    # What the state says of the router and its bid.
    ROUTER_NOT_APPROVED = 40  # not approved on the destination (BID-3, BID-5, BID-6)
    ROUTER_WITHDRAWN = 41  # withdrew its bid for this transfer, for ever (BID-3)
    BID_DUPLICATE = 42  # adds no path length, or waits often enough already (BID-3, BID-6)
    WITHDRAW_DUPLICATE = 43  # withdrawn before (BID-5)
    EARLY_BIDS_FULL = 44  # the router has enough early bids waiting (BID-6)
    BIDS_FULL = 45  # no place for another bidder (BID-3, BID-5)

    # Why a router was not chosen in an auction; never a transaction's code.
    INFEASIBLE_NO_BID_FOR_PATH = 50  # no signature for this path length (ASN-2)
    INFEASIBLE_LIQUIDITY_SHORT = 51  # its balance less what is reserved is below the share (ASN-2)
    INFEASIBLE_NOT_ELIGIBLE = 52  # router or domain waits for governance (ASN-2, LIQ-3)
    INFEASIBLE_COOLING_DOWN = 53  # was at fault a while ago (ASN-2, FLT-1)
    INFEASIBLE_NOT_APPROVED = 54  # not approved there, with the allowlist on (ASN-2)
    INFEASIBLE_WITHDRAWN = 55  # withdrew (ASN-2, BID-5)
    INFEASIBLE_LOST = 56  # feasible; others came first, or partners lacked (ASN-4, ASN-5)

    # Why a proposal is refused; in a block that was decided all the same, codes of what was injected (ORD-5).
    COMMIT_MISSING = 70  # the first transaction is no injected commit (COM-1)
    COMMIT_UNEXPECTED = 71  # an injected commit at a height that has none (COM-1)
    COMMIT_MALFORMED = 72  # not its form, or not one entry per validator (COM-1, COM-2)
    COMMIT_ROUND_MISMATCH = 73  # another round than the block's last commit (COM-2)
    COMMIT_FLAGS_MISMATCH = 74  # other flags than the block's last commit (COM-2)
    COMMIT_SIGNATURE_INVALID = 75  # an extension that its validator did not sign (COM-2)
    SEGMENT_MALFORMED = 76  # not its form, or it may not follow the cursor (SEG-2, SEG-3)
    SEGMENT_UNKNOWN_DOMAIN = 77  # of a domain that is not there (SEG-3)
    SEGMENT_OUT_OF_ORDER = 78  # domain or number out of order (SEG-3)
    SEGMENT_NOT_AGREED = 79  # no two thirds report it (REP-4)
    SEGMENT_DIGEST_MISMATCH = 80  # two thirds report another digest (REP-4)
    SEGMENTS_TOO_LARGE = 81  # more bytes than one block may carry (REP-4)
    INJECTED_MISPLACED = 82  # an injected kind out of its place (COM-3)
    BID_NOT_ACCEPTED_YET = 83  # a bid for a transfer that nobody accepted yet (BID-7)
    BLOCK_TOO_MANY_TXS = 84  # more than 8,192 transactions (COM-4)
    BLOCK_TOO_MANY_SIGNATURES = 85  # more than 16,384 signatures of bids and withdraws (COM-4)

    # Genesis.
    GENESIS_INVALID = 90  # refused; the node does not start (GEN-1, GEN-2)


class Rejected(Exception):
    """Input that the rules reject. It is expected, and its handler discards all that was computed for that input."""

    def __init__(self, code: Code, reason: str = "") -> None:
        super().__init__(f"{code.name}: {reason}" if reason else code.name)
        self.code = code
        self.reason = reason


class InvariantBroken(Exception):
    """Broken invariant, hence a bug. Never caught in machine/ or node/: the process ends instead of diverging."""


def require(value: T | None, code: Code, reason: str = "") -> T:
    """Return ``value``, or raise ``Rejected(code)`` where it is None or False."""
    if value is None or value is False:
        raise Rejected(code, reason)
    return value


def invariant(condition: object, what: str) -> None:
    """Raise `InvariantBroken` unless ``condition`` holds (``assert`` would vanish under -O)."""
    if not condition:
        raise InvariantBroken(what)


def unreachable(what: str) -> NoReturn:
    """Raise `InvariantBroken` in a branch that no input can reach."""
    raise InvariantBroken(what)
