"""Processing of agreed events: dispatch by kind, acceptance of transfers, settlement."""
