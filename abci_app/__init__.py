"""Consensus routing for cross-chain bridges: a BFT-replicated sequencer that the routers run themselves."""

__version__ = "0.1.0"
