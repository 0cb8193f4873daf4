"""``routerd rollback``: one block back and no further than what is kept; every refusal changes nothing."""

import json
from pathlib import Path

import pytest

from abci_app.cli.main import run
from abci_app.machine.state import keys
from abci_app.machine.state.codec import encode
from abci_app.machine.state.records import ChainState
from abci_app.machine.state.tree import Tree
from abci_app.node.config import Config
from abci_app.node.errors import NodeError
from abci_app.node.home import init_home, locked
from abci_app.node.rollback import roll_back_home
from abci_app.node.store import Head, Store

CHAIN_ID = "routing-1"


def make_home(path: Path, heights: int) -> list[Head]:
    """A home whose database holds this many blocks; their heads."""
    init_home(path, Config(CHAIN_ID))
    heads, tree = [], Tree()
    store = Store.open(path / "data", CHAIN_ID)
    for height in range(1, heights + 1):
        changes: dict[bytes, bytes | None] = {
            keys.CHAIN: encode(ChainState(CHAIN_ID, height, height, 1, 1, (), 1, 1, 1, 1, 1)), b"k": b"%d" % height,
        }
        tree = tree.update(changes)
        heads.append(Head(height, tree.root))
        store.write(heads[-1], changes)
    store.close()
    return heads


def read_head(path: Path) -> Head | None:
    """The last block of a home's database, which must hash to its app hash."""
    store = Store.open(path / "data", CHAIN_ID)
    try:
        store.load_tree()
        return store.head
    finally:
        store.close()


def test_the_last_block_is_undone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heads = make_home(tmp_path / "n", 4)
    assert roll_back_home(tmp_path / "n") == (heads[3], heads[2])
    assert read_head(tmp_path / "n") == heads[2]
    assert run(["rollback", "--home", str(tmp_path / "n"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "from_height": 3, "height": 2, "app_hash": heads[1].app_hash.hex()
    }
    assert run(["rollback", "--home", str(tmp_path / "n")]) == 0
    assert "from height 2 to 1" in capsys.readouterr().out
    assert read_head(tmp_path / "n") == heads[0]


@pytest.mark.parametrize(("heights", "message"), [(0, "holds no block"), (1, "not kept")])
def test_what_is_not_there_cannot_be_undone(tmp_path: Path, heights: int, message: str) -> None:
    heads = make_home(tmp_path / "n", heights)
    with pytest.raises(NodeError, match=message):
        roll_back_home(tmp_path / "n")
    assert read_head(tmp_path / "n") == (heads[-1] if heads else None)


def test_a_home_in_use_is_refused(tmp_path: Path) -> None:
    heads = make_home(tmp_path / "n", 2)
    with locked(tmp_path / "n"), pytest.raises(NodeError, match="in use"):
        roll_back_home(tmp_path / "n")
    assert read_head(tmp_path / "n") == heads[1]


def test_another_chains_database_is_refused(tmp_path: Path) -> None:
    heads = make_home(tmp_path / "n", 2)
    config = tmp_path / "n" / "config.toml"
    config.write_text(config.read_text().replace(CHAIN_ID, "routing-2"))
    with pytest.raises(NodeError, match="routing-1"):
        roll_back_home(tmp_path / "n")
    assert read_head(tmp_path / "n") == heads[1]
