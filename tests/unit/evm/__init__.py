"""Unit tests of evm."""
