"""Numbered codes of refusals, the two ways to fail, and nothing else (docs/protocol.md section 8).

``Rejected`` is expected and leaves no trace; ``InvariantBroken`` is a bug and stops the node.
"""

from enum import IntEnum
from typing import NoReturn, TypeVar

T = TypeVar("T")


class Code(IntEnum):
    """Append only: never renumber, never reuse. Blocks of ten by family, most specific first.

    CometBFT hashes the code of each transaction into the next header, so a number is part of the protocol.
    """

    OK = 0

    TX_TOO_LARGE = 10
    TX_MALFORMED = 11
    TX_NOT_CANONICAL = 12
    TX_EMPTY = 13
    TX_INJECTED_KIND = 14
    BUNDLE_TOO_LARGE = 16
    BUNDLE_UNSORTED = 17

    SIGNATURE_LENGTH = 20
    SIGNATURE_HIGH_S = 21
    SIGNATURE_V = 22
    SIGNATURE_UNRECOVERABLE = 23
    SIGNATURE_WRONG_SIGNER = 24
    PATH_LENGTH_INVALID = 25
    PATH_LENGTHS_UNSORTED = 26
    PATH_LENGTH_ABOVE_MAX = 27

    TRANSFER_UNKNOWN = 30
    TRANSFER_FINISHED = 31
    TRANSFER_SLOW = 32
    TRANSFER_INFO_MISMATCH = 33
    TRANSFER_INFO_KNOWN = 34
    TRANSFER_INFO_TOO_LARGE = 35

    ROUTER_NOT_APPROVED = 40
    ROUTER_WITHDRAWN = 41
    BID_DUPLICATE = 42
    WITHDRAW_DUPLICATE = 43
    EARLY_BIDS_FULL = 44
    BIDS_FULL = 45

    # Why a router could not be chosen in an auction (never a transaction's code).
    INFEASIBLE_NO_BID_FOR_PATH = 50
    INFEASIBLE_LIQUIDITY_SHORT = 51
    INFEASIBLE_NOT_ELIGIBLE = 52
    INFEASIBLE_COOLING_DOWN = 53
    INFEASIBLE_NOT_APPROVED = 54
    INFEASIBLE_WITHDRAWN = 55
    INFEASIBLE_LOST = 56

    # Answers of the query and submission services.
    NOT_FOUND = 60
    NOT_ATTESTED = 61
    EXPIRED = 62
    NO_KEY = 63
    ARGUMENT_INVALID = 64
    NOT_READY = 65
    TIMED_OUT = 66
    MEMPOOL_FULL = 67
    ENGINE_UNAVAILABLE = 68

    # Why a proposal is refused (never a transaction's code; seen in logs and metrics).
    COMMIT_MISSING = 70
    COMMIT_UNEXPECTED = 71
    COMMIT_MALFORMED = 72
    COMMIT_ROUND_MISMATCH = 73
    COMMIT_FLAGS_MISMATCH = 74
    COMMIT_SIGNATURE_INVALID = 75
    SEGMENT_MALFORMED = 76
    SEGMENT_UNKNOWN_DOMAIN = 77
    SEGMENT_OUT_OF_ORDER = 78
    SEGMENT_NOT_AGREED = 79
    SEGMENT_DIGEST_MISMATCH = 80
    SEGMENTS_TOO_LARGE = 81
    INJECTED_MISPLACED = 82
    BID_NOT_ACCEPTED_YET = 83
    BLOCK_TOO_MANY_TXS = 84
    BLOCK_TOO_MANY_SIGNATURES = 85

    GENESIS_INVALID = 90


class Rejected(Exception):
    """An input the rules refuse. Expected; whoever catches it forgets all that was computed for that input."""

    def __init__(self, code: Code, reason: str = "") -> None:
        super().__init__(f"{code.name}: {reason}" if reason else code.name)
        self.code = code
        self.reason = reason


class InvariantBroken(Exception):
    """The impossible: a bug. Never caught in machine/ or node/; the process ends instead of diverging."""


def require(value: T | None, code: Code, reason: str = "") -> T:
    """Return ``value``, or raise ``Rejected(code)`` where it is None or False."""
    if value is None or value is False:
        raise Rejected(code, reason)
    return value


def invariant(condition: object, what: str) -> None:
    """Stop the node where a promise of our own code does not hold (``assert`` would vanish under -O)."""
    if not condition:
        raise InvariantBroken(what)


def unreachable(what: str) -> NoReturn:
    """Mark a branch no input can reach."""
    raise InvariantBroken(what)
