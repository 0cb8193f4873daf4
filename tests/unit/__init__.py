"""One package at a time, no processes."""
