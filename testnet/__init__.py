"""Local networks of real CometBFT nodes and real EVM chains; used from a checkout only."""
