"""Observer: finalized logs of each chain as segments with digests; unverifiable logs are logged and not reported."""
