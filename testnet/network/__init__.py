"""A local network under one home: layout, genesis, validators, routers and relayer; up, down, stop, start."""
