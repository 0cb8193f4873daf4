"""The database: one atomic write a block, rolled back by one, views that stand still, foreign databases refused."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import plyvel
import pytest

from abci_app.machine.state import keys
from abci_app.machine.state.codec import Malformed, decode, encode
from abci_app.machine.state.tree import Tree
from abci_app.node import store as store_module
from abci_app.node.errors import StoreError
from abci_app.node.store import UNDO_HEIGHTS, Head, Store, pack_values, undo_key, unpack_values
from abci_app.node.view import STATE_PREFIX, STATES_KEPT, CommittedState, Published
from tests.kit.node.store_writer import CHAIN, chain_record, write_block


def contents(store: Store) -> dict[bytes, bytes]:
    return dict(store.view().scan(b""))


def test_nothing_is_made_before_the_first_block(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "data", CHAIN)
    assert store.head is None and contents(store) == {} and store.view().get(b"a") is None
    assert store.load_tree().root == Tree().root
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_block_is_there_after_reopening(tmp_path: Path) -> None:
    store = Store.open(tmp_path, CHAIN)
    tree = write_block(store, 1, {b"a": b"1", b"b": b"2"}, Tree())
    tree = write_block(store, 2, {b"a": None, b"c": b""}, tree)
    store.close()
    store = Store.open(tmp_path, CHAIN)
    assert store.head == Head(2, tree.root)
    assert contents(store) == {b"b": b"2", b"c": b"", keys.CHAIN: chain_record(2)}
    assert store.view().get(b"a") is None and store.view().get(b"c") == b""
    assert list(store.view().scan(b"b")) == [(b"b", b"2")]
    assert store.load_tree().root == tree.root
    store.close()


def test_a_view_stands_still_also_in_another_thread(tmp_path: Path) -> None:
    store = Store.open(tmp_path, CHAIN)
    tree = write_block(store, 1, {b"a": b"1"}, Tree())
    view = store.view()
    write_block(store, 2, {b"a": b"2", b"b": b"3"}, tree)
    seen: list[object] = []
    reader = threading.Thread(target=lambda: seen.extend([view.get(b"a"), view.get(b"b")]))
    reader.start()
    reader.join(10)
    assert seen == [b"1", None]
    assert store.view().get(b"a") == b"2"
    store.close()


def test_heights_follow_one_another(tmp_path: Path) -> None:
    store = Store.open(tmp_path, CHAIN)
    tree = write_block(store, 5, {b"a": b"1"}, Tree())
    for height in (4, 5, 7):
        with pytest.raises(StoreError, match="cannot follow 5"):
            write_block(store, height, {b"a": b"x"}, tree)
    assert store.view().get(b"a") == b"1"
    store.close()


def test_one_height_is_rolled_back_and_more_while_kept(tmp_path: Path) -> None:
    store = Store.open(tmp_path, CHAIN)
    tree, states = Tree(), []
    numbers = random.Random(7)
    for height in range(1, 41):
        changes: dict[bytes, bytes | None] = {
            b"k%d" % numbers.randrange(20): numbers.choice([None, b"", b"v%d" % height]) for _ in range(5)
        }
        tree = write_block(store, height, changes, tree)
        states.append((store.head, contents(store)))
    for back in range(1, UNDO_HEIGHTS + 1):
        assert store.roll_back() == states[39 - back][0]
        assert contents(store) == states[39 - back][1]
        assert store.load_tree().root == store.head.app_hash  # type: ignore[union-attr]
    with pytest.raises(StoreError, match="not kept"):
        store.roll_back()
    write_block(store, 25, {b"new": b"1"}, store.load_tree())
    assert store.view().get(b"new") == b"1"
    store.close()


def test_damage_of_what_a_block_replaced_is_refused_whatever_it_is(tmp_path: Path) -> None:
    """Every bit of the record turned over, every length it can be cut to, a byte too many: nothing is undone."""
    store = Store.open(tmp_path, CHAIN)
    tree = write_block(store, 1, {b"a": b"1", b"b": b""}, Tree())
    first = store.head
    write_block(store, 2, {b"a": b"2", b"b": None, b"new": b"3"}, tree)
    key, second, before = undo_key(2), store.head, contents(store)
    sound = store._db.get(key)
    turned = [
        (int.from_bytes(sound, "big") ^ 1 << bit).to_bytes(len(sound), "big") for bit in range(8 * len(sound))
    ]
    cut = [sound[:length] for length in range(len(sound))]
    for damaged in (*turned, *cut, sound + b"\0"):
        store._db.put(key, damaged)
        with pytest.raises(StoreError, match=r"what height 2 replaced is damaged|does not hash to the app hash before"):
            store.roll_back()
        assert store.head == second and contents(store) == before and store._db.get(key) == damaged
    store._db.put(key, sound)
    assert store.roll_back() == first
    store.close()


@pytest.mark.parametrize("height", [0, 2, 3])
def test_what_leads_back_to_another_height_is_refused(tmp_path: Path, height: int) -> None:
    store = Store.open(tmp_path, CHAIN)
    tree = write_block(store, 1, {b"a": b"1"}, Tree())
    write_block(store, 2, {b"a": b"2"}, tree)
    replaced = decode(store_module._Undo, store._db.get(undo_key(2))).values
    store._db.put(undo_key(2), encode(store_module._Undo(Head(height, tree.root), replaced)))
    with pytest.raises(StoreError, match="does not hash to the app hash before"):
        store.roll_back()
    store.close()


def test_a_state_that_is_damaged_itself_is_not_rolled_back(tmp_path: Path) -> None:
    store = Store.open(tmp_path, CHAIN)
    tree = write_block(store, 1, {b"a": b"1", b"b": b"1"}, Tree())
    write_block(store, 2, {b"a": b"2"}, tree)
    store._db.put(STATE_PREFIX + b"b", b"other")
    with pytest.raises(StoreError, match="it is damaged, or what is kept of that block is"):
        store.roll_back()
    store.close()


def test_the_first_block_cannot_be_rolled_back(tmp_path: Path) -> None:
    store = Store.open(tmp_path, CHAIN)
    with pytest.raises(StoreError, match="no block"):
        store.roll_back()
    write_block(store, 1, {b"a": b"1"}, Tree())
    with pytest.raises(StoreError, match="not kept"):
        store.roll_back()
    assert store.view().get(b"a") == b"1"
    store.close()


def snapshot_files(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.parametrize(("identity", "message"), [
    (None, "identity.json is missing"),
    ("{", "identity.json is missing or not readable"),
    ("[]", "identity.json is missing or not readable"),
    (json.dumps({"layout": 1, "chain_id": CHAIN}), "layout 1, this version reads 4"),
    (json.dumps({"layout": 3, "chain_id": CHAIN}), "make a home for a new network with routerd init"),
    (json.dumps({"layout": 4, "chain_id": "other"}), "holds chain 'other', not 'routing-1'"),
])
def test_a_foreign_database_is_refused_untouched(tmp_path: Path, identity: str | None, message: str) -> None:
    store = Store.open(tmp_path, CHAIN)
    write_block(store, 1, {b"a": b"1"}, Tree())
    store.close()
    (tmp_path / "identity.json").unlink()
    if identity is not None:
        (tmp_path / "identity.json").write_text(identity)
    before = snapshot_files(tmp_path)
    with pytest.raises(StoreError) as refusal:
        Store.open(tmp_path, CHAIN)
    assert message in str(refusal.value)
    assert snapshot_files(tmp_path) == before


def test_a_second_opening_is_refused(tmp_path: Path) -> None:
    store = Store.open(tmp_path, CHAIN)
    write_block(store, 1, {}, Tree())
    with pytest.raises(StoreError, match="LOCK"):
        Store.open(tmp_path, CHAIN)
    store.close()


@pytest.mark.parametrize(("key", "value", "message"), [
    (b"h", b"\x00", "damaged"),
    (b"s/chain", b"", "damaged"),
    (b"s/chain", chain_record(2), "holds routing-1 at 2"),
    (b"s/chain", chain_record(1, "other"), "holds other at 1"),
    (b"s/extra", b"1", "does not hash to its app hash"),
])
def test_a_damaged_database_is_refused(tmp_path: Path, key: bytes, value: bytes, message: str) -> None:
    store = Store.open(tmp_path, CHAIN)
    write_block(store, 1, {b"a": b"1"}, Tree())
    store.close()
    raw = plyvel.DB(str(tmp_path / "leveldb"))
    raw.put(key, value)
    raw.close()
    with pytest.raises(StoreError, match=message):
        Store.open(tmp_path, CHAIN).load_tree()


def test_foreign_exceptions_are_mapped(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    store = Store.open(tmp_path / "file" / "data", CHAIN)
    with pytest.raises(StoreError):
        write_block(store, 1, {}, Tree())
    store = Store.open(tmp_path / "data", CHAIN)
    tree = write_block(store, 1, {}, Tree())
    store.close()
    for call in (lambda: store.view(), lambda: write_block(store, 2, {}, tree), lambda: store.roll_back()):
        with pytest.raises(StoreError):
            call()
    (tmp_path / "data" / "leveldb" / "CURRENT").write_text("nonsense")
    with pytest.raises(StoreError, match="CURRENT"):
        Store.open(tmp_path / "data", CHAIN)


def test_values_pack_and_unpack() -> None:
    pairs = [(b"", b""), (b"a", None), (b"b", b"\x00" * 70_000), (b"c" * 300, b"1")]
    assert list(unpack_values(pack_values(iter(pairs)))) == pairs
    assert list(unpack_values(b"")) == []


@pytest.mark.parametrize(("raw", "message"), [
    (b"\0\0\0\2a", "a key without a value"),
    (pack_values(iter([(b"a", b"1")])) + b"\0\0\0\2b", "a key without a value"),
    (b"\0\0\0\0\0\0\0\2a", "a value without a key"),
    (b"\0\0\0\3a", "cut short at 5 bytes"),
    (b"\0\0\0\2a\0\0", "cut short at 7 bytes"),
    (b"\0\0", "cut short at 2 bytes"),
    (b"\0\0\0\2a\0\0\0\0\0\0\0", "cut short at 12 bytes"),
])
def test_what_is_no_packed_pairs_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        list(unpack_values(raw))


WRITER = """
import sys
from pathlib import Path
from tests.kit.node.store_writer import CHAIN, write_block
from abci_app.node.store import Store

