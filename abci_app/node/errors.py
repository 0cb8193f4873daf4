"""Errors that end a node or refuse a signature; each message is one line that an operator can act on.

    NodeError
    ├── HomeError     folder, config.toml or key are not as they must be
    └── StoreError    the database is not ours, not whole, or not writable

Apart from these, SignatureRefused: an answer to whoever asks for a signature; it stops nothing.
"""

from abci_app.gateway.codes import AnswerCode


class NodeError(Exception):
    """Root of the node's errors; the command line prints one as its only line and exits with a non-zero status."""


class HomeError(NodeError):
    """Unusable home: the folder, its config.toml or its key."""


class StoreError(NodeError):
    """Unusable database: foreign, damaged, in use or not writable."""


class SignatureRefused(Exception):
    """Refusal to sign as sequencer for a decision, with the code that the client gets."""

    def __init__(self, code: AnswerCode, reason: str) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason
