"""Stored state: records and their bytes, keys, views and deltas, and the tree whose root is the app hash."""
