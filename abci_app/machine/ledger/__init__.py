"""Records that several rules write: transfers and their indexes, liquidity, the fair queue, stubs."""
