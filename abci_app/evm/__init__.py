"""EVM client: the only package that imports web3, eth_abi and eth_account."""
