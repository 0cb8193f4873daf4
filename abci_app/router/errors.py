"""What ends the router or one bid of it. Each message is one line that a person can act on.

    RouterError
    ├── ConfigInvalid    config.toml or key file are not as they must be
    ├── NodeUnavailable  no configured node answers
    └── Refused          a check says no to one transfer; carries a word for logs
"""


class RouterError(Exception):
    """The root: the command line prints it as its one line and ends with a non-zero status."""


class ConfigInvalid(RouterError):
    """The router's folder, its config.toml or its key."""


class NodeUnavailable(RouterError):
    """None of the configured nodes answered in time."""


class Refused(RouterError):
    """This router does not bid on this transfer; ``cause`` is a stable word."""

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}" if detail else cause)
        self.cause = cause
