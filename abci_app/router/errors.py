"""What ends the router or one bid of it. Each message is one line that a person can act on.

    RouterError
    ├── ConfigInvalid    config.toml, key file or folder are not as they must be, or do not fit network and chains
    ├── LedgerFailed     the ledger cannot be written or read: without it no bid may leave
    ├── NodeContradicts  a node says of the network what was not so at the start
    └── Refused          a check says no to one transfer; carries a word for logs
"""


class RouterError(Exception):
    """The root: the command line prints it as its one line and ends with a non-zero status."""


class ConfigInvalid(RouterError):
    """The router's folder, its config.toml or its key."""


class LedgerFailed(RouterError):
    """The ledger's disk or file."""


class NodeContradicts(RouterError):
    """A node's answer about domains that cannot be true if an earlier one was."""


class Refused(RouterError):
    """This router does not bid on this transfer; ``cause`` is a stable word."""

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}" if detail else cause)
        self.cause = cause
