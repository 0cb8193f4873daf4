"""ABCI 2.0 for Python: write an application as a class, serve it to CometBFT over a socket.

    from abci_app.abci import ABCIServer, Application

    class Ledger(Application):
        def finalize_block(self, request): ...

    ABCIServer(app=Ledger(), address="unix:///tmp/ledger.sock").run()

Knows nothing of what the application does, and imports nothing else of this project. Messages are in messages.py.
"""

from abci_app.abci.application import Application, tx_bytes_in_block, txs_within
from abci_app.abci.errors import ABCIError, AddressError, AddressInUse, ApplicationError, FrameError
from abci_app.abci.server import ABCIServer

__all__ = [
    "ABCIServer",
    "Application",
    "tx_bytes_in_block",
    "txs_within",
    "ABCIError",
    "AddressError",
    "AddressInUse",
    "ApplicationError",
    "FrameError",
]
