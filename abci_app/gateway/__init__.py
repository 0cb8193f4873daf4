"""gRPC over committed snapshots: Query, Tx, health, reflection.

Runs in threads beside the ABCI loop; it reads what the node committed last and never touches consensus.
"""
