"""Errors of the client. Each message is one line.

    ClientError
    ├── NodeAway         one node gave no answer that counts: another one may be asked
    ├── NodeUnavailable  no configured node answers
    └── NodeRefused      a node answered with a refusal; carries its code
"""


class ClientError(Exception):
    """The root."""


class NodeAway(ClientError):
    """One node did not answer in time, or not usefully; begins with its address."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address}: {reason}")


class NodeUnavailable(ClientError):
    """None of the nodes that were asked answered."""


class NodeRefused(ClientError):
    """A node's answer to a question it cannot, or will not, answer; ``code`` names it (gateway/codes.py)."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason if reason.startswith(code) else f"{code}: {reason}")
        self.code = code
        self.reason = reason
