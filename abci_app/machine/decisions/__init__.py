"""What gates verify: decisions in leaves, leaves in a Merkle tree, one digest per height, its signatures."""
