"""Processes of a local network: spawned, identified, supervised and ended; their logs and ports; CometBFT's files."""
