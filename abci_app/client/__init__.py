"""Client library of nodes' gRPC: for relayers, routers, the command line, and any other program."""
