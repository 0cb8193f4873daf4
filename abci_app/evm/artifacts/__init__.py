"""Compiled contracts: how they are made, shipped, deployed and compared with code on a chain."""
