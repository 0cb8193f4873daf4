"""Solidity on anvil, with the real Connext contracts."""
