"""The message layer of a running local network, played once."""

from contextlib import ExitStack
from pathlib import Path

from testnet.chains import anvil
from testnet.chains.chain_parts import load_deployment, refuse_down
from testnet.connext import message_layer
from testnet.connext.deploy import connect
from testnet.connext.message_layer import Settlement
from testnet.network.layout import NetworkError, load_finished


def settle(home: Path) -> str:
    """Process every dispatched message; return a line that says so.

    Raises NetworkError where messages failed or are left, EvmError, ChainFailed, MessageLayerFailed.
    """
    settlement = play(home)
    if not settlement.is_complete:
        raise NetworkError(describe(settlement))
    return describe(settlement)


def play(home: Path) -> Settlement:
    """Process what was dispatched, and return how far that went. Raises EvmError, ChainFailed, MessageLayerFailed."""
    layout = load_finished(home)
    refuse_down(layout)
    deployment = load_deployment(layout)
    rpcs = connect(deployment)
    with ExitStack() as stack:
        for rpc in rpcs.values():
            stack.callback(rpc.close)
        return message_layer.settle(deployment, rpcs, anvil.wait_until)


def describe(settlement: Settlement) -> str:
    """Say in one line what a settlement did and what it did not."""
    if settlement.is_complete and not settlement.rounds:
        return "settled: nothing was pending"
    done = f"{len(settlement.processed)} messages processed, rounds: {settlement.rounds}"
    if settlement.is_complete:
        return f"settled: {done}"
    wrong = []
    if settlement.failures:
        first = settlement.failures[0]
        wrong.append(
            f"{len(settlement.failures)} failed, the first of transfer 0x{first.message.transfer_id.hex()[:8]}: "
            f"{first.reason}"
        )
    if settlement.left:
        wrong.append(f"{settlement.left} are pending: settle again")
    return f"not settled: {done}; {'; '.join(wrong)}"
