"""What sets up a network on real chains: its genesis, read from them and checked."""
