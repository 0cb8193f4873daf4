"""A whole network: chains, validators, routers, relayer; what it survives."""
