"""Writes block_vectors.json: a genesis and blocks as bytes, with the codes and app hashes that they must give.

Run it after a deliberate, state-breaking change of rules: ``python -m tests.vectors.make_block_vectors``.
"""

import json
from pathlib import Path
from typing import Any

from abci_app.machine.connext import compute_transfer_id, keccak
from abci_app.machine.observation.stream import (
    Event,
    LiquidityFeeNumeratorUpdated,
    Paused,
    RelayerFeesIncreased,
    RouterLiquidityAdded,
    RouterLiquidityRemoved,
    Unpaused,
)
from abci_app.machine.params import Params
from abci_app.machine.state.records import RelayerFee
from abci_app.machine.state.tree import Tree
from tests.kit.machine.driver import (
    LIQUIDITY,
    ROUTERS,
    A,
    B,
    Network,
    bundle,
    executed,
    local_of,
    reconciled,
    withdraw,
    xcalled,
)

FILE = Path(__file__).with_name("block_vectors.json")
R1, R2, R3, R4 = ROUTERS


def make_network() -> Network:
    """The network of the vectors after their blocks: every walk is in there at least once."""
    net = Network(Params(lease_s=30, slow_spacing_s=30, decision_deadline_blocks=8, retention_blocks=12))
    infos = [net.info(), net.info(amount=LIQUIDITY * 3 // 2), net.info(amount=5), net.info(B, A), net.info()]
    one, two, small, back, nobody = map(compute_transfer_id, infos)
    fees = (RelayerFee(R1, 7),)
    net.block({A: [xcalled(info, relayer_fees=fees) for info in infos[:3]], B: [xcalled(infos[3])]}, [
        bundle(one, R1, R2, R3), bundle(two, R1, R2, R3, lengths=(1, 2)), bundle(back, R4), bundle(small, R1), b"junk",
    ])
    net.block({A: [xcalled(infos[4])]}, [bundle(one, R1), withdraw(one, R2), b"\0\1out of place"])
    net.block({B: [executed(two, *net.transfer(two).attempts[0].routers, amount=LIQUIDITY * 3 // 2)]})
    net.block({B: [RouterLiquidityRemoved(R1, local_of(B), 400_000), reconciled(small, amount=5)]})
    net.let_lease_end()
    winner = net.transfer(one).attempts[0].routers[0]
    tail: list[Event] = [executed(one, winner), LiquidityFeeNumeratorUpdated(9990), Paused()]
    net.block({B: tail, A: [RelayerFeesIncreased(small, R1, 5)]})
    net.block({B: [Unpaused(), reconciled(one, winner), executed(small, amount=5)]}, [withdraw(nobody, R4)])
    net.block({A: [executed(back, R4, origin=B, domain=A), RouterLiquidityAdded(R2, local_of(A), 9)]})
    net.block({B: [executed(compute_transfer_id(net.info()), R3)]})
    net.wait(14)
    return net


def make_vectors() -> dict[str, Any]:
    """The whole file's content."""
    net = make_network()
    replay = Network(net.params)
    blocks = []
    for block in net.blocks:
        replay.time_s = block.time_s
        result = replay.run(block.txs)
        blocks.append({
            "height": block.height, "time_s": block.time_s, "proposer": block.proposer.hex(),
            "txs": [tx.hex() for tx in block.txs],
            "codes": [int(each.code) for each in result.results],
            "data": [each.data.hex() for each in result.results],
            "batch_root": result.batch.root.hex() if result.batch else "",
            "app_hash": result.app_hash.hex(),
        })
    genesis = {key.decode(): value.hex() for key, value in sorted(net.genesis.items())}
    return {
        "about": "ORD-4: genesis state (key: value) and blocks as bytes, with codes, data, batch roots and app hashes. "
        "All hex without 0x.",
        "genesis": genesis, "genesis_app_hash": replay_genesis_hash(net).hex(), "blocks": blocks,
        "final_keys_keccak": keccak(b"\n".join(sorted(net.state.values))).hex(),
    }


def replay_genesis_hash(net: Network) -> bytes:
    """App hash of the genesis state."""
    return Tree.build(net.genesis).root


if __name__ == "__main__":
    FILE.write_text(json.dumps(make_vectors(), indent=1) + "\n")
