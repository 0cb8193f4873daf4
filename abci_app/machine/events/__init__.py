"""An agreed event of a chain becomes state: dispatch by kind, acceptance of transfers, settlement."""
