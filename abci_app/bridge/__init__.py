"""Relayer: follows attested batches, plans, journals, simulates, sends, confirms.

It needs a node's gRPC and a key with gas money, and nobody's permission. Nothing here is trusted by anybody: a gate
checks the quorum itself, so a relayer can only be late.
"""
