"""LSE-6 where it costs and where it begins: held lanes are not looked at, and stand still from their first block on."""

from collections.abc import Iterator

from abci_app.machine.block import apply_block
from abci_app.machine.connext import compute_transfer_id
from abci_app.machine.observation.stream import Paused, Unpaused
from abci_app.machine.params import Params
from abci_app.machine.results import Block
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address
from abci_app.machine.state.records import Transfer
from abci_app.machine.state.view import MemoryState
from tests.kit.machine.driver import ROUTERS, A, B, Network, bundle, reconciled, xcalled

DEADLINE_BLOCKS = 4
PARAMS = Params(decision_deadline_blocks=DEADLINE_BLOCKS, waiting_blocks=3, lease_s=30)


class CountingView:
    """A state that counts which keys were read, by the first part of their name."""

    def __init__(self, state: MemoryState) -> None:
        self.state = state
        self.reads: dict[str, int] = {}

    def count(self, key: bytes) -> None:
        kind = key.partition(b"/")[0].decode()
        self.reads[kind] = self.reads.get(kind, 0) + 1

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""
        self.count(key)
        return self.state.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) under ``prefix``, keys ascending."""
        for key, value in self.state.scan(prefix):
            self.count(key)
            yield key, value


def count_reads(net: Network) -> dict[str, int]:
    """Reads of a next block in which nothing happens."""
    view = CountingView(net.state)
    apply_block(view, net.tree, Block(net.height + 1, net.time_s + 1, Address(bytes(20)), ()))
    return view.reads


def test_transfers_of_a_held_lane_cost_no_block_anything() -> None:
    """LSE-6: while a chain stands still any number of them may wait, undecided or reconciled; nobody else pays."""
    net = Network(PARAMS)
    infos = [net.info() for _ in range(40)]
    ids = [compute_transfer_id(info) for info in infos]
    net.block({A: [xcalled(info) for info in infos], B: [Paused()]}, [bundle(ids[0], ROUTERS[0])])
    net.block({B: [reconciled(transfer_id) for transfer_id in ids[20:]]})
    assert {net.status(transfer_id) for transfer_id in ids[:20]} == {"ACCEPTED"}
    assert {net.transfer(transfer_id).slow_next_s for transfer_id in ids[20:]} == {net.time_s}
    reads = count_reads(net)
    assert not {"open", "slow_due", "transfer"} & reads.keys()

    net.block({B: [Unpaused()]})
    assert len(net.decisions()) == 21
    assert count_reads(net)["transfer"] >= 19


def test_a_hold_that_begins_at_the_deadline_keeps_the_transfer() -> None:
    """LSE-5, LSE-6: what would go SLOW in this very block stands still in it, and goes in the first block after."""
    held, free = Network(PARAMS), Network(PARAMS)
    ids = [net.accept() for net in (held, free)]
    for net in (held, free):
        net.wait(DEADLINE_BLOCKS - 1)
    held.block({B: [Paused()]})
    free.block()
    assert (held.status(ids[0]), free.status(ids[1])) == ("ACCEPTED", "SLOW")
    held.wait(5)
    assert held.status(ids[0]) == "ACCEPTED"
    held.block({B: [Unpaused()]})
    assert held.status(ids[0]) == "SLOW"


def test_a_hold_that_begins_when_waiting_ends_keeps_the_transfer() -> None:
    """LSE-4, LSE-6: the same for WAITING, whose clock stood still too."""
    net = Network(PARAMS)
    transfer_id = net.assign(ROUTERS[0])
    net.change(keys.transfer(transfer_id), Transfer, bidders=0)  # nobody is tried again
    net.change(keys.domain(B), type(net.domain(B)), eligible=False)
    net.let_lease_end()
    assert net.status(transfer_id) == "WAITING"
    net.wait(PARAMS.waiting_blocks - 1)
    net.block({B: [Paused()]})
    net.wait(3)
    assert net.status(transfer_id) == "WAITING"
    net.block({B: [Unpaused()]})
    assert net.status(transfer_id) == "SLOW"
