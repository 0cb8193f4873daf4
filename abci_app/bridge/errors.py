"""Error of a relayer that ends it; what passes is a Retryable of daemon/runner.py."""


class Fatal(Exception):
    """Configuration, key, lock, chain, gate or journal are not as they must be; its text is one line to act on."""
