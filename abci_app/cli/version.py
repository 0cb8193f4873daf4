"""``routerd version``."""

import typer

from abci_app import __version__


def register(app: typer.Typer, summary: str) -> None:
    """Add the command."""
    app.command("version", help=summary)(show_version)


def show_version() -> None:
    """Print the version."""
    print(__version__)
