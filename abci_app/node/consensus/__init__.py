"""A validator's part in a height: proposals, their validation, and vote extensions with their commit."""
