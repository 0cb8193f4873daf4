"""Errors that can end an ABCIServer.

ABCIError
├── AddressError       the address is malformed, too long, or names something that is not a socket
│   └── AddressInUse   another process is listening there
├── FrameError         bytes from a peer that are no ABCI request
└── ApplicationError   a method of the application raised, or returned the wrong type
"""


class ABCIError(Exception):
    """Root of every error this library raises."""


class AddressError(ABCIError):
    """The server cannot listen at this address."""


class AddressInUse(AddressError):
    """Another process is listening at this address."""


class FrameError(ABCIError):
    """A peer sent bytes that are no ABCI request; the connection cannot continue."""


class ApplicationError(ABCIError):
    """A method of the application raised (see __cause__), or returned something that is not its response message."""
