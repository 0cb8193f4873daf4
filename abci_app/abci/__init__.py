"""ABCI 2.0 for Python: write an application as a class, serve it to CometBFT over a socket.

    from abci_app.abci import ABCIServer, Application

    class Ledger(Application):
        def finalize_block(self, request): ...

    ABCIServer(app=Ledger(), address="unix:///tmp/ledger.sock").run()

Knows nothing of what the application does, and imports nothing else of this project.
"""
