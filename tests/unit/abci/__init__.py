"""Unit tests of abci."""
