"""User transactions: decoding, signatures, bids, TransferInfos, and admission to mempool and block."""
