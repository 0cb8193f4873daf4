"""The pure state machine of consensus routing: (state, block) → (results, batch, root).

No clock, no I/O, no randomness, no floats, no logging, no web3 (``tests/test_tidy.py`` enforces it).
Start reading in ``block.py``; ``docs/protocol.md`` is the normative description.
"""
