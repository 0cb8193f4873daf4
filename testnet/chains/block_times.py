"""When a transfer reached each step by the blocks' own times, never earlier than it did.

A chain stamps a block with a whole second, rounded down: the origin's counts from its beginning, the destination's
ends with it. CometBFT's header carries the median of the times at which validators committed the block *before* it,
so a height was final at the time in the next header.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from abci_app.evm.rpc import Rpc
from testnet.demo.tracker import Progress
from testnet.network.layout import NetworkError
from testnet.processes.cometbft import CometBFTError, call_rpc

CALL_S = 5.0


def read_executed(progress: Progress, rpcs: Mapping[int, Rpc]) -> int:
    """Return the seconds from the origin's block to the destination's. Raises EvmError."""
    order = progress.sent.order
    end_s = rpcs[order.destination].block(progress.executed_block).timestamp_s + 1
    return end_s - rpcs[order.origin].block(progress.sent.block).timestamp_s


def read_final(progress: Progress, height: int, rpcs: Mapping[int, Rpc], engines: Sequence[str]) -> float:
    """Return the seconds from the origin's block to a consensus height's commit. Raises EvmError, NetworkError."""
    return read_committed(height, engines) - rpcs[progress.sent.order.origin].block(progress.sent.block).timestamp_s


def read_committed(height: int, engines: Sequence[str]) -> float:
    """Return Unix seconds at which validators committed a height, from the first CometBFT that answers."""
    refusals = []
    for url in engines:
        try:
            header = call_rpc(url, "header", CALL_S, height=str(height + 1))["header"]
            return datetime.fromisoformat(header["time"]).timestamp()
        except (OSError, CometBFTError) as error:
            refusals.append(str(error))
    raise NetworkError(f"no validator has the header of {height + 1}: {'; '.join(refusals)[:300]}")
