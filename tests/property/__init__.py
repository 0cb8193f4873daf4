"""Hypothesis state machines and models."""
