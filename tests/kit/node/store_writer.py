"""Blocks written to a store, as a node writes them."""

from abci_app.machine.state import keys
from abci_app.machine.state.codec import encode
from abci_app.machine.state.records import ChainState
from abci_app.machine.state.tree import Tree
from abci_app.node.store import Head, Store

CHAIN = "routing-1"


def chain_record(height: int, chain_id: str = CHAIN) -> bytes:
    return encode(ChainState(chain_id, height, height, 1, 1, (), 1, 1, 1, 1, 1))


def write_block(store: Store, height: int, changes: dict[bytes, bytes | None], tree: Tree) -> Tree:
    """Writes a block and returns the tree after it."""
    changes = {**changes, keys.CHAIN: chain_record(height)}
    tree = tree.update(changes)
    store.write(Head(height, tree.root), changes)
    return tree
