"""The message layer of a running local network, played once."""

from contextlib import ExitStack
from pathlib import Path

from testnet import chains, message_layer, network
from testnet.connext import connect
from testnet.layout import load_layout


def settle(home: Path) -> str:
    """Process every dispatched message; return a line that says what happened. Raises EvmError, MessageLayerFailed."""
    deployment = network.load_deployment(load_layout(home))
    rpcs = connect(deployment)
    with ExitStack() as stack:
        for rpc in rpcs.values():
            stack.callback(rpc.close)
        settled = message_layer.settle(deployment, rpcs, chains.wait_until)
    if not settled.rounds:
        return "settled: nothing was pending"
    return f"settled: {len(settled.processed)} messages in {settled.rounds} rounds, {len(settled.failures)} failed"
