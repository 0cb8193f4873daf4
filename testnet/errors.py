"""What a command of the testnet may fail with; each is one line for people."""

from abci_app.bridge.errors import Fatal
from abci_app.evm.errors import EvmError
from abci_app.node.errors import NodeError
from abci_app.operator.errors import OperatorError
from abci_app.router.errors import RouterError
from testnet.chains.anvil import ChainFailed
from testnet.connext.message_layer import MessageLayerFailed
from testnet.network.layout import NetworkError
from testnet.processes.cometbft import CometBFTError

FAILURES = (
    NetworkError, ChainFailed, CometBFTError, MessageLayerFailed, EvmError, NodeError, RouterError, Fatal,
    OperatorError, OSError,
)
