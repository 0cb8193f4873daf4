"""Decision batches as gates verify them: decisions in leaves, leaves in a Merkle tree, one signed digest per height."""
