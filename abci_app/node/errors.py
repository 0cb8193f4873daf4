"""Errors that end a node or refuse a signature; each message is one line that an operator can act on.

    NodeError
    ├── HomeError     folder, config.toml or key are not as they must be
    └── StoreError    the database is not ours, not whole, or not writable

Apart from these, SignatureRefused: an answer to whoever asks for a signature; it stops nothing.
"""

from abci_app.gateway.codes import AnswerCode


class NodeError(Exception):
    """The root: the command line prints it as its one line and ends with a non-zero status."""


class HomeError(NodeError):
    """The node's folder, its config.toml or its key."""


class StoreError(NodeError):
    """The node's database."""


class SignatureRefused(Exception):
    """A decision that this node's key signs nothing for, or not any more."""

    def __init__(self, code: AnswerCode, reason: str) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason
