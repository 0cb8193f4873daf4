"""Real CometBFT and several processes."""