store = Store.open(Path(sys.argv[1]), CHAIN)
height = store.head.height if store.head else 0
tree = store.load_tree()
print(height, flush=True)
while True:
    height += 1
    tree = write_block(store, height, {b"n/%d" % number: b"%d" % height for number in range(200)}, tree)
    print(height, flush=True)
"""


def test_kill_9_in_the_middle_of_writes_leaves_whole_blocks(tmp_path: Path) -> None:
    """Eight times: afterwards every value is of one height, and that is the head's and at least the last one told."""
    delays = random.Random(11)
    told = 0
    for _ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "data")], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        told = max(told, int(writer.stdout.readline()))  # it has opened the database
        time.sleep(delays.uniform(0.0, 0.15))
        os.kill(writer.pid, signal.SIGKILL)
        rest, _ = writer.communicate(timeout=30)
        told = max([told, *map(int, rest.split(b"\n")[:-1])])
        store = Store.open(tmp_path / "data", CHAIN)
        if store.head is None:
            assert told == 0
        else:
            assert store.head.height >= told
            assert {value for _, value in store.view().scan(b"n/")} == {b"%d" % store.head.height}
            store.load_tree()
        store.close()
    assert told > 8


def test_published_states_are_kept_for_some_heights() -> None:
    published = Published()
    assert published.latest() is None and published.at(1) is None and published.read_domains() == {}
    states = [CommittedState(height, Tree().root, Store(Path(), CHAIN).view(), Tree()) for height in range(1, 40)]
    for state in states:
        published.publish(state)
    assert published.latest() is states[-1]
    assert published.at(39) is states[-1] and published.at(40 - STATES_KEPT) is states[-STATES_KEPT]
    assert published.at(39 - STATES_KEPT) is None
