"""Unit tests of observer."""
