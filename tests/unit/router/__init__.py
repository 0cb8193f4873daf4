"""Unit tests of router."""
