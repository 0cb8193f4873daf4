"""Local EVM chains: anvil processes, their saved states, and the times of their blocks."""
