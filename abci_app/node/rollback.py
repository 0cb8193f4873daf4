"""Undo a stopped node's last block, for an operator who rolls CometBFT back as well."""

from pathlib import Path

from abci_app.node.errors import NodeError
from abci_app.node.home import load_home, locked
from abci_app.node.store import Head, Store


def roll_back_home(path: Path) -> tuple[Head, Head]:
    """Undo the last committed block of the node whose home is ``path``; return the heads before and after.

    One atomic, synced write. Raises NodeError, with nothing changed, for a wrong home, one that a running node holds,
    a database without blocks, or one that does not keep what its last block replaced.
    """
    home = load_home(path)
    with locked(path):
        store = Store.open(home.store_path, home.config.chain_id)
        try:
            before = store.head
            if before is None:
                raise NodeError(f"{home.store_path} holds no block: there is nothing to roll back")
            return before, store.roll_back()
        finally:
            store.close()
