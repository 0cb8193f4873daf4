"""Unit tests of node."""
