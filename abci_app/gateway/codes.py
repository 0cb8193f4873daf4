"""Numbered answers of the query and submission services, 60 to 69, beside the machine's own codes.

No block holds one of them. Whoever answers or asks may import this module: it imports nothing.
"""

from enum import IntEnum


class AnswerCode(IntEnum):
    """Codes of answers. Append only: numbers and names are on the wire, so none is changed or used again."""

    # Answers of the query and submission services.
    NOT_FOUND = 60  # nothing is known under this id
    NOT_ATTESTED = 61  # the batch lacks its quorum
    EXPIRED = 62  # the decision's lease is over
    NO_KEY = 63  # this node's key is no validator's
    ARGUMENT_INVALID = 64  # the call's own arguments are wrong
    NOT_READY = 65  # the node has committed nothing yet
    TIMED_OUT = 66  # not known in time; it may still happen
    MEMPOOL_FULL = 67  # too much waits already
    ENGINE_UNAVAILABLE = 68  # CometBFT does not answer
