"""Default addresses of a node and of the engine beside it."""

ABCI_ADDRESS = "unix://abci.sock"
GRPC_ADDRESS = "127.0.0.1:9090"
COMETBFT_RPC_URL = "http://127.0.0.1:26657"
