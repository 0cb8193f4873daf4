"""Unit tests of testnet."""
