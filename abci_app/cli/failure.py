"""The one way for a command to fail politely. In a module of its own: ``main`` may run as ``__main__``."""


class Failure(Exception):
    """A command cannot do what it was asked for; its text is the one line on standard error."""
