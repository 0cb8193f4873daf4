"""What a command of the testnet may fail with; each is one line for people."""

from abci_app.bridge.errors import Fatal
from abci_app.evm.errors import EvmError
from abci_app.node.errors import NodeError
from abci_app.router.errors import RouterError
from testnet.chains import ChainFailed
from testnet.cometbft import CometBFTError
from testnet.layout import NetworkError
from testnet.message_layer import MessageLayerFailed

FAILURES = (
    NetworkError, ChainFailed, CometBFTError, MessageLayerFailed, EvmError, NodeError, RouterError, Fatal, OSError,
)
