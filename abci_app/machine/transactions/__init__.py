"""A user's bytes become state: decoding, signatures, bids, TransferInfos, and admission to mempool and block."""
