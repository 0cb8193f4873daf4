"""Finalized logs of each chain → segments and their digests, or silence with a reason."""
