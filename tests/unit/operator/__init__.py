"""Tests of what operators run to set up a network."""
