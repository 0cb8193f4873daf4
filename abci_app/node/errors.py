"""What a node refuses to start or go on with. Each message is one line that a person can act on.

    NodeError
    ├── HomeError     folder, config.toml or key are not as they must be
    └── StoreError    the database is not ours, not whole, or not writable
"""


class NodeError(Exception):
    """The root: the command line prints it as its one line and ends with a non-zero status."""


class HomeError(NodeError):
    """The node's folder, its config.toml or its key."""


class StoreError(NodeError):
    """The node's database."""
